// How a conversation begins: with a prompt, a picture from elsewhere, or one of the gallery.

import { go } from "../app.js";
import { api, submit, thumbUrl, upload } from "../api.js";
import { t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, dropFiles, ErrorNote, Field, Icon, InEnglish, pickFiles, SchemaForm } from "../parts.js";
import { jobs, recall, track, useStored, useTracked } from "../store.js";
import { Pending } from "./pending.js";

const OPTIONS = ["seed", "model", "steps", "guidance", "width", "height", "negative_prompt", "private"];
const RECENT = 24;

/** The page `#/converse` without a picture. */
export function Start() {
  const [prompt, setPrompt] = useStored("converse.prompt", "");
  const [options, setOptions] = useStored("converse.first", {});
  const [state, set] = useState({ busy: false, error: null });
  const rows = useTracked().filter((one) => one.meta?.view === "converse" && one.meta.parent === null);
  const last = recall("converse.last");

  useEffect(() => {
    const made = rows.find((one) => one.status === "done" && one.artifacts?.length > 0);
    if (!made) return;
    jobs.dismiss(made.id);
    go(`/converse/${made.artifacts[0]}`);
  }, [rows.map((one) => one.status).join()]);

  const paint = async (said, fields) => {
    set({ busy: true, error: null });
    try {
      const meta = { view: "converse", parent: null, said, label: said, fields, task: "imagine" };
      track(await submit("imagine", { ...fields, prompt: said, n: 1, preview: true }), meta);
      setPrompt(null);
      set({ busy: false, error: null });
    } catch (error) {
      set({ busy: false, error });
    }
  };
  const take = async (files) => {
    if (files.length === 0) return;
    set({ busy: true, error: null });
    try {
      const entry = await upload(files[0]);
      go(`/converse/${entry.id}`);
    } catch (error) {
      set({ busy: false, error });
    }
  };
  const submitted = (event) => {
    event.preventDefault();
    if (prompt?.trim() && !state.busy) paint(prompt.trim(), options);
  };
  return html`<div class="cv cv-start" ...${dropFiles(take, { most: 1, onId: (id) => go(`/converse/${id}`) })}>
    <header class="cv-head"><h1>${t("converse.title")}</h1></header>
    <p class="cv-intro">${t("converse.intro")}</p>
    <${ErrorNote} error=${state.error} onDismiss=${() => set({ busy: false, error: null })} />
    ${last && html`<a class="cv-node cv-last" href=${`#/converse/${last.id}`}>
      <img src=${thumbUrl(last.id, 96)} alt="" width="44" height="44" /><span>${t("converse.last", { said: last.said })}</span>
    </a>`}
    <form class="cv-first" onSubmit=${submitted}>
      <${Field} label=${t("converse.prompt")}>
        <textarea rows="2" maxlength="32000" placeholder=${t("converse.promptHint")} value=${prompt || ""}
          onInput=${(event) => setPrompt(event.target.value)}
          onKeyDown=${(event) => event.key === "Enter" && !event.shiftKey && !event.isComposing && submitted(event)} />
      <//>
      <${InEnglish} text=${prompt || ""} onTake=${setPrompt} />
      <div class="cv-actions">
        <${Button} kind="primary" icon="imagine" type="submit" busy=${state.busy} disabled=${!prompt?.trim()}>${t("converse.begin")}<//>
        <details class="cv-options"><summary>${t("converse.options")}</summary>
          <${SchemaForm} task="imagine" value=${options} onChange=${setOptions} only=${OPTIONS} /></details>
      </div>
    </form>
    ${rows.map((job) => html`<${Pending} key=${job.id} job=${job}
      onReading=${(reading) => { jobs.dismiss(job.id); paint(reading.said, job.meta.fields); }}
      onRepeat=${() => { jobs.dismiss(job.id); paint(job.meta.said, job.meta.fields); }} />`)}
    <${Choose} onFiles=${take} />
    <${Recent} />
  </div>`;
}

/** Where a file is chosen; the whole page takes what is dropped or pasted. */
function Choose({ onFiles }) {
  useEffect(() => {
    const { onPaste } = dropFiles(onFiles, { most: 1 });
    const pasted = (event) => event.target === document.body && onPaste(event);
    document.addEventListener("paste", pasted);
    return () => document.removeEventListener("paste", pasted);
  }, []);
  return html`<section aria-labelledby="cv-drop">
    <h2 id="cv-drop">${t("converse.orDrop")}</h2>
    <div class="cv-drop">
      <${Icon} name="upload" size=${24} /><p>${t("converse.drop")}</p>
      <${Button} onClick=${async () => onFiles(await pickFiles({ most: 1 }))}>${t("converse.choose")}<//>
    </div>
  </section>`;
}

/** The newest pictures, to go on from one. */
/** A name for who cannot see it: a picture that was handed in, filled or erased may have no prompt. */
function called({ prompt }) {
  return prompt || t(prompt === "" ? "converse.wordless" : "converse.given");
}

function Recent() {
  const [found, show] = useState(null);
  useEffect(() => {
    const stop = new AbortController();
    api(`/gallery?limit=${RECENT}`, { signal: stop.signal }).then((page) => show(page.data), () => {});
    return () => stop.abort();
  }, []);
  if (!found) return null;
  return html`<section aria-labelledby="cv-recent">
    <h2 id="cv-recent">${t("converse.recent")}</h2>
    ${found.length === 0 && html`<p>${t("converse.none")}</p>`}
    <ul class="cv-recent">
      ${found.map((one) => html`<li key=${one.id}><a href=${`#/converse/${one.id}`} title=${called(one)}>
        <img src=${thumbUrl(one.id, 192)} alt=${called(one)} width="96" height="96" loading="lazy" /></a></li>`)}
    </ul>
  </section>`;
}
