// The rules in force, a text tried against them, refusals, and appeals.

import { api, once } from "../api.js";
import { moment, number, t } from "../i18n.js";
import { called, said } from "../say.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, copyText, ErrorNote, Field, Said } from "../parts.js";
import { useMe, useStored } from "../store.js";

/** The policy: its hash, a place to try a text, and every rule. */
export function Rules() {
  const [state, set] = useState({});
  useEffect(() => {
    let here = true;
    once("/policy").then((policy) => here && set({ policy }), (error) => here && set({ error }));
    return () => { here = false; };
  }, []);
  const { policy, error } = state;
  return html`<div class="stack">
    <${Try} />
    <${ErrorNote} error=${error} />
    ${policy && html`<section class="stack" aria-labelledby="ac-rules">
      <h2 id="ac-rules">${t("rules.title")}</h2>
      <p>${t("rules.version", { version: policy.version })}</p>
      <p class="row"><code class="ac-hash">${policy.hash}</code><${Button} small icon="copy" label=${t("rules.copy")} onClick=${() => copyText(policy.hash)} /></p>
      <p class="help">${t(policy.pictures_judged ? "rules.pictures" : "rules.noPictures")}</p>
      <div class="ac-scroll" tabindex="0" role="region" aria-label=${t("rules.table")}><table class="ac-table">
        <thead><tr><th scope="col">${t("rules.category")}</th><th scope="col" class="is-number">${t("rules.from")}</th><th scope="col">${t("rules.of")}</th><th scope="col">${t("rules.why")}</th></tr></thead>
        <tbody>${policy.rules.map((rule) => html`<tr key=${rule.id}>
          <th scope="row">${rule.id}${rule.final && html`<span class="tag warn">${t("rules.final")}</span>`}</th><td class="is-number">${number(rule.threshold)}</td>
          <td>${t(rule.of === "text" ? "rules.text" : "rules.pics")}</td><td><${Said} text=${rule.reason} />${rule.offer && html`<small class="help">${t("rules.offer", { offer: said(rule.offer) })}</small>`}</td>
        </tr>`)}</tbody></table></div>
    </section>`}
  </div>`;
}

function Try() {
  const [text, setText] = useStored("account.try", "");
  const [state, set] = useState({});
  const judge = async (event) => {
    event.preventDefault();
    set({ busy: true });
    try {
      set({ found: await api("/judge", { body: { text } }) });
    } catch (error) {
      set({ error });
    }
  };
  const { found } = state;
  const refused = found?.verdicts.find((one) => !one.allowed);
  const scores = (found?.verdicts || []).filter((one) => one.score > 0).sort((a, b) => b.score / b.threshold - a.score / a.threshold);
  return html`<section class="card stack" aria-labelledby="ac-try">
    <h2 id="ac-try">${t("rules.try")}</h2>
    <form class="stack" onSubmit=${judge}>
      <${Field} label=${t("rules.tryText")} help=${t("rules.tryHelp")}><textarea rows="2" maxlength="32000" value=${text || ""} onInput=${(event) => setText(event.target.value)} /><//>
      <div><${Button} kind="primary" type="submit" busy=${state.busy} disabled=${!text?.trim()}>${t("rules.ask")}<//></div>
    </form>
    <${ErrorNote} error=${state.error} />
    <div role="status">${found && html`<p class=${`ac-verdict ${found.allowed ? "is-good" : "is-bad"}`}>
      ${found.allowed ? t("rules.allowed") : t("rules.refused", refused)}</p>
      ${refused?.offer && html`<p><${Said} text=${refused.offer} /></p>`}`}</div>
    ${scores.length > 0 && html`<details><summary>${t("rules.scores")}</summary><dl class="lb-facts">${scores.map((one) => html`
      <div key=${one.rule}><dt>${one.rule}</dt><dd>${t("rules.score", { score: number(one.score, 3), threshold: number(one.threshold) })}</dd></div>`)}</dl></details>`}
  </section>`;
}

