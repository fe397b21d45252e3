// The settings beside the prompt, with their ranges from the schema and their usual values from the model.
import { html, useEffect, useState } from "../lib.js";
import { api, once } from "../api.js";
import { Button, ErrorNote, Field, Icon, Picture, PicturePick, SchemaForm, Select, Switch, newId } from "../parts.js";
import { useStored } from "../store.js";
import { number, t } from "../i18n.js";
import { said } from "../say.js";
import { PLACED, listed, partOf } from "./form.js";
import { factorOf, fits, limits, sizesOf } from "./sizes.js";
import { tell } from "./actions.js";

const COUNTS = [1, 2, 4, 8];

/** A number with a slider to its usual range and a field to all that is allowed; a button takes it back to the model's. */
export function Dial({ label, value, usual, part, to, step, help, onChange }) {
  const [id] = useState(() => newId("dial"));
  const low = part.minimum ?? 0;
  const high = part.maximum ?? to;
  const put = (event) => {
    const given = Number(event.target.value);
    if (event.target.value === "") onChange(null);
    else if (Number.isFinite(given)) onChange(Math.min(high, Math.max(low, part.type === "integer" ? Math.round(given) : given)));
  };
  const shown = value ?? usual ?? low;
  return html`<div class="field slider im-dial">
    <label for=${id}>${label}</label>
    <div class="slider-line">
      <input type="range" id=${id} min=${low} max=${Math.max(to, shown)} step=${step} value=${shown} onInput=${put} aria-describedby=${`${id}-help`} />
      <input type="number" class="slider-number" aria-label=${t("im.dial.number", { label })} min=${low} max=${high} step=${step} value=${shown} onChange=${put} />
      <${Button} small kind="quiet" icon="undo" label=${t("im.dial.usual", { label, usual: usual ?? low })} disabled=${value === null || value === undefined} onClick=${() => onChange(null)} />
    </div>
    <p class="help" id=${`${id}-help`}>${help}</p>
  </div>`;
}

function licenceOf(model) {
  const { name, spdx } = model.licence;
  const may = { true: t("im.licence.commercial"), false: t("im.licence.not"), null: t("im.licence.ask") }[String(model.commercial)];
  return `${name ?? spdx} · ${may}`;
}

function Model({ models, model, value, onChange }) {
  const options = models.map((one) => ({ value: one.name, label: `${one.title} · ${licenceOf(one)} · ${one.defaults.width} × ${one.defaults.height}` }));
  return html`<div>
    <${Select} label=${t("im.model")} value=${value ?? model?.name ?? null} options=${options} onChange=${onChange} />
    ${model && html`<p class="help im-licence"><${Icon} name="shield" size=${16} /> ${licenceOf(model)}${model.licence.conditions ? html`<span>${model.licence.conditions}</span>` : ""}</p>`}
  </div>`;
}

function words(width, height) {
  const named = [[1, 1], [4, 3], [3, 4], [3, 2], [2, 3], [16, 9], [9, 16], [2, 1], [1, 2]];
  const near = named.map(([w, h]) => [Math.abs(Math.log((width / height) * (h / w))), `${w}:${h}`]).sort((a, b) => a[0] - b[0])[0];
  return near[0] < 0.02 ? near[1] : width > height ? t("im.size.wide") : t("im.size.high");
}

function Size({ model, form, onChange }) {
  const [own, setOwn] = useState(false);
  if (!model) return null;
  const { width, height } = { width: form.width ?? model.defaults.width, height: form.height ?? model.defaults.height };
  const sizes = sizesOf(model);
  const key = `${width}x${height}`;
  const listedHere = sizes.some((one) => one.key === key);
  const told = limits(model);
  const options = sizes.map((one) => ({ value: one.key, label: `${one.width} × ${one.height} · ${words(one.width, one.height)}` }));
  const pick = (chosen) => {
    setOwn(chosen === "own");
    const one = sizes.find((size) => size.key === chosen);
    if (one) onChange({ width: one.width, height: one.height });
  };
  const side = (name, value) => html`<${Field} label=${t(`im.size.${name}`)}>
    <input type="number" min=${told.min} max=${told.max} step=${told.step} value=${value}
      onChange=${(event) => Number(event.target.value) > 0 && onChange({ width, height, [name]: Math.round(Number(event.target.value)) })} />
  <//>`;
  return html`<div>
    <${Select} label=${t("im.size")} value=${own || !listedHere ? "own" : key} options=${[...options, { value: "own", label: t("im.size.own") }]} onChange=${pick} />
    ${(own || !listedHere) && html`<div class="im-two">${side("width", width)}${side("height", height)}</div>`}
    ${(own || !listedHere) && html`<p class=${`help ${fits(model, width, height) ? "" : "wrong"}`}>${t("im.size.rule", { ...told })}${factorOf(model) > 1 ? ` ${t("im.size.small", model.sizes)}` : ""}</p>`}
  </div>`;
}

