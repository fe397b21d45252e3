// A lesson that was handed in: how far it is, what it paints by now, and at the end what it made.

import { api, BASE, forget as forgetCache } from "../api.js";
import { go } from "../app.js";
import { number, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, ErrorNote, Icon, Picture, Progress, toast } from "../parts.js";
import { FRESH } from "../imagine/form.js";
import { said } from "../say.js";
import { jobs, recall, remember, track, useTracked } from "../store.js";
import { stageOf } from "./stages.js";
import "./lesson_words.js";

const OPEN = ["queued", "running"];
const BEAT = 4000;

/** A lesson by the id of its job. onAgain(job) follows another job; onClose() goes back to the photos. */
export function Lesson({ id, onAgain, onClose }) {
  const tracked = useTracked().find((one) => one.id === id);
  const { job, lesson, error } = useLesson(id, tracked?.status);
  const [busy, work] = useState(false);
  if (!job) return html`<${ErrorNote} error=${error} />${error && html`<${Button} onClick=${onClose}>${t("personal.back")}<//>`}`;
  const live = tracked && OPEN.includes(job.status) && OPEN.includes(tracked.status); // else the record says how it ended
  const now = live ? { ...job, status: tracked.status, progress: tracked.progress ?? job.progress, line: tracked.line } : job;
  const act = (run) => async () => {
    work(true);
    try {
      await run();
    } catch (failed) {
      toast([failed.message, failed.hint].filter(Boolean).map(said).join(" "), { kind: "bad" });
    }
    work(false);
  };
  const cancel = act(() => (jobs.get(id) ? jobs.cancel(id) : api(`/jobs/${id}/cancel`, { method: "POST" })));
  const again = act(async () => onAgain(await api(`/jobs/${id}/retry`, { method: "POST" })));
  const open = OPEN.includes(now.status);
  return html`<section class="card ps-lesson" aria-labelledby="ps-lesson" data-status=${now.status}>
    <header class="row between"><h2 id="ps-lesson">${t("personal.lesson", now.request)}</h2>
      ${open && html`<${Button} small icon="stop" busy=${busy} onClick=${cancel}>${t("personal.cancel")}<//>`}</header>
    ${open && html`<${Going} job=${now} lesson=${lesson} />`}
    ${now.status === "failed" && html`<${ErrorNote} error=${now.error} onRetry=${again} />`}
    ${now.status === "cancelled" && html`<p role="status">${t("personal.cancelled")}</p>`}
    ${now.status === "done" && html`<${Made} job=${now} />`}
    ${!open && html`<div class="actions">
      ${now.status === "done" && html`<${Button} kind="primary" icon="imagine" onClick=${() => use(now)}>${t("personal.use")}<//>`}
      <${Button} onClick=${onClose}>${t(now.status === "done" ? "personal.new" : "personal.back")}<//></div>`}
  </section>`;
}

/** Ask for a lesson now, from time to time while it goes on, and once more when it has ended. */
function useLesson(id, status) {
  const [found, show] = useState({ job: null, lesson: null, error: null });
  useEffect(() => {
    let here = true;
    const read = async () => {
      try {
        const [job, lesson] = await Promise.all([api(`/jobs/${id}`), api(`/jobs/${id}/lesson`)]);
        if (!here) return;
        if (OPEN.includes(job.status) && !jobs.get(id)) track(job, { view: "library", lesson: true, label: t("personal.task", job.request) });
        if (job.status === "done") forgetCache(); // the lists of models and adapters have one more
        show({ job, lesson, error: null });
        if (!OPEN.includes(job.status)) clearInterval(timer);
      } catch (error) {
        if (here) show((old) => ({ ...old, error }));
      }
    };
    const timer = setInterval(read, BEAT);
    read();
    return () => { here = false; clearInterval(timer); };
  }, [id, status]);
  return found;
}

function Going({ job, lesson }) {
  const told = job.progress;
  const sheet = told?.sheet ?? lesson?.sheets.at(-1) ?? null;
  const first = job.request.pictures;
  return html`<${Progress} label=${t("personal.task", job.request)} value=${told?.steps ? told.step / told.steps : job.status === "running" ? null : 0}>
      <span role="status">${job.line === false ? t("personal.lost") : stageOf(job)}</span><//>
    <${Curve} points=${lesson?.curve ?? []} />
    ${sheet !== null
      ? html`<figure class="ps-sheet"><img src=${`${BASE}/jobs/${job.id}/sheet?step=${sheet}`} alt=${t("personal.sheet", { step: sheet })} key=${sheet} />
          <figcaption class="help">${t("personal.sheetTitle", { step: sheet })}</figcaption></figure>`
      : first && html`<p class="help">${t("personal.noSheet", { n: first })}</p>`}`;
}

/** The loss by step, as a line. */
function Curve({ points }) {
  if (points.length < 2) return null;
  const losses = points.map((one) => one.loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const [from, to] = [points[0].step, points.at(-1).step];
  const at = (one) => `${(((one.step - from) / (to - from)) * 400).toFixed(1)},${(76 - ((one.loss - low) / (high - low || 1)) * 72).toFixed(1)}`;
  const told = { first: number(losses[0], 4), last: number(losses.at(-1), 4), steps: to };
  return html`<figure class="ps-curve"><svg viewBox="0 0 400 80" preserveAspectRatio="none" role="img" aria-label=${t("personal.curve", told)}><polyline points=${points.map(at).join(" ")} /></svg>
    <figcaption class="help">${t("personal.curve", told)}</figcaption></figure>`;
}

function took(seconds) {
  return seconds < 100 ? t("personal.seconds", { n: Math.round(seconds) }) : t("personal.minutes", { n: Math.round(seconds / 60) });
}

/** Open Imagine with what a lesson made. */
function use(job) {
  const { name, kind, trigger } = job.taught;
  const made = kind === "model" ? { model: name } : { model: job.request.base ?? null, adapters: [{ name, weight: 1 }] };
  remember("imagine.form", { ...FRESH, ...recall("imagine.form", FRESH), adapters: [], ...made });
  remember("imagine.prompt", t("personal.prompt", { trigger }));
  go("imagine");
}

function Made({ job }) {
  const { name, bytes, samples, seconds, notes } = job.taught;
  return html`<p class="row" role="status"><${Icon} name="check" /><span>${t("personal.done", { name, size: number(bytes / 1000, 0), time: took(seconds) })}</span></p>
    ${samples && html`<div class="ps-samples"><${Picture} id=${samples} side=${720} alt=${t("personal.samples", { name })} onClick=${() => go(`picture/${samples}`)} /></div>`}
    ${notes.length > 0 && html`<details><summary>${t("personal.notes")}</summary><ul>${notes.map((note) => html`<li key=${note}>${said(note)}</li>`)}</ul></details>`}`;
}
