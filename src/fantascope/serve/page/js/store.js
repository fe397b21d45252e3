// What the page remembers in localStorage, and the jobs it follows. (Canvases are kept by canvas/saves.js.)
// Everything is apart for each account; theme and language are the browser's.
import { useEffect, useState } from "./lib.js";
import { api, follow, forget, pause } from "./api.js";

const SHARED = ["theme", "lang"];
const heard = new EventTarget();
const STREAMS = 3;
const ENDS = ["done", "failed", "cancelled"];

/** The account: GET /account, or null before anybody is known. */
export let me = null;

/** Ask who is here; every later `me` is that. Throws ApiError. */
export async function loadMe() {
  const found = await api("/account");
  if (me && me.account !== found.account) forget();
  const other = me?.account !== found.account;
  me = found;
  if (other) takeUp();
  say("me");
  return me;
}

/** Nobody is here any more. */
export function leaveMe() {
  for (const one of following.values()) one.abort();
  following.clear();
  rows = [];
  me = null;
  forget();
  say("me");
  say("jobs");
}

/** The account, drawn again when it changes. */
export function useMe() {
  useTurn("me");
  return me;
}

function say(name) { heard.dispatchEvent(new Event(name)); }

function useTurn(name) {
  const [, turn] = useState(0);
  useEffect(() => {
    const changed = () => turn((k) => k + 1);
    heard.addEventListener(name, changed);
    return () => heard.removeEventListener(name, changed);
  }, [name]);
}

function place(key) { return SHARED.includes(key) ? `fs:${key}` : `fs:${me?.account ?? ""}:${key}`; }

const held = new Map(); // what the browser had no room for

/** What was remembered under a key, or `fallback`. Never throws. */
export function recall(key, fallback = null) {
  try {
    const found = held.get(place(key)) ?? localStorage.getItem(place(key));
    return found === null ? fallback : JSON.parse(found);
  } catch {
    return fallback;
  }
}

/**
 * Remember a value (JSON); null or undefined forgets it. Never throws. Where the browser has no room, it is remembered
 * until the page is closed, and this says false.
 */
export function remember(key, value) {
  let good = true;
  held.delete(place(key));
  try {
    if (value === null || value === undefined) localStorage.removeItem(place(key));
    else localStorage.setItem(place(key), JSON.stringify(value));
  } catch {
    held.set(place(key), JSON.stringify(value ?? null));
    good = false;
  }
  say(`key:${key}`);
  return good;
}

window.addEventListener("storage", (event) => {
  if (!event.key?.startsWith("fs:")) return;
  const key = SHARED.includes(event.key.slice(3)) ? event.key.slice(3) : event.key.split(":").slice(2).join(":");
  if (event.key === place(key)) say(key === TRACKED ? "jobs:elsewhere" : `key:${key}`);
});

/** Like useState, remembered over a refresh and the same in every place that uses the key, in other tabs too. */
export function useStored(key, fallback) {
  const [value, show] = useState(() => recall(key, fallback));
  useEffect(() => {
    const changed = () => show(recall(key, fallback));
    changed();
    heard.addEventListener(`key:${key}`, changed);
    return () => heard.removeEventListener(`key:${key}`, changed);
  }, [key]);
  const put = (next) => {
    const given = typeof next === "function" ? next(recall(key, fallback)) : next;
    show(given);
    remember(key, given);
  };
  return [value, put];
}

// Jobs

const TRACKED = "tracked";
let rows = [];
const following = new Map();
const waiting = new Map();

/**
 * Follow a job from now on, over a refresh and a restart of the server, and return a promise of the ended job.
 * `meta` is whatever the view wants to find again: { view, label, … }, plain JSON.
 */
export function track(job, meta = {}) {
  const kept = rows.find((one) => one.id === job.id);
  if (kept) Object.assign(kept, { meta: { ...kept.meta, ...meta } });
  else rows = [{ ...row(job), meta, preview: null, line: true, since: Date.now() }, ...rows];
  store();
  arrange();
  const found = rows.find((one) => one.id === job.id);
  if (ENDS.includes(found.status)) return Promise.resolve(found);
  return new Promise((good) => waiting.set(job.id, [...(waiting.get(job.id) || []), good]));
}

/** The jobs that are followed, newest first, each { id, task, status, n, artifacts, progress, error, quote, request,
 *  meta, preview, line }; `preview` is a data URL, `line` is false while the server is not there. */
export function useTracked() {
  useTurn("jobs");
  return rows;
}

export const jobs = {
  list: () => rows,
  get: (id) => rows.find((one) => one.id === id) || null,
  /** Cancel it on the server; what was kept stays. */
  cancel: async (id) => { change(id, row(await api(`/jobs/${id}/cancel`, { method: "POST" }))); },
  /** Follow it no more; the job itself goes on. */
  dismiss: (id) => {
    following.get(id)?.abort();
    following.delete(id);
    const found = jobs.get(id);
    rows = rows.filter((one) => one.id !== id);
    for (const good of waiting.get(id) || []) good({ ...found, status: "cancelled" }); // it is not on the server any more
    waiting.delete(id);
    store();
    say("jobs");
  },
  /** Follow no more what has ended. */
  clear: () => { for (const one of rows.filter((some) => ENDS.includes(some.status))) jobs.dismiss(one.id); },
};

