// The sizes of a file that a model can paint, from what the models route says of it.

const SHAPES = [
  [1, 1],
  [4, 3],
  [3, 4],
  [3, 2],
  [2, 3],
  [16, 9],
  [9, 16],
  [2, 1],
  [1, 2],
];

/** The factor of a model's upscaler, as its defaults use it; 1 where it has none. */
export function factorOf(model) {
  return model?.defaults?.upscale || 1;
}

/** The least and the most of a side, and the step between, in pixels of the file. */
export function limits(model) {
  const factor = factorOf(model);
  const { min, max, multiple } = model.sizes;
  return { min: min * factor, max: max * factor, step: multiple * factor };
}

function snap(side, { min, max, step }) {
  return Math.min(max, Math.max(min, Math.round(side / step) * step));
}

/** Return the sizes to choose from, { width, height, key }, the model's own first, each once. */
export function sizesOf(model) {
  if (!model) return [];
  const told = limits(model);
  const { width, height } = model.defaults;
  const area = width * height;
  const found = [[width, height]];
  for (const [wide, high] of SHAPES) {
    const scale = Math.sqrt(area / (wide * high));
    found.push([snap(wide * scale, told), snap(high * scale, told)]);
  }
  const side = Math.sqrt(area);
  found.push([snap(side / 2, told), snap(side / 2, told)], [snap(side * 1.5, told), snap(side * 1.5, told)]);
  found.push([snap(side * 2, told), snap(side * 2, told)]);
  if (factorOf(model) > 1) found.push([model.sizes.native, model.sizes.native]);
  const seen = new Set();
  return found
    .map(([w, h]) => ({ width: w, height: h, key: `${w}x${h}` }))
    .filter((one) => !seen.has(one.key) && seen.add(one.key));
}

/** Say whether a model can paint a file of this size, with its upscaler or without. */
export function fits(model, width, height) {
  if (!model) return true;
  const { min, max, multiple } = model.sizes;
  return [...new Set([1, factorOf(model)])].some((factor) =>
    [width, height].every(
      (side) => side % (multiple * factor) === 0 && side >= min * factor && side <= max * factor,
    ),
  );
}
