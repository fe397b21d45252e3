// The server, as the page talks to it: requests, errors, jobs and what happens to them.
import { addWords, lang, t } from "./i18n.js";
import { called, say } from "./say.js";

addWords({
  en: {
    "api.offline": "The server does not answer.",
    "api.offline.hint": "What you typed is kept. The page goes on by itself when the server is back.",
    "api.strange": "The server answered with something that is no JSON (status {status}).",
  },
  es: {
    "api.offline": "El servidor no responde.",
    "api.offline.hint": "Lo que ha escrito se conserva. La página sigue sola cuando el servidor vuelva.",
    "api.strange": "El servidor respondió con algo que no es JSON (estado {status}).",
  },
});

export const BASE = "/v1/fantascope";
export const MOST_BYTES = 64 * 2 ** 20;
const ENDS = ["done", "failed", "cancelled"];
let away = false;

/**
 * What went wrong, as the server says it: code, status, param, readings, verdict, at. `english` is its sentence and advice
 * as they came, { message, hint }, or null where the page itself says it; `message` and `hint` are those in the language
 * that the page has when they are read.
 */
export class ApiError extends Error {
  constructor(facts) {
    super();
    Object.assign(this, { code: "unknown", status: 0, param: null, readings: null, verdict: null, at: null, after: null });
    speak(this, facts);
    this.name = "ApiError";
  }
}

/** Put the facts of an error into `error`, so that its message and hint speak the language of the page. */
function speak(error, { message = "", hint = null, english = { message, hint }, ...more }) {
  Object.assign(error, more, { english });
  const word = (own, get) => ({ enumerable: true, configurable: true, ...(english ? { get } : { value: own }) });
  return Object.defineProperties(error, { message: word(message, () => spoken(error)), hint: word(hint, () => say(english.hint).text || null) });
}

function spoken({ code, english }) {
  const { text, known } = say(english.message);
  const sort = known || lang() === "en" ? null : called("codes", code);
  return sort ? `${sort} ${text}` : text;
}

/** Errors inside of what the server sends, as those of jobs, speak the language of the page, too. */
function heard(key, value) {
  return key === "error" && value && typeof value === "object" && typeof value.message === "string" ? speak({}, value) : value;
}

/**
 * Ask the server, and return the JSON it answers with (null for 204).
 *   path: below /v1/fantascope, with its query. method: GET, or POST where there is a body.
 *   body: an object (sent as JSON) or a Blob. form: FormData. Throws ApiError; an AbortError where `signal` says so.
 */
export async function api(path, { method, body, form, signal, headers } = {}) {
  const raw = body instanceof Blob;
  const reply = await ask(BASE + path, {
    method: method || (body !== undefined || form ? "POST" : "GET"),
    body: form || (body === undefined || raw ? body : JSON.stringify(body)),
    signal,
    headers: { ...(body === undefined ? {} : { "Content-Type": raw ? body.type || "application/octet-stream" : "application/json" }), ...headers },
  });
  if (reply.status === 204) return null;
  try {
    return JSON.parse(await reply.text(), heard);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError({ code: "offline", message: t("api.strange", { status: reply.status }), status: 0, english: null });
  }
}

