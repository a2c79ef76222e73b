// What is wrong now, in one look.

import { Spark } from "./drawn.js";
import { html, Twin } from "./html.js";
import { now, store, useStore } from "./link.js";
import { go } from "./route.js";
import { age, clock, printable } from "./values.js";

const RATES = { requests: "calls/s", updates: "status updates/s", publications_taken: "messages/s" };

export function Overview() {
  const { overview } = useStore();
  if (!overview) return html`<p class="quiet">Waiting for the first news.</p>`;
  const { problems, broker, counts, rates, objects, server, errors } = overview;
  const grade = problems.some((one) => one.grade === "bad") ? "bad" : problems.length ? "warn" : "good";
  const known = !broker.waiting; // else it was so when there was a broker
  return html`
    <h1 class=${`verdict ${grade}`}>
      ${problems.length === 0 ? "All is well" : problems.length === 1 ? "1 thing to look at" : `${problems.length} things to look at`}</h1>
    <ul class="problems">${problems.map(Problem)}</ul>
    <dl class="figures">
      <${Figure} label="objects up" value=${known ? counts.serving ?? 0 : "–"} of=${objects.length} />
      ${Object.entries(RATES).map(([name, label]) => html`<${Figure} label=${label} value=${known ? rates[name] ?? "–" : "–"}
        course=${store.rates.map((then) => then[name] ?? 0)} />`)}
      <${Figure} label="status values" value=${overview.leaves} />
      <${Figure} label="stale" value=${overview.stale} grade=${overview.stale ? "warn" : ""} />
      <${Figure} label="log records" value=${overview.records} />
      <${Figure} label="records lost" value=${overview.lost} grade=${overview.lost ? "warn" : ""} />
    </dl>
    <div class="halves"><section><h2>Objects${known ? "" : ", as last known"}</h2>
      ${objects.length === 0 ? html`<p class="quiet">No program shares an object.</p>` : null}
      <ul class="tiles">${objects.map(Tile)}</ul></section>
    <section><h2>Recent errors</h2>
      ${errors.length === 0 ? html`<p class="quiet">None in the log.</p>` : html`<ul class="errors">${errors.map(Mishap)}</ul>`}</section></div>
    <footer>Broker ${broker.software ?? ""} at ${broker.address}${broker.uptime ? `, up for ${age(broker.uptime)}` : ""}${broker.restarts
      ? `, started anew ${broker.restarts} times` : ""} · the page's server ${server.version}, since ${clock(server.started)} · <${Twin} address="/overview.json" /></footer>`;
}

function Problem({ grade, kind, what, detail, since, link }) {
  const word = kind === "log" ? "last" : "since";
  return html`<li class=${grade}><a href=${link || "/"} onClick=${(event) => go(event, link || "/")}>
    <strong>${printable(what)}</strong><span>${printable(detail)}</span>
    ${since ? html`<small>${word} ${clock(since)}, ${age(now() - since)}${kind === "log" ? " ago" : ""}</small>` : null}</a></li>`;
}

function Figure({ label, value, of = null, grade = "", course = [] }) {
  return html`<div><dt>${label}</dt><dd class=${grade}>${value}${of === null ? null : html`<small> of ${of}</small>`}
    ${course.length > 2 ? html`<${Spark} values=${course} low=${0} label=${`${label} in the last minutes`} />` : null}</dd></div>`;
}

export function Tile(entry) {
  const address = `/objects/${encodeURIComponent(entry.id)}`;
  const busy = entry.running ? "busy" : "idle";
  return html`<li><a class=${`tile ${entry.state}`} href=${address} onClick=${(event) => go(event, address)}>
    <strong>${printable(entry.id)}</strong>
    <span>${entry.state === "absent" ? `gone since ${clock(entry.gone)}` : entry.state === "serving" ? busy : entry.state}${entry.queued ? `, ${entry.queued} waiting` : ""}</span>
    <small>${printable(entry.host ?? "")} · ${entry.rate} calls/s</small></a></li>`;
}

function Mishap({ time, level, node, message }) {
  const address = `/logs?${new URLSearchParams({ level: "ERROR", node })}`;
  return html`<li><a href=${address} onClick=${(event) => go(event, address)}><time>${clock(time)}</time> <b>${printable(level)}</b>
    <i>${printable(node)}</i> <span>${printable(message)}</span></a></li>`;
}
