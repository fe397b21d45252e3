// The canvas at work: a project, its history, the tool in hand, and everything that can be done to layers.

import { t } from "../i18n.js";
import { History } from "./history.js";
import { Raster, decoded, feathered } from "./raster.js";
import { Stroke, boxOf, change, hardFill, pathOf, replace, rgbOf, simpler } from "./brush.js";
import { MASK_COLOUR, MOST_LAYERS, duplicated, newLayer, wrongSize } from "./project.js";
import { MOST_PEOPLE, inside, person } from "./pose.js";
import { Saver } from "./saver.js";
import { write } from "./saves.js";
import { layerOf, turn } from "./steps.js";

export const TOOLS = {
  move: "v", hand: "h", brush: "b", eraser: "e", mask: "m", lasso: "l", rect: "r", scribble: "s", pose: "p", segment: "g",
};
export const MOST_BRUSH = 256;
const KIND_OF = { brush: "paint", mask: "mask", scribble: "sketch", segment: "segmentation", pose: "pose" };
const WANTED = { mask: "fill", lasso: "fill", rect: "fill", scribble: "draw", pose: "draw", segment: "draw" }; // what is made with a tool
const CLOSE = 0.4; // px that a scribble's points may be moved by, to be fewer

export class Desk extends EventTarget {
  /** `past` is the history that was kept with the project. */
  constructor(project, past) {
    super();
    this.project = project;
    this.tool = "brush";
    this.brush = { size: 24, softness: 0, colour: "#20242c", pressure: true };
    this.sizes = { brush: 24, eraser: 40, mask: 60, scribble: 8, segment: 48 };
    this.region = { name: "sky", colour: "#06e6e6" };
    this.selection = null;
    this.picked = { person: 0, joint: 0 };
    this.wanted = null;
    this.frame = null; // px that are added on each side, while the canvas is expanded
    this.board = null;
    this.history = new History(project, (step) => this.stepped(step), past);
    const keep = (how) => write(this.project, { ...how, history: this.history });
    this.saver = new Saver(keep, (state) => { this.state = state; this.say(); }, { busy: () => Boolean(this.stroke), settle: () => this.up() });
    this.state = { kind: "saved" };
  }

  say(kind = "change") { this.dispatchEvent(new Event(kind)); }

  /** Write what is not written; the promise ends when that is done. */
  close() { return this.saver.close(); }

  // Layers

  layer(id) { return this.project.layers.find((one) => one.id === id) ?? null; }
  get active() { return this.layer(this.project.active); }

  /** Something was changed: show it, write it, and tell who looks on. */
  changed(rect = null) {
    this.board?.show(rect);
    this.saver.soon();
    this.say();
  }

  /** Take a step back, or do it again; not in the middle of a stroke. */
  undo() { return this.stroke ? null : this.history.undo(); }
  redo() { return this.stroke ? null : this.history.redo(); }

  stepped(step) {
    if (!this.active) this.project.active = this.project.layers[this.project.layers.length - 1]?.id ?? null;
    if (step?.frame) this.setFrame(null);
    this.changed();
    this.say("step");
  }

  /** Do a step, see steps.js: what it says is done now, but for pixels, which were changed already. */
  act(label, step) {
    this.note(label, step);
    this.say("step");
  }

  /** Note pixels that were changed already, and do what else the step says. */
  painted(label, layer, parts, more = {}) {
    if (parts.before.length || more.line || more.now) this.note(label, { layer: layer.id, ...parts, ...more });
  }

  note(label, step) {
    turn(this.project, step, 1, false);
    this.history.add({ label, ...step });
    this.changed();
  }

  /** Change fields of a layer; return the facts of the step. */
  facts(layer, now, was = Object.fromEntries(Object.keys(now).map((field) => [field, layer[field]]))) {
    return { was: { layers: { [layer.id]: was } }, now: { layers: { [layer.id]: now } } };
  }

  /** Change the list of layers as one step. */
  arrange(label, layers, active = this.project.active) {
    const { project } = this, ids = (list) => list.map((one) => one.id);
    const was = { order: ids(project.layers), active: project.active };
    project.shelf = [...project.shelf, ...layers.filter((one) => !layerOf(project, one.id))];
    this.act(label, { was, now: { order: ids(layers), active } });
  }

