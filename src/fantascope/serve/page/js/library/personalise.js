// Personalise: photos are dropped and looked at, the subject is named, and the lesson is given here.

import { api, newKey, once, pause, upload } from "../api.js";
import { number, t } from "../i18n.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Button, dropFiles, ErrorNote, Field, fieldsOf, Icon, Picture, pickFiles, Select } from "../parts.js";
import { said } from "../say.js";
import { track, useStored } from "../store.js";
import { Lesson } from "./lesson.js";
import "./lesson_words.js";

const FRESH = { name: "", kind: "", licence: "", consent: "", people: "", method: "lora", base: null, more: {} };
const LICENCES = ["CC0-1.0", "CC-BY-4.0", "LicenseRef-Private"];
const FIGURES = ["steps", "rank", "rate", "batch", "prior", "class_pictures", "variants", "companions", "tokens", "pictures", "samples", "seed"];
const TONES = { good: "good", enlarged: "good", same: "warn", alike: "warn", small: "bad", broken: "bad", refused: "bad", person: "bad" };
const NAMES = { class: "kind" }; // the server calls the field by the option of its command
const ASKED = ["name", "kind", "licence", "consent"];
const LATER = 500;

/** The tab where a subject is taught. */
export function Personalise() {
  const [job, follow] = useStored("library.lessonJob", null);
  const [told, know] = useState({ options: null, error: null });
  useEffect(() => { once("/personalise").then((options) => know({ options, error: null }), (error) => know({ options: null, error })); }, []);
  useEffect(() => { if (!job) running().then((id) => id && follow(id)); }, []);
  if (told.error) return html`<${ErrorNote} error=${told.error} />`;
  if (!told.options) return html`<p class="muted" role="status">${t("app.loading")}</p>`;
  if (!told.options.ready) return html`<p class="card">${t("personal.absent")}</p>`;
  return html`<div class="ps">
    <p>${t("personal.intro")}</p>
    ${job ? html`<${Lesson} key=${job} id=${job} onAgain=${(next) => follow(next.id)} onClose=${() => follow(null)} />`
      : html`<${Form} options=${told.options} onStarted=${(made) => {
          track(made, { view: "library", lesson: true, label: t("personal.task", made.request) });
          follow(made.id);
        }} />`}
  </div>`;
}

/** The lesson that is going on, if there is one that this browser does not know of. */
async function running() {
  try {
    const open = (await api("/jobs?limit=50")).data.filter((one) => one.task === "personalise" && ["queued", "running"].includes(one.status));
    return open[0]?.id ?? null;
  } catch {
    return null;
  }
}

function Form({ options, onStarted }) {
  const [lesson, change] = useStored("library.lesson", FRESH);
  const [photos, keep] = useStored("library.lessonPhotos", []);
  const [state, set] = useState({});
  const form = { ...FRESH, ...lesson };
  const put = (name) => (value) => change((old) => ({ ...FRESH, ...old, [name]: value }));
  const base = options.bases.find((one) => one.name === (form.base ?? options.default)) ?? options.bases[0];
  const methods = Object.keys(base?.methods ?? {});
  const request = requestOf(form, photos, methods);
  const { found, busy } = useCheck(request);
  const hand = useHanding(keep, options.most);
  const problem = (name) => found?.problems.find((one) => (NAMES[one.param] ?? one.param) === name && form[name]?.trim?.());
  const text = (name, more = {}) => html`<${Field} label=${t(`personal.${name}`)} help=${t(`personal.${name}Help`)} error=${problem(name) && said(problem(name).message)}>
    <input type="text" maxlength=${name === "name" || name === "kind" ? 64 : 2000} value=${form[name]} onInput=${(event) => put(name)(event.target.value)} ...${more} /><//>`;
  const start = async () => {
    set({ busy: true });
    try {
      onStarted(await api("/personalise", { body: request, headers: { "Idempotency-Key": newKey() } }));
      keep([]);
      change((old) => ({ ...FRESH, licence: old.licence, consent: old.consent, method: old.method, base: old.base }));
    } catch (error) {
      set({ error });
    }
  };
  return html`<${Photos} photos=${photos} found=${found} hand=${hand} onChange=${keep} />
    <section class="card ps-part" aria-labelledby="ps-about"><h2 id="ps-about">${t("personal.about")}</h2>
      <div class="form">${text("name", { autocapitalize: "off", spellcheck: false })}${text("kind")}
        ${options.bases.length > 1 && html`<${Select} label=${t("personal.base")} value=${base.name} options=${options.bases.map((one) => ({ value: one.name, label: one.title }))} onChange=${put("base")} />`}
        <${Select} label=${t("personal.method")} value=${methods.includes(form.method) ? form.method : methods[0]} options=${methods} onChange=${put("method")} /></div></section>
    <section class="card ps-part" aria-labelledby="ps-rights"><h2 id="ps-rights">${t("personal.rights")}</h2>
      <div class="form">${text("licence", { list: "ps-licences", spellcheck: false })}<datalist id="ps-licences">${LICENCES.map((one) => html`<option key=${one} value=${one} />`)}</datalist>
        ${text("consent")}${text("people")}</div></section>
    <details class="card ps-part"><summary>${t("personal.more")}</summary>
      <${More} schema=${options.request} usual=${base?.methods[form.method] ?? {}} value=${form.more} onChange=${put("more")} /></details>
    <${Verdict} found=${found} busy=${busy} photos=${photos} form=${form} />
    <${ErrorNote} error=${state.error} />
    <div class="actions"><${Button} kind="primary" icon="person" busy=${state.busy} disabled=${!found?.ok || busy || hand.left > 0} onClick=${start}>${t("personal.start")}<//></div>`;
}

