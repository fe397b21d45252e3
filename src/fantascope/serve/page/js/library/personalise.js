// Personalise: the photos and the words that a lesson needs, and the command that gives it.

import { t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, copyText, dropFiles, Field, Icon, pickFiles, Select } from "../parts.js";
import { useStored } from "../store.js";

const METHODS = ["lora", "dreambooth", "textual-inversion"];
const MOST = 50;
const FRESH = { name: "", kind: "", licence: "", consent: "", method: "lora" };

/** Return a word as a POSIX shell takes it. */
export function quoted(word) {
  return /^[A-Za-z0-9._/=:+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function commandOf(lesson, files) {
  const parts = ["fantascope", "personalise", ...(files.length > 0 ? files.map((file) => file.name) : ["PHOTOS"])];
  const told = { "--name": lesson.name, "--class": lesson.kind, "--licence": lesson.licence, "--consent": lesson.consent };
  for (const [option, value] of Object.entries(told)) if (value.trim()) parts.push(option, value.trim());
  if (lesson.method !== "lora") parts.push("--method", lesson.method);
  return parts.map(quoted).join(" ");
}

/** The tab where a subject is taught. */
export function Personalise() {
  const [lesson, change] = useStored("library.lesson", FRESH);
  const [files, keep] = useState([]);
  const put = (name) => (value) => change((old) => ({ ...FRESH, ...old, [name]: value }));
  const typed = (name) => (event) => put(name)(event.target.value);
  const add = (more) => keep((old) => [...old, ...more.filter((one) => !old.some((had) => had.name === one.name && had.size === one.size))].slice(0, MOST));
  const command = commandOf({ ...FRESH, ...lesson }, files);
  const field = (name, help) => html`<${Field} label=${t(`personal.${name}`)} help=${help}>
    <input type="text" maxlength="400" value=${lesson[name] ?? ""} onInput=${typed(name)} /><//>`;
  return html`<div class="ps">
    <p>${t("personal.intro")}</p>
    <section aria-label=${t("personal.photos")} class="vf-drop" tabindex="-1" ...${dropFiles(add, { most: MOST })}>
      <${Icon} name="upload" size=${28} /><p>${t("personal.drop")}</p>
      <${Button} onClick=${async () => add(await pickFiles({ multiple: true, most: MOST }))}>${t("personal.choose")}<//>
      ${files.length > 0 && html`<ul class="ps-photos plain">${files.map((file) => html`<${Photo} key=${`${file.name}-${file.size}`} file=${file}
        onRemove=${() => keep((old) => old.filter((one) => one !== file))} />`)}</ul>`}
    </section>
    <div class="form">
      ${field("name", t("personal.nameHelp"))}
      ${field("kind", t("personal.kindHelp"))}
      ${field("licence")}
      ${field("consent", t("personal.consentHelp"))}
      <${Select} label=${t("personal.method")} value=${lesson.method ?? "lora"} options=${METHODS} onChange=${put("method")} />
    </div>
    <section class="card ps-command" aria-label=${t("personal.command")}>
      <p class="help">${t("personal.where")}</p>
      <pre><code>${command}</code></pre>
      <${Button} icon="copy" onClick=${() => copyText(command)}>${t("personal.copy")}<//>
    </section>
  </div>`;
}

function Photo({ file, onRemove }) {
  const [url, show] = useState(null);
  useEffect(() => {
    const made = URL.createObjectURL(file);
    show(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return html`<li>${url && html`<img src=${url} alt=${file.name} />`}
    <${Button} small kind="plain" icon="close" label=${t("personal.takeOut", { name: file.name })} onClick=${onRemove} /></li>`;
}
