// Undo and redo, over a refresh too: steps are written with the draft, and their pixels leave the memory once they are.

import { partsOf } from "./saves.js";
import { tidied, turn, weight } from "./steps.js";

const MOST_BYTES = 192 * 2 ** 20; // of pixels, in memory
const MOST_HELD = 4 * MOST_BYTES; // where nothing can be written
const MOST_KEPT = 256 * 2 ** 20; // of packed pixels, in the browser's database
const MOST_STEPS = 500;

export class History {
  /** `told(step, way)` is called after each step back or forth; `past` {at, steps} is what was kept. */
  constructor(project, told, past = { at: 0, steps: [] }) {
    this.project = project;
    this.told = told;
    this.steps = past.steps;
    this.at = past.at; // steps before this one are done
    this.last = Math.max(0, ...past.steps.map((one) => one.id));
    this.gone = new Set(); // ids of steps that are written and wanted no more
    this.queue = Promise.resolve();
    this.bytes = 0;
    this.most = MOST_BYTES;
    this.mostSteps = MOST_STEPS;
    this.keeps = true;
  }

  get canUndo() { return this.at > 0; }
  get canRedo() { return this.at < this.steps.length; }

  /** Add a step that was just done. */
  add(step) {
    this.last += 1;
    Object.assign(step, { id: this.last, bytes: weight(step), away: 0, kept: 0, written: false });
    this.cut(this.at, this.steps.length);
    this.steps.push(step);
    this.at = this.steps.length;
    this.bytes += step.bytes;
    this.trim();
  }

  undo() { return this.go(-1); }
  redo() { return this.go(1); }

  go(way) {
    this.queue = this.queue.then(async () => {
      const next = () => this.steps[way < 0 ? this.at - 1 : this.at], step = next();
      if (!step || !(await this.fetch(step)) || step !== next()) return; // something was painted meanwhile
      turn(this.project, step, way);
      this.at += way;
      this.told(step, way);
    });
    return this.queue;
  }

  /** Read the pixels of a step again. Where they are gone, so is the way that leads over it, and this says false. */
  async fetch(step) {
    if (!step.away) return true;
    const parts = await partsOf(this.project.id, step.id).catch(() => null), at = this.steps.indexOf(step);
    if (at < 0) return false;
    if (!parts) {
      if (at < this.at) this.cut(0, at + 1);
      else this.cut(at, this.steps.length);
      this.told(null, 0);
      return false;
    }
    Object.assign(step, parts, { bytes: step.away, away: 0 });
    this.bytes += step.bytes;
    return true;
  }

  /** Forget steps. */
  cut(from, to) {
    const out = this.steps.splice(from, to - from);
    if (out.length === 0) return;
    if (from < this.at) this.at -= Math.min(this.at, to) - from;
    for (const step of out) {
      this.bytes -= step.bytes;
      if (step.written) this.gone.add(step.id);
    }
    tidied(this.project, this.steps);
  }

  /** Forget the oldest steps where there are too many. */
  trim() {
    let kept = this.steps.reduce((sum, one) => sum + one.kept, 0), held = this.bytes, n = 0;
    while (n < this.at - 1 && (kept > MOST_KEPT || held > MOST_HELD || this.steps.length - n > this.mostSteps)) {
      kept -= this.steps[n].kept;
      held -= this.steps[n].bytes;
      n += 1;
    }
    this.cut(0, n);
  }

  // What the draft writes

  /** Return {at, ids} of all steps, those that are not written yet, and ids of those that are wanted no more. */
  pieces() {
    if (!this.keeps) return { at: 0, ids: [], fresh: [], gone: [] };
    return { at: this.at, ids: this.steps.map((one) => one.id), fresh: this.steps.filter((one) => !one.written), gone: [...this.gone] };
  }

  /** What `pieces` gave was written; `sizes` are packed bytes of the fresh ones. */
  wrote({ fresh, gone }, sizes) {
    for (const id of gone) this.gone.delete(id);
    fresh.forEach((step, k) => {
      Object.assign(step, { written: true, kept: sizes[k] });
      if (!this.steps.includes(step)) this.gone.add(step.id);
    });
    this.trim();
    this.spill();
  }

  /** Let the oldest pixels that are written leave the memory, until the rest fits. */
  spill() {
    for (const [k, step] of this.steps.entries()) {
      if (this.bytes <= this.most) break;
      if (step.bytes === 0 || !step.written || k === this.at - 1) continue;
      this.bytes -= step.bytes;
      Object.assign(step, { before: [], after: [], away: step.bytes, bytes: 0 });
    }
  }

  /** There is no room to keep it: go on with what is in memory. */
  forgo() {
    this.keeps = false;
    this.gone.clear();
    const done = this.steps.slice(0, this.at).findLastIndex((one) => one.away);
    this.cut(0, done + 1);
    const next = this.steps.findIndex((one, k) => k >= this.at && one.away);
    if (next >= 0) this.cut(next, this.steps.length);
    this.gone.clear();
  }
}