  /** Add a layer above the active one, or on top. */
  addLayer(layer, { top = false, label = t("canvas.did.add") } = {}) {
    if (this.project.layers.length >= MOST_LAYERS) throw new Error(t("canvas.layers.most", { most: MOST_LAYERS }));
    const layers = [...this.project.layers], at = top ? -1 : layers.indexOf(this.active);
    layers.splice(at < 0 ? layers.length : at + 1, 0, layer);
    this.arrange(label, layers, layer.id);
    return layer;
  }

  newLayer(kind) {
    const same = this.project.layers.filter((one) => one.kind === kind).length;
    const name = t(`canvas.kind.${kind}`) + (same ? ` ${same + 1}` : "");
    return this.addLayer(newLayer(kind, this.project.width, this.project.height, name), { top: kind !== "picture" && kind !== "paint" });
  }

  remove(layer) {
    const layers = this.project.layers, at = layers.indexOf(layer), rest = layers.filter((one) => one !== layer);
    const next = layer.id === this.project.active ? (rest[Math.min(at, rest.length - 1)]?.id ?? null) : this.project.active;
    this.arrange(t("canvas.did.remove"), rest, next);
  }

  copy(layer) {
    const copy = duplicated(layer, this.project), layers = [...this.project.layers];
    layers.splice(layers.indexOf(layer) + 1, 0, copy);
    this.arrange(t("canvas.did.copy"), layers, copy.id);
  }

  /** Move a layer up (1) or down (-1). */
  shift(layer, way) {
    const layers = [...this.project.layers], at = layers.indexOf(layer), to = at + way;
    if (to < 0 || to >= layers.length) return;
    [layers[at], layers[to]] = [layers[to], layers[at]];
    this.arrange(t("canvas.did.order"), layers);
  }

  /** Change name, visible or opacity. What is dragged is one step: `was` is the value before. */
  set(layer, field, value, was = layer[field]) {
    if (value === was) return;
    this.act(t(`canvas.did.${field}`), this.facts(layer, { [field]: value }, { [field]: was }));
  }

  pick(id) {
    if (this.project.active === id) return;
    this.project.active = id;
    this.say();
    this.say("step");
    this.saver.soon();
  }

  rename(name) {
    const was = this.project.name;
    if (name && name !== was) this.act(t("canvas.did.name"), { was: { name: was }, now: { name } });
  }

  /** Return a layer of a kind to paint on: the active one, else the uppermost that is seen, else a new one. */
  ready(kind) {
    const fits = (one) => (kind === "paint" ? ["paint", "picture"].includes(one.kind) && !one.pending : one.kind === kind);
    let layer = this.active && fits(this.active) ? this.active : [...this.project.layers].reverse().find((one) => one.visible && fits(one));
    if (!layer) layer = this.newLayer(kind);
    if (!layer.visible) this.set(layer, "visible", true);
    this.pick(layer.id);
    return layer;
  }

  // The tool in hand

  use(tool) {
    if (!(tool in TOOLS) || tool === this.tool) return;
    this.tool = tool;
    this.wanted = WANTED[tool] ?? this.wanted;
    if (this.board) this.board.panning = tool === "hand";
    if (tool in this.sizes) this.brush = { ...this.brush, size: this.sizes[tool] };
    if (tool === "pose" && this.ready("pose").people.length === 0) this.addPerson();
    this.say();
    this.say("step");
  }

  setBrush(more) {
    this.brush = { ...this.brush, ...more };
    if (more.size && this.tool in this.sizes) this.sizes[this.tool] = more.size;
    this.say();
  }

  /** Make the brush larger (1) or smaller (-1). */
  resize(way) {
    const { size } = this.brush;
    this.setBrush({ size: Math.min(MOST_BRUSH, Math.max(1, Math.round(way > 0 ? Math.max(size + 1, size * 1.2) : Math.min(size - 1, size / 1.2)))) });
  }

  /** Say whether the tool paints; while the frame is dragged, none does. */
  get paints() { return ["brush", "eraser", "mask", "scribble", "segment"].includes(this.tool); }