/** What was refused, with appeals; for the operator also what waits for a decision. */
export function Refusals() {
  const me = useMe();
  const [state, set] = useState({});
  const read = async () => {
    try {
      const [mine, appeals] = await Promise.all([api("/refusals?limit=100"), me?.operator ? api("/appeals?limit=100") : null]);
      set({ mine: mine.data, appeals: appeals?.data });
    } catch (error) {
      set((old) => ({ ...old, error }));
    }
  };
  useEffect(() => { read(); }, [me?.account]);
  const { mine, appeals, error } = state;
  return html`<div class="stack">
    <${ErrorNote} error=${error} onRetry=${read} />
    ${appeals && html`<section class="stack" aria-labelledby="ac-appeals"><h2 id="ac-appeals">${t("refusals.appeals")}</h2>
      ${appeals.length === 0 && html`<p class="help">${t("refusals.noAppeals")}</p>`}
      <ul class="plain stack">${appeals.map((one) => html`<${Refusal} key=${one.id} refusal=${one} onDone=${read} decide />`)}</ul></section>`}
    ${mine && html`<section class="stack" aria-labelledby="ac-mine"><h2 id="ac-mine">${t("refusals.mine")}</h2>
      ${mine.length === 0 && html`<p class="help">${t("refusals.none")}</p>`}
      <ul class="plain stack">${mine.map((one) => html`<${Refusal} key=${one.id} refusal=${one} onDone=${read} />`)}</ul></section>`}
  </div>`;
}

function Refusal({ refusal, onDone, decide = false }) {
  const { account, task, at, text, rule, reason, offer, appeal, decision } = refusal;
  return html`<li class="card stack" data-id=${refusal.id}>
    <p class="muted">${t("refusals.by", { account, task: called("tasks", task) ?? task, when: moment(at) })}</p>
    <p><q>${text.slice(0, 1000)}</q></p>
    <p class="row"><span class="tag bad">${rule}</span></p>
    <p class="help"><${Said} text=${reason} /> <${Said} text=${offer} /></p>
    ${appeal && html`<p>${t("refusals.said", { why: appeal })}</p>`}
    ${decision && html`<p class="tag accent">${t("refusals.decided", { decision })}</p>`}
    ${decide && html`<${Why} label=${t("refusals.decideWhy")} onSend=${async (why, verdict) => { await api(`/refusals/${refusal.id}/decide`, { body: { verdict, why } }); onDone(); }}
      choices=${[["uphold", t("refusals.uphold")], ["allow", t("refusals.allow")]]} />`}
    ${!decide && !appeal && !decision && html`<${Why} label=${t("refusals.why")} onSend=${async (why) => { await api(`/refusals/${refusal.id}/appeal`, { body: { why } }); onDone(); }}
      choices=${[["appeal", t("refusals.send")]]} />`}
  </li>`;
}

/** A reason, and the buttons that send it. */
function Why({ label, choices, onSend }) {
  const [why, say] = useState("");
  const [state, set] = useState({});
  const send = (choice) => async (event) => {
    event.preventDefault();
    if (!why.trim()) return;
    set({ busy: true });
    try {
      await onSend(why.trim(), choice);
      set({});
    } catch (error) {
      set({ error });
    }
  };
  return html`<form class="stack" onSubmit=${send(choices[0][0])}>
    <${Field} label=${label}><textarea rows="2" maxlength="4000" value=${why} onInput=${(event) => say(event.target.value)} /><//>
    <${ErrorNote} error=${state.error} />
    <div class="actions">${choices.map(([key, words], k) => html`<${Button} key=${key} small type=${k === 0 ? "submit" : "button"} busy=${state.busy} disabled=${!why.trim()}
      onClick=${k === 0 ? undefined : send(key)}>${words}<//>`)}</div>
  </form>`;
}