/** The request of a form: what is not said is left out. */
function requestOf(form, photos, methods) {
  const good = photos.filter((one) => one.id);
  const captions = good.some((one) => one.caption?.trim()) ? { captions: good.map((one) => one.caption?.trim() ?? "") } : {};
  const { name, kind, licence, consent, people, base, more } = form;
  const method = methods.includes(form.method) ? form.method : methods[0];
  const figures = Object.fromEntries(Object.entries(more).filter(([, value]) => value !== undefined && value !== null));
  return { ...figures, photos: good.map((one) => one.id), ...captions, name: name.trim(), kind: kind.trim(), licence: licence.trim(), consent: consent.trim(), people: people.trim(), method, ...(base ? { base } : {}) };
}

/** Have the server look at photos and words, a moment after the last change. */
function useCheck(request) {
  const [state, set] = useState({ found: null, busy: false, error: null });
  const asked = JSON.stringify(request);
  useEffect(() => {
    const stop = new AbortController();
    if (request.photos.length === 0) { set({ found: null, busy: false }); return undefined; }
    set((old) => ({ ...old, busy: true }));
    pause(LATER, stop.signal).then(() => api("/personalise/check", { body: request, signal: stop.signal })).then(
      (found) => set({ found: { ...found, ids: request.photos }, busy: false }),
      (error) => { if (error.name !== "AbortError") set({ found: { ok: false, ids: [], photos: [], notes: [], credits: null, problems: [error] }, busy: false }); },
    );
    return () => stop.abort();
  }, [asked]);
  return state;
}

/** Hand files in one after the other; a file that is no picture stays in the list, with why. */
function useHanding(keep, most) {
  const [left, count] = useState(0);
  const line = useRef(Promise.resolve());
  const take = (files) => {
    count((n) => n + files.length);
    for (const file of files) {
      line.current = line.current.then(async () => {
        let photo;
        try {
          photo = { name: file.name, id: (await upload(file)).id };
        } catch (error) {
          photo = { name: file.name, id: null, wrong: error.message };
        }
        keep((old) => [...old.filter((one) => one.name !== photo.name || one.id !== photo.id), photo].slice(0, most));
        count((n) => n - 1);
      });
    }
  };
  const drag = (id) => keep((old) => (old.some((one) => one.id === id) ? old : [...old, { name: id.slice(7, 15), id }].slice(0, most)));
  return { left, take, drag, most };
}

function Photos({ photos, found, hand, onChange }) {
  const put = (photo, more) => onChange((old) => old.map((one) => (one.name === photo.name && one.id === photo.id ? { ...one, ...more } : one)));
  const out = (photo) => onChange((old) => old.filter((one) => one.name !== photo.name || one.id !== photo.id));
  return html`<section aria-label=${t("personal.photos")} class="vf-drop" tabindex="-1" ...${dropFiles(hand.take, { most: hand.most, kinds: "any", onId: hand.drag })}>
    <${Icon} name="upload" size=${28} /><p>${t("personal.drop")}</p><p class="help">${t("personal.where")}</p>
    <${Button} onClick=${async () => hand.take(await pickFiles({ multiple: true, most: hand.most, kinds: "any" }))}>${t("personal.choose")}<//>
    <p class="help" role="status">${hand.left > 0 ? t("personal.handing", { n: hand.left }) : ""}</p>
    ${photos.length > 0 && html`<ul class="ps-photos plain">${photos.map((photo) => html`<${Photo} key=${`${photo.id}-${photo.name}`} photo=${photo}
      verdict=${verdictOf(photo, found, photos)} onCaption=${(caption) => put(photo, { caption })} onRemove=${() => out(photo)} />`)}</ul>`}
  </section>`;
}