  /** Begin with the tool at a place; says whether what follows is wanted. */
  down(place) {
    if ((this.tool === "lasso" || this.tool === "rect") && !this.frame) {
      this.lasso = [[place.x, place.y]];
      return true;
    }
    if (!this.paints || this.frame) return false;
    const layer = this.tool === "eraser" ? this.erasable() : this.ready(KIND_OF[this.tool]);
    if (!layer) return false;
    this.stroke = new Stroke(layer.raster, this.manner(layer));
    this.stroke.layer = layer;
    this.go(place);
    return true;
  }

  erasable() {
    const layer = this.active;
    if (layer?.raster && layer.visible) return layer;
    this.dispatchEvent(new CustomEvent("tell", { detail: t("canvas.erase.none") }));
    return null;
  }

  manner(layer) {
    const { size, softness, colour, pressure } = this.brush, erase = this.tool === "eraser";
    const clip = this.selection && layer.kind !== "segmentation" && layer.kind !== "sketch" ? pathOf(this.selection) : null;
    if (layer.kind === "segmentation") return { size, softness: 0, colour: this.region.colour, hard: true, erase, pressure: false, clip: null };
    if (layer.kind === "sketch") return { size, softness: 0, colour: "#101014", erase, pressure: false, clip: null };
    return { size, softness, colour: layer.kind === "mask" ? MASK_COLOUR : colour, erase, pressure, clip };
  }

  move(place) {
    if (this.lasso) {
      if (this.tool === "rect") this.lasso = squared(this.lasso[0], place);
      else this.lasso.push([place.x, place.y]);
      this.say("outline");
    } else if (this.stroke) {
      this.go(place);
    }
  }

  go({ x, y, pressure }) {
    const rect = this.stroke.to(x, y, pressure);
    if (rect) this.board?.show(rect);
  }

