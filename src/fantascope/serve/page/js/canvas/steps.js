// A step of the history: plain data, so that it can be kept with the draft.
//
// It has a label, and of these what it changed:
//   layer, before, after   parts of the tiles of a layer, as they were and as they are
//   line                   a stroke that was added to the list of that layer
//   was, now               facts: {name, active, order: ids of the layers, layers: {id: {visible, opacity, people, strokes, name}}}
//   frame                  {was: [width, height], now: [width, height], x, y}: the canvas grew, and what was there moved by (x, y)
//
// A layer that is not in the picture, but in a step, waits on the project's shelf.

import { reframe } from "./project.js";

export function layerOf(project, id) {
  return project.layers.find((one) => one.id === id) ?? project.shelf.find((one) => one.id === id) ?? null;
}

/** Do a step (way 1), or take it back (-1). Not `pixels`: they are changed already. */
export function turn(project, step, way, pixels = true) {
  const { frame } = step, layer = step.layer && layerOf(project, step.layer);
  if (frame && way > 0) reframe(project, ...frame.now, frame.x, frame.y);
  if (pixels) for (const part of (way > 0 ? step.after : step.before) ?? []) layer?.raster.put(part);
  if (step.line) layer.strokes = way > 0 ? [...layer.strokes, step.line] : layer.strokes.slice(0, -1);
  put(project, (way > 0 ? step.now : step.was) ?? {});
  if (frame && way < 0) reframe(project, ...frame.was, -frame.x, -frame.y);
}

function put(project, { name, active, order, layers = {} }) {
  if (order) {
    const all = [...project.layers, ...project.shelf];
    project.layers = order.map((id) => all.find((one) => one.id === id)).filter(Boolean);
    project.shelf = all.filter((one) => !order.includes(one.id));
  }
  for (const [id, fields] of Object.entries(layers)) Object.assign(layerOf(project, id) ?? {}, fields);
  if (name !== undefined) project.name = name;
  if (active !== undefined) project.active = active;
}

/** Clear the shelf of layers that no step can bring back. */
export function tidied(project, steps) {
  const named = new Set(steps.flatMap(({ was, now }) => [...(was?.order ?? []), ...(now?.order ?? [])]));
  project.shelf = project.shelf.filter((one) => named.has(one.id));
}

/** Return how many bytes the pixels of a step have. */
export function weight({ before = [], after = [] }) {
  return [...before, ...after].reduce((sum, part) => sum + (part.data?.byteLength ?? 0), 0);
}
