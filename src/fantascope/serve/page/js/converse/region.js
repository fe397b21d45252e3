// What an edit touched: the outline of its mask, and the proof that the rest is equal, made again here from the pixels.

/**
 * Read the pixels of a picture of this server, as they are stored: no colour is converted.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<ImageData>} 8-bit RGBA, rows from the top
 */
export async function pixelsOf(url, signal) {
  const reply = await fetch(url, { credentials: "same-origin", signal });
  if (!reply.ok) throw new Error(`${reply.status} ${reply.statusText}`);
  const bitmap = await createImageBitmap(await reply.blob(), {
    colorSpaceConversion: "none",
    premultiplyAlpha: "none",
  });
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

/**
 * Say of each pixel of a mask whether the edit was allowed to change it.
 * @param {ImageData} mask  white there
 * @returns {Uint8Array} 1 or 0, in reading order
 */
export function touchedOf(mask) {
  const touched = new Uint8Array(mask.width * mask.height);
  for (let k = 0; k < touched.length; k += 1) touched[k] = mask.data[4 * k] > 0 ? 1 : 0;
  return touched;
}

/**
 * Return the border of a region as the `d` of an SVG path in pixels, and how many pixels the region has.
 * Every edge between a pixel inside and one outside is in it, straight runs joined.
 */
export function outlineOf(touched, width, height) {
  const inside = (x, y) => (x >= 0 && y >= 0 && x < width && y < height ? touched[y * width + x] : 0);
  const parts = [];
  for (let y = 0; y <= height; y += 1) {
    for (let x = 0, from = -1; x <= width; x += 1) {
      const edge = x < width && inside(x, y) !== inside(x, y - 1);
      if (edge && from < 0) from = x;
      if (!edge && from >= 0) {
        parts.push(`M${from} ${y}H${x}`);
        from = -1;
      }
    }
  }
  for (let x = 0; x <= width; x += 1) {
    for (let y = 0, from = -1; y <= height; y += 1) {
      const edge = y < height && inside(x, y) !== inside(x - 1, y);
      if (edge && from < 0) from = y;
      if (!edge && from >= 0) {
        parts.push(`M${x} ${from}V${y}`);
        from = -1;
      }
    }
  }
  let count = 0;
  for (const one of touched) count += one;
  return { path: parts.join(""), count };
}

/** Return the part that a parent, whose corner lies at (left, top) of its child, shares with it: in the child's pixels. */
function shared(before, after, left, top) {
  return {
    x0: Math.max(0, left),
    y0: Math.max(0, top),
    x1: Math.min(after.width, left + before.width),
    y1: Math.min(after.height, top + before.height),
  };
}

/**
 * Compare a picture with its parent outside the mask.
 * @returns {{outside: number, differing: number}} pixels that had to stay, and how many did not
 */
export function compare(before, after, touched, left = 0, top = 0) {
  const { x0, y0, x1, y1 } = shared(before, after, left, top);
  const old = new Uint32Array(before.data.buffer);
  const now = new Uint32Array(after.data.buffer);
  let outside = 0;
  let differing = 0;
  for (let y = y0; y < y1; y += 1) {
    for (let x = x0; x < x1; x += 1) {
      const at = y * after.width + x;
      if (touched[at]) continue;
      outside += 1;
      if (now[at] !== old[(y - top) * before.width + x - left]) differing += 1;
    }
  }
  return { outside, differing };
}

/**
 * Return the SHA-256 that a record has of the pixels an edit left alone, as 64 hex digits: of the shape, of which pixels
 * they are, and of their channels in reading order. None where the browser gives a page no such function (it does over
 * https and on this machine).
 * @param {ImageData} picture  the parent or the child
 * @param {number} left  of the child's corner in `picture`, and `top`
 */
export async function leftAlone(picture, touched, child, before, offset, left, top) {
  if (!globalThis.crypto?.subtle) return null;
  const { x0, y0, x1, y1 } = shared(before, child, left, top);
  const width = x1 - x0;
  const height = y1 - y0;
  const channels = opaque(child) ? 3 : 4;
  const alone = [];
  const bits = new Uint8Array(Math.ceil((width * height) / 8));
  for (let y = y0; y < y1; y += 1) {
    for (let x = x0; x < x1; x += 1) {
      if (touched[y * child.width + x]) continue;
      const k = (y - y0) * width + x - x0;
      bits[k >> 3] |= 128 >> (k & 7);
      alone.push(4 * ((y - offset[1]) * picture.width + x - offset[0]));
    }
  }
  const head = new TextEncoder().encode(`(${height}, ${width}, ${channels})`);
  const bytes = new Uint8Array(head.length + bits.length + channels * alone.length);
  bytes.set(head);
  bytes.set(bits, head.length);
  let at = head.length + bits.length;
  for (const from of alone) {
    for (let channel = 0; channel < channels; channel += 1) bytes[at + channel] = picture.data[from + channel];
    at += channels;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function opaque(picture) {
  for (let k = 3; k < picture.data.length; k += 4) if (picture.data[k] !== 255) return false;
  return true;
}

/**
 * Make the proof of an edit again from the three files.
 * @param {{before: string, after: string, mask: string, left: number, top: number}} files  addresses and the corner
 * @returns {Promise<{outside: number, differing: number, before: string|null, after: string|null}>}
 */
export async function proveAgain({ before, after, mask, left, top }, signal) {
  const [old, now, region] = await Promise.all([before, after, mask].map((url) => pixelsOf(url, signal)));
  const touched = touchedOf(region);
  return {
    ...compare(old, now, touched, left, top),
    before: await leftAlone(old, touched, now, old, [left, top], left, top),
    after: await leftAlone(now, touched, now, old, [0, 0], left, top),
  };
}