  up() {
    if (this.lasso) {
      const points = this.lasso.map(([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10]);
      this.lasso = null;
      this.select(area(points) > 4 ? points : null);
      return;
    }
    const { stroke } = this;
    if (!stroke) return;
    this.stroke = null;
    const parts = stroke.total ? stroke.end() : { before: [], after: [] }, { layer } = stroke, label = t(stroke.how.erase ? "canvas.did.erase" : "canvas.did.paint");
    if (!layer.strokes) {
      this.painted(label, layer, parts);
      return;
    }
    const points = simpler(stroke.points.map(({ x, y }) => [x, y]), CLOSE).map(([x, y]) => [Math.round(x * 10) / 10, Math.round(y * 10) / 10]);
    const line = { points, width: Math.max(1, stroke.how.size), erase: Boolean(stroke.how.erase) };
    this.painted(label, layer, parts, { line });
  }

  /** Leave what was begun: a second finger came, or the system took the pointer. */
  cancel() {
    this.lasso = null;
    if (this.stroke) {
      this.board?.show(this.stroke.cancel());
      this.stroke = null;
    }
    this.say("outline");
  }

  // Selections, masks and regions

  select(points) {
    this.selection = points;
    this.say();
    this.say("outline");
  }

  selectAll() {
    const { width, height } = this.project;
    this.select([[0, 0], [width, 0], [width, height], [0, height]]);
  }

  /** Fill the selection, as the active layer's kind wants it: colour, mask or region; `erase` clears it there. */
  fillSelection({ erase = false, kind = null } = {}) {
    if (!this.selection) return;
    const layer = kind ? this.ready(kind) : this.active?.raster && !this.active.pending ? this.active : this.ready("paint");
    const label = t(erase ? "canvas.did.erase" : "canvas.did.fill");
    const points = this.selection;
    if (layer.kind === "segmentation" && !erase) {
      this.painted(label, layer, hardFill(layer.raster, points, this.region.colour));
      return;
    }
    const colour = layer.kind === "mask" ? MASK_COLOUR : this.brush.colour;
    const parts = change(layer.raster, boxOf(points), (ctx) => {
      ctx.globalCompositeOperation = erase ? "destination-out" : "source-over";
      ctx.fillStyle = colour;
      ctx.fill(pathOf(points));
    });
    this.painted(label, layer, parts, layer.kind === "sketch" ? this.facts(layer, { strokes: null }) : {}); // it is no list of strokes any more
  }

  invertMask() {
    const layer = this.ready("mask"), image = layer.raster.pixels(), rgb = rgbOf(MASK_COLOUR);
    for (let i = 0; i < image.data.length; i += 4) {
      image.data.set(rgb, i);
      image.data[i + 3] = 255 - image.data[i + 3];
    }
    this.painted(t("canvas.did.invert"), layer, replace(layer.raster, image));
  }

  featherMask(radius) {
    const layer = this.ready("mask");
    const image = feathered(layer.raster.pixels(), radius, rgbOf(MASK_COLOUR));
    this.painted(t("canvas.did.feather"), layer, replace(layer.raster, image));
  }

  clearLayer(layer) {
    if (layer.kind === "pose") {
      this.setPeople(layer, []);
      return;
    }
    const parts = change(layer.raster, layer.raster.box, (ctx) => ctx.clearRect(0, 0, this.project.width, this.project.height));
    this.painted(t("canvas.did.clear"), layer, parts, layer.strokes ? this.facts(layer, { strokes: [] }) : {});
  }

  // People

  setPeople(layer, people, label = t("canvas.did.pose")) {
    this.act(label, this.facts(layer, { people }));
  }

  addPerson(stance) {
    const layer = this.ready("pose"), { width, height } = this.project;
    if (layer.people.length >= MOST_PEOPLE) return;
    const shift = (layer.people.length % 5) * width * 0.12 * (layer.people.length % 2 ? 1 : -1);
    this.picked = { person: layer.people.length, joint: 0 };
    this.setPeople(layer, [...layer.people, person(width, height, stance, shift)]);
  }

  removePerson(at = this.picked.person) {
    const layer = this.ready("pose");
    if (!layer.people[at]) return;
    this.picked = { person: Math.max(0, at - 1), joint: 0 };
    this.setPeople(layer, layer.people.filter((_, k) => k !== at));
  }

  /** Put a joint somewhere; null takes it away. */
  setJoint(layer, who, joint, at) {
    const { width, height } = this.project, point = at && inside(at, width, height);
    this.picked = { person: who, joint };
    this.setPeople(layer, layer.people.map((one, k) => (k === who ? one.map((was, j) => (j === joint ? point : was)) : one)));
  }

  movePerson(layer, who, dx, dy) {
    const { width, height } = this.project, shift = (at) => at && inside([at[0] + dx, at[1] + dy], width, height);
    this.setPeople(layer, layer.people.map((one, k) => (k === who ? one.map(shift) : one)));
  }

  // Moving layers

  /** Replace a layer's pixels by a picture under a transform [a, b, c, d, e, f]. */
  transform(layer, source, box, matrix) {
    const { raster } = layer, before = new Map(raster.tiles.map((_, at) => [at, raster.copy(at)]).filter(([, one]) => one.data));
    const next = new Raster(raster.width, raster.height), smooth = layer.kind !== "segmentation";
    const corners = [[0, 0], [box.w, 0], [0, box.h], [box.w, box.h]].map(([x, y]) => through(matrix, x, y));
    next.draw(boxOf(corners), (ctx) => {
      ctx.transform(...matrix);
      ctx.imageSmoothingEnabled = smooth;
      ctx.imageSmoothingQuality = "high";
      ctx.drawImage(source, 0, 0);
    });
    const touched = new Set([...before.keys(), ...next.stale]), was = [], now = [];
    for (const at of touched) {
      was.push(before.get(at) ?? { at, ...raster.place(at), data: null });
      now.push(next.copy(at));
    }
    for (const part of now) raster.put(part);
    const more = layer.kind === "sketch" ? this.movedStrokes(layer, box, matrix) : {};
    this.painted(t("canvas.did.move"), layer, { before: was, after: now }, more);
  }

  movedStrokes(layer, box, matrix) {
    if (!layer.strokes) return {};
    const was = layer.strokes, grown = Math.sqrt(Math.abs(matrix[0] * matrix[3] - matrix[1] * matrix[2]));
    const moved = was.map((one) => ({
      ...one, width: Math.max(1, one.width * grown), points: one.points.map(([x, y]) => through(matrix, x - box.x, y - box.y)),
    }));
    return this.facts(layer, { strokes: moved });
  }

  // Pictures and the frame

  /** Add a file of a picture as a layer, whole, in the middle; larger ones are made to fit. */
  async addPicture(blob, name) {
    const bitmap = await decoded(blob), { width, height } = this.project;
    const share = Math.min(1, width / bitmap.width, height / bitmap.height);
    const w = Math.max(1, Math.round(bitmap.width * share)), h = Math.max(1, Math.round(bitmap.height * share));
    const layer = newLayer("picture", width, height, name);
    const x = Math.round((width - w) / 2), y = Math.round((height - h) / 2);
    layer.raster.draw({ x, y, w, h }, (ctx) => {
      ctx.imageSmoothingQuality = "high";
      ctx.drawImage(bitmap, x, y, w, h);
    });
    bitmap.close();
    return this.addLayer(layer);
  }

  setFrame(frame) {
    const fresh = Boolean(frame) !== Boolean(this.frame);
    this.frame = frame;
    const { width, height } = this.project;
    if (this.board) {
      this.board.extra = frame && { x: -frame.left, y: -frame.top, w: width + frame.left + frame.right, h: height + frame.top + frame.bottom };
      if (fresh) this.board.fit(frame ? 0.7 : 1);
      this.board.show();
    }
    this.say();
    this.say("outline");
    if (fresh) this.say("step");
  }

  /**
   * Take a result in as a layer that waits to be accepted; where it is larger, the canvas grows with it. Layers of the
   * kinds `guides`, which led to it, are hidden: they would lie over it.
   */
  takeIn(bitmap, { x, y, w, h }, name, pending, guides = []) {
    const { project } = this, frame = { x: Math.min(0, x), y: Math.min(0, y) };
    const wide = Math.max(project.width, x + w) - frame.x, high = Math.max(project.height, y + h) - frame.y;
    const size = wrongSize(wide, high);
    if (size) throw new Error(size);
    const grows = wide !== project.width || high !== project.height;
    const layer = newLayer("picture", wide, high, name);
    const box = { x: x - frame.x, y: y - frame.y, w, h };
    layer.raster.draw(box, (ctx) => {
      ctx.imageSmoothingQuality = "high";
      ctx.drawImage(bitmap, box.x, box.y, w, h);
    });
    layer.pending = pending;
    const led = project.layers.filter((one) => one.visible && guides.includes(one.kind));
    const seen = (visible) => Object.fromEntries(led.map((one) => [one.id, { visible }]));
    const was = project.layers.map((one) => one.id), at = project.layers.findLastIndex((one) => ["picture", "paint"].includes(one.kind));
    project.shelf = [...project.shelf, layer];
    this.setFrame(null);
    this.act(name, {
      frame: grows ? { was: [project.width, project.height], now: [wide, high], x: -frame.x, y: -frame.y } : undefined,
      was: { order: was, active: project.active, layers: seen(true) },
      now: { order: was.toSpliced(at + 1, 0, layer.id), active: layer.id, layers: seen(false) },
    });
    if (grows) this.board?.fit();
    return layer;
  }

  get pending() { return this.project.layers.find((one) => one.pending) ?? null; }

  accept() {
    for (const layer of this.project.layers) layer.pending = null;
    this.changed();
  }

  /** Give a result back: as if it had not been asked for, where nothing was done since. */
  async discard() {
    const layer = this.pending, last = this.history.steps[this.history.at - 1];
    if (!layer) return;
    layer.pending = null;
    const took = last?.now?.order?.includes(layer.id) && !last.was.order.includes(layer.id);
    if (took) await this.history.undo();
    else this.remove(layer);
  }
}

function squared([x, y], to) {
  return [[x, y], [to.x, y], [to.x, to.y], [x, to.y]];
}

function area(points) {
  return Math.abs(points.reduce((sum, [x, y], k) => {
    const [nx, ny] = points[(k + 1) % points.length];
    return sum + x * ny - nx * y;
  }, 0)) / 2;
}

function through([a, b, c, d, e, f], x, y) {
  return [a * x + c * y + e, b * x + d * y + f];
}

