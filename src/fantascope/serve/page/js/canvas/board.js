// What is seen: a Konva stage with the picture under it, panned and zoomed, and pointers as tools hear them.

import { meet } from "./raster.js";
import { drawPeople } from "./pose.js";

const LEAST = 0.02, MOST = 32;

let loading = null;

/** Load Konva once, when a canvas is first opened. */
export function konva() {
  if (window.Konva) return Promise.resolve(window.Konva);
  loading ??= new Promise((good, bad) => {
    const script = document.createElement("script");
    script.src = new URL("../../vendor/konva.js", import.meta.url).href;
    script.onload = () => good(window.Konva);
    script.onerror = () => { loading = null; bad(new Error("vendor/konva.js")); };
    document.head.append(script);
  });
  return loading;
}

export class Board {
  /** host: the element. project: a function that gives the project. hear: {down, move, up, cancel, view, hover}. */
  constructor(Konva, host, project, hear) {
    this.Konva = Konva;
    this.host = host;
    this.project = project;
    this.hear = hear;
    this.view = { k: 1, x: 0, y: 0 };
    this.stage = new Konva.Stage({ container: host, width: host.clientWidth || 300, height: host.clientHeight || 300 });
    this.base = new Konva.Layer({ listening: false });
    this.over = new Konva.Layer();
    this.stage.add(this.base, this.over);
    this.ground = new Konva.Shape({ sceneFunc: () => this.paint(null) });
    this.base.add(this.ground);
    this.preview = null; // {image, x, y, w, h}
    this.hidden = null; // layer that a tool shows by itself
    this.extra = null; // rect beyond the canvas that is shown, when it is expanded
    this.due = undefined;
    this.fingers = new Map();
    this.listen();
    this.watch = new ResizeObserver(() => this.resize());
    this.watch.observe(host);
  }

  close() {
    this.watch.disconnect();
    this.stop.abort();
    cancelAnimationFrame(this.frame);
    clearTimeout(this.rest);
    this.stage.destroy();
  }

  // View

  resize() {
    const { clientWidth: w, clientHeight: h } = this.host;
    if (!w || !h || (w === this.stage.width() && h === this.stage.height())) return;
    const before = { w: this.stage.width(), h: this.stage.height() };
    this.stage.size({ width: w, height: h });
    if (this.fitted) this.fit();
    else this.look({ ...this.view, x: this.view.x + (w - before.w) / 2, y: this.view.y + (h - before.h) / 2 });
  }

  look(view) {
    const k = Math.min(MOST, Math.max(LEAST, view.k));
    this.view = { k, x: view.x, y: view.y };
    this.over.scale({ x: k, y: k });
    this.over.position({ x: view.x, y: view.y });
    this.hear.view(this.view);
    this.rough = true; // while it moves, it is drawn fast; when it rests, well
    clearTimeout(this.rest);
    this.rest = setTimeout(() => {
      this.rough = false;
      this.show();
    }, 150);
    this.show();
  }

  /** Show all of it; `share` of the room is used. */
  fit(share = 1) {
    const { width, height } = this.project(), w = this.stage.width(), h = this.stage.height();
    const frame = this.extra ?? { x: 0, y: 0, w: width, h: height };
    const k = share * Math.min(4, (w - 48) / frame.w, (h - 48) / frame.h);
    this.look({ k, x: (w - frame.w * k) / 2 - frame.x * k, y: (h - frame.h * k) / 2 - frame.y * k });
    this.fitted = share === 1;
  }

  /** Zoom by a factor around a place of the screen, its middle if none is given. */
  zoom(factor, at = { x: this.stage.width() / 2, y: this.stage.height() / 2 }) {
    const k = Math.min(MOST, Math.max(LEAST, this.view.k * factor)), by = k / this.view.k;
    this.fitted = false;
    this.look({ k, x: at.x - (at.x - this.view.x) * by, y: at.y - (at.y - this.view.y) * by });
  }

