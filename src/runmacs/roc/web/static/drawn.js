// What is drawn and not written: plots over time, curves, images.

import { html } from "./html.js";
import { useEffect, useRef } from "./vendor/hooks.js";
import uPlot from "./vendor/uplot.js";
import { NdArray } from "./values.js";

const COLOURS = ["#1f77b4", "#d2691e", "#2e8b57", "#b03060", "#7b68c8", "#8b7500", "#008b8b", "#888888"];

export function Plot({ series, data, time = true, height = 260 }) {
  const place = useRef(null);
  const plot = useRef(null);
  const names = series.join("\n");
  useEffect(() => {
    const box = place.current;
    const ink = getComputedStyle(document.body).color;
    const axis = { stroke: ink, grid: { stroke: "#8884", width: 1 }, ticks: { stroke: "#8886" } };
    const options = {
      width: box.clientWidth || 300, height, cursor: { drag: { x: true, y: false } },
      scales: { x: { time } }, axes: [axis, { ...axis, size: 64 }],
      series: [{}, ...series.map((label, at) => ({ label, stroke: COLOURS[at % COLOURS.length], width: 1.5, spanGaps: true }))],
    };
    plot.current = new uPlot(options, data, box);
    const observer = new ResizeObserver(() =>
      plot.current.setSize({ width: box.clientWidth || 300, height }));
    observer.observe(box);
    return () => { observer.disconnect(); plot.current.destroy(); };
  }, [names, time]);
  useEffect(() => {
    const { min, max } = plot.current.scales.x;
    const [first, last] = [plot.current.data[0][0], plot.current.data[0].at(-1)];
    // Who has zoomed in goes on looking at what he chose.
    plot.current.setData(data, min === undefined || min === null || (min <= first && max >= last));
  }, [data]);
  return html`<div class="plot" ref=${place} role="img" aria-label=${`Plot of ${series.join(", ")}`}></div>`;
}

export function Curve({ array }) {
  const values = array instanceof NdArray ? array.data : array;
  const xs = Float64Array.from(values, (_, at) => at);
  return html`<${Plot} series=${["value"]} data=${[xs, Float64Array.from(values)]} time=${false} height=${180} />`;
}

// An image: two-dimensional grey between its darkest and brightest, or colours (… × 3, … × 4).
export function Image({ array }) {
  const canvas = useRef(null);
  const [rows, columns, depth = 1] = array.shape;
  useEffect(() => {
    const { data } = array;
    let low = Infinity, high = -Infinity;
    for (let at = 0; at < data.length; at++) {
      if (data[at] < low) low = data[at];
      if (data[at] > high) high = data[at];
    }
    const scale = depth > 1 && array.dtype.endsWith("u1") ? [0, 1] : [low, 255 / (high - low || 1)];
    const image = new ImageData(columns, rows);
    for (let at = 0; at < rows * columns; at++) {
      for (let band = 0; band < 3; band++) {
        const value = data[depth > 1 ? at * depth + band : at];
        image.data[at * 4 + band] = (value - scale[0]) * scale[1];
      }
      image.data[at * 4 + 3] = 255;
    }
    canvas.current.getContext("2d").putImageData(image, 0, 0);
    canvas.current.title = `${low} to ${high}`;
  }, [array]);
  return html`<figure><canvas ref=${canvas} width=${columns} height=${rows} role="img"
    aria-label=${`Image of ${rows} by ${columns} pixels`}></canvas>
    <figcaption>${rows} × ${columns}, ${array.dtype.slice(1)}</figcaption></figure>`;
}
