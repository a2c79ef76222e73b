// The status tree, live; any number over time.

import { Curve, Image, Plot } from "./drawn.js";
import { html } from "./html.js";
import { ask, now, store, useStore } from "./link.js";
import { chosen, choose, useRoute } from "./route.js";
import { age, NdArray, printable, save, shown } from "./values.js";
import { useEffect, useMemo, useState } from "./vendor/hooks.js";

export function Status() {
  const { leaves, version } = useStore();
  const { rest } = useRoute();
  const query = chosen();
  const find = query.get("find") ?? "";
  const plotted = query.getAll("plot");
  const [closed, setClosed] = useState(new Set());
  const fold = (path) => setClosed((known) => {
    const next = new Set(known);
    if (!next.delete(path)) next.add(path);
    return next;
  });
  const rows = useMemo(() => rowsOf(leaves, rest, find.toLowerCase(), closed), [version, rest, find, closed]);
  const toggle = (path) => {
    const next = plotted.includes(path) ? plotted.filter((other) => other !== path) : [...plotted, path];
    const text = new URLSearchParams([...(find ? [["find", find]] : []), ...next.map((one) => ["plot", one])]).toString();
    history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
    dispatchEvent(new PopStateEvent("popstate"));
  };
  return html`
    <div class="bar"><h1>Status${rest ? ` of ${printable(rest)}` : ""}</h1>
      <label>Find <input type="search" value=${find} onInput=${(event) => choose("find", event.target.value)} /></label>
      <a href=${`/history/${encodeURI(rest)}`} class="quiet">history</a> <a class="quiet" href="/status.json">JSON</a></div>
    ${plotted.length ? html`<${Times} paths=${plotted} key=${plotted.join("\n")} />` : null}
    <table class="tree"><thead><tr><th>Name</th><th>Value</th><th>Unit</th><th>Age</th><th>Source</th></tr></thead>
    <tbody>${rows.map((row) => (row.leaf
      ? html`<${Leaf} key=${row.path} ...${row} plotted=${plotted.includes(row.path)} toggle=${toggle} />`
      : html`<tr key=${`${row.path}.`} class="branch"><th colspan="5" scope="rowgroup" class=${`level${Math.min(row.level, 8)}`}>
        <button aria-expanded=${!closed.has(row.path)} onClick=${() => fold(row.path)}>
        ${closed.has(row.path) ? "▸" : "▾"} ${printable(row.name)} <small>${row.count}</small></button></th></tr>`))}</tbody></table>
    ${rows.length === 0 ? html`<p class="quiet">${find ? "Nothing is called so." : "Nobody has told anything yet."}</p>` : null}`;
}

const MOST_ROWS = 3000;

function rowsOf(leaves, within, find, closed) {
  const paths = [...leaves.keys()].filter((path) =>
    (within ? path === within || path.startsWith(`${within}.`) : path !== "roc" && !path.startsWith("roc."))
    && (!find || path.toLowerCase().includes(find))).sort();
  const rows = [];
  const branches = new Map();
  for (const path of paths) {
    const names = path.split(".");
    let hidden = false;
    for (let level = 0; level < names.length - 1; level++) {
      const branch = names.slice(0, level + 1).join(".");
      const known = branches.get(branch);
      if (known) known.count++;
      else if (!hidden) {
        const row = { path: branch, name: names[level], level, count: 1 };
        branches.set(branch, row);
        rows.push(row);
      }
      hidden ||= closed.has(branch);
    }
    if (!hidden && rows.length < MOST_ROWS) {
      rows.push({ path, name: names.at(-1), level: names.length - 1, leaf: leaves.get(path) });
    }
  }
  return rows;
}

function isOut({ value, limits }) {
  if (!limits || typeof value !== "number") return false;
  return (limits[0] !== null && value < limits[0]) || (limits[1] !== null && value > limits[1]);
}

function Leaf({ path, name, level, leaf, plotted, toggle }) {
  const numeric = typeof leaf.value === "number" || typeof leaf.value === "boolean";
  const grade = leaf.stale ? "stale" : isOut(leaf) ? "out" : "";
  const label = printable(name);
  return html`<tr class=${grade}>
    <th scope="row" class=${`level${Math.min(level, 8)}`} title=${leaf.description ?? path}>${numeric
      ? html`<button aria-pressed=${plotted} title=${`plot ${path}`} onClick=${() => toggle(path)}>${plotted ? "◉" : "○"} ${label}</button>`
      : html`<span class="name">${label}</span>`}</th>
    <td class="value"><${Value} value=${leaf.value} />${grade === "out" ? html` <em>out of limits</em>` : null}</td>
    <td>${printable(leaf.unit ?? "")}</td>
    <td class="number">${age(now() - leaf.time)}${leaf.stale ? html` <em>stale</em>` : null}</td>
    <td>${printable(leaf.source)}</td></tr>`;
}

function Value({ value }) {
  const list = Array.isArray(value) && value.length > 3 && value.every((item) => typeof item === "number");
  if (list || (value instanceof NdArray && value.shape.length === 1 && value.shape[0] > 3)) {
    return html`<${Folded} value=${value} kind=${Curve} />`;
  }
  if (value instanceof NdArray && (value.shape.length === 2 || value.shape.length === 3)) {
    return html`<${Folded} value=${value} kind=${Image} />`;
  }
  return shown(value);
}

// An array, drawn while it is unfolded.
function Folded({ value, kind }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}><summary>${shown(value, 60)}</summary>
    ${open ? html`<${kind} array=${value} />` : null}</details>`;
}

function Times({ paths }) {
  const [points, setPoints] = useState(null);
  useEffect(() => {
    let live = true;
    ask("history", { paths }).then(({ value }) => live && setPoints(new Map(paths.map((path) => {
      const [times, values] = value[path].map((bytes) => [...new Float64Array(bytes.slice().buffer)]);
      return [path, { times, values }];
    }))), () => {});
    return () => { live = false; };
  }, [store.connected]);
  let grown = 0;
  for (const path of points ? paths : []) {
    const leaf = store.leaves.get(path);
    const { times, values } = points.get(path);
    if (leaf && (!times.length || leaf.time > times.at(-1) + 0.01)) {
      times.push(leaf.time);
      values.push(Number(leaf.value));
    }
    grown += times.length;
  }
  const data = useMemo(() => (points ? joined(paths.map((path) => points.get(path))) : null), [points, grown]);
  if (!data) return html`<p class="quiet">Reading the history.</p>`;
  const csv = () => save("status.csv", [["time", ...paths].map((name) => `"${name.replaceAll('"', '""')}"`).join(","),
    ...data[0].map((at, row) => [new Date(at * 1000).toISOString(), ...data.slice(1).map((column) => column[row] ?? "")].join(","))]
    .join("\r\n"), "text/csv");
  return html`<section class="card"><${Plot} series=${paths} data=${data} />
    <button onClick=${csv}>Download CSV</button> <small class="quiet">Drag to zoom, double-click to see all.</small></section>`;
}

// Series with times of their own in one table, as uPlot takes it.
function joined(all) {
  const times = [...new Set(all.flatMap(({ times: some }) => some))].sort((a, b) => a - b);
  const places = new Map(times.map((at, row) => [at, row]));
  return [times, ...all.map(({ times: some, values }) => {
    const column = new Array(times.length).fill(null);
    some.forEach((at, index) => { column[places.get(at)] = values[index]; });
    return column;
  })];
}
