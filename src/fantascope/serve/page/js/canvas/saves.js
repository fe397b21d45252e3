// Drafts in IndexedDB: a project is written there after every change, whole or not at all. And which tab has it.

import { me } from "../store.js";
import { pieces, revived } from "./project.js";
import { layerOf, weight } from "./steps.js";

let opened = null;

function base() {
  const name = `fantascope-canvas:${me?.account ?? ""}`;
  if (opened?.name !== name) {
    const ready = new Promise((good, bad) => {
      const asked = indexedDB.open(name, 1);
      asked.onupgradeneeded = () => {
        asked.result.createObjectStore("projects", { keyPath: "id" });
        asked.result.createObjectStore("tiles");
        asked.result.createObjectStore("undo");
      };
      asked.onsuccess = () => good(asked.result);
      asked.onerror = () => bad(asked.error);
    });
    opened = { name, ready };
    ready.catch(() => { opened = null; });
  }
  return opened.ready;
}

async function within(stores, mode, work) {
  const db = await base();
  return new Promise((good, bad) => {
    const turn = db.transaction(stores, mode, { durability: mode === "readwrite" ? "strict" : "default" });
    let asked;
    turn.oncomplete = () => good(asked?.result);
    turn.onabort = () => bad(turn.error ?? new DOMException("stopped", "AbortError")); // every error ends in this
    try {
      asked = work(turn);
      if (mode === "readwrite") turn.commit?.(); // a page that goes away has no time to commit by itself
    } catch (error) {
      turn.onabort = () => bad(error);
      turn.abort();
    }
  });
}

