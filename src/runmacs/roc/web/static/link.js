// The one connection to the server. It comes back by itself; the page keeps what it knew.
//
// `store` holds what the server told; `useStore()` draws a component anew when it changes, at
// most once a frame.

import { useLayoutEffect, useState } from "./vendor/hooks.js";
import { decode } from "./values.js";

export const store = {
  connected: false,
  reason: "Connecting to the page's server.",
  needsToken: false,
  overview: null,
  offset: 0, // the server's clock minus ours, in seconds
  leaves: new Map(), // path -> {value, time, source, stale, unit, description, limits}
  records: [], // {n, record}
  nodes: new Set(), // of the records
  rates: [], // the broker's, as the last overviews had them
  run: null, // of the server; its records are numbered
  held: false, // whether somebody looks at records that must not go
  version: 0, // grows with each change of the status
};

const MOST_RECORDS = 50000, MOST_HELD = 500000, MOST_RATES = 300;
const listeners = new Set();
const waiting = new Map();
let socket = null;
let number = 0;
let topics = [];
let planned = false;
let pause = 500;
let last = 0; // the number of the last record

if (location.hash.startsWith("#token=")) {
  sessionStorage.setItem("roc-token", location.hash.slice(7));
  history.replaceState(null, "", location.pathname + location.search);
}

export function now() {
  return Date.now() / 1000 + store.offset;
}

function changed() {
  if (planned) return;
  planned = true;
  // A page in the background draws nothing, but must not pile up frames either.
  (document.hidden ? (f) => setTimeout(f, 500) : requestAnimationFrame)(() => {
    planned = false;
    for (const listener of listeners) listener();
  });
}

export function useStore() {
  const [, draw] = useState(0);
  useLayoutEffect(() => { // at once: nothing may change unseen between drawing and listening
    const listener = () => draw((n) => n + 1);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return store;
}

export function follow(...wanted) {
  topics = wanted;
  if (store.connected) say({ op: "follow", topics, after: last });
}

export function setToken(token) {
  sessionStorage.setItem("roc-token", token);
  store.needsToken = false;
  connect();
}

function say(message) {
  socket.send(JSON.stringify(message));
}

// Calls: a promise of {value, seconds}; what it fails with has code, message and data.
export function ask(op, message) {
  const id = ++number;
  const promise = new Promise((resolve, reject) => {
    if (!store.connected) {
      reject({ message: "The page's server cannot be reached.", data: { executed: false } });
      return;
    }
    waiting.set(id, { resolve, reject });
    say({ op, id, ...message });
  });
  promise.cancel = () => {
    say({ op: "cancel", id });
    waiting.get(id)?.reject({ message: "Withdrawn.", data: { executed: null } });
    waiting.delete(id);
  };
  return promise;
}

export const call = (object, method, args = [], kwargs = {}, timeout = null) =>
  ask("call", { object, method, args, kwargs, timeout });

export function connect() {
  socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => say({ op: "hello", token: sessionStorage.getItem("roc-token") });
  socket.onmessage = ({ data }) => (typeof data === "string" ? onText(JSON.parse(data)) : onBinary(data));
  socket.onclose = ({ code }) => {
    store.connected = false;
    for (const { reject } of waiting.values()) {
      reject({ message: "The connection to the page's server was lost.", data: { executed: null } });
    }
    waiting.clear();
    store.needsToken = code === 4401;
    store.reason = store.needsToken ? "" : code === 4503
      ? "Too many pages are open. This one goes on when another is closed."
      : "The page's server cannot be reached. This goes on when it can.";
    changed();
    if (!store.needsToken) setTimeout(connect, pause);
    pause = Math.min(pause * 1.5, 3000);
  };
}

function onText(message) {
  if (message.t === "hello") {
    store.connected = true;
    pause = 500;
    if (message.run !== store.run) {
      store.run = message.run;
      store.records = [];
      last = 0;
    }
    follow(...topics);
  } else if (message.t === "overview") {
    store.overview = message;
    store.offset = message.time - Date.now() / 1000;
    store.rates.push(message.rates);
    if (store.rates.length > MOST_RATES) store.rates.shift();
  } else if (message.t === "status") {
    onStatus(message);
  } else if (message.t === "logs") {
    onLogs(message);
  } else if (message.t === "error" && waiting.has(message.id)) {
    waiting.get(message.id).reject(message.error);
    waiting.delete(message.id);
  }
  changed();
}

function onStatus(message) {
  if (message.first) store.leaves = new Map();
  for (const [path, told] of Object.entries(message.leaves)) {
    if (told === null) store.leaves.delete(path);
    else setLeaf(path, decode(told[0]), ...told.slice(1));
  }
  store.version++;
}

function setLeaf(path, value, time, source, stale, unit, description, limits) {
  store.leaves.set(path, { value, time, source, stale, unit, description, limits });
}

function onLogs(message) {
  if (message.lost) mark(`${message.lost} records lost between server and page: this page could not keep up.`);
  for (const [n, record] of message.records) {
    if (n <= last) continue;
    last = n;
    store.records.push({ n, record });
    store.nodes.add(record.Resource?.node ?? "");
  }
  const most = store.held ? MOST_HELD : MOST_RECORDS;
  if (store.records.length > most) {
    store.records = store.records.slice(-most * 0.8);
    if (store.held) mark(`The oldest records were dropped: a page holds ${MOST_HELD}.`);
  }
}

// A record of our own, about the stream itself.
function mark(text) {
  store.records.push({ n: 0, record: { Timestamp: new Date().toISOString(), SeverityNumber: 13, SeverityText: "WARNING",
    Body: text, Resource: { node: "roc-web" }, InstrumentationScope: { Name: "page" }, Attributes: { "roc.mark": "page" } } });
}

function onBinary(data) {
  const length = new DataView(data).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const start = 4 + length;
  const buffers = head.buffers.map(([offset, size]) => new Uint8Array(data, start + offset, size));
  if (head.t === "status") {
    for (const leaf of decode(head.value, buffers)) setLeaf(...leaf);
    store.version++;
    changed();
    return;
  }
  const entry = waiting.get(head.id);
  if (!entry) return;
  waiting.delete(head.id);
  try {
    entry.resolve({ value: decode(head.value, buffers), seconds: head.seconds });
  } catch (error) {
    entry.reject({ message: `The result cannot be shown: ${error.message}`, data: { executed: true } });
  }
}
