// The library: pictures, checked files, models, adapters, and what is taught.

import { go } from "../app.js";
import { t } from "../i18n.js";
import { html, useState } from "../lib.js";
import { Adapters, Models } from "../library/models.js";
import { Personalise } from "../library/personalise.js";
import { Pictures } from "../library/pictures.js";
import { Verify } from "../library/verify.js";
import "../library/words.js";
import { dropFiles, Tabs } from "../parts.js";

const TABS = { pictures: "library", verify: "shield", models: "layers", adapters: "sliders", personalise: "person" };

/** The page `#/library`, with `?tab=` for its parts. */
export default function Library({ params }) {
  const [file, take] = useState(null);
  const tab = params.tab in TABS ? params.tab : "pictures";
  const open = (key) => go(`library${key === "pictures" ? "" : `?tab=${key}`}`);
  const check = (found) => { take(found); open("verify"); };
  const dropped = tab === "personalise" ? {} : dropFiles(([one]) => check(one), { most: 1, kinds: "any", onId: (id) => go(`picture/${id}`) });
  return html`<div class="page lb" tabindex="-1" ...${dropped}>
    <h1>${t("library.title")}</h1>
    <${Tabs} label=${t("library.parts")} value=${tab} onChange=${open} tabs=${Object.entries(TABS).map(([key, icon]) => ({ key, icon, label: t(`library.${key}`) }))}>
      ${tab === "pictures" && html`<${Pictures} onFile=${check} like=${params.like} />`}
      ${tab === "verify" && html`<${Verify} file=${file} onFile=${take} />`}
      ${tab === "models" && html`<${Models} />`}
      ${tab === "adapters" && html`<${Adapters} onTeach=${() => open("personalise")} />`}
      ${tab === "personalise" && html`<${Personalise} />`}
    <//>
  </div>`;
}
