// The panels beside the picture: the tool's settings, layers, and what is to be made.

import "./words.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { t } from "../i18n.js";
import { Button, ErrorNote, Field, Icon, Progress, SchemaForm, Select, Slider, Switch, pickFiles, toast } from "../parts.js";
import { recall, remember } from "../store.js";
import { MOST_BRUSH } from "./desk.js";
import { PALETTE, USUAL } from "./palette.js";
import { JOINTS, STANCE_NAMES } from "./pose.js";
import { KINDS } from "./project.js";
import { MODES, TASK_OF, findPeople, mapsOf } from "./making.js";

const COLOURS = ["#20242c", "#ffffff", "#7a7f87", "#c0392b", "#e67e22", "#f1c40f", "#27ae60", "#1f7a8c", "#2f6fd0", "#7d4bc2", "#d9628b", "#7b4a2b"];
const LAYER_ICONS = { picture: "picture", paint: "brush", mask: "mask", sketch: "edit", pose: "pose", segmentation: "palette" };

/** Settings of the tool in hand. */
export function ToolPanel({ desk }) {
  const { tool, brush } = desk;
  return html`<div class="canvas-panel">
    <p class="help">${t(`canvas.about.${tool}`)}</p>
    ${desk.paints && html`<${Slider} label=${t("canvas.size")} min=${1} max=${MOST_BRUSH} step=${1} value=${Math.round(brush.size)} onChange=${(size) => desk.setBrush({ size })} />`}
    ${["brush", "eraser", "mask"].includes(tool) && html`
      <${Slider} label=${t("canvas.softness")} value=${brush.softness} onChange=${(softness) => desk.setBrush({ softness })} />
      <${Switch} label=${t("canvas.pressure")} value=${brush.pressure} onChange=${(pressure) => desk.setBrush({ pressure })} />`}
    ${["brush", "lasso", "rect"].includes(tool) && html`<${Colours} desk=${desk} />`}
    ${tool === "segment" && html`<${Regions} desk=${desk} />`}
    ${(desk.selection || ["lasso", "rect"].includes(tool)) && html`<${Selection} desk=${desk} />`}
    ${["mask", "lasso", "rect"].includes(tool) && html`<${MaskActions} desk=${desk} />`}
    ${tool === "pose" && html`<${PoseActions} desk=${desk} />`}
  </div>`;
}

function Colours({ desk }) {
  const { colour } = desk.brush;
  return html`<div class="field"><span class="label" id="canvas-colours">${t("canvas.colour")}</span>
    <div class="canvas-colours" role="group" aria-labelledby="canvas-colours">
      ${COLOURS.map((one) => html`<button type="button" key=${one} class="canvas-swatch" aria-label=${one} aria-pressed=${String(one === colour)}
        style=${{ background: one }} onClick=${() => desk.setBrush({ colour: one })} />`)}
      <input type="color" aria-label=${t("canvas.colour")} value=${colour} onInput=${(event) => desk.setBrush({ colour: event.target.value })} />
    </div></div>`;
}

function Regions({ desk }) {
  const pick = (name) => {
    desk.region = { name, colour: PALETTE.find(([one]) => one === name)[1] };
    desk.say();
  };
  const usual = PALETTE.filter(([name]) => USUAL.includes(name));
  return html`<${Select} label=${t("canvas.region")} value=${desk.region.name} options=${PALETTE.map(([name]) => ({ value: name, label: named(name) }))} onChange=${pick} />
    <div class="field"><span class="label" id="canvas-usual">${t("canvas.region.usual")}</span>
    <div class="canvas-regions" role="group" aria-labelledby="canvas-usual">
      ${usual.map(([name, colour]) => html`<button type="button" key=${name} class="canvas-region" aria-pressed=${String(name === desk.region.name)} onClick=${() => pick(name)}>
        <span class="canvas-dot" style=${{ background: colour }} aria-hidden="true" />${named(name)}</button>`)}</div></div>`;
}

/** A region's name: those often used in the language, the rest as ADE20K has them. */
function named(name) {
  return USUAL.includes(name) ? t(`canvas.class.${name}`) : name;
}

function Selection({ desk }) {
  const none = !desk.selection;
  return html`<div class="field"><span class="label">${t("canvas.selection")}</span><div class="actions">
    <${Button} small disabled=${none} onClick=${() => desk.fillSelection()}>${t("canvas.select.fill")}<//>
    <${Button} small disabled=${none} onClick=${() => desk.fillSelection({ erase: true })}>${t("canvas.select.clear")}<//>
    <${Button} small disabled=${none} onClick=${() => desk.select(null)}>${t("canvas.select.none")}<//>
    <${Button} small onClick=${() => desk.selectAll()}>${t("canvas.mask.all")}<//>
  </div></div>`;
}

