// The status tree, live; any number over time.

import { Curve, CurveSpark, Image, imageOf, Plot, Thumbnail } from "./drawn.js";
import { html, Twin } from "./html.js";
import { ask, now, store, useStore } from "./link.js";
import { chosen, choose, go, isNarrow, useRoute } from "./route.js";
import { age, named, NdArray, printable, save, shown } from "./values.js";
import { useEffect, useMemo, useState } from "./vendor/hooks.js";

const MOST_ROWS = 3000;
const SPANS = [["all", ""], ["1 min", "60"], ["10 min", "600"], ["1 h", "3600"]];

export function Status() {
  const { leaves, overview } = useStore();
  const { rest } = useRoute();
  const find = chosen().get("find") ?? "";
  const [closed, setClosed] = useState(new Set());
  const narrow = isNarrow();
  const branches = () => new Set([...leaves.keys()].flatMap(above));
  return html`
    <div class="bar"><h1>${rest ? html`<a href="/status" onClick=${(event) => go(event, "/status")}>Status</a> of ${printable(rest)}` : "Status"}</h1>
      <label>Find <input type="search" name="find" value=${find} onInput=${(event) => choose("find", event.target.value)} /></label>
      <button onClick=${() => setClosed(closed.size ? new Set() : branches())}>${closed.size ? "Unfold all" : "Fold all"}</button>
      <${Twin} address="/status.json" /></div>
    <${Plotted} />
    <${Tree} within=${rest} find=${find} closed=${closed} setClosed=${setClosed} narrow=${narrow} />
    ${overview && leaves.size && rest && ![...leaves.keys()].some((path) => isWithin(path, rest))
      ? html`<p class="quiet">Nobody has told anything of ${printable(rest)}.</p>` : null}`;
}

const above = (path) => path.split(".").slice(0, -1).map((_, at, names) => names.slice(0, at + 1).join("."));
const isWithin = (path, branch) => !branch || path === branch || path.startsWith(`${branch}.`);

// The rows of a branch; a circle before a number puts it into the plot. Where there is little
// room the unit stands beside the value, and no source.
export function Tree({ within, find = "", closed = new Set(), setClosed, narrow = false }) {
  const { leaves, version, overview } = useStore();
  const rows = useMemo(() => rowsOf(leaves, within, find.toLowerCase(), closed), [version, within, find, closed]);
  const plotted = chosen().getAll("plot");
  const fold = (path) => {
    const next = new Set(closed);
    if (!next.delete(path)) next.add(path);
    setClosed(next);
  };
  const toggle = (path) =>
    choose("plot", plotted.includes(path) ? plotted.filter((other) => other !== path) : [...plotted, path]);
  if (rows.length === 0) {
    return html`<p class="quiet">${!overview || version === 0 ? "Waiting for the first values." : find ? "Nothing is called so." : within ? "" : "No program has told its status yet."}</p>`;
  }
  return html`<table class=${narrow ? "tree narrow" : "tree"}><thead><tr><th>Name</th><th>Value</th>${narrow ? null : html`<th class="unit">Unit</th>`}
      <th class="number">Age</th>${narrow ? null : html`<th class="source">Source</th>`}</tr></thead>
    <tbody>${rows.map((row) => (row.leaf
      ? html`<${Leaf} key=${row.path} ...${row} plotted=${plotted.includes(row.path)} toggle=${toggle} narrow=${narrow} />`
      : html`<tr key=${`${row.path}.`} class="branch"><th colspan=${narrow ? 3 : 5} scope="rowgroup" class=${`level${Math.min(row.level, 8)}`}>
        <button aria-expanded=${!closed.has(row.path)} onClick=${() => fold(row.path)} disabled=${!setClosed}>
        ${closed.has(row.path) ? "▸" : "▾"} ${printable(row.name)} <small>${row.count}</small>${row.bad
          ? html` <em class="bad">${row.bad} out of limits</em>` : null}${row.stale ? html` <em class="warn">${row.stale} stale</em>` : null}</button></th></tr>`))}</tbody></table>
    ${rows.length >= MOST_ROWS ? html`<p class="quiet">Only ${MOST_ROWS} rows are shown: find, or fold, what you want.</p>` : null}`;
}

