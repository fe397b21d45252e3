// Pixels of a layer, in tiles: what nothing was painted on takes no memory, and a brush copies little.

export const TILE = 512;
export const MOST_SIDE = 4096;

/** Return the rectangle {x, y, w, h} of whole pixels that holds both; null is the empty one. */
export function join(a, b) {
  if (!a) return b;
  if (!b) return a;
  const x = Math.min(a.x, b.x), y = Math.min(a.y, b.y);
  return { x, y, w: Math.max(a.x + a.w, b.x + b.w) - x, h: Math.max(a.y + a.h, b.y + b.h) - y };
}

/** Return the part of a rectangle that lies on another, on whole pixels, or null. */
export function meet(a, b) {
  const x = Math.max(Math.floor(a.x), b.x), y = Math.max(Math.floor(a.y), b.y);
  const w = Math.min(Math.ceil(a.x + a.w), b.x + b.w) - x, h = Math.min(Math.ceil(a.y + a.h), b.y + b.h) - y;
  return w > 0 && h > 0 ? { x, y, w, h } : null;
}

/** Return a canvas in memory, whose pixels can be read without waiting for a graphics card. */
export function sheet(width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  return canvas;
}

export function pen(canvas) {
  return canvas.getContext("2d", { willReadFrequently: true });
}

export class Raster {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.across = Math.ceil(width / TILE);
    this.tiles = new Array(this.across * Math.ceil(height / TILE)).fill(null);
    this.stale = new Set(); // tiles that changed since they were last written to the draft
  }

  get box() {
    return { x: 0, y: 0, w: this.width, h: this.height };
  }

  /** Whether something was ever painted on it; `bounds` says whether it is still there. */
  get touched() {
    return this.tiles.some(Boolean);
  }

  /** Return where a tile lies. */
  place(at) {
    const x = (at % this.across) * TILE, y = Math.floor(at / this.across) * TILE;
    return { x, y, w: Math.min(TILE, this.width - x), h: Math.min(TILE, this.height - y) };
  }

  /** Return the numbers of the tiles that a rectangle touches. */
  under(rect) {
    const part = meet(rect, this.box), found = [];
    if (!part) return found;
    for (let row = Math.floor(part.y / TILE); row * TILE < part.y + part.h; row += 1) {
      for (let col = Math.floor(part.x / TILE); col * TILE < part.x + part.w; col += 1) found.push(row * this.across + col);
    }
    return found;
  }

  tile(at) {
    if (!this.tiles[at]) {
      const place = this.place(at), canvas = sheet(place.w, place.h);
      this.tiles[at] = { canvas, ctx: pen(canvas) };
    }
    return this.tiles[at];
  }

  /** Draw on every tile that a rectangle touches; `work(ctx)` sees the coordinates of the whole. */
  draw(rect, work) {
    for (const at of this.under(rect)) {
      const { ctx } = this.tile(at), place = this.place(at);
      ctx.save();
      ctx.setTransform(1, 0, 0, 1, -place.x, -place.y);
      work(ctx);
      ctx.restore();
      this.stale.add(at);
    }
  }

  clear() {
    this.tiles.forEach((tile, at) => tile && this.stale.add(at));
    this.tiles.fill(null);
  }

  /** Return the bytes of a part of a tile: {at, x, y, w, h, data}; data is null where nothing was ever painted. */
  copy(at, rect = this.place(at)) {
    const place = this.place(at), part = meet(rect, place), tile = this.tiles[at];
    if (!tile) return { at, ...part, data: null };
    return { at, ...part, data: tile.ctx.getImageData(part.x - place.x, part.y - place.y, part.w, part.h).data };
  }

  /** Put bytes back that `copy` gave. */
  put(part) {
    const place = this.place(part.at);
    this.stale.add(part.at);
    if (!part.data) {
      if (!this.tiles[part.at]) return;
      this.tiles[part.at].ctx.clearRect(part.x - place.x, part.y - place.y, part.w, part.h);
      return;
    }
    const data = part.data instanceof Uint8ClampedArray ? part.data : new Uint8ClampedArray(part.data);
    this.tile(part.at).ctx.putImageData(new ImageData(data, part.w, part.h), part.x - place.x, part.y - place.y);
  }

  /** Draw it on another context, as `ctx` is transformed. */
  paste(ctx) {
    this.tiles.forEach((tile, at) => {
      if (tile) ctx.drawImage(tile.canvas, this.place(at).x, this.place(at).y);
    });
  }

  /** Draw the tiles on a screen whose pixel is `k` times ours, moved by (ox, oy); edges fall on whole screen pixels. */
  show(ctx, k, ox, oy, clip) {
    this.tiles.forEach((tile, at) => {
      if (!tile) return;
      const place = this.place(at);
      const left = Math.round(place.x * k + ox), top = Math.round(place.y * k + oy);
      const right = Math.round((place.x + place.w) * k + ox), bottom = Math.round((place.y + place.h) * k + oy);
      if (right <= clip.x || bottom <= clip.y || left >= clip.x + clip.w || top >= clip.y + clip.h) return;
      ctx.drawImage(tile.canvas, left, top, right - left, bottom - top);
    });
  }

  /** Return one canvas with all of it. */
  whole() {
    const canvas = sheet(this.width, this.height);
    this.paste(pen(canvas));
    return canvas;
  }

  /** Return all of it as ImageData. */
  pixels() {
    return pen(this.whole()).getImageData(0, 0, this.width, this.height);
  }

  /** Replace all of it by ImageData. */
  fill(image) {
    this.tiles.forEach((_, at) => {
      const { x, y, w, h } = this.place(at);
      this.tile(at).ctx.putImageData(image, -x, -y, x, y, w, h);
      this.stale.add(at);
    });
  }

  /** Return the smallest rectangle outside of which all is clear, or null. */
  bounds() {
    let found = null;
    this.tiles.forEach((tile, at) => {
      if (!tile) return;
      const { x, y, w, h } = this.place(at);
      const data = new Uint32Array(tile.ctx.getImageData(0, 0, w, h).data.buffer);
      let left = w, right = -1, top = h, bottom = -1;
      for (let j = 0, i = 0; j < h; j += 1) {
        for (let k = 0; k < w; k += 1, i += 1) {
          if (data[i] === 0) continue;
          if (k < left) left = k;
          if (k > right) right = k;
          if (j < top) top = j;
          bottom = j;
        }
      }
      if (right >= 0) found = join(found, { x: x + left, y: y + top, w: right - left + 1, h: bottom - top + 1 });
    });
    return found;
  }

  /** Return a copy of another size, in which this one lies at (x, y). */
  framed(width, height, x, y) {
    const next = new Raster(width, height);
    this.tiles.forEach((tile, at) => {
      if (!tile) return;
      const place = this.place(at), moved = { ...place, x: place.x + x, y: place.y + y };
      next.draw(moved, (ctx) => ctx.drawImage(tile.canvas, moved.x, moved.y));
    });
    return next;
  }

  async png() {
    return asPng(this.whole());
  }
}

