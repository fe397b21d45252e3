// What the canvas asks of the server, and what becomes of the answers.

import { api, fileOf, follow, once, submit, upload } from "../api.js";
import { jobs, track } from "../store.js";
import { t } from "../i18n.js";
import { asPng, decoded, pen } from "./raster.js";
import { base64, flattened, maskCanvas } from "./project.js";
import { documentOf, peopleOf } from "./pose.js";
import { PALETTE } from "./palette.js";
import { rgbOf } from "./brush.js";

export const MODES = ["fill", "erase", "expand", "vary", "draw"];
export const TASK_OF = { fill: "fill", erase: "erase", expand: "expand", vary: "vary", draw: "imagine" };
/** Kinds of layers that lead a mode, and are hidden once there is a result. */
const GUIDES = { fill: ["mask"], erase: ["mask"], draw: ["sketch", "pose", "segmentation"] };
const INLINE = 6 * 2 ** 20; // bytes of a picture that is sent inside the request; larger ones are handed in before
const MOST_DOCUMENT = 32000; // characters
const SKETCH_SIDES = [64, 2048];

/** An error that this page finds before the server could. */
export class Missing extends Error {}

async function reference(canvas) {
  const png = await asPng(canvas);
  if (png.size > INLINE) return (await upload(png)).id;
  return `data:image/png;base64,${await base64(png)}`;
}

/** Return the size that a model paints a canvas of this shape at: near its native area, in its steps. */
export function sizeFor(width, height, { sizes, defaults }) {
  const by = defaults.upscale ?? 1, step = sizes.multiple * by, native = sizes.native * by;
  const scale = Math.sqrt((native * native) / (width * height));
  const side = (long) => Math.min(sizes.max * by, Math.max(sizes.min * by, Math.round((long * scale) / step) * step));
  return { width: side(width), height: side(height) };
}

async function modelOf(name) {
  const all = (await once("/models")).data;
  return all.find((one) => (name ? one.name === name : one.default)) ?? all[0];
}

/** Return the kinds of maps that visible layers hold: scribble, pose, segmentation. Not `exact`, those ever painted on. */
export function mapsOf(project, exact = false) {
  const full = (one) => (one.people ? one.people.length > 0 : exact ? one.raster.bounds() : one.raster.touched);
  const has = (kind) => project.layers.some((one) => one.visible && one.kind === kind && full(one));
  return [has("sketch") && "scribble", has("pose") && "pose", has("segmentation") && "segmentation"].filter(Boolean);
}

/** Return all visible scribbles as the document of strokes that the server draws, or null where it cannot be one. */
export function strokesDocument(project) {
  const layers = project.layers.filter((one) => one.visible && one.kind === "sketch");
  if (layers.some((one) => !one.strokes) || (layers.length > 1 && layers.some((one) => one.strokes.some((line) => line.erase)))) return null;
  const { width, height } = project, scale = Math.min(1, SKETCH_SIDES[1] / Math.max(width, height));
  const sides = [Math.round(width * scale), Math.round(height * scale)];
  if (Math.min(...sides) < SKETCH_SIDES[0]) return null;
  const short = (value) => Math.round(value * scale * 10) / 10;
  const strokes = layers.flatMap((one) => one.strokes).map((line) => ({
    points: line.points.map(([x, y]) => [short(x), short(y)]), width: Math.min(256, Math.max(1, short(line.width))), ...(line.erase ? { colour: [0, 0, 0] } : {}),
  }));
  const text = JSON.stringify({ width: sides[0], height: sides[1], strokes });
  return text.length <= MOST_DOCUMENT ? text : null;
}

/** Return all visible poses as one document. */
export function poseDocument(project) {
  const people = project.layers.filter((one) => one.visible && one.kind === "pose").flatMap((one) => one.people);
  return JSON.stringify(documentOf(people, project.width, project.height));
}

