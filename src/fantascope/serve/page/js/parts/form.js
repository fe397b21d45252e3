// Forms made of the request schemas: a new task, or a new field of one, appears by itself.
import { html, useEffect, useState } from "../lib.js";
import { addWords, t } from "../i18n.js";
import { once, schemas } from "../api.js";
import { called, said } from "../say.js";
import { Button, Field, Select, Slider, Switch, useId } from "./basic.js";
import { ErrorNote } from "./errors.js";
import { PicturePick } from "./pictures.js";

addWords({
  en: {
    "form.automatic": "automatic", "form.add": "Add", "form.remove": "Remove", "form.dice": "Another seed", "form.lines": "one on each line",
    "form.json": "This is no JSON.", "form.none": "none", "form.item": "{name} {n}", "form.loading": "Reading the fields …",
  },
  es: {
    "form.automatic": "automático", "form.add": "Añadir", "form.remove": "Quitar", "form.dice": "Otra semilla", "form.lines": "una en cada línea",
    "form.json": "Esto no es JSON.", "form.none": "ninguno", "form.item": "{name} {n}", "form.loading": "Leyendo los campos …",
  },
});

/** The fields of a task: { name, title, help, part, required }, `part` being its schema without "or nothing". */
export function fieldsOf(request) {
  return Object.entries(request.properties).filter(([, part]) => !("const" in part)).map(([name, part]) => {
    const bare = plain(request, part);
    return { name, title: title(name, part), help: said(part.description || bare.description), part: bare, required: (request.required || []).includes(name) };
  });
}

function title(name, part) {
  if (called("fields", name)) return called("fields", name);
  const words = (part.title || name).replace(/_/g, " ").toLowerCase();
  return words === "n" ? "Count" : words[0].toUpperCase() + words.slice(1);
}

/** A part of a schema without references, and without null among what it may be. */
function plain(root, part) {
  if (part.$ref) return { ...root.$defs[part.$ref.split("/").pop()], ...part, $ref: undefined };
  if (!part.anyOf) return part;
  const others = part.anyOf.filter((one) => one.type !== "null");
  const chosen = others.length === 1 ? plain(root, others[0]) : others.every((one) => ["integer", "number"].includes(one.type)) ? { type: "number" } : others.some((one) => one.type === "string" && !one.items) && others.length <= 2 ? plain(root, others.find((one) => one.type === "string")) : {};
  return { ...chosen, default: part.default, nullable: others.length < part.anyOf.length, "x-widget": part["x-widget"] ?? chosen["x-widget"] };
}

/**
 * The form of a task. value: the request so far (only what was chosen); onChange(next value). only: names to show, in
 * that order; hide: names to leave out; widgets: { field: Component } that draws a field itself, given
 * { name, title, help, part, value, onChange }; errors: { field: message }.
 */
export function SchemaForm({ task, value = {}, onChange, only, hide = [], widgets = {}, errors = {} }) {
  const [known, know] = useState(null);
  const [failed, fail] = useState(null);
  useEffect(() => { let here = true; schemas().then((all) => here && know(all), (error) => here && fail(error)); return () => { here = false; }; }, []);
  if (failed) return html`<${ErrorNote} error=${failed} />`;
  if (!known) return html`<p class="help" role="status">${t("form.loading")}</p>`;
  const request = known[task].request;
  let fields = fieldsOf(request).filter((one) => !hide.includes(one.name));
  if (only) fields = only.map((name) => fields.find((one) => one.name === name)).filter(Boolean);
  return html`<div class="form">${fields.map((one) => html`<${One} key=${one.name} ...${one} root=${request} value=${value[one.name]} widget=${widgets[one.name]}
    error=${errors[one.name]} onChange=${(next) => onChange(put(value, one.name, next))} />`)}</div>`;
}

function put(value, name, next) {
  const made = { ...value, [name]: next };
  if (next === undefined || next === null || next === "") delete made[name];
  return made;
}

