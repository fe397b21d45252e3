// A project: a size and layers. And its file.
//
// A file `*.fantascope` is JSON: {format: "fantascope-canvas", version: 1, name, width, height, paper, active, saved, layers}.
// A layer has id, kind, name, visible, opacity; picture, paint, mask, sketch and segmentation have `png` (base64, as large
// as the canvas, or null where nothing is painted); a sketch has `strokes` [{points, width, erase}], or null where it was
// changed as a picture; a pose has `people`, 18 points or nulls each. What a layer has beside that is unknown to this version, and refused.

import { MOST_SIDE, Raster, TILE, decoded, join, pen, rasterOf, sheet } from "./raster.js";
import { drawPeople } from "./pose.js";
import { t } from "../i18n.js";

export const KINDS = ["picture", "paint", "mask", "sketch", "pose", "segmentation"];
export const MASK_COLOUR = "#ff3b5c";
export const MOST_LAYERS = 100;
const FORMAT = "fantascope-canvas";
const VERSION = 1;
const MOST_FILE = 480 * 2 ** 20; // a text of more cannot be held by every browser
const OPACITY = { mask: 0.5, segmentation: 0.8 };

let counter = 0;

export function newId(prefix) {
  counter += 1;
  return `${prefix}-${Date.now().toString(36)}${counter.toString(36)}${Math.floor(Math.random() * 46656).toString(36)}`;
}

/** Say why a size cannot be a canvas, or return null. */
export function wrongSize(width, height) {
  if (![width, height].every((side) => Number.isInteger(side) && side >= 16)) return t("canvas.size.small", { least: 16 });
  if (Math.max(width, height) > MOST_SIDE) return t("canvas.size.large", { width, height, most: MOST_SIDE });
  return null;
}

export function newLayer(kind, width, height, name) {
  const layer = { id: newId("l"), kind, name, visible: true, opacity: OPACITY[kind] ?? 1, raster: null, strokes: null, people: null, pending: null };
  if (kind === "pose") layer.people = [];
  else layer.raster = new Raster(width, height);
  if (kind === "sketch") layer.strokes = [];
  return layer;
}

export function newProject(width, height, name, first = "paint") {
  const layers = first ? [newLayer(first, width, height, t(`canvas.kind.${first}`))] : [];
  return { id: newId("p"), name, width, height, paper: "#ffffff", layers, shelf: [], active: layers[0]?.id ?? null, job: null };
}

/** Return a layer's copy with an id of its own. */
export function duplicated(layer, project) {
  const copy = { ...layer, id: newId("l"), name: t("canvas.copy.of", { name: layer.name }), pending: null };
  if (layer.raster) copy.raster = layer.raster.framed(project.width, project.height, 0, 0);
  if (layer.strokes) copy.strokes = structuredClone(layer.strokes);
  if (layer.people) copy.people = structuredClone(layer.people);
  return copy;
}

/** Give a project another frame: `left`, `top` px are added there (or taken away, where negative), and the size is this. */
export function reframe(project, width, height, left, top) {
  project.width = width;
  project.height = height;
  for (const layer of project.layers) {
    if (layer.raster) {
      layer.raster = layer.raster.framed(width, height, left, top);
      layer.raster.stale = new Set(layer.raster.tiles.keys());
    }
    if (layer.strokes) layer.strokes = layer.strokes.map((one) => ({ ...one, points: one.points.map(([x, y]) => [x + left, y + top]) }));
    if (layer.people) layer.people = layer.people.map((one) => one.map((at) => (at ? [at[0] + left, at[1] + top] : null)));
  }
}

/** Draw layers of some kinds, as they are seen, on one canvas. */
export function flattened(project, kinds = ["picture", "paint"], paper = project.paper) {
  const canvas = sheet(project.width, project.height), ctx = pen(canvas);
  if (paper) {
    ctx.fillStyle = paper;
    ctx.fillRect(0, 0, project.width, project.height);
  }
  for (const layer of project.layers) {
    if (!layer.visible || !kinds.includes(layer.kind)) continue;
    ctx.globalAlpha = layer.opacity;
    if (layer.raster) layer.raster.paste(ctx);
    else drawPeople(ctx, layer.people, project.width, project.height);
  }
  ctx.globalAlpha = 1;
  return canvas;
}

