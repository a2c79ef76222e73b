// Objects: what is up, what each has, and forms to use it.

import { Curve, Image, imageOf } from "./drawn.js";
import { html, Twin } from "./html.js";
import { call, now, store, useStore } from "./link.js";
import { Row } from "./logs.js";
import { Tile } from "./overview.js";
import { go, isNarrow, useRoute } from "./route.js";
import { Plotted, Tree } from "./status.js";
import { age, clock, NdArray, printable, shown } from "./values.js";
import { useEffect, useRef, useState } from "./vendor/hooks.js";

export function Objects() {
  const { overview } = useStore();
  const { rest } = useRoute();
  const objects = overview?.objects ?? [];
  if (rest) return html`<${One} key=${rest} id=${rest} entry=${objects.find(({ id }) => id === rest)} />`;
  return html`<div class="bar"><h1>Objects</h1><${Twin} address="/objects.json" /></div>
    ${isNarrow() ? html`<ul class="tiles">${objects.map(Tile)}</ul>` : html`<${Table} objects=${objects} />`}
    ${objects.length === 0 ? html`<p class="quiet">${overview ? "No program shares an object." : "Waiting for the first news."}</p>` : null}`;
}

function Table({ objects }) {
  return html`<div class="wide"><table class="shared"><thead><tr><th>Object</th><th>State</th><th>Where</th><th>Since</th><th>Now</th><th class="number">Calls</th></tr></thead>
    <tbody>${objects.map((entry) => {
      const address = `/objects/${encodeURIComponent(entry.id)}`;
      return html`<tr key=${entry.id} class=${entry.state}><th scope="row"><a href=${address}
        onClick=${(event) => go(event, address)}>${printable(entry.id)}</a></th>
        <td>${entry.state}${entry.gone ? ` since ${clock(entry.gone)}` : ""}</td>
        <td>${where(entry)}</td><td>${since(entry)}</td><td>${busy(entry)}</td>
        <td class="number">${entry.calls}, ${entry.rate}/s</td></tr>`;
    })}</tbody></table></div>`;
}

const where = ({ host, pid }) => `${printable(host ?? "")}${pid ? `, pid ${pid}` : ""}`;
const since = (entry) => (entry.since && !entry.gone ? `${clock(entry.since)}, ${age(now() - entry.since)}` : "");
const busy = ({ state, running, queued }) => (state === "absent" ? ""
  : `${running ? "busy" : "idle"}${queued ? `, ${queued} waiting` : ""}`);

// An object: its members, and beside them its status and its log.
function One({ id, entry }) {
  const { overview } = useStore();
  const state = entry?.state ?? (overview ? "absent" : "");
  const facts = entry ? [where(entry), `since ${since(entry)}`, busy(entry), `${entry.calls} ${entry.calls === 1 ? "call" : "calls"}, ${entry.rate}/s`] : [];
  return html`<div class="bar"><h1><a href="/objects" onClick=${(event) => go(event, "/objects")}>Objects</a> ▸ ${printable(id)}</h1>
      ${state ? html`<span class=${`state ${state === "serving" ? "good" : "bad"}`}>${state}${entry?.gone ? ` since ${clock(entry.gone)}` : ""}</span>` : null}
      <span class="quiet">${(entry?.gone ? [where(entry)] : facts).filter(Boolean).join(" · ")}</span>
      <${Twin} address=${`/openrpc/${encodeURIComponent(id)}`} name="OpenRPC" /></div>
    <div class="halves"><${Members} id=${id} state=${state} /><${Beside} id=${id} /></div>`;
}

const MOST_RECORDS = 8;