  pan(dx, dy) {
    this.fitted = false;
    this.look({ ...this.view, x: this.view.x + dx, y: this.view.y + dy });
  }

  /** Return where an event is: on the canvas (x, y) and on the screen (sx, sy). */
  place(event) {
    const box = this.corner ?? this.host.getBoundingClientRect();
    const sx = event.clientX - box.left, sy = event.clientY - box.top;
    return { x: (sx - this.view.x) / this.view.k, y: (sy - this.view.y) / this.view.k, sx, sy, pressure: pressureOf(event) };
  }

  // Painting the screen

  /** Show all again with the next frame, or a rectangle of the canvas only. */
  show(rect = null) {
    if (this.due === undefined) {
      this.due = rect;
      this.frame = requestAnimationFrame(() => this.flush());
    } else if (rect === null || this.due === null) {
      this.due = null;
    } else {
      const x = Math.min(rect.x, this.due.x), y = Math.min(rect.y, this.due.y);
      this.due = { x, y, w: Math.max(rect.x + rect.w, this.due.x + this.due.w) - x, h: Math.max(rect.y + rect.h, this.due.y + this.due.h) - y };
    }
  }

  flush() {
    const rect = this.due;
    this.due = undefined;
    if (rect === null) {
      this.base.draw();
      this.over.draw();
    } else {
      this.paint(rect);
    }
  }

  /** Draw the visible layers on the screen; of them a rectangle of the canvas, or all. */
  paint(rect) {
    const ctx = this.base.getNativeCanvasElement().getContext("2d"), { width, height, layers, paper } = this.project();
    const ratio = this.base.getCanvas().getPixelRatio(), k = this.view.k * ratio, ox = this.view.x * ratio, oy = this.view.y * ratio;
    const screen = { x: 0, y: 0, w: ctx.canvas.width, h: ctx.canvas.height };
    const part = rect ? { x: (rect.x - 2) * k + ox - 2, y: (rect.y - 2) * k + oy - 2, w: (rect.w + 4) * k + 4, h: (rect.h + 4) * k + 4 } : screen;
    const clip = meet(part, screen);
    if (!clip) return;
    const left = Math.round(ox), top = Math.round(oy);
    const frame = { x: left, y: top, w: Math.round(width * k + ox) - left, h: Math.round(height * k + oy) - top };
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.beginPath();
    ctx.rect(clip.x, clip.y, clip.w, clip.h);
    ctx.clip();
    ctx.clearRect(clip.x, clip.y, clip.w, clip.h);
    if (this.extra) this.paintExtra(ctx, k, ox, oy);
    ctx.fillStyle = paper;
    ctx.fillRect(frame.x, frame.y, frame.w, frame.h);
    ctx.beginPath();
    ctx.rect(frame.x, frame.y, frame.w, frame.h);
    ctx.clip();
    ctx.imageSmoothingEnabled = k < 3;
    ctx.imageSmoothingQuality = rect || this.rough ? "low" : "medium";
    for (const layer of layers) {
      if (!layer.visible || layer === this.hidden) continue;
      ctx.globalAlpha = layer.opacity;
      if (layer.raster) {
        layer.raster.show(ctx, k, ox, oy, clip);
      } else {
        ctx.setTransform(k, 0, 0, k, ox, oy);
        drawPeople(ctx, layer.people, width, height);
        ctx.setTransform(1, 0, 0, 1, 0, 0);
      }
    }
    ctx.restore();
    if (this.preview) this.paintPreview(ctx, k, ox, oy, clip);
  }

  paintExtra(ctx, k, ox, oy) {
    const { x, y, w, h } = this.extra;
    ctx.globalAlpha = 0.5;
    ctx.fillStyle = getComputedStyle(this.host).accentColor;
    ctx.fillRect(Math.round(x * k + ox), Math.round(y * k + oy), Math.round(w * k), Math.round(h * k));
    ctx.globalAlpha = 1;
  }