function One(facts) {
  const { name, part, widget: Widget } = facts;
  if (Widget) return html`<${Widget} ...${facts} />`;
  if ((["picture", "mask"].includes(part["x-widget"]) && part.type !== "array") || part.pattern?.includes("sha256:")) return html`<${PicturePick} label=${facts.title} ...${facts} />`;
  if (name === "model" || name === "adapter") return html`<${Named} path=${`/${name}s`} ...${facts} />`;
  if (part.enum) return html`<${Chosen} ...${facts} />`;
  if (part.type === "boolean") return html`<${Switch} label=${facts.title} help=${facts.help} value=${facts.value ?? part.default} onChange=${facts.onChange} />`;
  if (part.type === "integer" || part.type === "number") return html`<${Figure} ...${facts} />`;
  if (part.type === "array") return html`<${Items} ...${facts} />`;
  if (part.properties) return html`<${Inner} ...${facts} />`;
  if (part.type === "string") return html`<${Text} ...${facts} />`;
  return html`<${Json} ...${facts} />`;
}

function Chosen({ title: label, help, part, value, onChange }) {
  return html`<${Select} label=${label} help=${help} value=${value ?? null} options=${part.enum} empty=${t("form.automatic")} onChange=${onChange} />`;
}

function Named({ path, title: label, help, value, onChange, name, root }) {
  const [all, know] = useState([]);
  useEffect(() => { once(path).then((found) => know(found.data), () => {}); }, [path]);
  const options = all.map((one) => ({ value: one.name, label: one.title && one.title !== one.name ? `${one.title} (${one.name})` : one.name }));
  if (value && !options.some((one) => one.value === value)) options.push({ value, label: value });
  return html`<${Select} label=${label} help=${help} value=${value ?? null} options=${options} empty=${t("form.automatic")} onChange=${onChange} />`;
}

function Figure({ name, title: label, help, part, value, onChange, error }) {
  const { minimum, maximum } = part;
  const whole = part.type === "integer";
  if (minimum !== undefined && maximum !== undefined && maximum - minimum <= 100 && !whole && !part.nullable) {
    return html`<${Slider} label=${label} help=${help} min=${minimum} max=${maximum} step=${maximum - minimum <= 4 ? 0.01 : 0.5} value=${value ?? null} fallback=${part.default ?? minimum} onChange=${onChange} />`;
  }
  const said = (event) => {
    const text = event.target.value;
    if (text === "") onChange(undefined);
    else if (Number.isFinite(Number(text))) onChange(whole ? Math.round(Number(text)) : Number(text));
  };
  return html`<${Field} label=${label} help=${help} error=${error}>${(attributes) => html`<span class="figure">
    <input type="number" inputmode=${whole ? "numeric" : "decimal"} min=${minimum} max=${maximum} step=${whole ? 1 : "any"} placeholder=${part.default ?? t("form.automatic")}
      value=${value ?? ""} onInput=${said} ...${attributes} />
    ${name === "seed" && html`<${Button} kind="quiet" icon="dice" label=${t("form.dice")} onClick=${() => onChange(crypto.getRandomValues(new Uint32Array(1))[0])} />`}
  </span>`}<//>`;
}

const LONG = ["prompt", "negative_prompt", "instruction"];

function Text({ name, title: label, help, part, value, onChange, error }) {
  const said = (event) => onChange(event.target.value);
  return html`<${Field} label=${label} help=${help} error=${error}>${LONG.includes(name)
    ? html`<textarea rows="3" maxlength=${part.maxLength} value=${value ?? ""} onInput=${said} />`
    : html`<input type="text" maxlength=${part.maxLength} placeholder=${part.default ?? ""} value=${value ?? ""} onInput=${said} />`}<//>`;
}