/** Return the mask as the server wants it: transparent where it may paint. Null where no mask layer marks anything. */
export function maskCanvas(project) {
  const layers = project.layers.filter((one) => one.kind === "mask" && one.visible && one.raster.bounds());
  if (layers.length === 0) return null;
  const canvas = sheet(project.width, project.height), ctx = pen(canvas);
  ctx.fillStyle = "#ffffff";
  ctx.fillRect(0, 0, project.width, project.height);
  ctx.globalCompositeOperation = "destination-out";
  for (const layer of layers) layer.raster.paste(ctx);
  return canvas;
}

/** Return the box that the visible masks mark, or null. */
export function maskBox(project) {
  return project.layers.filter((one) => one.kind === "mask" && one.visible).reduce((box, one) => join(box, one.raster.bounds()), null);
}

// The file

/** Return the project as a Blob. Throws an Error where it would be larger than what can be opened. */
export async function written(project) {
  const layers = [];
  for (const layer of project.layers) {
    const { id, kind, name, visible, opacity, strokes, people } = layer;
    const row = { id, kind, name, visible, opacity };
    if (layer.raster) row.png = layer.raster.bounds() ? await base64(await layer.raster.png()) : null;
    if (kind === "sketch") row.strokes = strokes;
    if (people) row.people = people;
    layers.push(row);
  }
  const { name, width, height, paper, active } = project;
  const whole = { format: FORMAT, version: VERSION, name, width, height, paper, active, saved: new Date().toISOString(), layers };
  if (layers.reduce((sum, row) => sum + (row.png?.length ?? 0), 0) > MOST_FILE * 0.9) throw new Error(t("canvas.file.large", { most: MOST_FILE / 2 ** 20 }));
  return new Blob([JSON.stringify(whole)], { type: "application/json" });
}

/** Read a project of a file. Throws an Error that says what is wrong with it. */
export async function opened(blob) {
  if (blob.size > MOST_FILE) throw new Error(t("canvas.file.large", { most: MOST_FILE / 2 ** 20 }));
  let data;
  try {
    data = JSON.parse(await blob.text());
  } catch {
    throw new Error(t("canvas.file.none"));
  }
  if (data?.format !== FORMAT) throw new Error(t("canvas.file.none"));
  if (data.version !== VERSION) throw new Error(t("canvas.file.version", { version: data.version, known: VERSION }));
  const size = wrongSize(data.width, data.height);
  if (size) throw new Error(size);
  if (!Array.isArray(data.layers) || data.layers.length > MOST_LAYERS) throw new Error(t("canvas.file.layers", { most: MOST_LAYERS }));
  const layers = [];
  for (const [k, row] of data.layers.entries()) layers.push(await readLayer(row, k, data));
  const ids = new Set(layers.map((one) => one.id));
  if (ids.size !== layers.length) throw new Error(t("canvas.file.layers", { most: MOST_LAYERS }));
  const paper = /^#[0-9a-f]{6}$/.test(data.paper) ? data.paper : "#ffffff";
  const active = ids.has(data.active) ? data.active : (layers[0]?.id ?? null);
  return { id: newId("p"), name: String(data.name ?? "").slice(0, 200), width: data.width, height: data.height, paper, layers, shelf: [], active, job: null };
}

