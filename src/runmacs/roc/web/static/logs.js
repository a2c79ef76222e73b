// The log, live: newest last. Only the rows that are seen are in the page. What is chosen stands
// in the address as `GET /logs` takes it. Times are shown as the clocks here have them.

import { html, Twin } from "./html.js";
import { store, useStore } from "./link.js";
import { chosen, choose, go } from "./route.js";
import { named, printable, save, shown } from "./values.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";

const LEVELS = { all: 1, DEBUG: 5, INFO: 9, WARNING: 13, ERROR: 17, CRITICAL: 21 };
const FILTERS = ["level", "node", "logger", "text", "call", "since", "until"];

// Filtered once for each record: only what is new is looked at again.
class Filtered {
  constructor({ level, node, logger, text, call, since, until }) {
    Object.assign(this, { level: LEVELS[level] ?? 1, node, logger, text: text.toLowerCase(), call,
      since: Date.parse(since), until: Date.parse(until) });
    this.rows = [];
    this.source = null;
    this.seen = 0;
  }
  take(records) {
    if (records !== this.source) {
      this.rows = [];
      this.source = records;
      this.seen = 0;
    }
    for (; this.seen < records.length; this.seen++) {
      if (this.fits(records[this.seen].record)) this.rows.push(records[this.seen]);
    }
    return this.rows;
  }
  fits(record) {
    if (this.since || this.until) {
      const at = Date.parse(record.Timestamp);
      if (at < this.since || at > this.until) return false;
    }
    if (this.call && record.Attributes?.["roc.call"] !== this.call) return false;
    const told = markedNode(record);
    if (told !== null) return !this.node || !told || told === this.node;
    const logger = record.InstrumentationScope?.Name ?? "";
    return record.SeverityNumber >= this.level
      && (!this.node || record.Resource?.node === this.node)
      && (!this.logger || logger === this.logger || logger.startsWith(`${this.logger}.`))
      && (!this.text || message(record).toLowerCase().includes(this.text));
  }
}

const message = (record) => (typeof record.Body === "string" ? record.Body : shown(record.Body));
const isError = ({ record }) => record.SeverityNumber >= LEVELS.ERROR;

// Of a record about the stream itself, such as a loss: the node that it tells of; else null.
function markedNode({ Attributes: told = {} }) {
  if (!told["roc.lost"] && !told["roc.mark"]) return null;
  return told["roc.lost.node"] ?? told["roc.mark.node"] ?? "";
}

// A moment as a form has it, and back.
function local(iso) {
  const at = new Date(iso);
  return iso && !Number.isNaN(at.getTime())
    ? new Date(at - at.getTimezoneOffset() * 60000).toISOString().slice(0, 19) : "";
}
const universal = (text) => (text ? new Date(text).toISOString().replace(".000Z", "Z") : "");