export function asPng(canvas) {
  return new Promise((done, fail) => {
    canvas.toBlob((blob) => (blob ? done(blob) : fail(new Error("This canvas cannot be written."))), "image/png");
  });
}

/** Return a bitmap of a file exactly as its bytes say, with no colour changed. */
export function decoded(blob) {
  return createImageBitmap(blob, { colorSpaceConversion: "none" });
}

/** Return a raster of a bitmap, as large as it is, or stretched over a size. */
export function rasterOf(bitmap, width = bitmap.width, height = bitmap.height) {
  const raster = new Raster(width, height);
  raster.draw(raster.box, (ctx) => {
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(bitmap, 0, 0, width, height);
  });
  return raster;
}

/** Blur the alpha of ImageData of one colour by three boxes, which is nearly a bell; `radius` in px. */
export function feathered(image, radius, colour) {
  const { width, height, data } = image;
  let plane = new Float32Array(width * height);
  for (let i = 0; i < plane.length; i += 1) plane[i] = data[4 * i + 3];
  const box = Math.max(1, Math.round(radius / 2));
  for (let turn = 0; turn < 3; turn += 1) {
    plane = boxed(plane, width, height, box, 1, width);
    plane = boxed(plane, height, width, box, width, 1);
  }
  for (let i = 0; i < plane.length; i += 1) {
    data.set(colour, 4 * i);
    data[4 * i + 3] = Math.round(plane[i]);
  }
  return image;
}

function boxed(plane, length, lines, radius, step, stride) {
  const out = new Float32Array(plane.length), size = 2 * radius + 1;
  for (let line = 0; line < lines; line += 1) {
    const from = line * stride;
    let sum = 0;
    for (let k = -radius; k <= radius; k += 1) sum += plane[from + Math.min(length - 1, Math.max(0, k)) * step];
    for (let k = 0; k < length; k += 1) {
      out[from + k * step] = sum / size;
      sum += plane[from + Math.min(length - 1, k + radius + 1) * step] - plane[from + Math.max(0, k - radius) * step];
    }
  }
  return out;
}
