// Strokes of the brush, the eraser, the scribble pen and the region pen, drawn as the pointer moves.

import { join, meet, pen, sheet } from "./raster.js";

const stamps = new Map();

/** Return a round stamp of a colour: soft from (1 - softness) of its radius on, or with hard steps of whole pixels. */
function stamp(size, softness, colour, hard) {
  const key = `${size}/${softness}/${colour}/${hard}`;
  let found = stamps.get(key);
  if (found) return found;
  const side = Math.max(1, Math.ceil(size)), canvas = sheet(side, side), ctx = pen(canvas), middle = side / 2;
  if (hard) {
    ctx.fillStyle = colour;
    for (let y = 0; y < side; y += 1) {
      for (let x = 0; x < side; x += 1) {
        if ((x + 0.5 - middle) ** 2 + (y + 0.5 - middle) ** 2 <= middle * middle + 0.3) ctx.fillRect(x, y, 1, 1);
      }
    }
  } else {
    const fall = ctx.createRadialGradient(middle, middle, middle * Math.max(0, 0.98 - softness), middle, middle, middle);
    for (let k = 0; k <= 8; k += 1) {
      const share = Math.round(255 * Math.cos((k / 8) * Math.PI / 2) ** 2);
      fall.addColorStop(k / 8, colour + share.toString(16).padStart(2, "0"));
    }
    ctx.fillStyle = fall;
    ctx.fillRect(0, 0, side, side);
  }
  if (stamps.size > 60) stamps.clear();
  stamps.set(key, canvas);
  return canvas;
}

/**
 * One stroke on a raster.
 *
 * how: {size px, softness 0…1, colour '#rrggbb', erase, hard, pressure: whether it widens, clip: Path2D or null}
 */
export class Stroke {
  constructor(raster, how) {
    this.raster = raster;
    this.how = how;
    this.points = [];
    this.before = new Map();
    this.dirty = null; // what changed since the last look
    this.total = null;
    this.left = 0;
  }

  /** Go on to a point; pressure 0 … 1. Returns the rectangle that changed. */
  to(x, y, pressure = 1) {
    const last = this.points[this.points.length - 1];
    const next = { x, y, size: this.how.pressure ? Math.max(0.6, this.how.size * pressure) : this.how.size };
    if (last && Math.hypot(x - last.x, y - last.y) < 0.25) return null;
    this.points.push(next);
    const from = last ?? next, half = Math.max(from.size, next.size) / 2 + 2;
    const left = Math.min(from.x, x) - half, top = Math.min(from.y, y) - half;
    const wide = { x: left, y: top, w: Math.abs(from.x - x) + 2 * half, h: Math.abs(from.y - y) + 2 * half };
    const rect = meet(wide, this.raster.box);
    const marks = this.how.hard || this.how.softness > 0 ? this.marks(from, next, !last) : null;
    if (!rect) return null;
    for (const at of this.raster.under(rect)) if (!this.before.has(at)) this.before.set(at, this.raster.copy(at));
    this.raster.draw(rect, (ctx) => {
      if (this.how.clip) ctx.clip(this.how.clip);
      ctx.globalCompositeOperation = this.how.erase ? "destination-out" : "source-over";
      if (marks) this.stamp(ctx, marks);
      else this.line(ctx, from, next);
    });
    this.dirty = join(this.dirty, rect);
    this.total = join(this.total, rect);
    return rect;
  }

  line(ctx, from, next) {
    ctx.lineCap = "round";
    ctx.lineJoin = "round";
    ctx.lineWidth = next.size;
    ctx.strokeStyle = this.how.colour;
    ctx.beginPath();
    ctx.moveTo(from.x, from.y);
    ctx.lineTo(next.x + (from === next ? 0.01 : 0), next.y);
    ctx.stroke();
  }