export function Logs() {
  const { records, nodes } = useStore();
  const query = chosen();
  const filter = Object.fromEntries(FILTERS.map((name) => [name, query.get(name) ?? ""]));
  const filtered = useMemo(() => new Filtered(filter), Object.values(filter));
  const [paused, setPaused] = useState(null); // the rows as they were
  const [open, setOpen] = useState(null);
  const [top, setTop] = useState(0);
  const list = useRef(null);
  const atEnd = useRef(true);
  const sought = useRef(null); // the place of a row to be brought into sight
  const all = filtered.take(records);
  const rows = paused ?? all;
  const { row: size, height } = useSizes(list);
  const first = Math.max(0, Math.floor(top / size) - 10);
  const last = Math.min(rows.length, first + Math.ceil(height / size) + 20);
  useLayoutEffect(() => {
    if (sought.current !== null) {
      list.current.scrollTop = Math.max(0, sought.current * size - list.current.clientHeight / 2);
      sought.current = null;
    } else if (atEnd.current && paused === null) {
      list.current.scrollTop = list.current.scrollHeight;
    }
  });
  useEffect(() => setPaused(null), [filtered]);
  useEffect(() => {
    store.held = paused !== null;
    return () => { store.held = false; };
  }, [paused]);
  const onScroll = ({ target }) => {
    atEnd.current = target.scrollTop + target.clientHeight >= target.scrollHeight - size;
    setTop(target.scrollTop);
  };
  const hold = () => setPaused(paused === null ? [...all] : null);
  const newest = () => { atEnd.current = true; setPaused(null); setTop(-1); };
  // To the next row that is wanted: from the open one, else from where the eye is.
  const jump = (step, wanted) => {
    const there = open ? rows.indexOf(open) : step > 0 ? Math.floor(top / size) - 1 : rows.length;
    for (let at = there + step; at >= 0 && at < rows.length; at += step) {
      if (wanted(rows[at])) {
        setOpen(rows[at]);
        atEnd.current = false;
        sought.current = at;
        return;
      }
    }
  };
  useKeys({ e: () => jump(1, isError), E: () => jump(-1, isError), j: () => jump(1, () => true),
    k: () => jump(-1, () => true), p: hold, n: newest, Escape: () => setOpen(null) });
  const lines = () => rows.map(({ record }) => JSON.stringify(record)).join("\n");
  const news = paused === null ? 0 : Math.max(0, all.length - paused.length);
  return html`<${Filter} filter=${filter} nodes=${nodes} />
    <div class="bar actions">
      <button aria-pressed=${paused !== null} onClick=${hold} title="key p">${paused === null ? "Pause" : `Resume (${news} new)`}</button>
      <button onClick=${() => jump(-1, isError)} title="key E">Previous error</button>
      <button onClick=${() => jump(1, isError)} title="key e">Next error</button>
      <button onClick=${newest} title="key n" disabled=${atEnd.current && paused === null}>Newest</button>
      <button onClick=${() => save(`log-${named()}.jsonl`, lines(), "application/jsonl")}>Export</button>
      <span class="quiet"><span class="shown">${rows.length} of ${records.length}</span> records <${Twin} address=${`/logs.json${location.search}`} />
        <span class="keys">${" · keys: "} <kbd>e</kbd> <kbd>E</kbd> next and previous error, <kbd>j</kbd> <kbd>k</kbd> record, <kbd>p</kbd> pause, <kbd>n</kbd> newest</span></span></div>
    <div class="log" ref=${list} onScroll=${onScroll} tabindex="0" aria-label="Log records"><div ref=${(box) => box && (box.style.height = `${rows.length * size}px`)}>
      ${rows.slice(first, last).map((row, at) => html`<${Row} key=${first + at} row=${row} place=${(first + at) * size}
        open=${row === open} choose=${() => setOpen(row === open ? null : row)} />`)}</div>
      ${rows.length === 0 ? html`<p class="quiet">${records.length ? "No record fits the filter." : "No program has logged anything yet."}</p>` : null}</div>
    ${open ? html`<${Record} record=${open.record} close=${() => setOpen(null)} />` : null}`;
}

// The height of a row, which style.css gives, and of the list.
function useSizes(list) {
  const [sizes, set] = useState({ row: 24, height: 600 });
  useLayoutEffect(() => {
    const box = list.current;
    const observer = new ResizeObserver(() => set({
      row: parseFloat(getComputedStyle(box).getPropertyValue("--row")) || 24, height: box.clientHeight }));
    observer.observe(box);
    return () => observer.disconnect();
  }, []);
  return sizes;
}