function Beside({ id }) {
  const { records, leaves, version } = useStore();
  const some = [];
  for (let at = records.length - 1; at >= 0 && some.length < MOST_RECORDS && at > records.length - 5000; at--) {
    if (records[at].record.Resource?.node === id) some.unshift(records[at]);
  }
  const status = `/status/${encodeURIComponent(id)}`, log = `/logs?${new URLSearchParams({ node: id })}`;
  const tells = [...leaves.keys()].some((path) => path === id || path.startsWith(`${id}.`));
  return html`<div class="beside"><h2>Status <a class="quiet" href=${status} onClick=${(event) => go(event, status)}>all</a></h2>
    ${tells || version === 0 ? html`<${Plotted} height=${170} /><${Tree} within=${id} narrow />` : html`<p class="quiet">It tells no status under its name.</p>`}
    <h2>Log <a class="quiet" href=${log} onClick=${(event) => go(event, log)}>all</a></h2>
    ${some.length ? html`<div class="lines">${some.map((row) => html`<${Row} key=${row.n} row=${row} choose=${(event) => go(event, log)} />`)}</div>`
      : html`<p class="quiet">It has logged nothing lately.</p>`}</div>`;
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
  return html`<section class="object"><h2>${path ? printable(path) : "Members"} <small>${printable(said["x-class"] ?? "")}</small></h2>
    ${said.info?.description ? html`<details><summary>About</summary><pre>${printable(said.info.description)}</pre></details>` : null}
    ${attributes.length ? html`<h3>Attributes</h3>` : null}
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

const PAUSE = 200; // milliseconds between two calls of one that repeats

// What is under way, its end, and how to withdraw it. `run(make)` makes a call; `repeat(make)` makes
// one after the other, until it fails or is stopped. That never stands in the address: a link from
// elsewhere must not call anything.
function useCall() {
  const [state, set] = useState({});
  const latest = useRef(null);
  useEffect(() => () => { latest.current = null; }, []);
  const begin = (make, repeats) => {
    let promise;
    try {
      promise = make();
    } catch (error) {
      set({ error });
      return;
    }
    latest.current = promise;
    const began = Date.now();
    set((before) => ({ ...(repeats ? before : {}), error: null, running: promise, began, repeats }));
    const again = () => latest.current === promise && (document.hidden ? setTimeout(again, 1000) : begin(make, true));
    promise.then(({ value, seconds }) => {
      if (latest.current !== promise) return;
      set({ done: true, value, seconds, repeats });
      if (repeats) setTimeout(again, PAUSE);
    }, (error) => latest.current === promise && set({ error }));
  };
  const stop = () => {
    latest.current = null;
    set(({ done, value, seconds }) => ({ done, value, seconds }));
  };
  return { state, run: (make) => begin(make, false), repeat: (make) => (state.repeats ? stop() : begin(make, true)) };
}

function Attribute({ id, prefix, entry }) {
  const [text, setText] = useState("");
  const { state, run, repeat } = useCall();
  const name = prefix + entry.name;
  const readonly = store.overview?.server.readonly;
  const read = () => call(id, "rpc.get", [name]);
  const write = () => {
    const setting = call(id, "rpc.set", [name, parsed(text, entry.annotation, entry.name)]);
    const both = setting.then(read);
    both.cancel = setting.cancel;
    return both;
  };
  return html`<div class="member" data-member=${name}><div><code>${printable(entry.name)}${entry.annotation ? `: ${printable(entry.annotation)}` : ""}</code>
      <p>${prose(entry.summary)}</p></div>
    <form onSubmit=${(event) => { event.preventDefault(); run(write); }}>
      ${entry.writable && !readonly ? html`<${Field} label=${`new value of ${name}`} annotation=${entry.annotation} text=${text} setText=${setText} /><button>Set</button>` : null}
      <button type="button" onClick=${() => run(read)}>Read</button><${Live} on=${state.repeats} toggle=${() => repeat(read)} /></form>
    <${Outcome} ...${state} /></div>`;
}

function Method({ id, prefix, entry }) {
  const [texts, setTexts] = useState({});
  const [timeout, setTimeout_] = useState("10");
  const { state, run, repeat } = useCall();
  const parameters = entry["x-parameters"] ?? (entry.params ?? []).map(({ name }) => ({ name, kind: "positional_or_keyword" }));
  const name = prefix + entry.name;
  const readonly = store.overview?.server.readonly;
  const make = () => {
    const [args, kwargs] = argumentsOf(parameters, texts);
    return call(id, name, args, kwargs, Number(timeout));
  };
  // What returns nothing is done once, and not watched.
  const tells = !/-> None$/.test(entry["x-signature"] ?? "");
  return html`<div class="member" data-member=${name}><div><code>${printable(entry.name)}${printable(entry["x-signature"] ?? "(…)")}</code>
      ${entry.description && entry.description !== entry.summary
        ? html`<details><summary>${prose(entry.summary)}</summary><pre>${printable(entry.description)}</pre></details>`
        : html`<p>${prose(entry.summary)}</p>`}</div>
    ${readonly ? null : html`<form onSubmit=${(event) => { event.preventDefault(); run(make); }}>${parameters.map((parameter) => html`<label key=${parameter.name}>${printable(parameter.name)}
        <${Field} annotation=${parameter.annotation} preset=${parameter.default} text=${texts[parameter.name] ?? ""} setText=${(text) => setTexts({ ...texts, [parameter.name]: text })} /></label>`)}
      <span class="bar"><label class="seconds">within <input type="number" min="0.1" max="3600" step="any" value=${timeout} onInput=${(event) => setTimeout_(event.target.value)} /> s</label>
      <button>Call</button>${tells ? html`<${Live} on=${state.repeats} toggle=${() => repeat(make)} />` : null}</span></form>`}
    <${Outcome} ...${state} /></div>`;
}

// The first line of a docstring, without the marks that docstrings have.
const prose = (text) => printable(text ?? "").replaceAll("``", "");

function Field({ label, annotation = "", preset, text, setText }) {
  const hint = [annotation, preset === undefined ? "" : `= ${preset}`].filter(Boolean).join(" ");
  if (/^bool\b/.test(annotation ?? "")) {
    return html`<select aria-label=${label} value=${text} onChange=${(event) => setText(event.target.value)}>
      ${["", "true", "false"].map((word) => html`<option value=${word}>${word || printable(hint)}</option>`)}</select>`;
  }
  return html`<input aria-label=${label} placeholder=${printable(hint)} inputmode=${/^(int|float)\b/.test(annotation ?? "") ? "decimal" : null}
    value=${text} onInput=${(event) => setText(event.target.value)} />`;
}

const Live = ({ on, toggle }) => html`<button type="button" aria-pressed=${Boolean(on)} onClick=${toggle}
  title="again and again, until it is pressed again">Live</button>`;

// A text as the value that an annotation asks for; JSON where it says nothing.
function parsed(text, annotation = "", name = "the value") {
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

function Outcome({ running, began, done, value, seconds, error, repeats }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!running) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 200);
    return () => clearInterval(timer);
  }, [running]);
  const lasted = running ? (Date.now() - began) / 1000 : 0;
  // A live view keeps what it shows; only a call that takes long is told.
  const told = running && (!repeats || !done || lasted > 1) ? html`<p class="running" role="status">running for ${lasted.toFixed(1)} s
    <button onClick=${() => running.cancel?.()}>Withdraw</button></p>` : null;
  if (error) return html`<${Failure} error=${error} />`;
  if (!done) return told;
  return html`<div class="result">${told}<${Result} value=${value} />${seconds ? html`<small class="quiet">in ${seconds.toFixed(3)} s</small>` : null}</div>`;
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
  if (array.shape.length === 1 && array.data.length > 0) return html`<${Curve} array=${array} />`;
  if (imageOf(array)) return html`<${Image} array=${array} />`;
  return html`<output>${array.shape.length === 0 ? shown(array.data[0]) : shown(array)}</output>`;
}
