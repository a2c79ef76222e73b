// Values of spec/wire.md for the page: tags become numbers, arrays and text.

export class NdArray {
  constructor(data, shape, dtype) {
    Object.assign(this, { data, shape, dtype });
  }

  // The type of its items, as numpy calls it.
  get kind() {
    const name = { b: "bool", u: "uint", i: "int", f: "float" }[this.dtype[1]];
    return name === "bool" ? name : `${name}${8 * Number(this.dtype.slice(2))}`;
  }
}

const KINDS = {
  b1: Uint8Array, u1: Uint8Array, i1: Int8Array, u2: Uint16Array, i2: Int16Array, u4: Uint32Array,
  i4: Int32Array, u8: BigUint64Array, i8: BigInt64Array, f4: Float32Array, f8: Float64Array,
};
const FLOATS = { nan: NaN, inf: Infinity, "-inf": -Infinity };

function bytesOf(tag, buffers) {
  if ("buffer" in tag) return buffers[tag.buffer];
  return Uint8Array.from(atob(tag.base64), (char) => char.charCodeAt(0));
}

function arrayOf(tag, buffers) {
  const Kind = typeof tag.dtype === "string" ? KINDS[tag.dtype.slice(1)] : null;
  if (!Kind) return tag;
  let bytes = bytesOf(tag, buffers);
  if (bytes.byteOffset % 8) bytes = bytes.slice();
  if (tag.dtype[0] === ">") {
    bytes = bytes.slice();
    const size = Kind.BYTES_PER_ELEMENT;
    for (let at = 0; at < bytes.length; at += size) bytes.subarray(at, at + size).reverse();
  }
  let data = new Kind(bytes.buffer, bytes.byteOffset, bytes.byteLength / Kind.BYTES_PER_ELEMENT);
  if (Kind === BigInt64Array || Kind === BigUint64Array) data = Float64Array.from(data, Number);
  return new NdArray(data, tag.shape, tag.dtype);
}

export function decode(value, buffers = []) {
  if (Array.isArray(value)) return value.map((item) => decode(item, buffers));
  if (value === null || typeof value !== "object") return value;
  switch (value.__roc__) {
    case undefined:
      return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, decode(item, buffers)]));
    case "float": return FLOATS[value.value];
    case "array": return arrayOf(value, buffers);
    case "bytes": return bytesOf(value, buffers);
    case "scalar": return "value" in value ? decode(value.value, buffers) : value;
    case "dict": return Object.fromEntries(value.value.map(([name, item]) => [name, decode(item, buffers)]));
    case "tuple": case "set": return decode(value.value, buffers);
    case "datetime": case "date": case "time": case "decimal": case "fraction": case "uuid": return value.value;
    default: return value;
  }
}

// A value in one line, as text.
export function shown(value, most = 200) {
  let text;
  if (value instanceof NdArray) text = `${value.shape.join(" × ")} ${value.kind}`;
  else if (value instanceof Uint8Array) text = `${value.length} bytes`;
  else if (typeof value === "number") text = Number.isInteger(value) ? String(value) : String(+value.toPrecision(7));
  else if (typeof value === "string") text = value;
  else if (value === undefined) text = "";
  else text = JSON.stringify(value, (_, item) => (typeof item === "number" && !Number.isFinite(item) ? String(item)
    : item instanceof NdArray ? shown(item) : item));
  return printable(text.length > most ? `${text.slice(0, most)}…` : text);
}

// Control characters and marks that turn the direction of text are shown, not obeyed.
export function printable(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

export function age(seconds) {
  if (!(seconds >= -5)) return "";
  if (seconds < 0.5) return "0 s"; // two clocks
  if (seconds < 120) return `${Math.round(seconds)} s`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} d`;
}

export function clock(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "" : date.toLocaleTimeString([], { hour12: false });
}

// A part of a file's name: when it was.
export const named = () => new Date().toISOString().slice(0, 19).replaceAll(":", "");

export function save(name, text, type) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
