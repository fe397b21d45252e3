// People, for the operator: who may come in, on which plan, with which tokens.

import { api, once } from "../api.js";
import { moment, number, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { said } from "../say.js";
import { ask, Button, copyText, Dialog, ErrorNote, Field, Select, Switch, toast } from "../parts.js";

/** The plans of this server, to choose from, beside one that somebody has; its terms say what each gives. */
function usePlans(known) {
  const [rows, set] = useState([]);
  useEffect(() => { once("/plans").then((found) => set(found.data), () => {}); }, []);
  const terms = rows.find((one) => one.name === known)?.terms;
  return { options: [...new Set([...rows.map((one) => one.name), known])], terms: terms && said(terms) };
}

/** Everybody, and a form that adds one more. */
export function People() {
  const [state, set] = useState({});
  const read = () => api("/users").then((found) => set({ rows: found.data }), (error) => set((old) => ({ ...old, error })));
  useEffect(() => { read(); }, []);
  return html`<div class="stack">
    <${Add} onDone=${read} />
    <${ErrorNote} error=${state.error} onRetry=${read} />
    <section class="stack" aria-labelledby="pp-list"><h2 id="pp-list">${t("people.list")}</h2>
      ${state.rows?.length === 0 && html`<p class="help">${t("people.none")}</p>`}
      <ul class="plain stack">${(state.rows || []).map((one) => html`<${Person} key=${one.name} person=${one} onChange=${read} />`)}</ul>
    </section>
  </div>`;
}

/** Return a runner of work that keeps its error: [run(work), state]. */
function useWork() {
  const [state, set] = useState({});
  const run = async (work) => {
    set({ busy: true });
    try {
      await work();
      set({});
    } catch (error) {
      set({ error });
    }
  };
  return [run, state];
}

function Add({ onDone }) {
  const [facts, say] = useState({ name: "", plan: "free", operator: false });
  const [run, state] = useWork();
  const plans = usePlans(facts.plan);
  const add = (event) => {
    event.preventDefault();
    run(async () => {
      await api("/users", { body: facts });
      say({ ...facts, name: "" });
      await onDone();
    });
  };
  return html`<section class="card stack" aria-labelledby="pp-add"><h2 id="pp-add">${t("people.add")}</h2>
    <form class="pp-form" onSubmit=${add}>
      <${Field} label=${t("people.name")} help=${t("people.nameHelp")}><input type="text" maxlength="64" autocomplete="off" spellcheck="false" value=${facts.name} onInput=${(event) => say({ ...facts, name: event.target.value })} /><//>
      <${Select} label=${t("people.plan")} value=${facts.plan} options=${plans.options} help=${plans.terms} onChange=${(plan) => say({ ...facts, plan })} />
      <${Switch} label=${t("people.asOperator")} value=${facts.operator} onChange=${(operator) => say({ ...facts, operator })} />
      <${Button} kind="primary" type="submit" busy=${state.busy} disabled=${!facts.name.trim()}>${t("people.addIt")}<//>
    </form>
    <${ErrorNote} error=${state.error} />
  </section>`;
}

function Person({ person, onChange }) {
  const [open, show] = useState(false);
  const [run, state] = useWork();
  const { name } = person;
  const change = (facts) => run(async () => { await api(`/users/${name}`, { method: "PATCH", body: facts }); await onChange(); });
  const plans = usePlans(person.plan);
  return html`<li class="card stack" data-name=${name}>
    <p class="row"><strong>${name}</strong>${person.operator && html`<span class="tag accent">${t("account.operator")}</span>`}
      ${person.disabled && html`<span class="tag bad">${t("people.disabled")}</span>`}<span class="muted">${t("people.since", { day: moment(person.created, "date") })}</span></p>
    <div class="pp-form">
      <${Select} label=${t("people.planOf", { name })} value=${person.plan} options=${plans.options} disabled=${state.busy} onChange=${(plan) => change({ plan })} />
      <${Switch} label=${t("people.shut", { name })} value=${person.disabled} disabled=${state.busy} onChange=${(disabled) => change({ disabled })} />
      <${Switch} label=${t("people.makeOperator", { name })} value=${person.operator} disabled=${state.busy} onChange=${(operator) => change({ operator })} />
    </div>
    <${ErrorNote} error=${state.error} />
    <details open=${open} onToggle=${(event) => show(event.target.open)}><summary>${t("people.tokens", { name })}</summary>
      ${open && html`<${Tokens} name=${name} /><${Topup} name=${name} />`}</details>
  </li>`;
}

function Tokens({ name }) {
  const [rows, show] = useState(null);
  const [fresh, tell] = useState(null);
  const [label, say] = useState("");
  const [days, last] = useState("");
  const [run, state] = useWork();
  const read = async () => show((await api(`/users/${name}/tokens`)).data);
  useEffect(() => { run(read); }, [name]);
  const issue = (event) => {
    event.preventDefault();
    run(async () => {
      const body = { label, ...(days === "" ? {} : { days: Number(days) }) };
      tell((await api(`/users/${name}/tokens`, { body })).token);
      say("");
      await read();
    });
  };
  const revoke = async (token) => {
    if (!(await ask({ title: t("people.revokeAsk"), text: t("people.revokeText", { name }), yes: t("people.revoke"), danger: true }))) return;
    run(async () => { await api(`/users/${name}/tokens/${token.id}`, { method: "DELETE" }); await read(); });
  };
  return html`<div class="stack pp-tokens">
    ${rows?.length === 0 && html`<p class="help">${t("people.noTokens")}</p>`}
    <ul class="plain">${(rows || []).map((one) => html`<li key=${one.id} class="row between">
      <span><code>${one.id}</code> ${one.label} <small class="muted">${one.revoked ? t("people.revoked", { day: moment(one.revoked, "date") })
        : one.expires ? t("people.until", { day: moment(one.expires, "date") }) : t("people.forever")}</small></span>
      ${!one.revoked && html`<${Button} small kind="danger" label=${t("people.revokeOf", { label: one.label || one.id, name })} onClick=${() => revoke(one)}>${t("people.revoke")}<//>`}
    </li>`)}</ul>
    <form class="pp-form" onSubmit=${issue}>
      <${Field} label=${t("people.label")}><input type="text" maxlength="64" value=${label} onInput=${(event) => say(event.target.value)} /><//>
      <${Field} label=${t("people.days")} help=${t("people.daysHelp")}><input type="number" min="1" step="1" value=${days} onInput=${(event) => last(event.target.value)} /><//>
      <${Button} type="submit" icon="key" busy=${state.busy}>${t("people.issue")}<//>
    </form>
    <${ErrorNote} error=${state.error} />
    <${Dialog} open=${fresh !== null} title=${t("people.once", { name })} onClose=${() => tell(null)} actions=${html`
      <${Button} icon="copy" kind="primary" onClick=${() => copyText(fresh)}>${t("people.copy")}<//><${Button} onClick=${() => tell(null)}>${t("people.done")}<//>`}>
      <p>${t("people.onceText")}</p><code class="ac-hash" data-token>${fresh}</code><//>
  </div>`;
}

function Topup({ name }) {
  const [credits, book] = useState("");
  const [note, say] = useState("");
  const [run, state] = useWork();
  const send = (event) => {
    event.preventDefault();
    run(async () => {
      const found = await api(`/users/${name}/topup`, { body: { credits: Number(credits), note } });
      toast(t("people.booked", { name, n: number(found.left, 3) }), { kind: "good" });
      book("");
    });
  };
  return html`<form class="pp-form" onSubmit=${send}>
    <${Field} label=${t("people.topup")}><input type="number" min="1" step="any" value=${credits} onInput=${(event) => book(event.target.value)} /><//>
    <${Field} label=${t("people.note")}><input type="text" maxlength="200" value=${note} onInput=${(event) => say(event.target.value)} /><//>
    <${Button} type="submit" busy=${state.busy} disabled=${credits === ""}>${t("people.topupIt")}<//>
    <${ErrorNote} error=${state.error} />
  </form>`;
}