function row(job) {
  const { id, task, status, n, artifacts, progress, error, quote, request, created, priority } = job;
  return { id, task, status, n, artifacts, progress, error, quote, request, created, priority };
}

function store() {
  remember(TRACKED, rows.slice(0, 40).map(({ id, task, status, n, artifacts, meta, since }) => ({ id, task, status, n, artifacts, meta, since })));
}

function takeUp() {
  rows = recall(TRACKED, []).map((one) => ({ progress: null, error: null, preview: null, line: true, ...one }));
  say("jobs");
  arrange();
  poll(rows.map((one) => one.id));
}

heard.addEventListener("jobs:elsewhere", () => {
  const known = new Set(rows.map((one) => one.id)), told = recall(TRACKED, []), there = new Set(told.map((one) => one.id));
  const more = told.filter((one) => !known.has(one.id));
  const left = rows.filter((one) => there.has(one.id) || !ENDS.includes(one.status)); // another tab put the others away
  rows = [...more.map((one) => ({ progress: null, error: null, preview: null, line: true, ...one })), ...left];
  say("jobs");
  arrange();
});

function change(id, facts) {
  const found = rows.find((one) => one.id === id);
  if (!found) return;
  const before = found.status;
  rows = rows.map((one) => (one.id === id ? { ...one, ...facts } : one));
  const now = rows.find((one) => one.id === id);
  if (ENDS.includes(now.status)) {
    Object.assign(now, { preview: null, progress: null }); // the pictures of its steps are wanted no more
    following.get(id)?.abort();
    following.delete(id);
    for (const good of waiting.get(id) || []) good(now);
    waiting.delete(id);
    if (!ENDS.includes(before)) heard.dispatchEvent(new CustomEvent("ended", { detail: now }));
    arrange();
  }
  if (before !== now.status || facts.artifacts) store();
  say("jobs");
}

/** Call `tell(job)` when a followed job ends; returns what stops that. */
export function onEnded(tell) {
  const told = (event) => tell(event.detail);
  heard.addEventListener("ended", told);
  return () => heard.removeEventListener("ended", told);
}

/** Streams for the first few while the page is seen: a browser has six lines to a server, for all its tabs. */
function arrange() {
  const open = rows.filter((one) => !ENDS.includes(one.status));
  const first = document.hidden ? [] : open.slice(-STREAMS).map((one) => one.id);
  for (const [id, stop] of following) if (!first.includes(id)) { stop.abort(); following.delete(id); }
  for (const id of first) if (!following.has(id)) listen(id);
  if (open.length > following.size) beat();
}

async function listen(id) {
  const stop = new AbortController();
  following.set(id, stop);
  try {
    const job = await follow(id, (event) => hear(id, event), { signal: stop.signal });
    change(id, { ...row(job), line: true });
  } catch (error) {
    if (error.name === "AbortError") return;
    if (following.get(id) === stop) following.delete(id);
    if (error.status === 404) jobs.dismiss(id);
    else change(id, { line: false });
  }
}

function hear(id, { kind, data }) {
  const found = jobs.get(id);
  if (!found) return;
  if (kind === "started") change(id, { status: "running" });
  else if (kind === "step") change(id, { status: "running", progress: seen(data, found.progress), preview: data.preview || found.preview });
  else if (kind === "kept") {
    const artifacts = [...(found.artifacts || [])];
    if (!artifacts.includes(data.artifact)) change(id, { artifacts: [...artifacts, data.artifact] });
  } else if (kind === "job") change(id, row(data));
  else if (kind === "lost") change(id, { line: false });
  else if (kind === "back") change(id, { line: true });
}

/** A step with the previews of the one before, where it has none: not every step is shown. */
function seen(step, before) {
  if (step.preview || before?.index !== step.index) return step;
  return { ...step, preview: before.preview, previews: before.previews };
}

let beating = false;

/** Ask from time to time for what has no stream. */
async function beat() {
  if (beating) return;
  beating = true;
  for (;;) {
    await pause(document.hidden ? 5000 : 2000);
    const left = rows.filter((one) => !ENDS.includes(one.status) && !following.has(one.id)).map((one) => one.id);
    if (left.length === 0) break;
    await poll(left);
  }
  beating = false;
}

async function poll(ids) {
  if (ids.length === 0) return;
  try {
    const found = new Map((await api("/jobs?limit=200")).data.map((job) => [job.id, job]));
    for (const id of ids) if (found.has(id) && !ENDS.includes(jobs.get(id)?.status)) change(id, { ...row(found.get(id)), line: true });
    if (found.size < 200) for (const id of ids) if (!found.has(id)) jobs.dismiss(id);
  } catch {
    for (const id of ids) if (!ENDS.includes(jobs.get(id)?.status)) change(id, { line: false });
  }
}

document.addEventListener("visibilitychange", arrange);