function verdictOf(photo, found, photos) {
  if (!photo.id) return { verdict: "broken", text: said(photo.wrong) };
  const k = photos.filter((one) => one.id).indexOf(photo); // not by its id: a file may be there twice
  const told = found?.ids[k] === photo.id ? found.photos[k] : null;
  return told ? { verdict: told.verdict, text: spoken(told.text, photos) } : { verdict: "waits", text: "" };
}

function Photo({ photo, verdict, onCaption, onRemove }) {
  return html`<li class="ps-photo" data-verdict=${verdict.verdict}>
    ${photo.id ? html`<${Picture} id=${photo.id} side=${160} alt=${photo.name} />` : html`<span class="ps-none"><${Icon} name="warning" size=${28} /></span>`}
    <${Button} small kind="plain" icon="close" label=${t("personal.takeOut", { name: photo.name })} onClick=${onRemove} />
    <p class="ps-name">${photo.name}</p>
    <p><span class=${`tag ${TONES[verdict.verdict] ?? ""}`}>${t(`personal.verdict.${verdict.verdict}`)}</span></p>
    ${verdict.text && verdict.verdict !== "good" && html`<p class="help">${verdict.text}</p>`}
    ${photo.id && html`<input type="text" maxlength="400" aria-label=${t("personal.caption", { name: photo.name })} placeholder=${t("personal.captionHint")}
      value=${photo.caption ?? ""} onInput=${(event) => onCaption(event.target.value)} />`}
  </li>`;
}

/** The figures of the training; what is left empty is the default of model and method. */
function More({ schema, usual, value, onChange }) {
  const known = fieldsOf(schema).filter((one) => FIGURES.includes(one.name) && (one.name in usual || ["samples", "seed"].includes(one.name)));
  const write = (one) => (event) => {
    const text = event.target.value;
    const next = { ...value };
    if (text === "" || !Number.isFinite(Number(text))) delete next[one.name];
    else next[one.name] = one.part.type === "integer" ? Math.round(Number(text)) : Number(text);
    onChange(next);
  };
  return html`<div class="form">${known.map((one) => {
    const auto = usual[one.name] ?? one.part.default;
    return html`<${Field} key=${one.name} label=${t(`personal.field.${one.name}`)} help=${[one.help, auto !== undefined && t("personal.auto", { value: number(auto, 6) })].filter(Boolean).join("; ")}>
      <input type="number" min=${one.part.minimum} max=${one.part.maximum} step=${one.part.type === "integer" ? 1 : "any"} placeholder=${auto} value=${value[one.name] ?? ""} onInput=${write(one)} /><//>`;
  })}</div>`;
}

/** A sentence of the server, with the photos by the names of their files. */
function spoken(text, photos) {
  const good = photos.filter((one) => one.id);
  return said(text.replace(/\bphoto (\d+)\b/g, (whole, k) => good[k - 1]?.name ?? whole));
}

/** What a problem asks for: of a field that is empty, in the words of this page. */
function todo(problem, form, photos) {
  const name = NAMES[problem.param] ?? problem.param;
  return ASKED.includes(name) && !form[name].trim() ? t(`personal.todo.${name}`) : spoken(problem.message, photos);
}

/** What is still to do, what is good to know, and what it costs. */
function Verdict({ found, busy, photos, form }) {
  if (photos.length === 0) return null;
  const problems = [...new Set((found?.problems ?? []).map((one) => todo(one, form, photos)))];
  return html`<section class="card ps-part ps-verdict" aria-live="polite" aria-busy=${busy ? "true" : "false"} data-ok=${String(Boolean(found?.ok))}>
    ${busy && html`<p>${t("personal.busy")}</p>`}
    ${problems.length > 0 && html`<h2>${t("personal.todo")}</h2><ul>${problems.map((one) => html`<li key=${one}>${one}</li>`)}</ul>`}
    ${found?.ok && html`<p>${t("personal.ready")} ${found.credits === 0 ? t("personal.free") : t("personal.credits", { n: number(found.credits, 3) })}</p>`}
    ${found?.notes.length > 0 && html`<details><summary>${t("personal.notes")}</summary><ul>${found.notes.map((note) => html`<li key=${note}>${spoken(note, photos)}</li>`)}</ul></details>`}
  </section>`;
}
