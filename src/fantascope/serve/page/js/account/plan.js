// The plan: what is left and when it expires, the ledger's lines, and the energy that pictures took.

import { go } from "../app.js";
import { api, once } from "../api.js";
import { moment, number, t } from "../i18n.js";
import { said } from "../say.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, ErrorNote, Said } from "../parts.js";
import { loadMe, onEnded, useMe } from "../store.js";

const PAGE = 30;
const ADDED_UP = 40;
/** Receipts that are read to add up energy. */

/** Balance, ledger and energy of who is here. */
export function Plan() {
  const me = useMe();
  const [error, fail] = useState(null);
  const [lines, show] = useState(null);
  const [count, grow] = useState(PAGE);
  const read = () => Promise.all([loadMe(), api(`/ledger?limit=${count}`).then((found) => show(found.data))]).then(() => fail(null), fail);
  useEffect(() => { read(); return onEnded(read); }, [count]);
  if (!me) return null;
  return html`<div class="stack">
    <${ErrorNote} error=${error} onRetry=${read} />
    <${Balance} me=${me} />
    <${Energy} />
    <section aria-labelledby="ac-ledger" class="stack">
      <h2 id="ac-ledger">${t("account.ledger")}</h2>
      ${lines?.length === 0 && html`<p class="help">${t("account.noLines")}</p>`}
      ${lines?.length > 0 && html`<${Lines} lines=${lines} />`}
      ${lines?.length === count && count < 200 && html`<${Button} kind="quiet" onClick=${() => grow(Math.min(200, count + 50))}>${t("account.more")}<//>`}
    </section>
  </div>`;
}

function Balance({ me }) {
  const share = me.allowance > 0 ? Math.max(0, Math.min(1, me.left / me.allowance)) : 0;
  return html`<section class="card ac-balance">
    <p class="row"><strong>${me.account}</strong><span class="tag accent">${t("account.planIs", { plan: me.plan })}</span>${me.operator && html`<span class="tag">${t("account.operator")}</span>`}</p>
    <p class="ac-left">${t("account.left", { n: number(me.left, 3) })}</p>
    <div class="progress-bar" aria-hidden="true"><span class="progress-fill" style=${{ transform: `scaleX(${share})` }} /></div>
    <p class="help">${t("account.leftOf", { allowance: number(me.allowance, 3), used: number(me.used, 3), held: number(me.held, 3) })}</p>
    <p class="help">${said(me.terms).replace(/\d{5,}/g, (digits) => number(Number(digits)))}. ${t("account.renews", { day: moment(me.renews, "date") })}</p>
    ${me.expiring.length > 0 && html`<h2 class="ac-small">${t("account.expires")}</h2><ul class="plain">${me.expiring.map((one, k) => html`
      <li key=${k}>${t("account.expiring", { credits: number(one.credits, 3), kind: t(`account.${one.kind}`), day: moment(one.expires, "date") })}</li>`)}</ul>`}
  </section>`;
}

function Lines({ lines }) {
  return html`<div class="ac-scroll" tabindex="0" role="group" aria-label=${t("account.ledger")}><table class="ac-table">
    <thead><tr><th scope="col">${t("account.when")}</th><th scope="col">${t("account.kind")}</th><th scope="col" class="is-number">${t("account.credits")}</th>
      <th scope="col">${t("account.what")}</th><th scope="col">${t("account.picture")}</th></tr></thead>
    <tbody>${lines.map((line, k) => html`<tr key=${`${line.at}-${k}`}>
      <td><time datetime=${line.at}>${moment(line.at)}</time></td><td>${t(`account.line.${line.kind}`)}</td><td class="is-number">${number(line.credits, 3)}</td><td><${Said} text=${line.what} /></td>
      <td>${line.artifact && html`<button type="button" class="ac-link" onClick=${() => go(`picture/${line.artifact}`)}>${t("account.open")} <code>${line.artifact.slice(7, 15)}</code></button>`}</td>
    </tr>`)}</tbody></table></div>`;
}

/** The sum of what the newest receipts say of energy. */
function Energy() {
  const [state, set] = useState({});
  const sum = async () => {
    set({ busy: true });
    try {
      const made = (await api(`/gallery?given=false&limit=${ADDED_UP}`)).data;
      let [wh, n, how] = [0, 0, null];
      for (const entry of made) {
        const { cost } = await once(`/gallery/${entry.id}/receipt`);
        if (typeof cost.energy_wh !== "number") continue;
        wh += cost.energy_wh;
        n += 1;
        how ??= cost.energy_method;
      }
      set({ said: n > 0 ? t("account.energySum", { wh: number(wh, 3), n }) : t("account.energyNone"), how });
    } catch (error) {
      set({ error });
    }
  };
  return html`<section class="card stack" aria-labelledby="ac-energy">
    <h2 id="ac-energy">${t("account.energy")}</h2>
    <p class="help">${t("account.energyText")}</p>
    <p role="status">${state.said}</p>
    ${state.how && html`<p class="help">${t("account.energyHow", { how: said(state.how) })}</p>`}
    <${ErrorNote} error=${state.error} />
    ${!state.said && html`<div><${Button} busy=${state.busy} onClick=${sum}>${t("account.energyAsk")}<//></div>`}
  </section>`;
}