function Count({ value, part, onChange }) {
  const [id] = useState(() => newId("count"));
  const put = (event) => {
    const given = Math.round(Number(event.target.value));
    if (given > 0) onChange(Math.min(part.maximum ?? 64, given));
  };
  return html`<div class="field" role="group" aria-labelledby=${id}>
    <span class="label" id=${id}>${t("im.count")}</span>
    <div class="im-counts">
      ${COUNTS.map((one) => html`<button type="button" key=${one} class="im-count" aria-pressed=${String(value === one)} onClick=${() => onChange(one)}>${one}</button>`)}
      <input type="number" aria-label=${t("im.count.other")} min="1" max=${part.maximum ?? 64} value=${value} onChange=${put} />
    </div>
  </div>`;
}

function Seed({ value, last, part, onChange }) {
  const put = (event) => {
    const given = Number(event.target.value);
    onChange(event.target.value === "" ? null : Math.min(part.maximum ?? 2 ** 32 - 1, Math.max(0, Math.round(given))));
  };
  const locked = value !== null && value !== undefined;
  return html`<${Field} label=${t("im.seed")} help=${locked ? t("im.seed.locked") : t("im.seed.random.help")}>
    ${(attributes) => html`<span class="im-seed">
      <input type="number" inputmode="numeric" min="0" max=${part.maximum} value=${value ?? ""} placeholder=${t("im.seed.random")} onInput=${put} ...${attributes} />
      <${Button} kind=${locked ? "primary" : "quiet"} icon="lock" label=${locked ? t("im.seed.unlock") : t("im.seed.lock")} aria-pressed=${String(locked)}
        onClick=${() => onChange(locked ? null : (last ?? crypto.getRandomValues(new Uint32Array(1))[0]))} />
      <${Button} kind="quiet" icon="dice" label=${t("im.seed.dice")} onClick=${() => onChange(crypto.getRandomValues(new Uint32Array(1))[0])} />
    </span>`}
  <//>`;
}

function Adapters({ all, model, value, onChange }) {
  const fitting = all.filter((one) => !model || one.family === model.family);
  const free = fitting.filter((one) => !value.some((used) => used.name === one.name));
  const change = (k, more) => onChange(value.map((one, at) => (at === k ? { ...one, ...more } : one)));
  return html`<div class="im-adapters">
    ${fitting.length === 0 && html`<p class="help">${t("im.adapters.none")} <a href="#/library">${t("im.adapters.library")}</a></p>`}
    ${value.map((one, k) => {
      const facts = all.find((other) => other.name === one.name);
      const wrong = facts && model && facts.family !== model.family;
      return html`<div class="im-adapter" key=${one.name}>
        <${Dial} label=${facts?.title || one.name} value=${one.weight} usual=${1} part=${{ minimum: -4, maximum: 4 }} to=${2} step=${0.05}
          help=${[facts?.licence?.name ?? facts?.licence?.spdx, facts?.trigger?.length ? t("im.adapters.trigger", { words: facts.trigger.join(", ") }) : "", wrong ? t("im.adapters.misfit") : ""].filter(Boolean).join(" · ")}
          onChange=${(weight) => change(k, { weight: weight ?? 1 })} />
        <${Button} small kind="quiet" icon="close" label=${t("im.adapters.remove", { name: one.name })} onClick=${() => onChange(value.filter((_, at) => at !== k))} />
      </div>`;
    })}
    ${free.length > 0 && html`<${Select} label=${t("im.adapters.add")} value=${null} empty=${t("im.adapters.choose")} options=${free.map((one) => ({ value: one.name, label: one.title && one.title !== one.name ? `${one.title} (${one.name})` : one.name }))}
      onChange=${(name) => name && onChange([...value, { name, weight: 1 }])} />`}
  </div>`;
}

