// Undo and redo without end. A step holds parts of tiles as they were and are, or two functions; old parts go to disk.

import { attic } from "./saves.js";
import { newId } from "./project.js";

const MOST_BYTES = 192 * 2 ** 20;

export class History {
  /** `find(id)` gives a layer; `told(label, rect)` is called after each step. */
  constructor(find, told) {
    this.find = find;
    this.told = told;
    this.steps = [];
    this.at = 0; // steps before this one are done
    this.run = newId("h");
    this.queue = Promise.resolve();
    this.bytes = 0;
    this.most = MOST_BYTES;
  }

  get canUndo() { return this.at > 0; }
  get canRedo() { return this.at < this.steps.length; }

  /** Add what was just done: {label, layer, before, after} of tiles, and `undo`, `redo` for what is no pixel. */
  add(step) {
    for (const gone of this.steps.splice(this.at)) this.bytes -= gone.bytes;
    step.bytes = weight(step.before) + weight(step.after);
    step.id = this.steps.length ? this.steps[this.steps.length - 1].id + 1 : 1;
    this.steps.push(step);
    this.at = this.steps.length;
    this.bytes += step.bytes;
    this.spill();
  }

  undo() { return this.go(-1); }
  redo() { return this.go(1); }

  go(way) {
    this.queue = this.queue.then(async () => {
      const step = this.steps[way < 0 ? this.at - 1 : this.at];
      if (!step) return;
      await this.fetch(step);
      if (step.layer) {
        const raster = this.find(step.layer)?.raster;
        for (const part of way < 0 ? step.before : step.after) raster?.put(part);
      }
      if (way < 0) step.undo?.();
      else step.redo?.();
      this.at += way;
      this.told(step, way);
    });
    return this.queue;
  }

  /** Put the oldest pixels away until the rest fits; what cannot be put away stays. */
  spill() {
    if (this.bytes <= this.most || this.spilling) return;
    this.spilling = (async () => {
      for (const step of this.steps) {
        if (this.bytes <= this.most) break;
        if (step.bytes === 0 || step === this.steps[this.at - 1]) continue;
        try {
          await attic.put([this.run, step.id], { before: step.before, after: step.after });
        } catch {
          break;
        }
        this.bytes -= step.bytes;
        Object.assign(step, { before: [], after: [], away: step.bytes, bytes: 0 });
      }
      this.spilling = null;
    })();
  }

  async fetch(step) {
    await this.spilling;
    if (!step.away) return;
    const { before, after } = await attic.get([this.run, step.id]);
    Object.assign(step, { before, after, bytes: step.away, away: 0 });
    this.bytes += step.bytes;
  }

  close() {
    return attic.clear(this.run).catch(() => {});
  }
}

function weight(parts) {
  return (parts ?? []).reduce((sum, part) => sum + (part.data?.byteLength ?? 0), 0);
}
