// Jobs: what waits, runs and ended, with what can be done about each.

import { Queue, useEvery } from "../account/queue.js";
import { called } from "../say.js";
import { api } from "../api.js";
import { go } from "../app.js";
import { addWords, moment, number, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { lessonName, stageOf } from "../library/stages.js";
import { Button, EmptyState, ErrorNote, Picture, Progress, Select, toast } from "../parts.js";
import { jobs as followed, onEnded, remember, track, useMe, useTracked } from "../store.js";

addWords({
  en: {
    "jobs.title": "Jobs",
    "jobs.show": "Show",
    "jobs.all": "all",
    "jobs.queued": "waiting",
    "jobs.running": "at work",
    "jobs.done": "done",
    "jobs.failed": "failed",
    "jobs.cancelled": "cancelled",
    "jobs.none": "No jobs",
    "jobs.noneText": "A job is a request that was accepted. It ends whatever happens to the server or to this page.",
    "jobs.noneSuch": "No job is {status}.",
    "jobs.make": "Make a picture",
    "jobs.list": "Your jobs, newest first",
    "jobs.credits": "{n} credit|{n} credits",
    "jobs.pictures": "{n} picture|{n} pictures",
    "jobs.priority": "Priority",
    "jobs.priorityOf": "Priority of: {name}",
    "jobs.low": "low",
    "jobs.normal": "normal",
    "jobs.high": "high",
    "jobs.moved": "Its priority is {priority} now.",
    "jobs.lesson": "Show the lesson",
    "jobs.cancel": "Cancel",
    "jobs.retry": "Try again",
    "jobs.remove": "Forget it",
    "jobs.removed": "Forgotten. Its pictures stay in the library.",
    "jobs.named": "{what}: {name}",
    "jobs.more": "Show more",
    "jobs.step": "step {step} of {steps}",
    "jobs.lost": "The server does not answer; the job goes on.",
  },
  es: {
    "jobs.title": "Trabajos",
    "jobs.show": "Mostrar",
    "jobs.all": "todos",
    "jobs.queued": "en espera",
    "jobs.running": "en marcha",
    "jobs.done": "hecho",
    "jobs.failed": "falló",
    "jobs.cancelled": "cancelado",
    "jobs.none": "No hay trabajos",
    "jobs.noneText": "Un trabajo es una petición aceptada. Termina pase lo que pase con el servidor o con esta página.",
    "jobs.noneSuch": "Ningún trabajo está así: {status}.",
    "jobs.make": "Hacer una imagen",
    "jobs.list": "Sus trabajos, los nuevos primero",
    "jobs.credits": "{n} crédito|{n} créditos",
    "jobs.pictures": "{n} imagen|{n} imágenes",
    "jobs.priority": "Prioridad",
    "jobs.priorityOf": "Prioridad de: {name}",
    "jobs.low": "baja",
    "jobs.normal": "normal",
    "jobs.high": "alta",
    "jobs.moved": "Su prioridad es ahora {priority}.",
    "jobs.lesson": "Mostrar la lección",
    "jobs.cancel": "Cancelar",
    "jobs.retry": "Intentarlo otra vez",
    "jobs.remove": "Olvidarlo",
    "jobs.removed": "Olvidado. Sus imágenes siguen en la biblioteca.",
    "jobs.named": "{what}: {name}",
    "jobs.more": "Mostrar más",
    "jobs.step": "paso {step} de {steps}",
    "jobs.lost": "El servidor no responde; el trabajo sigue.",
  },
});

const PAGE = 30;
const STATES = ["queued", "running", "done", "failed", "cancelled"];
const OPEN = ["queued", "running"];
const PRIORITIES = ["low", "normal", "high"];
const TONES = { done: "good", failed: "bad", cancelled: "warn", running: "accent", queued: "" };

/** The page `#/jobs`. */
export default function Jobs() {
  const me = useMe();
  const tracked = useTracked();
  const [status, choose] = useState(null);
  const [count, grow] = useState(PAGE);
  const [found, show] = useState({ rows: null, error: null });
  const read = async () => {
    const told = new URLSearchParams({ limit: String(count), ...(status ? { status } : {}) });
    try {
      const rows = (await api(`/jobs?${told}`)).data;
      for (const job of rows) if (OPEN.includes(job.status) && !followed.get(job.id)) track(job, { view: "jobs" });
      show({ rows, error: null });
    } catch (error) {
      show((old) => ({ ...old, error }));
    }
  };
  useEvery(read, 5000, [status, count]);
  useEffect(() => onEnded(read), [status, count]);
  const rows = (found.rows || []).map((job) => {
    const live = tracked.find((one) => one.id === job.id);
    return live && OPEN.includes(job.status) ? { ...job, ...without(live, ["request", "created", "priority", "quote"]) } : job;
  });
  const options = STATES.map((one) => ({ value: one, label: t(`jobs.${one}`) }));
  return html`<div class="page jb">
    <div class="row between"><h1>${t("jobs.title")}</h1>
      <${Select} label=${t("jobs.show")} value=${status} empty=${t("jobs.all")} options=${options} onChange=${choose} /></div>
    ${me?.operator && html`<${Queue} />`}
    <${ErrorNote} error=${found.error} onRetry=${read} />
    ${found.rows?.length === 0 && (status
      ? html`<p role="status">${t("jobs.noneSuch", { status: t(`jobs.${status}`) })}</p>`
      : html`<${EmptyState} icon="jobs" title=${t("jobs.none")} text=${t("jobs.noneText")}>
          <${Button} kind="primary" onClick=${() => go("imagine")}>${t("jobs.make")}<//><//>`)}
    <ul class="jb-list plain" aria-label=${t("jobs.list")}>
      ${rows.map((job) => html`<${Job} key=${job.id} job=${job} onChange=${read} />`)}
    </ul>
    ${rows.length === count && count < 200 && html`<${Button} kind="quiet" onClick=${() => grow(Math.min(200, count + PAGE))}>${t("jobs.more")}<//>`}
  </div>`;
}

function without(row, names) {
  return Object.fromEntries(Object.entries(row).filter(([name, value]) => !names.includes(name) && value !== undefined));
}

function isLesson(job) {
  return job.task === "personalise" && Boolean(job.request);
}

/** What a job is called: its words, or its task. */
function nameOf(job) {
  if (isLesson(job)) return lessonName(job);
  return job.request?.instruction || job.request?.prompt || job.task;
}

/** How far a job is, 0 to 1; null where nobody knows. */
function share(job) {
  const { step, steps, index = 0, count = 1, total } = job.progress || {};
  if (!steps) return job.status === "running" ? null : 0;
  return (index + count * (step / steps)) / (total || job.n || 1);
}

/** One job, and what can be done about it. */
function Job({ job, onChange }) {
  const [busy, work] = useState(false);
  const name = nameOf(job);
  const open = OPEN.includes(job.status);
  const act = (run) => async () => {
    work(true);
    try {
      await run();
    } catch (error) {
      toast([error.message, error.hint].filter(Boolean).join(" "), { kind: "bad" });
    }
    work(false);
    onChange();
  };
  const cancel = act(() => (followed.get(job.id) ? followed.cancel(job.id) : api(`/jobs/${job.id}/cancel`, { method: "POST" })));
  const retry = act(async () => { track(await api(`/jobs/${job.id}/retry`, { method: "POST" }), { view: "jobs" }); });
  const remove = act(async () => {
    await api(`/jobs/${job.id}`, { method: "DELETE" });
    followed.dismiss(job.id);
    toast(t("jobs.removed"), { kind: "good" });
  });
  const tool = (key, icon, run, kind) => html`<${Button} small icon=${icon} kind=${kind} busy=${busy} onClick=${run}
    label=${t("jobs.named", { what: t(`jobs.${key}`), name })}>${t(`jobs.${key}`)}<//>`;
  const lesson = isLesson(job);
  const show = () => { remember("library.lessonJob", job.id); go("library?tab=personalise"); };
  const facts = [moment(job.created), !lesson && t("jobs.pictures", { n: job.n }), t("jobs.credits", { n: number(job.quote, 3) })].filter(Boolean).join(" · ");
  return html`<li class="card jb-job" data-id=${job.id}>
    <header><h2>${name}</h2>
      <p class="row"><span class="tag">${called("tasks", job.task) ?? job.task}</span><span class=${`tag ${TONES[job.status]}`}>${t(`jobs.${job.status}`)}</span><span class="muted">${facts}</span></p></header>
    ${open && html`<${Progress} label=${name} value=${share(job)} preview=${job.preview}>
      ${job.line === false ? t("jobs.lost") : lesson ? stageOf(job) : job.progress?.steps ? t("jobs.step", job.progress) : t(`jobs.${job.status}`)}<//>`}
    ${job.status === "failed" && html`<${ErrorNote} error=${job.error} />`}
    ${job.artifacts?.length > 0 && html`<div class="lb-strip">${job.artifacts.map((id, k) => html`<${Picture} key=${id} id=${id} side=${96}
      alt=${job.artifacts.length > 1 ? `${name} ${k + 1}` : name} onClick=${() => go(`picture/${id}`)} />`)}</div>`}
    <div class="actions">
      ${job.status === "queued" && html`<${Rank} job=${job} act=${act} name=${name} />`}
      ${lesson && tool("lesson", "person", show, "quiet")}
      ${open ? tool("cancel", "stop", cancel) : tool("remove", "trash", remove, "quiet")}
      ${(job.status === "failed" || job.status === "cancelled") && tool("retry", "retry", retry)}
    </div>
  </li>`;
}

/** The priority of a job that waits. */
function Rank({ job, act, name }) {
  const change = (priority) => act(async () => {
    if (priority === job.priority) return;
    await api(`/jobs/${job.id}`, { method: "PATCH", body: { priority } });
    toast(t("jobs.moved", { priority: t(`jobs.${priority}`) }), { kind: "good" });
  })();
  return html`<${Select} label=${t("jobs.priorityOf", { name })} hideLabel value=${job.priority} onChange=${change}
    options=${PRIORITIES.map((one) => ({ value: one, label: `${t("jobs.priority")}: ${t(`jobs.${one}`)}` }))} />`;
}