function Items({ name, title: label, help, part, root, value = [], onChange }) {
  const id = useId("items");
  const item = plain(root, part.items || {});
  if (item.type === "string" && !item.pattern?.includes("sha256:")) {
    return html`<${Field} label=${label} help=${[help, t("form.lines")].filter(Boolean).join(": ")}>
      <textarea rows="2" value=${(value || []).join("\n")} onInput=${(event) => onChange(event.target.value ? event.target.value.split("\n") : undefined)} /><//>`;
  }
  if (!item.properties && !item.pattern) return html`<${Json} ...${{ name, title: label, help, value: value.length ? value : undefined, onChange }} />`;
  const all = value || [];
  const change = (k, next) => onChange(all.map((one, at) => (at === k ? next : one)));
  const less = (k) => { const left = all.filter((_, at) => at !== k); onChange(left.length ? left : undefined); };
  return html`<fieldset class="items" aria-describedby=${`${id}-help`}><legend>${label}</legend>
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
    ${all.map((one, k) => html`<div class="item" key=${k}>
      ${item.properties ? html`<${Parts} root=${root} part=${item} value=${one} owner=${name} onChange=${(next) => change(k, next)} />`
        : html`<${PicturePick} label=${t("form.item", { name: label, n: k + 1 })} value=${one} onChange=${(next) => (next ? change(k, next) : less(k))} />`}
      <${Button} small kind="quiet" icon="trash" onClick=${() => less(k)}>${t("form.remove")}<//>
    </div>`)}
    ${item.properties ? html`<${Button} small icon="plus" onClick=${() => onChange([...all, fresh(item)])}>${t("form.add")}<//>`
      : html`<${PicturePick} label=${t("form.add")} value=${null} onChange=${(next) => next && onChange([...all, next])} />`}
  </fieldset>`;
}

function fresh(item) {
  return Object.fromEntries((item.required || []).map((name) => [name, ""]));
}

function Parts({ root, part, value = {}, onChange, owner }) {
  return fieldsOf({ ...part, $defs: root.$defs }).map((one) => (owner === "adapters" && one.name === "name"
    ? html`<${Named} key="name" path="/adapters" ...${one} value=${value.name || null} onChange=${(next) => onChange({ ...value, name: next ?? "" })} />`
    : owner === "controls" && one.name === "kind"
      ? html`<${Kinds} key="kind" ...${one} value=${value.kind || null} onChange=${(next) => onChange({ ...value, kind: next ?? "" })} />`
      : html`<${One} key=${one.name} ...${one} root=${root} value=${value[one.name]} onChange=${(next) => onChange(put(value, one.name, next))} />`));
}

function Kinds({ title: label, help, value, onChange }) {
  const [all, know] = useState([]);
  useEffect(() => { once("/annotators").then((found) => know(found.data), () => {}); }, []);
  return html`<${Select} label=${label} help=${said(all.find((one) => one.kind === value)?.about) || help} value=${value} options=${all.map((one) => one.kind)} empty=${t("form.none")} onChange=${onChange} />`;
}

function Inner({ title: label, help, part, root, value, onChange }) {
  return html`<fieldset class="items"><legend>${label}</legend>${help && html`<p class="help">${help}</p>`}
    <${Parts} root=${root} part=${part} value=${value || {}} onChange=${(next) => onChange(Object.keys(next).length ? next : undefined)} /></fieldset>`;
}

function Json({ title: label, help, value, onChange }) {
  const [text, write] = useState(value === undefined || value === null ? "" : JSON.stringify(value));
  const [wrong, blame] = useState(false);
  const said = (event) => {
    write(event.target.value);
    try {
      onChange(event.target.value.trim() ? JSON.parse(event.target.value) : undefined);
      blame(false);
    } catch {
      blame(true);
    }
  };
  return html`<${Field} label=${label} help=${help} error=${wrong ? t("form.json") : undefined}><textarea rows="2" class="code" spellcheck="false" value=${text} onInput=${said} /><//>`;
}
