// What there is to paint with: models and adapters, each with licence, hash and pictures.

import { go } from "../app.js";
import { api, once, submit } from "../api.js";
import { addWords, moment, number, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { called } from "../say.js";
import { Button, EmptyState, ErrorNote, Field, Picture, Said } from "../parts.js";
import { onEnded, track, useStored } from "../store.js";

addWords({
  en: {
    "models.bytes": "Weights", "models.notHere": "not on this machine yet", "models.mib": "{n} MiB", "models.pinned": "Files it must have, by hash",
    "models.ledger": "Ledger of its training pictures", "models.card": "Model card", "adapters.noFile": "its file is gone",
  },
  es: {
    "models.bytes": "Pesos", "models.notHere": "aún no en esta máquina", "models.mib": "{n} MiB", "models.pinned": "Archivos que debe tener, por hash",
    "models.ledger": "Libro de sus imágenes de entrenamiento", "models.card": "Ficha del modelo", "adapters.noFile": "su archivo ya no está",
  },
});

const SAMPLES = 4;

function useList(path) {
  const [state, set] = useState({ rows: null, error: null });
  useEffect(() => {
    let here = true;
    once(path).then((found) => here && set({ rows: found.data, error: null }), (error) => here && set({ rows: null, error }));
    return () => { here = false; };
  }, [path]);
  return state;
}

/** The licence of a model or adapter: name, where it stands, and whether it may earn money. */
function Licence({ licence }) {
  const use = { true: "commercial", false: "noncommercial", null: "unknown" }[String(licence.commercial ?? null)];
  const name = licence.name || licence.spdx;
  return html`<span>${licence.url ? html`<a href=${licence.url} target="_blank" rel="noreferrer noopener">${name}</a>` : name}
    ${" "}<span class=${`tag ${{ commercial: "good", noncommercial: "bad", unknown: "warn" }[use]}`}>${t(`models.${use}`)}</span>
    ${licence.conditions && html`<small class="help"><${Said} text=${licence.conditions} /></small>`}
    ${licence.attribution && html`<small class="help">${licence.attribution}</small>`}</span>`;
}

function Facts({ rows }) {
  return html`<dl class="lb-facts">${rows.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([key, value]) => html`
    <div key=${key}><dt>${t(key)}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** The models of the catalogue. */
export function Models() {
  const { rows, error } = useList("/models");
  if (error) return html`<${ErrorNote} error=${error} />`;
  return html`<ul class="lb-cards plain">${(rows || []).map((one) => html`<${Model} key=${one.name} model=${one} />`)}</ul>`;
}

function Model({ model }) {
  const [open, show] = useState(model.default);
  const { native, min, max, multiple } = model.sizes;
  const told = Object.entries(model.defaults).filter(([, value]) => value !== null && typeof value !== "object");
  return html`<li class="card lb-card">
    <h2>${model.title} ${model.default && html`<span class="tag accent">${t("models.default")}</span>`}</h2>
    <p class="help"><code>${model.name}</code></p>
    <${Facts} rows=${[
      ["models.licence", html`<${Licence} licence=${{ ...model.licence, commercial: model.commercial }} />`],
      ["models.sizes", t("models.sizesText", { min, max, multiple, native })],
      ["models.family", model.family],
      ["models.bytes", model.bytes === null ? t("models.notHere") : model.bytes > 0 ? t("models.mib", { n: number(model.bytes / 2 ** 20, 1) }) : null],
    ]} />
    <details open=${open} onToggle=${(event) => show(event.target.open)}>
      <summary>${t("models.show", { name: model.name })}</summary>
      <${Facts} rows=${[["models.source", html`<code>${model.source}</code>`], ["models.defaults", told.map(([key, value]) => `${called("fields", key) ?? key} ${value}`).join(", ")],
        ["models.ledger", model.training_ledger && html`<code>${model.training_ledger}</code>`], ["models.card", model.card && html`<code>${model.card}</code>`]]} />
      ${open && html`<${Samples} query=${`model=${encodeURIComponent(model.name)}`} fields=${{ model: model.name }} label=${model.name} hashes=${Object.keys(model.weights).length === 0} /><${Pinned} weights=${model.weights} />`}
    </details>
  </li>`;
}

/** The files that a model must have, by hash. */
function Pinned({ weights }) {
  const rows = Object.entries(weights);
  return rows.length > 0 && html`<h3>${t("models.pinned")}</h3><ul class="lb-hashes plain">${rows.map(([file, sha256]) => html`
    <li key=${file}><span>${file}</span><code>${sha256}</code></li>`)}</ul>`;
}

/** The newest pictures that were made with something, a way to paint more, and which weights they were made with. */
function Samples({ query, fields, label, hashes, ids }) {
  const [prompt, setPrompt] = useStored("library.sample", t("models.promptDefault"));
  const [found, show] = useState(null);
  const [state, set] = useState({});
  const read = async () => {
    try {
      const data = query ? (await api(`/gallery?${query}&limit=${SAMPLES}`)).data : (ids || []).map((id) => ({ id }));
      const receipt = hashes && data[0] ? await once(`/gallery/${data[0].id}/receipt`) : null;
      show({ data, weights: receipt?.ran.weights ?? [] });
    } catch (error) {
      set({ error });
    }
  };
  useEffect(() => { read(); }, [query, ids?.join()]);
  useEffect(() => onEnded((job) => job.meta?.view === "library" && job.meta.sample === label && read()), [label]);
  const paint = async () => {
    set({ busy: true });
    try {
      track(await submit("imagine", { ...fields, prompt, n: SAMPLES, seed: 1 }), { view: "library", sample: label, label: `${label}: ${prompt}` });
      set({ said: t("models.painting") });
    } catch (error) {
      set({ error });
    }
  };
  return html`<div class="lb-samples">
    <h3>${t("models.samples")}</h3>
    ${found && (found.data.length > 0
      ? html`<div class="lb-strip">${found.data.map((one) => html`<${Picture} key=${one.id} id=${one.id} side=${120} alt=${one.prompt || label} onClick=${() => go(`/picture/${one.id}`)} />`)}</div>`
      : html`<p class="help">${t("models.noSamples")}</p>`)}
    <form class="lb-sample" onSubmit=${(event) => { event.preventDefault(); paint(); }}>
      <${Field} label=${t("models.prompt")}><input type="text" maxlength="2000" value=${prompt} onInput=${(event) => setPrompt(event.target.value)} /><//>
      <${Button} small type="submit" icon="imagine" busy=${state.busy} disabled=${!prompt?.trim()}>${t("models.paint")}<//>
    </form>
    <p class="help" role="status">${state.said}</p>
    <${ErrorNote} error=${state.error} />
    ${found?.weights.length > 0 && html`<h3>${t("models.hashes")}</h3><ul class="lb-hashes plain">${found.weights.map((one) => html`
      <li key=${one.part}><span>${one.part}</span><span class="muted">${one.licence}</span><code>${one.sha256}</code></li>`)}</ul>`}
  </div>`;
}

/** The adapters of the collection. */
export function Adapters({ onTeach }) {
  const { rows, error } = useList("/adapters");
  if (error) return html`<${ErrorNote} error=${error} />`;
  if (rows?.length === 0) {
    return html`<${EmptyState} icon="layers" title=${t("adapters.none")} text=${t("adapters.noneText")}>
      <code class="lb-command">fantascope adapters add FILE</code>
      <${Button} kind="primary" onClick=${onTeach}>${t("library.personalise")}<//><//>`;
  }
  return html`<ul class="lb-cards plain">${(rows || []).map((one) => html`<${Adapter} key=${one.name} adapter=${one} />`)}</ul>`;
}

function Adapter({ adapter }) {
  const [open, show] = useState(false);
  return html`<li class="card lb-card">
    <h2>${adapter.title}</h2>
    <p class="help"><code>${adapter.name}</code></p>
    ${adapter.samples && html`<${Grown} src=${adapter.samples} alt=${t("adapters.samples", { name: adapter.name })} />`}
    <${Facts} rows=${[
      ["models.licence", html`<${Licence} licence=${adapter.licence} />`],
      ["adapters.changes", t("adapters.changesText", adapter)],
      ["adapters.trigger", adapter.trigger.join(", ")],
      ["adapters.size", adapter.size === null ? t("adapters.noFile") : t("models.mib", { n: number(adapter.size / 2 ** 20, 1) })],
      ["adapters.consent", adapter.consent],
      ["adapters.doubts", adapter.doubts.length > 0 && html`<span class="tag warn">${adapter.doubts.join(" ")}</span>`],
      ["adapters.parents", adapter.parents.join(", ")],
      ["adapters.created", adapter.created && moment(adapter.created, "date")],
      ["adapters.hash", html`<code>${adapter.sha256}</code>`],
    ].filter(([, value]) => value)} />
    <details open=${open} onToggle=${(event) => show(event.target.open)}>
      <summary>${t("adapters.paint")}</summary>
      ${open && html`<${AdapterSamples} adapter=${adapter} />`}
    </details>
  </li>`;
}

/** The grid of samples that an adapter came with; nothing where it is gone. */
function Grown({ src, alt }) {
  const [gone, lose] = useState(false);
  return !gone && html`<a class="lb-grown" href=${src} target="_blank" rel="noopener"><img src=${src} alt=${alt} loading="lazy" onError=${() => lose(true)} /></a>`;
}

/** Pictures painted here with an adapter: the gallery does not search by adapter, so their ids are remembered. */
function AdapterSamples({ adapter }) {
  const [ids, keep] = useStored(`library.adapter.${adapter.name}`, []);
  useEffect(() => onEnded((job) => job.meta?.sample === adapter.name && keep(job.artifacts || [])), [adapter.name]);
  return html`<${Samples} ids=${ids} fields=${{ adapters: [{ name: adapter.name }] }} label=${adapter.name} hashes />`;
}