function MaskActions({ desk }) {
  const [radius, setRadius] = useState(8);
  return html`<div class="field"><span class="label">${t("canvas.mask.actions")}</span><div class="actions">
      <${Button} small icon="mask" disabled=${!desk.selection} onClick=${() => desk.fillSelection({ kind: "mask" })}>${t("canvas.mask.fill")}<//>
      <${Button} small onClick=${() => desk.invertMask()}>${t("canvas.mask.invert")}<//></div></div>
    <${Slider} label=${t("canvas.mask.radius")} min=${1} max=${64} step=${1} value=${radius} onChange=${setRadius} />
    <div class="actions"><${Button} small onClick=${() => desk.featherMask(radius)}>${t("canvas.mask.feather")}<//></div>`;
}

function PoseActions({ desk }) {
  const [stance, setStance] = useState("standing");
  const [state, setState] = useState({});
  const layer = desk.active?.people ? desk.active : null, people = layer?.people ?? [];
  const who = Math.min(desk.picked.person, people.length - 1), { joint } = desk.picked, at = people[who]?.[joint];
  const pick = (picked) => { desk.picked = { ...desk.picked, ...picked }; desk.say(); desk.say("step"); };
  const put = (k) => (event) => {
    const value = Number(event.target.value);
    if (event.target.value === "" || !Number.isFinite(value)) return;
    desk.setJoint(layer, who, joint, at.map((old, axis) => (axis === k ? value : old)));
  };
  const find = async () => {
    setState({ busy: true });
    try {
      const found = await findPeople(desk.project);
      if (found.length) desk.setPeople(desk.ready("pose"), found);
      else toast(t("canvas.pose.none"));
      setState({});
    } catch (error) {
      setState({ error });
    }
  };
  return html`
    <${Select} label=${t("canvas.pose.stance")} value=${stance} options=${STANCE_NAMES.map((value) => ({ value, label: t(`canvas.stance.${value}`) }))} onChange=${setStance} />
    <div class="actions">
      <${Button} small icon="plus" onClick=${() => desk.addPerson(stance)}>${t("canvas.pose.add")}<//>
      <${Button} small icon="trash" disabled=${!people.length} onClick=${() => desk.removePerson(who)}>${t("canvas.pose.remove")}<//>
      <${Button} small icon="search" busy=${state.busy} onClick=${find}>${t("canvas.pose.find")}<//></div>
    <${ErrorNote} error=${state.error} onDismiss=${() => setState({})} />
    ${people.length > 0 && html`
      <${Select} label=${t("canvas.pose.person")} value=${who} options=${people.map((_, k) => ({ value: k, label: t("canvas.pose.n", { n: k + 1 }) }))} onChange=${(person) => pick({ person })} />
      <${Select} label=${t("canvas.pose.joint")} value=${joint} options=${JOINTS.map((name, k) => ({ value: k, label: t(`canvas.joint.${name}`) }))} onChange=${(next) => pick({ joint: next })} />
      ${at ? html`<div class="canvas-pair">
        <${Field} label="x"><input type="number" step="1" value=${at[0]} onChange=${put(0)} /><//>
        <${Field} label="y"><input type="number" step="1" value=${at[1]} onChange=${put(1)} /><//></div>
        <div class="actions"><${Button} small onClick=${() => desk.setJoint(layer, who, joint, null)}>${t("canvas.pose.missing")}<//></div>`
      : html`<div class="actions"><${Button} small onClick=${() => desk.setJoint(layer, who, joint, middle(people[who], desk.project))}>${t("canvas.pose.back")}<//></div>`}`}`;
}

/** Where a joint goes that is put back: the middle of the others. */
function middle(points, { width, height }) {
  const there = points.filter(Boolean);
  if (there.length === 0) return [width / 2, height / 2];
  return [0, 1].map((k) => there.reduce((sum, at) => sum + at[k], 0) / there.length);
}

