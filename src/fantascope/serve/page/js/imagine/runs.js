// The runs of this browser: what was asked, as it was asked, and what came of it. They survive a refresh.
import { useEffect } from "../lib.js";
import { api, newKey, submit } from "../api.js";
import { jobs, loadMe, recall, remember, track, useStored, useTracked } from "../store.js";
import { t } from "../i18n.js";

export const RUNS = "imagine.runs";
const MOST = 60;
const ENDS = ["done", "failed", "cancelled"];
const sending = new Set();

let held = null; // where the browser's storage is full, the runs are in memory alone

function kept() {
  return held ?? recall(RUNS, []);
}

function keep(rows) {
  held = rows;
  if (remember(RUNS, rows)) held = null;
}

/** Change what is remembered of one run; nothing where it was put away meanwhile. */
function change(key, facts) {
  if (kept().some((one) => one.key === key)) keep(kept().map((one) => (one.key === key ? { ...one, ...facts } : one)));
}

/** Forget a run; its pictures stay in the library. */
export function forget(key) {
  const found = kept().find((one) => one.key === key);
  if (found?.id) jobs.dismiss(found.id);
  keep(kept().filter((one) => one.key !== key));
}

/** Take a picture that was deleted out of every run; a run that has none left goes too. */
export function without(id) {
  const left = kept().map((one) => ({ ...one, artifacts: one.artifacts?.map((made) => (made === id ? null : made)) }));
  keep(left.filter((one) => !one.artifacts?.length || one.artifacts.some(Boolean)));
}

/**
 * Start a run and return its job once it is accepted. `of` is the picture that it starts from.
 * It is remembered before it is sent, with its key: a refresh in between sends the same once more, and makes one job.
 * Throws ApiError where the server refuses it; then nothing of it is remembered.
 */
export async function start(task, fields, { of = null, prompt = "" } = {}) {
  const run = { key: newKey(), task, fields, of, prompt: fields.prompt ?? fields.instruction ?? prompt, at: Date.now(), status: "sending" };
  keep([run, ...kept()].slice(0, MOST));
  return send(run);
}

async function send(run) {
  sending.add(run.key);
  try {
    const job = run.again
      ? await api(`/gallery/${run.again}/again`, { method: "POST", headers: { "Idempotency-Key": run.key } })
      : await submit(run.task, run.fields, { key: run.key });
    accepted(run, job);
    return job;
  } catch (error) {
    if (error.code === "offline") change(run.key, { status: "sending" });
    else forget(run.key);
    throw error;
  } finally {
    sending.delete(run.key);
  }
}

function accepted(run, job) {
  const { id, n, status, quote, request } = job;
  const facts = { model: request.model, seed: request.seed, width: request.width, height: request.height };
  const prompt = run.prompt || request.prompt || "";
  change(run.key, { id, n, status, quote, ...facts, prompt, read: request.prompt ?? prompt });
  track(job, { view: "imagine", label: prompt || t(`im.task.${job.task}`) });
}

/** Run the record of a picture once more: the same seed, the same pixels, or an error. */
export function startAgain(id, prompt = "") {
  const run = { key: newKey(), task: "again", again: id, fields: {}, of: id, prompt, at: Date.now(), status: "sending" };
  keep([run, ...kept()].slice(0, MOST));
  return send(run);
}

/** Return the runs, newest first, each with what its job says now: status, artifacts, progress, previews, error. */
export function useRuns() {
  useStored(RUNS, []);
  const rows = kept();
  const live = new Map(useTracked().map((job) => [job.id, job]));
  useEffect(() => {
    const again = () => {
      for (const run of kept()) if (run.status === "sending" && !sending.has(run.key)) send(run).catch(() => {});
    };
    again();
    window.addEventListener("fs:online", again);
    return () => window.removeEventListener("fs:online", again);
  }, []);
  useEffect(() => {
    let ended = false;
    for (const run of rows) {
      const job = live.get(run.id);
      if (!run.id || ENDS.includes(run.status)) continue;
      if (job && ENDS.includes(job.status)) {
        change(run.key, { status: job.status, artifacts: job.artifacts, error: job.error });
        ended = true;
      } else if (!job) find(run);
    }
    if (ended) loadMe().catch(() => {});
  });
  return rows.map((run) => (live.has(run.id) && !ENDS.includes(run.status) ? merged(run, live.get(run.id)) : run));
}

const asked = new Set();

/** Find a job that the page follows no more. */
async function find(run) {
  if (asked.has(run.id)) return;
  asked.add(run.id);
  try {
    const job = await api(`/jobs/${run.id}`);
    if (ENDS.includes(job.status)) change(run.key, { status: job.status, artifacts: job.artifacts, error: job.error });
    else track(job, { view: "imagine" });
  } catch (error) {
    if (error.status === 404) forget(run.key);
    else asked.delete(run.id);
  }
}

function merged(run, job) {
  const { status, artifacts, progress, preview, error, line } = job;
  return { ...run, status, artifacts: artifacts ?? [], progress, preview, error, line };
}

/** End a run; what was kept stays. */
export async function cancel(run) {
  if (run.id) await jobs.cancel(run.id);
}

/** Say whether a run still goes on. */
export function open(run) {
  return !ENDS.includes(run.status);
}
