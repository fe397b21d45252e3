// Drafts in IndexedDB: a project is written there after every change, whole or not at all. And which tab has it.

import { me } from "../store.js";
import { pieces, revived } from "./project.js";

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
    turn.onerror = turn.onabort = () => bad(turn.error ?? new DOMException("stopped", "AbortError"));
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
 * Write what changed of a project, in one transaction. Throws QuotaExceededError where the disk is full.
 * all: every tile. hurry: the page goes away, so nothing is packed, and what is still on its way is written again.
 */
export async function write(project, { all = false, hurry = false } = {}) {
  const refly = (keys) => { for (const [, layer, at] of keys) project.layers.find((one) => one.id === layer)?.raster?.stale.add(at); };
  if (hurry) refly(flying.get(project.id) ?? []);
  const { record, tiles } = pieces(project, all);
  record.changed = Date.now();
  const keys = tiles.map((one) => one.key);
  flying.set(project.id, keys);
  try {
    if (!hurry) for (const tile of tiles) if (tile.data) tile.data = await packed(tile.data);
    await within(["projects", "tiles"], "readwrite", (turn) => {
      const store = turn.objectStore("tiles");
      for (const { key, data } of tiles) {
        if (data) store.put(data, key);
        else store.delete(key);
      }
      return turn.objectStore("projects").put(record);
    });
  } catch (error) {
    refly(keys);
    throw error;
  } finally {
    if (flying.get(project.id) === keys) flying.delete(project.id);
  }
}

/** Return a project of the drafts, or null. */
export async function read(id) {
  const record = await within(["projects"], "readonly", (turn) => turn.objectStore("projects").get(id));
  if (!record) return null;
  await sweep(record);
  return revived(record, async (layer, at) => {
    const found = await within(["tiles"], "readonly", (turn) => turn.objectStore("tiles").get([id, layer, at]));
    return found instanceof Uint8Array ? unpacked(found) : found; // clamped ones were written in a hurry
  });
}

/** Forget tiles of layers that are gone. */
async function sweep({ id, layers }) {
  const range = IDBKeyRange.bound([id], [id, []]);
  const keys = await within(["tiles"], "readonly", (turn) => turn.objectStore("tiles").getAllKeys(range));
  const used = new Set(layers.flatMap((layer) => (layer.tiles ?? []).map((at) => `${layer.id}/${at}`)));
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
  await within(["projects", "tiles"], "readwrite", (turn) => {
    turn.objectStore("tiles").delete(IDBKeyRange.bound([id], [id, []]));
    return turn.objectStore("projects").delete(id);
  });
}

const WEEK = 7 * 24 * 3600 * 1000;

/** What history puts away. What a tab left there that crashed goes after a week: a run's name begins with its time. */
export const attic = {
  put: (key, value) => within(["undo"], "readwrite", (turn) => turn.objectStore("undo").put(value, key)),
  get: (key) => within(["undo"], "readonly", (turn) => turn.objectStore("undo").get(key)),
  sweep: () => within(["undo"], "readwrite", (turn) => turn.objectStore("undo").delete(IDBKeyRange.bound(["h-"], [`h-${(Date.now() - WEEK).toString(36)}`]))),
  clear: (from) => within(["undo"], "readwrite", (turn) => turn.objectStore("undo").delete(IDBKeyRange.bound([from], [from, []]))),
};

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