/** The layers, the uppermost first. */
export function LayersPanel({ desk }) {
  const layers = [...desk.project.layers].reverse(), { active } = desk;
  const addPicture = async () => {
    for (const file of await pickFiles({ multiple: true })) {
      try {
        await desk.addPicture(file, file.name.replace(/\.\w+$/, ""));
      } catch (error) {
        toast(error.message, { kind: "bad" });
      }
    }
  };
  const add = (kind) => {
    try {
      if (kind === "picture") addPicture();
      else if (kind) desk.newLayer(kind);
    } catch (error) {
      toast(error.message, { kind: "bad" });
    }
  };
  return html`<div class="canvas-panel">
    ${active && html`<${LayerSettings} key=${active.id} desk=${desk} layer=${active} />`}
    ${layers.length === 0 && html`<p class="help">${t("canvas.layers.none")}</p>`}
    <ul class="canvas-layers">${layers.map((layer) => html`<li key=${layer.id} class=${layer === active ? "chosen" : ""}>
      <${Button} small kind="quiet" icon=${layer.visible ? "eye" : "hidden"} label=${t(layer.visible ? "canvas.layer.hide" : "canvas.layer.show", { name: layer.name })}
        onClick=${() => desk.set(layer, "visible", !layer.visible)} />
      <button type="button" class="canvas-layer" aria-pressed=${String(layer === active)} onClick=${() => desk.pick(layer.id)}>
        <${Icon} name=${LAYER_ICONS[layer.kind]} size=${18} label=${t(`canvas.kind.${layer.kind}`)} /><span>${layer.name}</span></button></li>`)}</ul>
    <${Select} label=${t("canvas.layers.add")} value=${null} empty="+" options=${KINDS.map((kind) => ({ value: kind, label: t(kind === "picture" ? "canvas.layers.picture" : `canvas.kind.${kind}`) }))} onChange=${add} />
  </div>`;
}

function LayerSettings({ desk, layer }) {
  const from = useRef(null);
  const slide = (value) => {
    from.current ??= { was: layer.opacity };
    layer.opacity = value;
    desk.changed();
    clearTimeout(from.current.timer);
    from.current.timer = setTimeout(() => {
      const { was } = from.current;
      from.current = null;
      desk.set(layer, "opacity", value, was);
    }, 300);
  };
  const { layers } = desk.project, at = layers.indexOf(layer);
  return html`<div class="canvas-layer-settings">
    <${Field} label=${t("canvas.layer.name")}><input type="text" maxlength="80" value=${layer.name} onChange=${(event) => desk.set(layer, "name", event.target.value || layer.name)} /><//>
    <${Slider} label=${t("canvas.layer.opacity")} value=${layer.opacity} onChange=${slide} />
    <div class="actions">
      <${Button} small icon="up" label=${t("canvas.layer.up")} disabled=${at === layers.length - 1} onClick=${() => desk.shift(layer, 1)} />
      <${Button} small icon="down" label=${t("canvas.layer.down")} disabled=${at === 0} onClick=${() => desk.shift(layer, -1)} />
      <${Button} small icon="copy" label=${t("canvas.layer.copy")} onClick=${() => desk.copy(layer)} />
      <${Button} small icon="trash" label=${t("canvas.layer.remove")} onClick=${() => desk.remove(layer)} />
      <${Button} small onClick=${() => desk.clearLayer(layer)}>${t("canvas.layer.clear")}<//></div>
  </div>`;
}

const MORE = {
  fill: ["negative_prompt", "strength", "feather", "region", "seed", "steps", "guidance", "sampler", "model"],
  erase: ["strength", "feather", "region", "seed", "steps", "guidance", "model"],
  expand: ["negative_prompt", "strength", "feather", "seed", "steps", "guidance", "model"],
  vary: ["negative_prompt", "seed", "steps", "guidance", "sampler", "model"],
  draw: ["negative_prompt", "seed", "steps", "guidance", "sampler", "model", "adapters"],
};
const EMPTY = { mode: "fill", prompts: {}, fields: {}, strength: 0.6, weight: 1, off: [] };

