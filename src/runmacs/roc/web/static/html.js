// Markup: htm over Preact. Text in it is only ever text.

import htm from "./vendor/htm.js";
import { createElement } from "./vendor/preact.js";

export const html = htm.bind(createElement);

// A link to what programs read here. Where there is a token, a browser cannot follow it.
export const Twin = ({ address, name = "JSON" }) =>
  (sessionStorage.getItem("roc-token") ? null : html`<a class="quiet" href=${address}>${name}</a>`);
