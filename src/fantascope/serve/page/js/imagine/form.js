// The settings of the page: what is kept of them, and the fields of a request that they make.
import { fieldsOf } from "../parts.js";

/** What the form starts with. `null` means the model's own. */
export const FRESH = { model: null, width: null, height: null, n: 4, seed: null, adapters: [], controls: [] };

/** Fields that have a place of their own; every other field of the schema is in the last fold. */
export const PLACED = [
  "prompt",
  "said",
  "preview",
  "model",
  "width",
  "height",
  "n",
  "seed",
  "negative_prompt",
  "steps",
  "guidance",
  "sampler",
  "adapters",
  "controls",
];

/** Return the fields of a request that a form and a prompt make; what is not set is left out. */
export function requestOf(form, prompt, said) {
  const fields = {};
  for (const [name, value] of Object.entries(form)) {
    if (value === null || value === undefined || value === "" || (Array.isArray(value) && value.length === 0)) continue;
    fields[name] = value;
  }
  if (fields.controls) fields.controls = fields.controls.filter((one) => one.picture && one.kind);
  if (!fields.controls?.length) delete fields.controls;
  return { ...fields, prompt, ...(said && said !== prompt ? { said } : {}), preview: true };
}

/** Return the form of a request: what a run was asked with, for another like it. */
export function formOf(fields, schema) {
  const known = schema ? fieldsOf(schema).map((one) => one.name) : Object.keys(fields);
  const form = { ...FRESH, n: 1 };
  for (const [name, value] of Object.entries(fields)) {
    if (known.includes(name) && !["prompt", "said", "preview", "task"].includes(name)) form[name] = value;
  }
  return form;
}

/** What a schema says of one field: minimum, maximum, description … */
export function partOf(schema, name) {
  return (schema && fieldsOf(schema).find((one) => one.name === name)?.part) || {};
}

/** The names that a description lists, as that of the sampler does: `ddim, euler, heun`. */
export function listed(description) {
  const names = (description ?? "").split(":").pop().split(/,\s*/);
  return names.every((one) => /^[a-z0-9_]+$/.test(one)) ? names : [];
}
