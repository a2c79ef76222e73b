// The log, live: newest last. Only the rows that are seen are in the page.

import { html } from "./html.js";
import { useStore } from "./link.js";
import { chosen, choose } from "./route.js";
import { printable, save, shown } from "./values.js";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "./vendor/hooks.js";

const ROW = 24; // pixels; style.css has the same
const LEVELS = { all: 1, DEBUG: 5, INFO: 9, WARNING: 13, ERROR: 17, CRITICAL: 21 };

// Filtered once for each record: only what is new is looked at again.
class Filtered {
  constructor(level, node, logger, text, since, until) {
    Object.assign(this, { level, node, logger, text: text.toLowerCase(), since, until });
    this.rows = [];
    this.source = null;
    this.seen = 0;
  }
  take(records) {
    if (records !== this.source || records.length < this.seen) {
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
    if (isMark(record)) return true;
    const logger = record.InstrumentationScope?.Name ?? "";
    return record.SeverityNumber >= this.level
      && (!this.node || record.Resource?.node === this.node)
      && (!this.logger || logger === this.logger || logger.startsWith(`${this.logger}.`))
      && (!this.text || message(record).toLowerCase().includes(this.text))
      && (!this.since || (record.Timestamp ?? "") >= this.since)
      && (!this.until || (record.Timestamp ?? "") <= this.until);
  }
}

const message = (record) => (typeof record.Body === "string" ? record.Body : shown(record.Body));
const isMark = (record) => Boolean(record.Attributes?.["roc.lost"] || record.Attributes?.["roc.web"]);

// A local time of the form, as the records have it.
function moment(text) {
  const date = new Date(text);
  return text && !Number.isNaN(date.getTime()) ? date.toISOString().replace("Z", "000Z") : "";
}

export function Logs() {
  const { records } = useStore();
  const query = chosen();
  const [level, node, logger, text, since, until] =
    ["level", "node", "logger", "text", "since", "until"].map((name) => query.get(name) ?? "");
  const filtered = useMemo(() => new Filtered(LEVELS[level] ?? 1, node, logger, text, moment(since), moment(until)),
    [level, node, logger, text, since, until]);
  const [paused, setPaused] = useState(null); // the rows as they were
  const [open, setOpen] = useState(null);
  const list = useRef(null);
  const [top, setTop] = useState(0);
  const atEnd = useRef(true);
  const sought = useRef(null); // the place of a row to be brought into sight
  const nodes = useRef(new Set());
  for (const { record } of records.slice(-2000)) nodes.current.add(record.Resource?.node ?? "");
  const all = filtered.take(records);
  const rows = paused ?? all;
  const height = list.current?.clientHeight ?? 600;
  const first = Math.max(0, Math.floor(top / ROW) - 10);
  const last = Math.min(rows.length, first + Math.ceil(height / ROW) + 20);
  useLayoutEffect(() => {
    if (sought.current !== null) {
      list.current.scrollTop = Math.max(0, sought.current * ROW - list.current.clientHeight / 2);
      sought.current = null;
    } else if (atEnd.current && paused === null) {
      list.current.scrollTop = list.current.scrollHeight;
    }
  });
  useEffect(() => setPaused(null), [filtered]);
  const onScroll = ({ target }) => {
    atEnd.current = target.scrollTop + target.clientHeight >= target.scrollHeight - ROW;
    setTop(target.scrollTop);
  };
  const jump = (step) => {
    const from = open ? rows.indexOf(open) : step > 0 ? -1 : rows.length;
    for (let at = from + step; at >= 0 && at < rows.length; at += step) {
      if (rows[at].record.SeverityNumber >= LEVELS.ERROR) {
        setOpen(rows[at]);
        atEnd.current = false;
        sought.current = at;
        return;
      }
    }
  };
  const field = (name, label, type, value) => html`<label>${label} <input type=${type} name=${name} value=${value}
    onInput=${(event) => choose(name, event.target.value)} /></label>`;
  const lines = () => rows.map(({ record }) => JSON.stringify(record)).join("\n");
  return html`<div class="bar"><h1>Logs</h1>
      <label>Level <select name="level" value=${level || "all"} onChange=${(event) => choose("level", event.target.value === "all" ? "" : event.target.value)}>
        ${Object.keys(LEVELS).map((name) => html`<option value=${name}>${name}</option>`)}</select></label>
      <label>Node <input name="node" list="nodes" value=${node} onInput=${(event) => choose("node", event.target.value)} /></label>
      <datalist id="nodes">${[...nodes.current].slice(0, 100).map((name) => html`<option value=${name} />`)}</datalist>
      ${field("logger", "Logger", "text", logger)} ${field("text", "Text", "search", text)}
      ${field("since", "From", "datetime-local", since)} ${field("until", "To", "datetime-local", until)}
      <button aria-pressed=${paused !== null} onClick=${() => setPaused(paused === null ? [...all] : null)}>
        ${paused === null ? "Pause" : `Resume (${Math.max(0, all.length - paused.length)} new)`}</button>
      <button onClick=${() => jump(-1)}>Previous error</button> <button onClick=${() => jump(1)}>Next error</button>
      <button onClick=${() => save("log.jsonl", lines(), "application/jsonl")}>Export</button>
      <span class="quiet">${rows.length} of ${records.length}</span></div>
    <div class="log" ref=${list} onScroll=${onScroll} tabindex="0" aria-label="Log records"><div ref=${(box) => box && (box.style.height = `${rows.length * ROW}px`)}>
      ${rows.slice(first, last).map((row, at) => html`<${Row} key=${first + at} row=${row} place=${(first + at) * ROW}
        open=${row === open} choose=${() => setOpen(row === open ? null : row)} />`)}</div></div>
    ${rows.length === 0 ? html`<p class="quiet">No record fits.</p>` : null}
    ${open ? html`<${Record} record=${open.record} close=${() => setOpen(null)} />` : null}`;
}

function grade(severity) {
  return severity >= 17 ? "error" : severity >= 13 ? "warning" : severity >= 9 ? "info" : "debug";
}

function Row({ row: { record }, place, open, choose: pick }) {
  const kind = isMark(record) ? "mark" : grade(record.SeverityNumber);
  return html`<button class=${`row ${kind}${open ? " open" : ""}`} ref=${(line) => line && (line.style.top = `${place}px`)} onClick=${pick}
    aria-expanded=${open}><time>${(record.Timestamp ?? "").slice(11, 23)}</time> <b>${printable(record.SeverityText ?? "")}</b>
    <i>${printable(record.Resource?.node ?? "")}</i> <span>${printable(message(record)).replaceAll("\n", " ⏎ ")}</span>${record.Attributes?.["exception.stacktrace"]
      ? html` <em>traceback</em>` : null}</button>`;
}

function Record({ record, close }) {
  const { "exception.stacktrace": trace, "roc.call": id, ...attributes } = record.Attributes ?? {};
  const facts = { time: record.Timestamp, level: record.SeverityText, logger: record.InstrumentationScope?.Name,
    ...(id ? { call: id } : {}), ...record.Resource, number: record.n, ...attributes };
  return html`<section class="record card" aria-label="Record"><button onClick=${close}>Close</button>
    <pre class="message">${printable(message(record))}</pre>${trace ? html`<pre class="trace">${printable(trace)}</pre>` : null}
    <dl>${Object.entries(facts).filter(([, value]) => value !== undefined && value !== "").map(([name, value]) =>
      html`<div><dt>${printable(name)}</dt><dd>${shown(value, 2000)}</dd></div>`)}</dl></section>`;
}
