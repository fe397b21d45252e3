// Account: plan and ledger, the rules and what they refused; for the operator people and the queue.

import { People } from "../account/people.js";
import { Plan } from "../account/plan.js";
import { Queue } from "../account/queue.js";
import { Refusals, Rules } from "../account/rules.js";
import "../account/words.js";
import { go } from "../app.js";
import { t } from "../i18n.js";
import { html } from "../lib.js";
import { Tabs } from "../parts.js";
import { useMe } from "../store.js";

const TABS = { plan: "account", rules: "shield", refusals: "warning" };
const OPERATORS = { people: "person", queue: "jobs" };

/** The page `#/account`, with `?tab=` for its parts. */
export default function Account({ params }) {
  const me = useMe();
  const all = { ...TABS, ...(me?.operator ? OPERATORS : {}) };
  const tab = params.tab in all ? params.tab : "plan";
  return html`<div class="page ac">
    <h1>${t("account.title")}</h1>
    <${Tabs} label=${t("account.parts")} value=${tab} onChange=${(key) => go(`account${key === "plan" ? "" : `?tab=${key}`}`)}
      tabs=${Object.entries(all).map(([key, icon]) => ({ key, icon, label: t(`account.${key}`) }))}>
      ${tab === "plan" && html`<${Plan} />`}
      ${tab === "rules" && html`<${Rules} />`}
      ${tab === "refusals" && html`<${Refusals} />`}
      ${tab === "people" && html`<${People} />`}
      ${tab === "queue" && html`<${Queue} />`}
    <//>
  </div>`;
}
