// Objects: what is up, what each has, and forms to use it.

import { Curve, Image } from "./drawn.js";
import { html } from "./html.js";
import { call, now, store, useStore } from "./link.js";
import { go, useRoute } from "./route.js";
import { age, clock, NdArray, printable, shown } from "./values.js";
import { useEffect, useState } from "./vendor/hooks.js";

export function Objects() {
  const { overview } = useStore();
  const { rest } = useRoute();
  const objects = overview?.objects ?? [];
  return html`<div class="bar"><h1>Objects</h1><a class="quiet" href="/objects.json">JSON</a></div>
    <div class="wide"><table><thead><tr><th>Object</th><th>State</th><th>Where</th><th>Since</th><th>Busy</th><th>Calls</th></tr></thead>
    <tbody>${objects.map((entry) => {
      const address = `/objects/${encodeURIComponent(entry.id)}`;
      return html`<tr key=${entry.id} class=${entry.state}><th scope="row"><a href=${address} aria-current=${entry.id === rest ? "true" : null}
        onClick=${(event) => go(event, address)}>${printable(entry.id)}</a></th>
        <td>${entry.state}${entry.gone ? ` since ${clock(entry.gone)}` : ""}</td>
        <td>${printable(entry.host ?? "")}${entry.pid ? `, pid ${entry.pid}` : ""}</td>
        <td>${entry.since ? `${clock(entry.since)}, ${age(now() - entry.since)}` : ""}</td>
        <td>${entry.running ? "running" : "idle"}${entry.queued ? `, ${entry.queued} wait` : ""}</td>
        <td class="number">${entry.calls}, ${entry.rate}/s</td></tr>`;
    })}</tbody></table></div>
    ${objects.length === 0 ? html`<p class="quiet">Nobody shares an object.</p>` : null}
    ${rest ? html`<${Members} key=${rest} id=${rest} state=${objects.find(({ id }) => id === rest)?.state} />` : null}`;
}

// One object, or a nested one at `path`.
function Members({ id, path = "", state }) {
  const [said, setSaid] = useState(null);
  const [error, setError] = useState(null);
  useEffect(() => {
    let live = true;
    call(id, "rpc.discover", path ? [path] : []).then(({ value }) => live && (setSaid(value), setError(null)),
      (why) => live && setError(why));
    return () => { live = false; };
  }, [id, path, state, store.connected]);
  if (error && !said) return html`<${Failure} error=${error} />`;
  if (!said) return html`<p class="quiet">Asking ${printable(id)} what it is.</p>`;
  const prefix = path ? `${path}.` : "";
  const attributes = said["x-attributes"] ?? [], nested = said["x-objects"] ?? [];
  return html`<section class="object"><h2>${printable(path ? `${id}.${path}` : id)} <small>${printable(said["x-class"] ?? "")}</small></h2>
    ${said.info?.description ? html`<details><summary>About</summary><pre>${printable(said.info.description)}</pre></details>` : null}
    <h3>Attributes</h3>
    ${attributes.map((entry) => html`<${Attribute} key=${entry.name} id=${id} prefix=${prefix} entry=${entry} />`)}
    <h3>Methods</h3>
    ${(said.methods ?? []).map((entry) => html`<${Method} key=${entry.name} id=${id} prefix=${prefix} entry=${entry} />`)}
    ${nested.map(({ name }) => html`<${Nested} key=${name} id=${id} path=${prefix + name} />`)}</section>`;
}