  paintPreview(ctx, k, ox, oy, clip) {
    const { image, x, y, w, h } = this.preview;
    ctx.save();
    ctx.setTransform(1, 0, 0, 1, 0, 0);
    ctx.beginPath();
    ctx.rect(clip.x, clip.y, clip.w, clip.h);
    ctx.clip();
    ctx.imageSmoothingQuality = "medium";
    ctx.globalAlpha = 0.92;
    ctx.drawImage(image, x * k + ox, y * k + oy, w * k, h * k);
    ctx.restore();
  }

  // Pointers

  listen() {
    this.stop = new AbortController();
    const on = (name, heard, more) => this.host.addEventListener(name, heard, { signal: this.stop.signal, ...more });
    on("pointerdown", (event) => this.down(event));
    on("pointermove", (event) => this.moved(event));
    on("pointerup", (event) => this.upped(event));
    on("pointercancel", (event) => this.upped(event, true));
    on("pointerleave", () => this.hear.hover(null));
    on("contextmenu", (event) => event.preventDefault());
    on("wheel", (event) => this.wheeled(event), { passive: false });
  }

  wheeled(event) {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : 1, { sx, sy } = this.place(event);
    if (event.shiftKey) this.pan(-(event.deltaY || event.deltaX) * unit, 0);
    else this.zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0015)), { x: sx, y: sy });
  }

  down(event) {
    this.corner = this.host.getBoundingClientRect();
    if (event.pointerType === "touch") this.fingers.set(event.pointerId, this.place(event));
    if (this.fingers.size === 2) {
      if (this.drawing) this.hear.cancel();
      this.drawing = null;
      this.pinch = this.grip();
      return;
    }
    if (this.fingers.size > 2 || this.drawing) return;
    const grab = event.button === 1 || this.panning;
    if (event.button > 1) return;
    const place = this.place(event);
    this.drawing = { id: event.pointerId, grab, last: place, start: place };
    if (!grab && !this.hear.down(place, event)) {
      this.drawing = null;
      return;
    }
    this.host.setPointerCapture(event.pointerId);
    event.preventDefault();
  }

  moved(event) {
    if (this.fingers.has(event.pointerId)) this.fingers.set(event.pointerId, this.place(event));
    if (this.pinch && this.fingers.size === 2) {
      const now = this.grip(), { k, x, y } = this.pinch.view, by = now.far / this.pinch.far;
      const next = Math.min(MOST, Math.max(LEAST, k * by)), scaled = next / k;
      this.fitted = false;
      this.look({ k: next, x: now.x - (this.pinch.x - x) * scaled, y: now.y - (this.pinch.y - y) * scaled });
      return;
    }
    const place = this.place(event);
    this.hear.hover(event.pointerType === "touch" ? null : place);
    if (this.drawing?.id !== event.pointerId) return;
    if (this.drawing.grab) {
      this.pan(place.sx - this.drawing.last.sx, place.sy - this.drawing.last.sy);
      this.drawing.last = place;
      return;
    }
    const all = event.getCoalescedEvents?.() ?? [];
    for (const one of all.length ? all : [event]) this.hear.move(this.place(one), event);
  }

  upped(event, cancelled = false) {
    this.fingers.delete(event.pointerId);
    if (this.pinch) {
      if (this.fingers.size === 0) this.pinch = null;
      return;
    }
    if (this.drawing?.id !== event.pointerId) return;
    const { grab } = this.drawing;
    this.drawing = null;
    this.corner = null;
    if (grab) return;
    if (cancelled) this.hear.cancel();
    else this.hear.up(this.place(event), event);
  }

  grip() {
    const [a, b] = [...this.fingers.values()];
    return { x: (a.sx + b.sx) / 2, y: (a.sy + b.sy) / 2, far: Math.max(1, Math.hypot(a.sx - b.sx, a.sy - b.sy)), view: { ...this.view } };
  }
}

/** A pen says how hard it is pressed; a mouse and most fingers do not. */
function pressureOf(event) {
  return event.pointerType === "pen" && event.pressure > 0 ? event.pressure : 1;
}