/** Draw visible scribbles white on black. */
function scribbleMap(project) {
  const ink = flattened({ ...project, layers: project.layers.map((one) => ({ ...one, opacity: 1 })) }, ["sketch"], null), ctx = pen(ink);
  ctx.globalCompositeOperation = "source-in";
  ctx.fillStyle = "#ffffff";
  ctx.fillRect(0, 0, ink.width, ink.height);
  ctx.globalCompositeOperation = "destination-over";
  ctx.fillStyle = "#000000";
  ctx.fillRect(0, 0, ink.width, ink.height);
  return ink;
}

/** Draw visible regions on black; every pixel has exactly one colour of the palette. */
export function regionMap(project) {
  const map = flattened({ ...project, layers: project.layers.map((one) => ({ ...one, opacity: 1 })) }, ["segmentation"], "#000000"), ctx = pen(map);
  const image = ctx.getImageData(0, 0, map.width, map.height), known = [[0, 0, 0], ...PALETTE.map(([, colour]) => rgbOf(colour))], seen = new Map();
  for (let i = 0; i < image.data.length; i += 4) {
    const code = (image.data[i] << 16) | (image.data[i + 1] << 8) | image.data[i + 2];
    if (!seen.has(code)) {
      const away = ([r, g, b]) => Math.abs(r - (code >> 16)) + Math.abs(g - ((code >> 8) & 255)) + Math.abs(b - (code & 255));
      seen.set(code, known.reduce((best, one) => (away(one) < away(best) ? one : best)));
    }
    image.data.set(seen.get(code), i);
  }
  ctx.putImageData(image, 0, 0);
  return map;
}

/** Render a document on the server, and return the id of its map. */
async function rendered(kind, text, signal) {
  const job = await submit("annotate", { kind, document: text }, { signal });
  return finished(await follow(job.id, () => {}, { signal })).artifacts[0];
}

function finished(job) {
  if (job.status === "failed") throw Object.assign(new Error(job.error.message), job.error);
  return job;
}

async function controlsOf(project, { kinds, weight }, signal) {
  const found = mapsOf(project, true).filter((kind) => !kinds || kinds.includes(kind));
  if (found.length === 0) throw new Missing(t("canvas.need.map"));
  const controls = [];
  for (const kind of found) {
    let picture;
    if (kind === "pose") picture = await rendered("pose", poseDocument(project), signal);
    else if (kind === "segmentation") picture = await reference(regionMap(project));
    else picture = await scribble(project, signal);
    controls.push({ kind, picture, weight: weight ?? 1 });
  }
  return controls;
}

async function scribble(project, signal) {
  const text = strokesDocument(project);
  return text ? rendered("sketch", text, signal) : reference(scribbleMap(project));
}

/** Return {task, fields, place}: the request of a mode, and where on the canvas its picture will lie. */
export async function asked(project, mode, { prompt, fields = {}, frame, control = {} }, signal) {
  const { width, height } = project, whole = { x: 0, y: 0, w: width, h: height };
  const words = prompt?.trim() ? { prompt } : {};
  if (mode === "draw") {
    if (!words.prompt) throw new Missing(t("canvas.need.prompt"));
    const size = sizeFor(width, height, await modelOf(fields.model));
    return { task: "imagine", fields: { ...size, ...fields, ...words, controls: await controlsOf(project, control, signal) }, place: whole };
  }
  const place = mode === "expand" && frame ? { x: -frame.left, y: -frame.top, w: width + frame.left + frame.right, h: height + frame.top + frame.bottom } : whole;
  if (mode === "expand" && place.w === width && place.h === height) throw new Missing(t("canvas.need.frame"));
  const mask = mode === "fill" || mode === "erase" ? maskCanvas(project) : null;
  if ((mode === "fill" || mode === "erase") && !mask) throw new Missing(t("canvas.need.mask"));
  if (mode === "fill" && !words.prompt) throw new Missing(t("canvas.need.prompt"));
  const picture = await reference(flattened(project));
  const sides = mode === "expand" ? { ...frame } : {};
  return { task: mode, fields: { ...fields, ...words, ...sides, picture, ...(mask ? { mask: await reference(mask) } : {}) }, place };
}