function Nested({ id, path }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}><summary>${printable(path)}</summary>
    ${open ? html`<${Members} id=${id} path=${path} />` : null}</details>`;
}

// What is under way, its end, and how to withdraw it.
function useCall() {
  const [state, set] = useState({});
  const run = (promise) => {
    const began = Date.now();
    set({ running: promise, began });
    promise.then(({ value, seconds }) => set({ done: true, value, seconds }), (error) => set({ error }));
  };
  return [state, run, (error) => set({ error })];
}

function Attribute({ id, prefix, entry }) {
  const [text, setText] = useState("");
  const [state, run, fail] = useCall();
  const name = prefix + entry.name;
  const readonly = store.overview?.server.readonly;
  const read = () => run(call(id, "rpc.get", [name]));
  const write = (event) => {
    event.preventDefault();
    try {
      const value = parsed(text, entry.annotation, entry.name);
      const setting = call(id, "rpc.set", [name, value]);
      const both = setting.then(() => call(id, "rpc.get", [name]));
      both.cancel = setting.cancel;
      run(both);
    } catch (error) {
      fail(error);
    }
  };
  return html`<div class="member" data-member=${name}><div><code>${printable(entry.name)}${entry.annotation ? `: ${printable(entry.annotation)}` : ""}</code>
      <p>${printable(entry.summary ?? "")}</p></div>
    <form onSubmit=${write}><button type="button" onClick=${read}>Read</button>
      ${entry.writable && !readonly ? html`<input aria-label=${`new value of ${name}`} value=${text}
        onInput=${(event) => setText(event.target.value)} /><button>Set</button>` : null}</form>
    <${Outcome} ...${state} /></div>`;
}

function Method({ id, prefix, entry }) {
  const [texts, setTexts] = useState({});
  const [timeout, setTimeout_] = useState("10");
  const [state, run, fail] = useCall();
  const parameters = entry["x-parameters"] ?? (entry.params ?? []).map(({ name }) => ({ name, kind: "positional_or_keyword" }));
  const name = prefix + entry.name;
  const readonly = store.overview?.server.readonly;
  const submit = (event) => {
    event.preventDefault();
    try {
      const [args, kwargs] = argumentsOf(parameters, texts);
      run(call(id, name, args, kwargs, Number(timeout)));
    } catch (error) {
      fail(error);
    }
  };
  return html`<div class="member" data-member=${name}><div><code>${printable(entry.name)}${printable(entry["x-signature"] ?? "(…)")}</code>
      ${entry.description && entry.description !== entry.summary
        ? html`<details><summary>${printable(entry.summary)}</summary><pre>${printable(entry.description)}</pre></details>`
        : html`<p>${printable(entry.summary ?? "")}</p>`}</div>
    ${readonly ? null : html`<form onSubmit=${submit}>${parameters.map((parameter) => html`<label key=${parameter.name}>${printable(parameter.name)}
        <input placeholder=${printable([parameter.annotation, parameter.default === undefined ? "" : `= ${parameter.default}`].filter(Boolean).join(" "))}
          value=${texts[parameter.name] ?? ""} onInput=${(event) => setTexts({ ...texts, [parameter.name]: event.target.value })} /></label>`)}
      <label class="seconds">within s <input type="number" min="0.1" max="3600" step="any" value=${timeout} onInput=${(event) => setTimeout_(event.target.value)} /></label>
      <button>Call</button></form>`}
    <${Outcome} ...${state} /></div>`;
}

// A text as the value that an annotation asks for; JSON where it says nothing.
export function parsed(text, annotation = "", name = "the value") {
  const kind = (annotation ?? "").replace(/\s*\|\s*None$/, "");
  const refuse = (wanted) => { throw { message: `${name} takes ${wanted}; nothing was sent.`, data: { executed: false } }; };
  if (text === "None" || text === "null") return null;
  if (kind === "str") return text;
  if (kind === "int") return /^[+-]?\d+$/.test(text.trim()) ? Number(text) : refuse("a whole number");
  if (kind === "float") return text.trim() !== "" && !Number.isNaN(Number(text)) ? Number(text) : refuse("a number");
  if (kind === "bool") return /^(true|false)$/i.test(text.trim()) ? /^true$/i.test(text.trim()) : refuse("true or false");
  try {
    return JSON.parse(text);
  } catch {
    return text.trim() === "" ? refuse("a value: write JSON") : text;
  }
}

function argumentsOf(parameters, texts) {
  const args = [], kwargs = {};
  let skipped = false;
  for (const { name, kind, default: preset, annotation } of parameters) {
    const text = texts[name] ?? "";
    if (kind === "var_positional" || kind === "var_keyword") {
      if (text.trim() === "") continue;
      const value = parsed(text, "", name);
      if (kind === "var_positional") args.push(...(Array.isArray(value) ? value : [value]));
      else Object.assign(kwargs, value);
    } else if (text === "" && preset !== undefined) {
      skipped = true;
    } else {
      const value = parsed(text, annotation, name);
      if (kind === "keyword_only" || skipped) kwargs[name] = value; else args.push(value);
    }
  }
  return [args, kwargs];
}

function Outcome({ running, began, done, value, seconds, error }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 200);
    return () => clearInterval(timer);
  }, [running]);
  if (running) {
    return html`<p class="running" role="status">running for ${((Date.now() - began) / 1000).toFixed(1)} s
      <button onClick=${() => running.cancel?.()}>Withdraw</button></p>`;
  }
  if (error) return html`<${Failure} error=${error} />`;
  if (!done) return null;
  return html`<div class="result"><${Result} value=${value} />${seconds ? html`<small>in ${seconds.toFixed(3)} s</small>` : null}</div>`;
}

function Failure({ error }) {
  const { message, data = {} } = error;
  const fate = data.executed === false ? "It was not executed." : data.executed ? "It was executed." : "Whether it was executed is not known.";
  return html`<div class="failure" role="alert"><strong>${printable(message)}</strong> <span>${fate}</span>
    ${data.traceback ? html`<details><summary>Remote traceback</summary><pre>${printable(data.traceback)}</pre></details>` : null}</div>`;
}

function Result({ value }) {
  if (value === null || value === undefined) return html`<output>done</output>`;
  if (value instanceof NdArray) return html`<${ArrayResult} array=${value} />`;
  if (value?.__roc__) return html`<output>${value.__roc__ === "object" ? "an object, which stays at its server" : shown(value)}</output>`;
  if (Array.isArray(value) && value.length && value.every((row) => row && typeof row === "object" && !Array.isArray(row))) {
    const names = [...new Set(value.flatMap(Object.keys))];
    return html`<div class="wide"><table><thead><tr>${names.map((name) => html`<th>${printable(name)}</th>`)}</tr></thead>
      <tbody>${value.slice(0, 500).map((row) => html`<tr>${names.map((name) => html`<td>${shown(row[name])}</td>`)}</tr>`)}</tbody></table></div>`;
  }
  if (Array.isArray(value) && value.length > 3 && value.every((item) => typeof item === "number")) return html`<${Curve} array=${value} />`;
  if (typeof value === "object" && !(value instanceof Uint8Array) && !Array.isArray(value)) {
    return html`<table><tbody>${Object.entries(value).slice(0, 500).map(([name, item]) =>
      html`<tr><th scope="row">${printable(name)}</th><td>${shown(item)}</td></tr>`)}</tbody></table>`;
  }
  return html`<output>${shown(value, 5000)}</output>`;
}

function ArrayResult({ array }) {
  const { shape } = array;
  if (array.data.length === 0) return html`<output>${shown(array)}</output>`;
  if (shape.length === 1) return html`<${Curve} array=${array} />`;
  if (shape.length === 2 || (shape.length === 3 && (shape[2] === 3 || shape[2] === 4))) return html`<${Image} array=${array} />`;
  if (shape.length === 3) {
    const size = shape[1] * shape[2];
    const last = new NdArray(array.data.subarray((shape[0] - 1) * size), shape.slice(1), array.dtype);
    return html`<${Image} array=${last} /><small>the last of ${shape[0]}</small>`;
  }
  return html`<output>${shown(array)}</output>`;
}