function rowsOf(leaves, within, find, closed) {
  const paths = [...leaves.keys()].filter((path) => (within ? isWithin(path, within) : !isWithin(path, "roc"))
    && (!find || path.toLowerCase().includes(find))).sort();
  const base = within ? above(within).length : 0;
  const rows = [];
  const branches = new Map();
  for (const path of paths) {
    const names = path.split(".");
    const leaf = leaves.get(path);
    let hidden = false;
    for (let level = base; level < names.length - 1; level++) {
      const branch = names.slice(0, level + 1).join(".");
      let known = branches.get(branch);
      if (!known) {
        known = { path: branch, name: names[level], level: level - base, count: 0, bad: 0, stale: 0 };
        branches.set(branch, known);
        if (!hidden) rows.push(known);
      }
      known.count++;
      known.bad += !leaf.stale && isOut(leaf) ? 1 : 0;
      known.stale += leaf.stale ? 1 : 0;
      hidden ||= closed.has(branch);
    }
    if (hidden) continue;
    rows.push({ path, name: names.at(-1), level: names.length - 1 - base, leaf });
    if (rows.length >= MOST_ROWS) break;
  }
  return rows;
}

function isOut({ value, limits }) {
  if (!limits || typeof value !== "number") return false;
  return (limits[0] !== null && value < limits[0]) || (limits[1] !== null && value > limits[1]);
}

function Leaf({ path, name, level, leaf, plotted, toggle, narrow }) {
  const { value, limits, stale, unit, description, source } = leaf;
  const numeric = typeof value === "number" || typeof value === "boolean";
  const grade = stale ? "stale" : isOut(leaf) ? "out" : "";
  const label = printable(name);
  const bounds = limits ? `${limits[0] ?? "open"} to ${limits[1] ?? "open"}` : "";
  return html`<tr class=${grade}>
    <th scope="row" class=${`level${Math.min(level, 8)}`} title=${printable(description ?? path)}>${numeric
      ? html`<button aria-pressed=${plotted} title=${`plot ${printable(path)}`} onClick=${() => toggle(path)}>${plotted ? "◉" : "○"} ${label}</button>`
      : html`<span class="name">${label}</span>`}</th>
    <td class="value" title=${bounds && `limits ${bounds}`}><${Value} value=${value} />${narrow && unit ? ` ${printable(unit)}` : ""}${grade === "out" ? html` <em>not in ${bounds}</em>` : null}</td>
    ${narrow ? null : html`<td>${printable(unit ?? "")}</td>`}
    <td class="number">${stale ? html`<em>stale</em> ` : null}${age(now() - leaf.time)}</td>
    ${narrow ? null : html`<td>${printable(source)}</td>`}</tr>`;
}

function Value({ value }) {
  const list = Array.isArray(value) && value.length > 3 && value.every((item) => typeof item === "number");
  if (list || (value instanceof NdArray && value.shape.length === 1 && value.shape[0] > 3)) {
    return html`<${Folded} value=${value} small=${CurveSpark} whole=${Curve} />`;
  }
  if (value instanceof NdArray && imageOf(value)) return html`<${Folded} value=${value} small=${Thumbnail} whole=${Image} />`;
  return shown(value);
}

// An array: small, and large when it is unfolded.
function Folded({ value, small, whole }) {
  const [open, setOpen] = useState(false);
  return html`<details onToggle=${(event) => setOpen(event.target.open)}><summary>${open ? null : html`<${small} array=${value} />`} ${shown(value, 40)}</summary>
    ${open ? html`<${whole} array=${value} />` : null}</details>`;
}

// The leaves that stand in the address, over time.
export function Plotted({ height }) {
  const { leaves, version } = useStore();
  const paths = chosen().getAll("plot");
  if (!paths.length || version === 0) return null; // the units come with the leaves
  const series = paths.map((path) => ({ label: printable(path), unit: printable(leaves.get(path)?.unit ?? "") }));
  return html`<${Times} key=${JSON.stringify(paths)} paths=${paths} series=${series} height=${height} />`;
}

function Times({ paths, series, height }) {
  const [points, setPoints] = useState(null);
  const span = chosen().get("span") ?? "";
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
  if (!data) return html`<section class="card plots"><p class="quiet">Reading the history.</p></section>`;
  const csv = () => save(`status-${named()}.csv`, [["time", ...paths].map((name) => `"${name.replaceAll('"', '""')}"`).join(","),
    ...data[0].map((at, row) => [new Date(at * 1000).toISOString(), ...data.slice(1).map((column) => column[row] ?? "")].join(","))]
    .join("\r\n"), "text/csv");
  return html`<section class="card plots"><${Plot} series=${series} data=${data} span=${Number(span)} height=${height} />
    <div class="bar"><span class="choice" role="group" aria-label="Time shown">${SPANS.map(([label, seconds]) =>
      html`<button aria-pressed=${span === seconds} onClick=${() => choose("span", seconds)}>${label}</button>`)}</span>
    <button onClick=${csv}>Download CSV</button> <button onClick=${() => choose("plot", "")}>Close</button>
    <small class="quiet">Drag to zoom, double-click to see all.</small></div></section>`;
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
