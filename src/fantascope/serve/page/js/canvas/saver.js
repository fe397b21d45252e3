// Writes the draft soon after every change, and says how that went.

const SOON = 350;

export class Saver {
  /** `work(options)` writes; `told({kind: "saved" | "saving" | "waiting" | "full" | "failed", error})`; while `busy()`, as
   *  in the middle of a stroke, it waits; `settle()` ends what makes it busy, as the page goes away. */
  constructor(work, told, { busy = () => false, settle = () => {} } = {}) {
    Object.assign(this, { work, told, busy, settle });
    this.on = false;
    this.hidden = () => { if (document.visibilityState === "hidden" && this.timer) this.now(); };
    this.hurry = () => {
      this.settle();
      if (this.on && this.kind !== "saved") this.work({ hurry: true }).catch(() => {});
    };
    document.addEventListener("visibilitychange", this.hidden);
    window.addEventListener("pagehide", this.hurry);
  }

  soon() {
    if (!this.on) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => (this.busy() ? this.soon() : this.now()), SOON);
    if (this.kind !== "waiting") this.tell({ kind: "waiting" });
  }

  /** Write what is not written yet. One after the other: what changes meanwhile is written next. */
  now() {
    clearTimeout(this.timer);
    this.timer = null;
    this.line = (this.line ?? Promise.resolve()).then(async () => {
      this.tell({ kind: "saving" });
      try {
        await this.work({});
        this.tell({ kind: this.timer ? "waiting" : "saved" });
      } catch (error) {
        this.tell({ kind: error.name === "QuotaExceededError" ? "full" : "failed", error });
      }
    });
    return this.line;
  }

  tell(state) {
    this.kind = state.kind;
    this.told(state);
  }

  close() {
    if (this.timer && this.on) this.now();
    this.on = false;
    this.told = () => {};
    document.removeEventListener("visibilitychange", this.hidden);
    window.removeEventListener("pagehide", this.hurry);
    return this.line;
  }
}