/** Fetch, with the header that proves that this page asks; a reply from 400 on is thrown as ApiError. */
export async function ask(url, { headers, ...more } = {}) {
  let reply;
  try {
    reply = await fetch(url, { credentials: "same-origin", ...more, headers: { Accept: "application/json", "X-Fantascope": "1", ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    away = true;
    window.dispatchEvent(new Event("fs:offline"));
    throw new ApiError({ code: "offline", message: t("api.offline"), hint: t("api.offline.hint"), english: null });
  }
  if (away) { away = false; window.dispatchEvent(new Event("fs:online")); }
  if (reply.ok) return reply;
  let told = null;
  try { told = (await reply.json()).error; } catch { /* no JSON: said below */ }
  const facts = { ...(told ?? { message: t("api.strange", { status: reply.status }), english: null }), status: reply.status };
  const error = new ApiError({ ...facts, after: Number(reply.headers.get("Retry-After")) || null });
  if (reply.status === 401) window.dispatchEvent(new Event("fs:out"));
  throw error;
}

/** A new key that nobody has: for a request that must be made once. */
export function newKey() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");
}

/**
 * Hand in a request and return its job. With its key it is made once, however often the line breaks: it is asked
 * again up to five times where no answer came.
 */
export async function submit(task, fields, { key = newKey(), priority, signal } = {}) {
  const headers = { "Idempotency-Key": key, ...(priority ? { "X-Priority": priority } : {}) };
  for (let turn = 0; ; turn += 1) {
    try {
      return await api("/jobs", { body: { ...fields, task }, headers, signal });
    } catch (error) {
      if (error.code !== "offline" || turn === 5) throw error;
      await pause(300 * 2 ** turn, signal);
    }
  }
}

/** Wait so many milliseconds. */
export function pause(ms, signal) {
  return new Promise((good, bad) => {
    const stop = () => { clearTimeout(timer); bad(new DOMException("stopped", "AbortError")); };
    if (signal?.aborted) { bad(new DOMException("stopped", "AbortError")); return; }
    const timer = setTimeout(() => { signal?.removeEventListener("abort", stop); good(); }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

const streams = new Map();

/**
 * Watch a job and return it once it ended. `onEvent({ id, kind, data })` hears queued, started, step, kept, done,
 * failed, cancelled; `job` with the whole record after the server was started again; `lost` and `back` when the line
 * breaks and is there again. Who comes late hears what there was. Several watchers of a job share one stream.
 * Throws ApiError where the job is not there; AbortError where `signal` says so.
 */
export function follow(jobId, onEvent = () => {}, { signal } = {}) {
  let stream = streams.get(jobId);
  if (!stream) {
    stream = { told: [], watchers: new Set(), stop: new AbortController() };
    streams.set(jobId, stream);
    stream.ended = watch(jobId, stream).finally(() => { if (streams.get(jobId) === stream) streams.delete(jobId); });
    stream.ended.catch(() => {});
  }
  for (const event of stream.told) onEvent(event);
  stream.watchers.add(onEvent);
  const leave = () => {
    stream.watchers.delete(onEvent);
    if (stream.watchers.size === 0) {
      if (streams.get(jobId) === stream) streams.delete(jobId);
      stream.stop.abort();
    }
  };
  return new Promise((good, bad) => {
    const stopped = () => { leave(); bad(new DOMException("stopped", "AbortError")); };
    if (signal?.aborted) { stopped(); return; }
    signal?.addEventListener("abort", stopped, { once: true });
    stream.ended.then(good, bad).finally(() => { signal?.removeEventListener("abort", stopped); stream.watchers.delete(onEvent); });
  });
}

async function watch(jobId, stream) {
  const { signal } = stream.stop;
  let last = null, wait = 400, lost = false;
  const tell = (event) => {
    keep(stream, event);
    for (const heard of [...stream.watchers]) heard(event);
  };
  for (;;) {
    try {
      const reply = await ask(`${BASE}/jobs/${jobId}/events`, {
        signal, headers: { Accept: "text/event-stream", ...(last ? { "Last-Event-ID": last } : {}) },
      });
      if (lost) { lost = false; tell({ kind: "back", data: {} }); }
      if (reply.status === 204) return await api(`/jobs/${jobId}`, { signal });
      for await (const event of events(reply.body)) {
        wait = 400;
        last = event.id || last;
        tell(event);
        if (ENDS.includes(event.kind)) return event.data;
        if (event.kind === "job" && ENDS.includes(event.data.status)) return event.data;
      }
    } catch (error) {
      if (error.name === "AbortError") throw error;
      const passing = !(error instanceof ApiError) || error.code === "offline" || error.status >= 500 || error.status === 429;
      if (!passing) throw error;
      if (error.after) wait = Math.max(wait, error.after * 1000);
      if (!lost) { lost = true; tell({ kind: "lost", data: {} }); }
    }
    await untilBack(wait * (0.8 + 0.4 * Math.random()), signal);
    wait = Math.min(wait * 1.7, 5000);
  }
}

/** Wait so many milliseconds, or until the server is known to be back. */
async function untilBack(ms, signal) {
  const wake = new AbortController();
  const back = () => wake.abort();
  window.addEventListener("fs:online", back, { once: true });
  signal.addEventListener("abort", back, { once: true });
  try {
    await pause(ms, wake.signal);
  } catch {
    if (signal.aborted) throw new DOMException("stopped", "AbortError");
  } finally {
    window.removeEventListener("fs:online", back);
    signal.removeEventListener("abort", back);
  }
}

/** Keep what who comes late has to hear: of steps the last, of the line nothing. */
function keep(stream, event) {
  if (event.kind === "lost" || event.kind === "back") return;
  if (event.kind === "step") stream.told = stream.told.filter((one) => one.kind !== "step");
  stream.told.push(event);
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop();
      for (const block of blocks) {
        const fields = {};
        for (const line of block.split("\n")) {
          const at = line.indexOf(":");
          if (at > 0) fields[line.slice(0, at)] = line.slice(at + 1).replace(/^ /, "");
        }
        if (fields.event) yield { id: fields.id || null, kind: fields.event, data: JSON.parse(fields.data, heard) };
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** The address of a picture's file, and of a thumbnail of it (longer side in pixels). */
export function fileUrl(id) { return `${BASE}/gallery/${id}/file`; }
export function thumbUrl(id, side = 256) { return `${BASE}/gallery/${id}/thumbnail?side=${Math.round(side)}`; }

/** Hand a picture in, and return its entry. */
export function upload(blob, { signal } = {}) {
  return api("/gallery", { body: blob instanceof File ? new Blob([blob], { type: blob.type }) : blob, signal });
}

/** The file of a picture as a Blob. */
export async function fileOf(id, { signal } = {}) {
  return (await ask(fileUrl(id), { signal, headers: { Accept: "image/*" } })).blob();
}

const kept = new Map();

/** Ask once, and remember the answer as long as the page is open; what failed is asked again. */
export function once(path) {
  if (!kept.has(path)) {
    const asked = api(path);
    kept.set(path, asked);
    asked.catch(() => kept.delete(path));
  }
  return kept.get(path);
}

/** The tasks with their JSON schemas: { imagine: { task, about, path, request }, … }. */
export async function schemas() {
  return Object.fromEntries((await once("/tasks")).data.map((one) => [one.task, one]));
}

/** Forget what `once` remembers: another person is here now. */
export function forget() { kept.clear(); }
