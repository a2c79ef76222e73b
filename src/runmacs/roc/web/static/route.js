// Addresses: /page/rest?what=is&chosen. What is chosen stands in the address, to be shared.

import { useLayoutEffect, useState } from "./vendor/hooks.js";

const listeners = new Set();

function route() {
  const [page = "", ...rest] = location.pathname.slice(1).split("/");
  return { page, rest: rest.map(decodeURIComponent).join("/"), search: location.search };
}

function tell() {
  for (const listener of listeners) listener();
}

addEventListener("popstate", tell);

export function useRoute() {
  const [found, set] = useState(route());
  useLayoutEffect(() => {
    const listener = () => set(route());
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, []);
  return found;
}

// Whether the screen is a phone's, as style.css has it.
export const isNarrow = () => matchMedia("(max-width: 700px)").matches;

export function go(event, address) {
  if (event && (event.ctrlKey || event.metaKey || event.shiftKey || event.button > 0)) return;
  event?.preventDefault();
  history.pushState(null, "", address);
  tell();
}

export function chosen() {
  return new URLSearchParams(location.search);
}

// One value, or several of one name; nothing takes it out of the address.
export function choose(name, value) {
  const query = chosen();
  query.delete(name);
  for (const one of [value].flat().filter(Boolean)) query.append(name, one);
  const text = query.toString();
  history.replaceState(null, "", location.pathname + (text ? `?${text}` : ""));
  tell();
}