function useKeys(actions) {
  const known = useRef(actions);
  known.current = actions;
  useEffect(() => {
    const onKey = (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
      const action = known.current[event.key];
      if (!action) return;
      event.preventDefault();
      action();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, []);
}

function Filter({ filter, nodes }) {
  const [open, setOpen] = useState(false); // on a phone; elsewhere there is room
  const count = Object.values(filter).filter(Boolean).length;
  const field = (name, label, more = {}) => html`<label>${label} <input name=${name} value=${filter[name]} ...${more}
    onInput=${(event) => choose(name, event.target.value)} /></label>`;
  const time = (name, label) => html`<label>${label} <input type="datetime-local" step="1" name=${name} value=${local(filter[name])}
    onChange=${(event) => choose(name, universal(event.target.value))} /></label>`;
  return html`<div class="bar"><h1>Logs</h1>
      <button class="unfold" aria-expanded=${open} onClick=${() => setOpen(!open)}>Filter${count ? ` (${count})` : ""}</button>
      <div class=${open ? "filter" : "filter folded"}><label>Level <select name="level" value=${filter.level || "all"} onChange=${(event) => choose("level", event.target.value === "all" ? "" : event.target.value)}>
        ${Object.keys(LEVELS).map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      ${field("node", "Node", { list: "nodes" })}
      <datalist id="nodes">${[...nodes].slice(0, 100).map((name) => html`<option value=${name} />`)}</datalist>
      ${field("logger", "Logger")} ${field("text", "Text", { type: "search" })}
      ${time("since", "From")} ${time("until", "To")}</div>
      ${filter.call ? html`<button class="chip" onClick=${() => choose("call", "")}>call ${printable(filter.call)} ×</button>` : null}
      ${count > (filter.call ? 1 : 0) ? html`<button class="chip" onClick=${() => FILTERS.forEach((name) => choose(name, ""))}>clear the filter ×</button>` : null}</div>`;
}

function grade(severity) {
  return severity >= 17 ? "error" : severity >= 13 ? "warning" : severity >= 9 ? "info" : "debug";
}

const two = (number) => String(number).padStart(2, "0");

// When a record was logged, by the clock here; with its day, if that is another one.
function timeOf(record) {
  const at = new Date(record.Timestamp);
  if (Number.isNaN(at.getTime())) return "";
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  return at.toDateString() === new Date().toDateString() ? clock : `${two(at.getMonth() + 1)}-${two(at.getDate())} ${clock}`;
}

export function Row({ row: { record }, place = 0, open = false, choose: pick }) {
  const kind = markedNode(record) !== null ? "mark" : grade(record.SeverityNumber);
  return html`<button class=${`row ${kind}${open ? " open" : ""}`} ref=${(line) => line && (line.style.top = `${place}px`)} onClick=${pick}
    aria-expanded=${open}><time>${timeOf(record)}</time> <b>${printable(record.SeverityText ?? "")}</b>
    <i>${printable(record.Resource?.node ?? "")}</i> <i class="logger">${printable(record.InstrumentationScope?.Name ?? "")}</i>
    <span>${printable(message(record)).replaceAll("\n", " ⏎ ")}</span>${record.Attributes?.["exception.stacktrace"]
      ? html` <em>traceback</em>` : null}</button>`;
}

function Record({ record, close }) {
  const { "exception.stacktrace": trace, "roc.call": id, ...attributes } = record.Attributes ?? {};
  const facts = { time: record.Timestamp, level: record.SeverityText, logger: record.InstrumentationScope?.Name,
    ...record.Resource, number: record.n, ...attributes };
  const address = `/logs?${new URLSearchParams({ call: id ?? "" })}`;
  return html`<section class="record card" aria-label="Record"><button class="close" onClick=${close} title="key Escape">Close</button>
    <pre class="message">${printable(message(record))}</pre>${trace ? html`<pre class="trace">${printable(trace)}</pre>` : null}
    <dl>${id ? html`<div><dt>call</dt><dd>${printable(String(id))} <a href=${address} onClick=${(event) => go(event, address)}>its records</a></dd></div>` : null}
    ${Object.entries(facts).filter(([, value]) => value !== undefined && value !== "").map(([name, value]) =>
      html`<div><dt>${printable(name)}</dt><dd>${shown(value, 2000)}</dd></div>`)}</dl></section>`;
}