  /** Draw a line of one width again, as one: where its pieces met, their borders lay on each other. */
  redraw() {
    const { points, how } = this;
    if (how.hard || how.softness > 0 || points.length < 3 || points.some((one) => one.size !== points[0].size)) return;
    for (const part of this.before.values()) this.raster.put(part);
    const path = new Path2D();
    points.forEach(({ x, y }, k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
    this.raster.draw(this.total, (ctx) => {
      if (how.clip) ctx.clip(how.clip);
      ctx.globalCompositeOperation = how.erase ? "destination-out" : "source-over";
      Object.assign(ctx, { lineCap: "round", lineJoin: "round", lineWidth: points[0].size, strokeStyle: how.colour });
      ctx.stroke(path);
    });
  }

  /** Return where stamps fall between two points. */
  marks(from, next, first) {
    const far = Math.hypot(next.x - from.x, next.y - from.y), marks = first ? [next] : [];
    const gap = Math.max(1, Math.min(from.size, next.size) * (this.how.hard ? 0.15 : 0.12));
    let at = first ? gap : gap - this.left;
    for (; at <= far; at += gap) {
      const share = at / far;
      marks.push({ x: from.x + (next.x - from.x) * share, y: from.y + (next.y - from.y) * share, size: from.size + (next.size - from.size) * share });
    }
    this.left = first ? 0 : far - (at - gap);
    return marks;
  }

  stamp(ctx, marks) {
    const { softness, colour, hard } = this.how;
    ctx.imageSmoothingEnabled = !hard;
    for (const mark of marks) {
      const picture = stamp(hard ? Math.round(mark.size) : this.how.size, softness, colour, hard);
      const side = hard ? picture.width : mark.size;
      const x = mark.x - side / 2, y = mark.y - side / 2;
      if (hard) ctx.drawImage(picture, Math.round(x), Math.round(y));
      else ctx.drawImage(picture, x, y, side, side);
    }
  }

  /** Return and forget what changed since the last call. */
  seen() {
    const found = this.dirty;
    this.dirty = null;
    return found;
  }

  /** Return what it changed: {before, after}, parts of tiles. */
  end() {
    this.redraw();
    return changed(this.raster, this.before, this.total);
  }

  /** Take it back. */
  cancel() {
    for (const part of this.before.values()) this.raster.put(part);
    return this.total;
  }
}

/** Return the parts of tiles that lie in a rectangle, as they were (whole tiles in a Map) and as they are. */
export function changed(raster, before, rect) {
  const was = [], now = [];
  for (const [at, tile] of rect ? before : []) {
    const part = meet(rect, raster.place(at));
    if (!part) continue;
    was.push(cut(tile, part, at));
    now.push(raster.copy(at, part));
  }
  return { before: was, after: now };
}

function cut(tile, part, at) {
  if (!tile.data) return { at, ...part, data: null };
  const data = new Uint8ClampedArray(part.w * part.h * 4);
  for (let row = 0; row < part.h; row += 1) {
    const from = ((part.y - tile.y + row) * tile.w + part.x - tile.x) * 4;
    data.set(tile.data.subarray(from, from + part.w * 4), row * part.w * 4);
  }
  return { at, ...part, data };
}

/** Draw on a raster as one change: `work(ctx)` for each tile under the rectangle. Returns {before, after}. */
export function change(raster, rect, work) {
  const part = meet(rect, raster.box);
  if (!part) return { before: [], after: [] };
  const before = new Map(raster.under(part).map((at) => [at, raster.copy(at)]));
  raster.draw(part, work);
  return changed(raster, before, part);
}

/** Replace a raster's pixels by ImageData as one change. */
export function replace(raster, image) {
  const before = new Map(raster.tiles.map((_, at) => [at, raster.copy(at)]));
  raster.fill(image);
  return changed(raster, before, raster.box);
}

/** Return a polygon as a path. */
export function pathOf(points) {
  const path = new Path2D();
  points.forEach(([x, y], k) => (k ? path.lineTo(x, y) : path.moveTo(x, y)));
  path.closePath();
  return path;
}

/** Return the box of points, a little larger. */
export function boxOf(points, more = 2) {
  const xs = points.map((p) => p[0]), ys = points.map((p) => p[1]);
  const x = Math.floor(Math.min(...xs)) - more, y = Math.floor(Math.min(...ys)) - more;
  return { x, y, w: Math.ceil(Math.max(...xs)) + more - x, h: Math.ceil(Math.max(...ys)) + more - y };
}

/** Fill a polygon with one colour in whole pixels, none of them mixed. */
export function hardFill(raster, points, colour) {
  const rect = meet(boxOf(points), raster.box);
  if (!rect) return { before: [], after: [] };
  const canvas = sheet(rect.w, rect.h), ctx = pen(canvas);
  ctx.translate(-rect.x, -rect.y);
  ctx.fillStyle = colour;
  ctx.fill(pathOf(points));
  const image = ctx.getImageData(0, 0, rect.w, rect.h), rgb = rgbOf(colour);
  for (let i = 0; i < image.data.length; i += 4) {
    const on = image.data[i + 3] >= 128;
    image.data.set(on ? [...rgb, 255] : [0, 0, 0, 0], i);
  }
  ctx.putImageData(image, 0, 0);
  return change(raster, rect, (to) => to.drawImage(canvas, rect.x, rect.y));
}

export function rgbOf(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

export function hexOf(rgb) {
  return `#${rgb.map((level) => level.toString(16).padStart(2, "0")).join("")}`;
}

/** Return fewer points that stay within `far` px of the line (Douglas & Peucker, 1973). */
export function simpler(points, far) {
  if (points.length < 3) return points;
  const keep = new Uint8Array(points.length), todo = [[0, points.length - 1]];
  keep[0] = keep[points.length - 1] = 1;
  while (todo.length) {
    const [from, to] = todo.pop(), [ax, ay] = points[from], [bx, by] = points[to];
    const dx = bx - ax, dy = by - ay, length = Math.hypot(dx, dy);
    let most = 0, at = -1;
    for (let k = from + 1; k < to; k += 1) {
      const [x, y] = points[k];
      const away = length ? Math.abs(dy * (x - ax) - dx * (y - ay)) / length : Math.hypot(x - ax, y - ay);
      if (away > most) [most, at] = [away, k];
    }
    if (most > far) {
      keep[at] = 1;
      todo.push([from, at], [at, to]);
    }
  }
  return points.filter((_, k) => keep[k]);
}
