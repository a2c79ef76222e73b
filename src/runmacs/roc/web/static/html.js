// Markup: htm over Preact. Text in it is only ever text.

import htm from "./vendor/htm.js";
import { createElement } from "./vendor/preact.js";

export const html = htm.bind(createElement);
