// The frame: navigation, what the page waits for, and the four pages.

import { html } from "./html.js";
import { connect, follow, setToken, useStore } from "./link.js";
import { Logs } from "./logs.js";
import { Objects } from "./objects.js";
import { Overview } from "./overview.js";
import { go, useRoute } from "./route.js";
import { Status } from "./status.js";
import { useEffect, useState } from "./vendor/hooks.js";
import { render } from "./vendor/preact.js";

const PAGES = [
  ["", "Overview", Overview, []],
  ["status", "Status", Status, ["status"]],
  ["objects", "Objects", Objects, ["status", "logs"]],
  ["logs", "Logs", Logs, ["logs"]],
];

function Token() {
  const [text, setText] = useState("");
  return html`<main><form class="card" onSubmit=${(event) => { event.preventDefault(); setToken(text.trim()); }}>
    <h1>The token is needed</h1>
    <p>It is in the line that <code>roc web</code> printed when it began.</p>
    <label>Token <input type="password" value=${text} onInput=${(event) => setText(event.target.value)} autofocus /></label>
    <button>Go on</button></form></main>`;
}

function App() {
  const store = useStore();
  const { page, rest, search } = useRoute();
  const [, title, Page, topics] = PAGES.find(([name]) => name === page) ?? PAGES[0];
  useEffect(() => {
    document.title = `${title} · ROC`;
    follow(...(page === "objects" && !rest ? [] : topics));
  }, [page, rest === ""]);
  const broker = store.overview?.broker;
  const waiting = store.connected ? broker?.waiting : store.reason;
  const state = store.needsToken ? "locked" : waiting ? "waiting" : "live";
  const bad = (store.overview?.problems ?? []).filter(({ grade }) => grade === "bad").length;
  return html`
    <a class="skip" href="#main">To the content</a>
    <header><strong class="brand">ROC</strong>
      <nav aria-label="Pages">${PAGES.map(([name, label]) => html`
        <a href=${`/${name}`} aria-current=${name === page ? "page" : null} onClick=${(event) => go(event, `/${name}`)}>
          ${label}${name === "" && bad > 0 ? html` <span class="count" title="problems">${bad}</span>` : null}</a>`)}
      </nav>
      <span class=${`state ${state === "live" ? "good" : "bad"}`}>${state}</span>
      ${store.overview?.server.readonly ? html`<span class="state">read-only</span>` : null}
    </header>
    ${waiting ? html`<p class="waiting" role="status">${waiting}</p>` : null}
    ${store.needsToken ? html`<${Token} />` : html`<main id="main" class=${page || "overview"}><${Page} key=${page} search=${search} /></main>`}`;
}

connect();
const app = document.getElementById("app");
app.textContent = "";
render(html`<${App} />`, app);