/** Finds people in the picture. Throws what the server says, as that the pose network is not there. */
export async function findPeople(project, signal) {
  const picture = await reference(flattened(project));
  const job = await submit("annotate", { kind: "pose", picture }, { signal });
  const done = finished(await follow(job.id, () => {}, { signal }));
  const receipt = await api(`/gallery/${done.artifacts[0]}/receipt`, { signal });
  return receipt.found ? peopleOf(JSON.parse(receipt.found), project.width, project.height) : [];
}

/** One request at a time: made, followed over a refresh, shown as it paints, and laid on the canvas. */
export class Maker {
  constructor(desk) {
    this.desk = desk;
    this.state = { kind: "idle" }; // idle, preparing, queued, painting, failed
    this.stop = new AbortController();
  }

  close() { this.stop.abort(); }

  get busy() { return ["preparing", "queued", "painting"].includes(this.state.kind); }

  tell(state) {
    this.state = state;
    this.desk.say();
  }

  /** Ask the server for a mode's picture. */
  async make(mode, asking) {
    if (this.busy) return;
    this.tell({ kind: "preparing", mode });
    const { project } = this.desk;
    this.stop = new AbortController();
    try {
      const { task, fields, place } = await asked(project, mode, asking, this.stop.signal);
      const job = await submit(task, { ...fields, preview: true }, { signal: this.stop.signal });
      const name = `${t(`canvas.mode.${mode}`)}: ${(asking.prompt || t("canvas.result")).slice(0, 60)}`;
      project.job = { id: job.id, mode, place, name };
      this.desk.saver.soon();
      track(job, { view: "canvas", label: name, path: `canvas/${project.id}` });
      await this.watch();
    } catch (error) {
      this.failed(error, mode);
    }
  }

  failed(error, mode) {
    if (error.name === "AbortError") { this.tell({ kind: "idle" }); return; }
    this.unpreview();
    this.tell({ kind: "failed", error, mode });
  }

  /** Follow the project's job: the one that was just made, or that of before a refresh. */
  async watch() {
    const { project } = this.desk, { id, mode, place } = project.job;
    this.tell({ kind: "queued", mode, id });
    try {
      const job = await follow(id, (event) => this.heard(event, mode, place), { signal: this.stop.signal });
      if (job.status === "done") await this.land(job, project.job);
      else if (job.status === "failed") throw Object.assign(new Error(job.error.message), job.error);
      project.job = null;
      this.desk.saver.soon();
      this.unpreview();
      this.tell({ kind: "idle" });
    } catch (error) {
      if (error.name !== "AbortError") project.job = null;
      this.failed(error, mode);
    }
  }

  heard({ kind, data }, mode, place) {
    if (kind === "started") this.tell({ ...this.state, kind: "painting", share: 0 });
    if (kind === "lost" || kind === "back") this.tell({ ...this.state, lost: kind === "lost" });
    if (kind !== "step") return;
    this.tell({ ...this.state, kind: "painting", share: data.steps ? data.step / data.steps : null });
    if (data.preview) this.preview(data.preview, place);
  }

  preview(url, { x, y, w, h }) {
    const image = new Image();
    image.onload = () => {
      if (this.state.kind !== "painting" || !this.desk.board) return;
      this.desk.board.preview = { image, x, y, w, h };
      this.desk.board.show();
    };
    image.src = url;
  }

  unpreview() {
    if (!this.desk.board?.preview) return;
    this.desk.board.preview = null;
    this.desk.board.show();
  }

  async land(job, { mode, place, name }) {
    const id = job.artifacts[0], bitmap = await decoded(await fileOf(id, { signal: this.stop.signal }));
    this.unpreview();
    this.desk.takeIn(bitmap, place, name, { job: job.id, artifact: id }, GUIDES[mode]);
    bitmap.close();
    jobs.dismiss(job.id);
  }

  async cancel() {
    const { id } = this.state;
    if (id) await jobs.cancel(id);
    else this.stop.abort();
  }
}