/** What is to be made, of what is on the canvas. */
export function MakePanel({ desk, maker }) {
  const key = `canvas:make:${desk.project.id}`;
  const [asking, ask] = useState(() => ({ ...EMPTY, ...recall(key, {}) }));
  const put = (more) => {
    const next = { ...asking, ...more };
    ask(next);
    remember(key, next);
  };
  const { mode } = asking, prompt = asking.prompts[mode] ?? "", fields = asking.fields[mode] ?? {};
  useEffect(() => {
    if (mode === "expand" && !desk.frame) desk.setFrame({ left: 0, right: 0, top: 0, bottom: 0 });
    if (mode !== "expand" && desk.frame) desk.setFrame(null);
    return () => { if (desk.frame) desk.setFrame(null); };
  }, [mode, desk.project.width, desk.project.height]);
  useEffect(() => {
    const { wanted } = desk;
    desk.wanted = null;
    if (wanted && wanted !== mode && !(wanted === "fill" && mode === "erase")) put({ mode: wanted });
  }, [desk.wanted]);
  const make = (other = false) => {
    if (desk.pending) desk.accept();
    const control = { kinds: mapsOf(desk.project).filter((kind) => !asking.off.includes(kind)), weight: asking.weight };
    const told = mode === "vary" ? { ...fields, strength: asking.strength } : { ...fields };
    if (other) delete told.seed;
    maker.make(mode, { prompt, fields: told, frame: desk.frame, control });
  };
  const again = async () => {
    await desk.discard();
    if (mode === "expand" && asking.frame) desk.setFrame(asking.frame);
    make(true);
  };
  const { state } = maker;
  return html`<div class="canvas-panel">
    ${desk.pending && html`<div class="canvas-pending" role="group" aria-label=${t("canvas.pending")}>
      <strong>${desk.pending.name}</strong><div class="actions">
      <${Button} kind="primary" small icon="check" onClick=${() => desk.accept()}>${t("canvas.accept")}<//>
      <${Button} small icon="close" onClick=${() => desk.discard()}>${t("canvas.discard")}<//>
      <${Button} small icon="retry" disabled=${maker.busy} onClick=${again}>${t("canvas.again")}<//></div></div>`}
    <${Select} label=${t("canvas.mode")} value=${mode} options=${MODES.map((value) => ({ value, label: t(`canvas.mode.${value}`) }))} onChange=${(next) => put({ mode: next })} help=${t(`canvas.mode.about.${mode}`)} />
    ${mode !== "erase" && html`<${Field} label=${t("canvas.prompt")} help=${mode === "fill" ? t("canvas.prompt.help.fill") : undefined}>
      <textarea rows="3" data-first value=${prompt} onInput=${(event) => put({ prompts: { ...asking.prompts, [mode]: event.target.value } })}
        onKeyDown=${(event) => { if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) make(); }} /><//>`}
    ${mode === "vary" && html`<${Slider} label=${t("canvas.strength")} value=${asking.strength} onChange=${(strength) => put({ strength })} />`}
    ${mode === "draw" && html`<${Maps} desk=${desk} asking=${asking} put=${put} />`}
    ${mode === "expand" && desk.frame && html`<${Sides} desk=${desk} onChange=${(frame) => put({ frame })} />`}
    <details class="canvas-more"><summary>${t("canvas.more")}</summary>
      <${SchemaForm} task=${TASK_OF[mode]} only=${MORE[mode]} value=${fields} onChange=${(next) => put({ fields: { ...asking.fields, [mode]: next } })} /></details>
    <div class="actions">
      ${maker.busy ? html`<${Button} icon="stop" onClick=${() => maker.cancel()}>${t("canvas.stop")}<//>`
      : html`<${Button} kind="primary" icon="imagine" onClick=${() => { put({ frame: desk.frame }); make(); }}>${t("canvas.go")}<//>`}</div>
    <div aria-live="polite">${maker.busy && html`<${Progress} value=${state.kind === "painting" ? state.share : null} label=${t("canvas.painting")}>
      ${state.lost ? t("canvas.lost") : t(`canvas.${state.kind}`)}<//>`}</div>
    ${state.kind === "failed" && html`<${ErrorNote} error=${state.error} onDismiss=${() => maker.tell({ kind: "idle" })} />`}
  </div>`;
}

const MAP_LAYERS = { scribble: "sketch", pose: "pose", segmentation: "segmentation" };

/** What leads: kinds of maps that are drawn. One whose layers are hidden, as after a result, is shown again. */
function Maps({ desk, asking, put }) {
  const { layers } = desk.project, seen = mapsOf(desk.project), all = mapsOf({ layers: layers.map((one) => ({ ...one, visible: true })) });
  const on = (kind) => seen.includes(kind) && !asking.off.includes(kind);
  const turn = (kind) => {
    const others = asking.off.filter((one) => one !== kind);
    put({ off: on(kind) ? [...others, kind] : others });
    if (!seen.includes(kind)) for (const layer of layers) if (layer.kind === MAP_LAYERS[kind]) desk.set(layer, "visible", true);
  };
  return html`<div class="field"><span class="label" id="canvas-maps">${t("canvas.maps")}</span>
    <div role="group" aria-labelledby="canvas-maps">
      ${all.length === 0 && html`<p class="help">${t("canvas.need.map")}</p>`}
      ${all.map((kind) => html`<${Switch} key=${kind} label=${t(`canvas.kind.${MAP_LAYERS[kind]}`)} value=${on(kind)} onChange=${() => turn(kind)} />`)}</div></div>
    <${Slider} label=${t("canvas.weight")} min=${0} max=${2} step=${0.05} value=${asking.weight} onChange=${(weight) => put({ weight })} />`;
}

function Sides({ desk, onChange }) {
  const { frame, project } = desk;
  const put = (side) => (event) => {
    const next = { ...frame, [side]: Math.max(0, Math.round(Number(event.target.value) || 0)) };
    desk.setFrame(next);
    onChange(next);
  };
  return html`<div class="canvas-pair">${["left", "right", "top", "bottom"].map((side) => html`<${Field} key=${side} label=${t(`canvas.${side}`)}>
      <input type="number" min="0" max="4096" step="8" value=${frame[side]} onChange=${put(side)} /><//>`)}</div>
    <p class="help">${project.width + frame.left + frame.right} × ${project.height + frame.top + frame.bottom} px</p>`;
}
