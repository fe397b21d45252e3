// All keys that do something here and now.
import { html } from "../lib.js";
import { keysNow, shown } from "../keys.js";

/** The list of keys, for the dialog that "?" opens. */
export function KeyHelp() {
  return html`<div class="keys">${keysNow().map(({ title, list }, k) => html`<section key=${k}>
    ${title && html`<h3>${title}</h3>`}
    <dl>${list.filter((one) => one.label).map((one) => html`<div key=${one.keys}><dt>${shown(one.keys).map((key) => html`<kbd>${key}</kbd> `)}</dt><dd>${one.label}</dd></div>`)}</dl>
  </section>`)}</div>`;
}
