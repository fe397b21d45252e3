// What is going on: the jobs of this page, with how far they are; it is still there after a refresh.
import { html, useEffect, useRef, useState } from "../lib.js";
import { addWords, t } from "../i18n.js";
import { called } from "../say.js";
import { jobs, onEnded, useTracked } from "../store.js";
import { Button, Progress, toast } from "../parts/basic.js";
import { ErrorNote } from "../parts/errors.js";
import { Picture } from "../parts/pictures.js";

addWords({
  en: {
    "tray.open": "What is happening: {n} job at work|What is happening: {n} jobs at work", "tray.title": "What is happening", "tray.none": "Nothing is at work.", "tray.cancel": "Cancel", "tray.dismiss": "Put it away", "tray.clear": "Put away what ended",
    "tray.queued": "waits", "tray.running": "at work", "tray.done": "done", "tray.failed": "failed", "tray.cancelled": "cancelled", "tray.step": "step {step} of {steps}",
    "tray.kept": "{n} of {all}", "tray.lost": "the server does not answer", "tray.all": "All jobs", "tray.said.done": "Done: {what}", "tray.said.failed": "Failed: {what}", "tray.close": "Close",
  },
  es: {
    "tray.open": "Qué está pasando: {n} trabajo en marcha|Qué está pasando: {n} trabajos en marcha", "tray.title": "Qué está pasando", "tray.none": "No hay nada en marcha.", "tray.cancel": "Cancelar", "tray.dismiss": "Quitar de aquí", "tray.clear": "Quitar lo terminado",
    "tray.queued": "espera", "tray.running": "en marcha", "tray.done": "hecho", "tray.failed": "falló", "tray.cancelled": "cancelado", "tray.step": "paso {step} de {steps}",
    "tray.kept": "{n} de {all}", "tray.lost": "el servidor no responde", "tray.all": "Todos los trabajos", "tray.said.done": "Hecho: {what}", "tray.said.failed": "Falló: {what}", "tray.close": "Cerrar",
  },
});

const ENDS = ["done", "failed", "cancelled"];

/** How far a job is, 0 to 1, or null where nobody knows. */
export function share(job) {
  if (job.status === "done") return 1;
  const { step, steps, stage, index = 0, count = 1, total } = job.progress || {};
  if (!steps || stage === "load") return job.status === "running" ? null : 0;
  return (index + count * (step / steps)) / (total || job.n || 1);
}

/** What a job is called: what its view said, or its words. */
export function nameOf(job) {
  const said = job.meta?.label || job.request?.prompt || job.request?.instruction || called("tasks", job.task) || job.task;
  return said.length > 80 ? `${said.slice(0, 78)}…` : said;
}

function Row({ job }) {
  const [busy, work] = useState(false);
  const over = ENDS.includes(job.status);
  const cancel = async () => {
    work(true);
    try { await jobs.cancel(job.id); } catch (error) { toast(error.message, { kind: "bad" }); }
    work(false);
  };
  const words = [t(`tray.${job.status}`), job.line === false && !over && t("tray.lost"), !over && job.progress?.steps && t("tray.step", job.progress),
    job.n > 1 && t("tray.kept", { n: job.artifacts?.length || 0, all: job.n })].filter(Boolean).join(" · ");
  const results = (job.artifacts || []).slice(0, 4);
  return html`<li class="tray-job">
    <div class="tray-head"><p class="tray-name">${nameOf(job)}</p>
      ${over && html`<${Button} small kind="quiet" icon="close" label=${t("tray.dismiss")} onClick=${() => jobs.dismiss(job.id)} />`}</div>
    ${over ? html`<p class="help">${words}</p>` : html`<${Progress} value=${share(job)} label=${nameOf(job)} preview=${job.preview}>${words}<//>`}
    ${job.status === "failed" && html`<${ErrorNote} error=${job.error} />`}
    ${results.length > 0 && html`<div class="row">${results.map((id) => html`<${Picture} key=${id} id=${id} side=${64} alt=${nameOf(job)} onClick=${() => { location.hash = `#/picture/${id}`; }} />`)}</div>`}
    ${!over && html`<div class="actions"><${Button} small icon="stop" busy=${busy} onClick=${cancel}>${t("tray.cancel")}<//></div>`}
  </li>`;
}

/** The button with the count, and the list that it opens. */
export function Tray() {
  const all = useTracked();
  const [open, show] = useState(false);
  const box = useRef(null);
  const busy = all.filter((one) => !ENDS.includes(one.status));
  useEffect(() => onEnded((job) => {
    if (job.status === "failed") toast(t("tray.said.failed", { what: nameOf(job) }), { kind: "bad" });
    else if (job.status === "done" && document.hidden) toast(t("tray.said.done", { what: nameOf(job) }), { kind: "good" });
  }), []);
  useEffect(() => {
    if (!open) return undefined;
    const away = (event) => {
      if (event.type === "keydown" && event.key === "Escape") { show(false); box.current?.querySelector("button")?.focus(); }
      if (event.type === "pointerdown" && !box.current?.contains(event.target)) show(false);
    };
    const moved = () => show(false);
    document.addEventListener("pointerdown", away);
    document.addEventListener("keydown", away);
    window.addEventListener("hashchange", moved);
    return () => { document.removeEventListener("pointerdown", away); document.removeEventListener("keydown", away); window.removeEventListener("hashchange", moved); };
  }, [open]);
  const far = busy.length ? busy.reduce((sum, one) => sum + (share(one) || 0), 0) / busy.length : 0;
  return html`<div class="tray" ref=${box}>
    <button type="button" class=${`button quiet bare tray-button ${busy.length ? "busy" : ""}`} aria-expanded=${String(open)} aria-label=${t("tray.open", { n: busy.length })} title=${t("tray.title")}
      onClick=${() => show(!open)}>
      <svg class="ring" width="26" height="26" viewBox="0 0 26 26" aria-hidden="true"><circle cx="13" cy="13" r="10" class="ring-back" />
        <circle cx="13" cy="13" r="10" class="ring-front" pathLength="100" stroke-dasharray=${`${Math.round(far * 100)} 100`} /></svg>
      ${busy.length > 0 && html`<span class="tray-count">${busy.length}</span>`}</button>
    ${open && html`<section class="tray-list card" aria-label=${t("tray.title")}>
      <header class="row between"><h2>${t("tray.title")}</h2><${Button} small kind="quiet" icon="close" label=${t("tray.close")} onClick=${() => show(false)} /></header>
      ${all.length === 0 ? html`<p class="muted">${t("tray.none")}</p>` : html`<ul class="plain">${all.map((one) => html`<${Row} key=${one.id} job=${one} />`)}</ul>`}
      <footer class="row between"><a href="#/jobs">${t("tray.all")}</a>
        ${all.length > busy.length && html`<${Button} small kind="quiet" onClick=${() => jobs.clear()}>${t("tray.clear")}<//>`}</footer>
    </section>`}
  </div>`;
}
