// What is wrong now, in one look.

import { html } from "./html.js";
import { now, useStore } from "./link.js";
import { go } from "./route.js";
import { age, clock, printable } from "./values.js";

const RATES = { requests: "calls/s", updates: "status updates/s", publications_taken: "messages/s" };

export function Overview() {
  const { overview } = useStore();
  if (!overview) return html`<p class="quiet">Waiting for the first news.</p>`;
  const { problems, broker, counts, rates, objects, server } = overview;
  return html`
    <h1 class=${problems.some(({ grade }) => grade === "bad") ? "verdict bad" : problems.length ? "verdict warn" : "verdict good"}>
      ${problems.length === 0 ? "All is well" : problems.length === 1 ? "1 thing is wrong" : `${problems.length} things are wrong`}</h1>
    <ul class="problems">${problems.map(Problem)}</ul>
    <dl class="figures">
      <div><dt>objects up</dt><dd>${counts.serving ?? 0}<small> of ${objects.length}</small></dd></div>
      ${Object.entries(RATES).map(([name, label]) => html`<div><dt>${label}</dt><dd>${rates[name] ?? "–"}</dd></div>`)}
      <div><dt>status values</dt><dd>${overview.leaves}</dd></div>
      <div><dt>stale</dt><dd class=${overview.stale ? "warn" : ""}>${overview.stale}</dd></div>
      <div><dt>log records</dt><dd>${overview.records}</dd></div>
      <div><dt>lost</dt><dd class=${overview.lost ? "warn" : ""}>${overview.lost}</dd></div>
    </dl>
    <h2>Objects</h2>
    <ul class="tiles">${objects.map((entry) => html`<li><a class=${`tile ${entry.state}`} href=${`/objects/${encodeURIComponent(entry.id)}`}
      onClick=${(event) => go(event, `/objects/${encodeURIComponent(entry.id)}`)}><strong>${printable(entry.id)}</strong>
      <span>${entry.state}</span><small>${printable(entry.host ?? "")} · ${entry.rate} calls/s</small></a></li>`)}</ul>
    <footer>Broker ${broker.software ?? ""} at ${broker.address}${broker.uptime ? `, up for ${age(broker.uptime)}` : ""}${broker.restarts
      ? `, started anew ${broker.restarts} times` : ""} · page's server ${server.version}, since ${clock(server.started)} · <a href="/overview.json">JSON</a></footer>`;
}

function Problem({ grade, what, detail, since, link }) {
  return html`<li class=${grade}><a href=${link || "/"} onClick=${(event) => go(event, link || "/")}>
    <strong>${printable(what)}</strong><span>${printable(detail)}</span>
    ${since ? html`<small>since ${clock(since)}, ${age(now() - since)}</small>` : null}</a></li>`;
}
