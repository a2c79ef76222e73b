// What is drawn and not written: plots over time, curves, images.

import { html } from "./html.js";
import { useEffect, useLayoutEffect, useMemo, useRef } from "./vendor/hooks.js";
import uPlot from "./vendor/uplot.js";
import { clock, NdArray, shown } from "./values.js";

// Told apart on white and on black, by colour-blind eyes too.
const COLOURS = ["#3b8fd6", "#d2691e", "#2e9a5f", "#c0508a", "#8a76d6", "#9a8200", "#0f9494", "#808890"];
const DAY = "\n{YYYY}-{MM}-{DD}", SAME = "\n{MM}-{DD}";
const TIMES = [
  [86400, "{MM}-{DD}", "\n{YYYY}", null, null, null, null, null, 1],
  [60, "{HH}:{mm}", DAY, null, SAME, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", DAY, null, SAME, null, null, null, 1],
  [0.001, "{ss}.{fff}", `${DAY} {HH}:{mm}`, null, `${SAME} {HH}:{mm}`, null, "\n{HH}:{mm}", null, 1],
];

// How much larger than on a desk all is to be: on a wall the root's font is.
const scaled = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;

function optionsOf(series, time, width, height, few) {
  const large = scaled();
  const ink = getComputedStyle(document.body).color;
  const font = `${Math.round(13 * large)}px system-ui, sans-serif`;
  const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8886" }, font, labelFont: font, labelGap: 2 };
  const colour = (at) => COLOURS[at % COLOURS.length];
  const units = [...new Set(series.map(({ unit }) => unit ?? ""))];
  const axes = units.map((unit, at) => {
    const own = series.flatMap((one, index) => ((one.unit ?? "") === unit ? [index] : []));
    return { ...axis, scale: `y${unit}`, side: at % 2 ? 1 : 3, size: 60 * large, space: 26 * large, grid: at ? { show: false } : axis.grid,
      label: unit, labelSize: unit ? 20 * large : 0, stroke: units.length > 1 && own.length === 1 ? colour(own[0]) : ink };
  });
  const lines = series.map(({ label, unit = "" }, at) => ({
    label, scale: `y${unit}`, stroke: colour(at), width: 1.75 * large, spanGaps: true, points: { show: few },
    value: (self, value, index, row) => `${shown(row === null ? newest(self.data[index]) : value ?? "–")} ${unit}` }));
  // The legend tells what is under the pointer, else the newest.
  const at = time ? { label: "at", value: (self, when) => (when === null ? "newest" : clock(when)) }
    : { label: "index", value: (self, index) => index ?? "last" };
  return {
    width, height, cursor: { drag: { x: true, y: false } }, scales: { x: { time } },
    padding: [null, units.length > 1 ? null : 40 * large, null, null],
    axes: [{ ...axis, size: 46 * large, ...(time ? { values: TIMES, space: 85 * large } : {}) }, ...axes], series: [at, ...lines],
  };
}

// One line for each of `series`: {label, unit}. Each unit has an axis of its own. Dragging zooms;
// `span` shows the last so many seconds and goes on with them.
export function Plot({ series, data, time = true, height: given = 260, span = 0 }) {
  const place = useRef(null);
  const plot = useRef(null);
  const before = useRef(0);
  const names = JSON.stringify(series);
  useLayoutEffect(() => {
    const box = place.current;
    const size = () => ({ width: box.clientWidth || 300, height: given * scaled() });
    const { width, height } = size();
    plot.current = new uPlot(optionsOf(series, time, width, height, data[0].length < 40), data, box);
    const observer = new ResizeObserver(() => plot.current.setSize(size()));
    observer.observe(box);
    return () => { observer.disconnect(); plot.current.destroy(); };
  }, [names, time]);
  useEffect(() => {
    const { min, max } = plot.current.scales.x;
    const [first, last] = [plot.current.data[0][0], plot.current.data[0].at(-1)];
    // Who has zoomed in goes on looking at what he chose.
    const whole = min === undefined || min === null || (min <= first && max >= last);
    const followed = span > 0 && (before.current !== span || max >= last);
    plot.current.setData(data, (whole || before.current !== span) && !followed);
    if (followed) plot.current.setScale("x", { min: data[0].at(-1) - span, max: data[0].at(-1) });
    before.current = span;
  }, [data, span]);
  return html`<div class="plot" ref=${place} role="img" aria-label=${`Plot of ${series.map(({ label }) => label).join(", ")}`}></div>`;
}

const newest = (column) => column.findLast((value) => value !== null) ?? "–";
const listed = (array) => (array instanceof NdArray ? array.data : array);

export function Curve({ array }) {
  const data = useMemo(() => {
    const values = Float64Array.from(listed(array));
    return [Float64Array.from(values, (_, at) => at), values];
  }, [array]);
  return html`<${Plot} series=${[{ label: "value" }]} data=${data} time=${false} height=${200} />`;
}

// A line as high as a text: what a curve looks like, at a glance; from `low` up, if that is given.
export function Spark({ values, label, low: base }) {
  const canvas = useRef(null);
  useEffect(() => {
    const pen = canvas.current.getContext("2d");
    const { width, height } = canvas.current;
    pen.clearRect(0, 0, width, height);
    const [least, high] = extremes(values);
    const low = base ?? least;
    pen.strokeStyle = getComputedStyle(canvas.current).color;
    pen.lineWidth = 2;
    pen.beginPath();
    const step = Math.max(1, Math.floor(values.length / width));
    for (let at = 0; at < values.length; at += step) {
      pen.lineTo((at / (values.length - 1)) * width, height - 3 - ((values[at] - low) / (high - low || 1)) * (height - 6));
    }
    pen.stroke();
  });
  return html`<canvas class="spark" ref=${canvas} width="192" height="40" role="img" aria-label=${label}></canvas>`;
}

export const CurveSpark = ({ array }) => html`<${Spark} values=${listed(array)} label="its course" />`;

function extremes(values) {
  let low = Infinity, high = -Infinity;
  for (let at = 0; at < values.length; at++) {
    if (values[at] < low) low = values[at];
    if (values[at] > high) high = values[at];
  }
  return [low, high];
}

// An image: two-dimensional grey between its darkest and brightest, or colours (… × 3, … × 4).
// Of a stack (three dimensions, no colours) the last one.
function Pixels({ array }) {
  const canvas = useRef(null);
  const { data, rows, columns, depth } = array;
  useLayoutEffect(() => {
    const [low, high] = depth > 1 && array.dtype.endsWith("u1") ? [0, 255] : extremes(data);
    const scale = 255 / (high - low || 1);
    const image = new ImageData(columns, rows);
    for (let at = 0; at < rows * columns; at++) {
      for (let band = 0; band < 3; band++) {
        image.data[at * 4 + band] = (data[depth > 1 ? at * depth + band : at] - low) * scale;
      }
      image.data[at * 4 + 3] = 255;
    }
    canvas.current.getContext("2d").putImageData(image, 0, 0);
  }, [array]);
  return html`<canvas ref=${canvas} width=${columns} height=${rows} role="img" aria-label=${`Image of ${rows} by ${columns} pixels`}></canvas>`;
}

// The image in an array, or null.
export function imageOf(array) {
  const { shape, data, dtype } = array;
  if (data.length === 0 || shape.length < 2 || shape.length > 3) return null;
  const [rows, columns, depth] = shape.length === 2 ? [...shape, 1]
    : shape[2] === 3 || shape[2] === 4 ? shape : [shape[1], shape[2], 1];
  const last = data.subarray(data.length - rows * columns * depth);
  return { data: last, rows, columns, depth, dtype, of: shape.length === 3 && depth === 1 ? shape[0] : 1 };
}

export function Image({ array }) {
  const image = useMemo(() => imageOf(array), [array]);
  const [low, high] = useMemo(() => extremes(image.data), [image]);
  return html`<figure><${Pixels} array=${image} />
    <figcaption>${shown(array)}, ${shown(low)} to ${shown(high)}${image.of > 1 ? `, the last of ${image.of}` : ""}</figcaption></figure>`;
}

export function Thumbnail({ array }) {
  const image = useMemo(() => imageOf(array), [array]);
  return html`<span class="thumbnail"><${Pixels} array=${image} /></span>`;
}