async function through(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

const packed = (bytes) => through(bytes, new CompressionStream("deflate-raw"));
const unpacked = async (bytes) => new Uint8ClampedArray((await through(bytes, new DecompressionStream("deflate-raw"))).buffer);

const flying = new Map(); // project -> tiles that are packed or written just now

/**
 * Write what changed of a project and of its history, in one transaction. Throws QuotaExceededError where the disk is
 * full; before that, the history gives up its room. all: every tile. hurry: the page goes away, so nothing is packed, and
 * what is still on its way is written again.
 */
export async function write(project, { all = false, hurry = false, history = null } = {}) {
  try {
    await attempt(project, { all, hurry, history });
  } catch (error) {
    if (error.name !== "QuotaExceededError" || !history?.keeps || hurry) throw error;
    history.forgo();
    await past.clear(project.id);
    await attempt(project, { all, hurry, history });
  }
}

async function attempt(project, { all, hurry, history }) {
  const refly = (keys) => { for (const [, layer, at] of keys) layerOf(project, layer)?.raster?.stale.add(at); };
  if (hurry) refly(flying.get(project.id) ?? []);
  const { record, tiles } = pieces(project, all), told = history?.pieces() ?? { at: 0, ids: [], fresh: [], gone: [] };
  Object.assign(record, { changed: Date.now(), history: { at: told.at, ids: told.ids } });
  const keys = tiles.map((one) => one.key), steps = told.fresh.map(split);
  flying.set(project.id, keys);
  try {
    if (!hurry) {
      for (const tile of tiles) if (tile.data) tile.data = await packed(tile.data);
      for (const { parts } of steps) for (const part of [...parts.before, ...parts.after]) if (part.data) part.data = await packed(part.data);
    }
    for (const { facts, parts } of steps) facts.kept = weight(parts);
    if (flying.get(project.id) !== keys) return; // all of it was written in a hurry meanwhile
    await within(["projects", "tiles", "undo"], "readwrite", (turn) => {
      const store = turn.objectStore("tiles"), undo = turn.objectStore("undo");
      for (const { key, data } of tiles) {
        if (data) store.put(data, key);
        else store.delete(key);
      }
      for (const { id, facts, parts } of steps) {
        undo.put(facts, [project.id, STEP, id]);
        if (facts.bytes) undo.put(parts, [project.id, PARTS, id]);
      }
      for (const id of told.gone) for (const kind of [STEP, PARTS]) undo.delete([project.id, kind, id]);
      return turn.objectStore("projects").put(record);
    });
  } catch (error) {
    refly(keys);
    throw error;
  } finally {
    if (flying.get(project.id) === keys) flying.delete(project.id);
  }
  history?.wrote(told, steps.map(({ facts }) => facts.kept));
}

/** Return a step as it is written: its facts, and apart from them the pixels, which are read only when they are wanted. */
function split({ id, label, layer, line, was, now, frame, bytes, before = [], after = [] }) {
  const copied = (parts) => parts.map((part) => ({ ...part }));
  return { id, facts: { id, label, layer, line, was, now, frame, bytes }, parts: { before: copied(before), after: copied(after) } };
}

/** Return {project, past} of the drafts, or null; `past` {at, steps} is the history, without pixels. */
export async function read(id) {
  const record = await within(["projects"], "readonly", (turn) => turn.objectStore("projects").get(id));
  if (!record) return null;
  const { history = { at: 0, ids: [] }, ...rest } = record;
  rest.shelf ??= []; // what was written before there was one
  await sweep(rest);
  const project = await revived(rest, async (layer, at) => {
    const found = await within(["tiles"], "readonly", (turn) => turn.objectStore("tiles").get([id, layer, at]));
    return plainly(found);
  });
  return { project, past: await past.read(id, history) };
}

/** Return bytes; clamped ones were written in a hurry, and are not packed. */
function plainly(data) {
  return data instanceof Uint8Array ? unpacked(data) : data;
}

/** Forget tiles of layers that are gone. */
async function sweep({ id, layers, shelf }) {
  const range = IDBKeyRange.bound([id], [id, []]);
  const keys = await within(["tiles"], "readonly", (turn) => turn.objectStore("tiles").getAllKeys(range));
  const used = new Set([...layers, ...shelf].flatMap((layer) => (layer.tiles ?? []).map((at) => `${layer.id}/${at}`)));
  const gone = keys.filter(([, layer, at]) => !used.has(`${layer}/${at}`));
  if (gone.length) await within(["tiles"], "readwrite", (turn) => { for (const key of gone) turn.objectStore("tiles").delete(key); });
}

/** Return {id, name, width, height, changed} of all drafts, newest first. */
export async function list() {
  const rows = await within(["projects"], "readonly", (turn) => turn.objectStore("projects").getAll());
  return rows.map(({ id, name, width, height, changed }) => ({ id, name, width, height, changed })).sort((a, b) => b.changed - a.changed);
}

/** Forget a project. */
export async function forget(id) {
  await within(["projects", "tiles", "undo"], "readwrite", (turn) => {
    turn.objectStore("tiles").delete(IDBKeyRange.bound([id], [id, []]));
    turn.objectStore("undo").delete(IDBKeyRange.bound([id], [id, []]));
    return turn.objectStore("projects").delete(id);
  });
}

const STEP = "step", PARTS = "parts";
const MOST_HISTORIES = 8;

/** Histories that are kept. */
export const past = {
  /** Return {at, steps}; from a step on that is missing, there is none. */
  async read(id, { at, ids }) {
    const range = IDBKeyRange.bound([id, STEP], [id, STEP, []]);
    const rows = await within(["undo"], "readonly", (turn) => turn.objectStore("undo").getAll(range));
    const found = new Map(rows.map((row) => [row.id, row])), left = rows.map((row) => row.id).filter((one) => !ids.includes(one));
    if (left.length) await within(["undo"], "readwrite", (turn) => { for (const one of left) for (const kind of [STEP, PARTS]) turn.objectStore("undo").delete([id, kind, one]); });
    const lost = ids.slice(0, at).findLastIndex((one) => !found.has(one)) + 1, end = ids.findIndex((one, k) => k >= at && !found.has(one));
    const steps = ids.slice(lost, end < 0 ? ids.length : end).map((one) => found.get(one));
    return { at: at - lost, steps: steps.map((row) => ({ ...row, before: [], after: [], away: row.bytes, bytes: 0, written: true })) };
  },
  clear: (id) => within(["undo"], "readwrite", (turn) => turn.objectStore("undo").delete(IDBKeyRange.bound([id], [id, []]))),
  /** Forget the histories of all but the projects that were changed last. */
  async sweep() {
    const recent = new Set((await list()).slice(0, MOST_HISTORIES).map((one) => one.id));
    const keys = await within(["undo"], "readonly", (turn) => turn.objectStore("undo").getAllKeys());
    for (const id of new Set(keys.map(([first]) => first))) if (!recent.has(id)) await past.clear(id);
  },
};

/** Return {before, after} of a step, or null where they are gone. */
export async function partsOf(id, step) {
  const found = await within(["undo"], "readonly", (turn) => turn.objectStore("undo").get([id, PARTS, step]));
  if (!found) return null;
  const plain = (parts) => Promise.all(parts.map(async (part) => ({ ...part, data: part.data && (await plainly(part.data)) })));
  return { before: await plain(found.before), after: await plain(found.after) };
}

/**
 * Take a project for this tab. Returns what gives it back, or null where another tab has it.
 * The browser's locks end with the tab, also when it crashes; where there are none, other tabs are asked.
 */
export async function hold(id) {
  if (navigator.locks) {
    return new Promise((done) => {
      navigator.locks.request(`fantascope-canvas:${me?.account ?? ""}:${id}`, { ifAvailable: true }, (lock) => {
        if (!lock) { done(null); return undefined; }
        return new Promise((end) => done(end));
      });
    });
  }
  const line = new BroadcastChannel(`fantascope-canvas:${me?.account ?? ""}:${id}`), name = Math.random();
  const taken = await new Promise((done) => {
    line.onmessage = (event) => { if (event.data.here && event.data.here !== name) done(true); };
    line.postMessage({ who: name });
    setTimeout(() => done(false), 200);
  });
  if (taken) { line.close(); return null; }
  line.onmessage = (event) => { if (event.data.who && event.data.who !== name) line.postMessage({ here: name }); };
  return () => line.close();
}