async function readLayer(row, k, { width, height }) {
  const wrong = (what) => new Error(t("canvas.file.layer", { n: k + 1, what }));
  if (!KINDS.includes(row?.kind)) throw wrong("kind");
  if (typeof row.id !== "string" || !/^[\w-]{1,64}$/.test(row.id)) throw wrong("id");
  if (!(typeof row.opacity === "number" && row.opacity >= 0 && row.opacity <= 1)) throw wrong("opacity");
  const layer = newLayer(row.kind, width, height, String(row.name ?? "").slice(0, 200));
  const known = ["id", "kind", "name", "visible", "opacity", layer.raster && "png", layer.strokes && "strokes", layer.people && "people"];
  const strange = Object.keys(row).find((name) => !known.includes(name));
  if (strange) throw wrong(strange);
  Object.assign(layer, { id: row.id, visible: row.visible !== false, opacity: row.opacity });
  if (layer.raster && row.png) layer.raster = await readPng(row.png, width, height, wrong);
  if (row.strokes === null) layer.strokes = null;
  if (layer.strokes) {
    const fine = (one) => Array.isArray(one?.points) && one.points.length > 0 && one.points.every(isPoint) && one.width >= 1;
    if (!Array.isArray(row.strokes) || !row.strokes.every(fine)) throw wrong("strokes");
    layer.strokes = row.strokes.map(({ points, width: wide, erase }) => ({ points, width: wide, erase: Boolean(erase) }));
  }
  if (layer.people) {
    const fine = (one) => Array.isArray(one) && one.length === 18 && one.every((at) => at === null || isPoint(at));
    if (!Array.isArray(row.people) || !row.people.every(fine)) throw wrong("people");
    layer.people = row.people;
  }
  return layer;
}

function isPoint(at) {
  return Array.isArray(at) && at.length === 2 && at.every(Number.isFinite);
}

async function readPng(text, width, height, wrong) {
  let bitmap;
  try {
    bitmap = await decoded(new Blob([bytes(text)], { type: "image/png" }));
  } catch {
    throw wrong("png");
  }
  if (bitmap.width !== width || bitmap.height !== height) throw wrong("png");
  const raster = rasterOf(bitmap);
  bitmap.close();
  raster.tiles.forEach((tile, at) => {
    if (!new Uint32Array(raster.copy(at).data.buffer).some(Boolean)) raster.tiles[at] = null;
  });
  return raster;
}

export function base64(blob) {
  return new Promise((done, fail) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => fail(reader.error);
    reader.readAsDataURL(blob);
  });
}

function bytes(text) {
  const raw = atob(text), out = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i += 1) out[i] = raw.charCodeAt(i);
  return out;
}

// The draft: the same in pieces, of which only those are written again that changed

/** Return {record, tiles} of what is to be written: the project without pixels, and changed tiles with theirs. */
export function pieces(project, all = false) {
  const tiles = [];
  const plain = (layer) => {
    const { raster, ...rest } = layer;
    if (!raster) return rest;
    for (const at of all ? raster.tiles.keys() : raster.stale) {
      if (raster.tiles[at]) tiles.push({ key: [project.id, layer.id, at], data: raster.copy(at).data });
      else if (!all) tiles.push({ key: [project.id, layer.id, at], data: null });
    }
    raster.stale = new Set();
    return { ...rest, sides: [raster.width, raster.height], tiles: [...raster.tiles.keys()].filter((at) => raster.tiles[at]) };
  };
  const [layers, shelf] = [project.layers, project.shelf].map((list) => list.map(plain));
  return { record: structuredClone({ ...project, layers, shelf, tile: TILE }), tiles };
}

/** Return the project of a draft; `read(layer id, tile)` gives a tile's bytes. */
export async function revived(record, read) {
  const { tile, ...project } = record;
  const whole = async ({ tiles, sides = [record.width, record.height], ...layer }) => {
    layer.raster = null;
    if (tiles) {
      layer.raster = new Raster(...sides);
      for (const at of tiles) {
        const data = await read(layer.id, at);
        if (data) layer.raster.put({ at, ...layer.raster.place(at), data });
      }
      layer.raster.stale = new Set();
    }
    return layer;
  };
  for (const list of ["layers", "shelf"]) {
    project[list] = [];
    for (const layer of record[list]) project[list].push(await whole(layer));
  }
  return project;
}