/** What steers the picture: a picture whose lines, edges or pose are drawn first, or a map as it is. */
function Control({ kinds, value, onChange }) {
  const [map, setMap] = useState({});
  const one = value[0] ?? { kind: "canny", picture: null, derive: true, weight: 1 };
  const put = (more) => {
    setMap({});
    onChange([{ ...one, ...more }, ...value.slice(1)]);
  };
  const show = async () => {
    setMap({ busy: true });
    try {
      const done = await api("/annotate?wait=true", { body: { kind: one.kind, picture: one.picture } });
      setMap({ id: done.artifacts[0] });
    } catch (error) {
      setMap({ error });
    }
  };
  const told = kinds.find((other) => other.kind === one.kind);
  return html`<div class="im-control">
    <${PicturePick} label=${t("im.control.picture")} value=${one.picture} onChange=${(picture) => (picture ? put({ picture }) : onChange([]))} />
    ${one.picture &&
    html`<${Select} label=${t("im.control.kind")} value=${one.kind} help=${said(told?.about)} options=${kinds.map((other) => ({ value: other.kind, label: `${other.kind} · ${said(other.about)}` }))} onChange=${(kind) => put({ kind })} />
      <${Switch} label=${t("im.control.derive")} help=${t("im.control.derive.help")} value=${one.derive} onChange=${(derive) => put({ derive })} />
      <${Dial} label=${t("im.control.weight")} value=${one.weight} usual=${1} part=${{ minimum: 0, maximum: 2 }} to=${2} step=${0.05} help=${t("im.control.weight.help")} onChange=${(weight) => put({ weight: weight ?? 1 })} />
      ${one.derive && html`<${Button} small icon="eye" busy=${map.busy} onClick=${() => show().catch(tell)}>${t("im.control.show")}<//>`}
      ${map.id && html`<${Picture} id=${map.id} side=${240} alt=${t("im.control.map", { kind: one.kind })} />`}
      ${map.error && html`<${ErrorNote} error=${map.error} />`}`}
  </div>`;
}

function Fold({ name, count, children }) {
  const [folds, setFolds] = useStored("imagine.folds", {});
  return html`<details class="im-fold" open=${folds[name] ?? false} onToggle=${(event) => event.currentTarget.open !== (folds[name] ?? false) && setFolds({ ...folds, [name]: event.currentTarget.open })}>
    <summary>${t(`im.fold.${name}`)}${count > 0 && html` <span class="count">${count}</span>`}</summary>
    <div class="im-fold-body">${folds[name] && children}</div>
  </details>`;
}

/** Everything beside the prompt. `last` is the seed of the last run, for the lock. */
export function Settings({ form, onChange, models, model, adapters, schema, last }) {
  const [kinds, setKinds] = useState([]);
  useEffect(() => {
    once("/annotators").then((all) => setKinds(all.data), tell);
  }, []);
  const put = (name) => (value) => onChange({ ...form, [name]: value });
  const usual = model?.defaults ?? {};
  const samplers = listed(partOf(schema, "sampler").description ?? schema?.properties.sampler.description);
  const rest = schema ? Object.keys(schema.properties).filter((name) => !PLACED.includes(name) && name !== "task") : [];
  const set = rest.filter((name) => form[name] !== null && form[name] !== undefined && form[name] !== "" && form[name] !== false).length;
  return html`<div class="im-settings-body">
    <${Model} models=${models} model=${model} value=${form.model} onChange=${(name) => onChange({ ...form, model: name, width: null, height: null, sampler: null })} />
    <${Size} model=${model} form=${form} onChange=${(size) => onChange({ ...form, ...size })} />
    <${Count} value=${form.n} part=${partOf(schema, "n")} onChange=${put("n")} />
    <${Seed} value=${form.seed} last=${last} part=${partOf(schema, "seed")} onChange=${put("seed")} />
    <${Field} label=${t("im.negative")} help=${t("im.negative.help")}>
      <textarea rows="2" maxlength="32000" value=${form.negative_prompt ?? ""} onInput=${(event) => put("negative_prompt")(event.target.value)} />
    <//>
    <${Fold} name="sampling" count=${["steps", "guidance", "sampler"].filter((name) => form[name] != null).length}>
      <${Dial} label=${t("im.steps")} value=${form.steps} usual=${usual.steps} part=${partOf(schema, "steps")} to=${60} step=${1} help=${t("im.steps.help", { usual: usual.steps ?? "–" })} onChange=${put("steps")} />
      <${Dial} label=${t("im.guidance")} value=${form.guidance} usual=${usual.guidance} part=${partOf(schema, "guidance")} to=${15} step=${0.1} help=${t("im.guidance.help", { usual: usual.guidance === undefined ? "–" : number(usual.guidance) })} onChange=${put("guidance")} />
      <${Select} label=${t("im.sampler")} value=${form.sampler ?? null} empty=${t("im.sampler.usual", { usual: usual.sampler ?? "–" })} options=${samplers} onChange=${put("sampler")} />
    <//>
    <${Fold} name="adapters" count=${form.adapters.length}>
      <${Adapters} all=${adapters} model=${model} value=${form.adapters} onChange=${put("adapters")} />
    <//>
    <${Fold} name="control" count=${form.controls.length}>
      <${Control} kinds=${kinds} value=${form.controls} onChange=${put("controls")} />
    <//>
    <${Fold} name="more" count=${set}>
      <${SchemaForm} task="imagine" only=${rest} value=${form} onChange=${onChange} />
    <//>
  </div>`;
}
