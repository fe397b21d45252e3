// The canvas: #/canvas is where one begins, #/canvas/p-… a project, #/canvas/sha256:… a new project of a picture.

import "../canvas/words.js";
import { html, useEffect, useReducer, useRef, useState } from "../lib.js";
import { t, useLang } from "../i18n.js";
import { Button, ErrorNote, Icon, Tabs, checkFiles, dropFiles, pickFiles, toast } from "../parts.js";
import { fileOf } from "../api.js";
import { go } from "../app.js";
import { useKeys } from "../keys.js";
import { Board, konva } from "../canvas/board.js";
import { Desk, TOOLS } from "../canvas/desk.js";
import { Maker } from "../canvas/making.js";
import { Overlay } from "../canvas/overlay.js";
import { LayersPanel, MakePanel, ToolPanel } from "../canvas/panels.js";
import { duplicated, flattened, newId, written } from "../canvas/project.js";
import { asPng } from "../canvas/raster.js";
import { MOST_FILE, Start, begin, galleryProject, projectOf, unkept } from "../canvas/start.js";
import * as saves from "../canvas/saves.js";

export default function Canvas({ params }) {
  useLang();
  const { id } = params;
  if (!id) return html`<${Start} />`;
  return html`<${Opening} key=${id} id=${id} />`;
}

let leaving = Promise.resolve(); // what the project before still writes

function Opening({ id }) {
  const [desk, setDesk] = useState(null);
  const [error, fail] = useState(null);
  useEffect(() => {
    let here = true, made = null, release = null;
    const load = async () => {
      await leaving;
      if (!id.startsWith("p-")) {
        await begin(await galleryProject(id), { replace: true });
        return;
      }
      const Konva = await konva();
      release = await saves.hold(id);
      const { project, past } = unkept.has(id) ? { project: unkept.get(id) } : ((await saves.read(id)) ?? {});
      if (!project) throw Object.assign(new Error(t("canvas.gone")), { gone: true });
      if (!release) {
        await copyOf(project);
        return;
      }
      if (!here) { release(); return; }
      made = new Desk(project, past);
      made.Konva = Konva;
      made.maker = new Maker(made);
      made.saver.on = true;
      saves.past.sweep().catch(() => {}); // only room
      setDesk(made);
    };
    load().catch((wrong) => here && fail(wrong));
    return () => {
      here = false;
      made?.maker.close();
      leaving = Promise.resolve(made?.close()).finally(() => release?.());
    };
  }, [id]);
  if (error) {
    return html`<div class="page"><${ErrorNote} error=${error} /><div class="actions"><${Button} icon="left" onClick=${() => go("canvas")}>${t("canvas.projects")}<//></div></div>`;
  }
  if (!desk) return html`<p class="page muted" role="status">${t("canvas.loading")}</p>`;
  return html`<${Working} desk=${desk} maker=${desk.maker} />`;
}

/** Another tab has the project: go on with a copy. */
async function copyOf(project) {
  const name = t("canvas.copy.of", { name: project.name });
  const layers = project.layers.map((layer) => ({ ...duplicated(layer, project), name: layer.name }));
  const active = layers[project.layers.findIndex((one) => one.id === project.active)]?.id ?? null;
  toast(t("canvas.copied", { name }), { ms: 12000 });
  await begin({ ...project, id: newId("p"), name, layers, shelf: [], active, job: null }, { replace: true });
}

function Working({ desk, maker }) {
  const [, turn] = useReducer((k) => k + 1, 0);
  const [panel, open] = useState("make");
  const [narrow, shut] = useState(true);
  const host = useRef(null);
  useEffect(() => mounted(desk, maker, host.current, turn), [desk]);
  useKeys(keysOf(desk, open), t("canvas.title"));
  const take = (files) => taken(desk, files);
  const drop = dropFiles(take, { kinds: "any", mostBytes: MOST_FILE, onId: async (id) => add(desk, () => fileOf(id), id.slice(7, 15)) });
  const show = (key) => { shut(key === panel && !narrow); open(key); };
  const panels = [["make", "imagine"], ["tool", "sliders"], ["layers", "layers"]].map(([key, icon]) => ({ key, icon, label: t(`canvas.panel.${key}`) }));
  return html`<div class="canvas" ...${drop}>
    <${Top} desk=${desk} />
    <${Tools} desk=${desk} onUse=${(tool) => { desk.use(tool); open("tool"); }} />
    <div class=${`canvas-stage tool-${desk.frame ? "move" : desk.tool}`} ref=${host} role="application" aria-label=${t("canvas.stage")} tabindex="0"></div>
    <aside class=${`canvas-side ${narrow ? "shut" : ""}`} aria-label=${t("canvas.panels")}>
      <${Tabs} label=${t("canvas.panels")} tabs=${panels} value=${panel} onChange=${show}>
        ${panel === "make" && html`<${MakePanel} desk=${desk} maker=${maker} />`}
        ${panel === "tool" && html`<${ToolPanel} desk=${desk} />`}
        ${panel === "layers" && html`<${LayersPanel} desk=${desk} />`}<//>
    </aside>
  </div>`;
}

/** Put the picture into its place, and listen. Returns what ends that. */
function mounted(desk, maker, host, turn) {
  let overlay = null, scale = null;
  const board = new Board(desk.Konva, host, () => desk.project, {
    down: (place, event) => desk.down(place, event),
    move: (place) => desk.move(place),
    up: () => desk.up(),
    cancel: () => desk.cancel(),
    hover: (place) => overlay.hover(place),
    view: ({ k }) => {
      overlay?.moved();
      if (k !== scale) turn();
      scale = k;
    },
  });
  desk.board = board;
  overlay = new Overlay(board, desk);
  board.fit();
  const tell = (event) => toast(event.detail);
  const warn = () => warned(desk);
  desk.addEventListener("change", turn);
  desk.addEventListener("change", warn);
  desk.addEventListener("tell", tell);
  const space = holdSpace(board, host);
  window.fantascope = { ...window.fantascope, desk }; // for the console, and for tests
  if (desk.project.job) maker.watch();
  const stay = (event) => { if (["full", "failed"].includes(desk.state.kind)) event.preventDefault(); };
  window.addEventListener("beforeunload", stay);
  return () => {
    window.removeEventListener("beforeunload", stay);
    space();
    for (const [name, heard] of [["change", turn], ["change", warn], ["tell", tell]]) desk.removeEventListener(name, heard);
    overlay.close();
    desk.board = null;
    board.close();
    delete window.fantascope.desk;
  };
}

/** Say once that storage is full, or that nothing is kept. */
function warned(desk) {
  const { kind, error } = desk.state;
  if (desk.warned === kind) return;
  desk.warned = kind;
  if (kind === "full") toast(t("canvas.full"), { kind: "bad", ms: 0, action: { label: t("canvas.save"), run: () => saveFile(desk) } });
  if (kind === "failed") toast(t("canvas.unkept", { why: error.message }), { kind: "bad", ms: 0, action: { label: t("canvas.save"), run: () => saveFile(desk) } });
}

/** While the space bar is down, the pointer pans. */
function holdSpace(board, host) {
  const hold = (on) => (event) => {
    if (event.code !== "Space" || (on && /^(INPUT|TEXTAREA|SELECT|BUTTON|A|SUMMARY)$/.test(event.target.tagName))) return;
    if (on) event.preventDefault();
    board.panning = on || host.classList.contains("tool-hand");
    host.classList.toggle("panning", on);
  };
  const down = hold(true), up = hold(false);
  window.addEventListener("keydown", down);
  window.addEventListener("keyup", up);
  return () => {
    window.removeEventListener("keydown", down);
    window.removeEventListener("keyup", up);
  };
}

function keysOf(desk, open) {
  const use = (tool) => () => { desk.use(tool); };
  const select = (work) => () => { if (!desk.selection) return false; work(); return true; };
  return [
    ...Object.entries(TOOLS).map(([tool, keys]) => ({ keys, label: t(`canvas.tool.${tool}`), run: use(tool) })),
    { keys: "[", label: t("canvas.smaller"), run: () => desk.resize(-1) },
    { keys: "]", label: t("canvas.larger"), run: () => desk.resize(1) },
    { keys: "mod+z", label: t("canvas.undo"), run: () => { desk.undo(); } },
    { keys: "mod+shift+z", label: t("canvas.redo"), run: () => { desk.redo(); } },
    { keys: "mod+y", run: () => { desk.redo(); } },
    { keys: "0", label: t("canvas.zoom.fit"), run: () => desk.board.fit() },
    { keys: "1", label: t("canvas.zoom.full"), run: () => desk.board.zoom(1 / desk.board.view.k) },
    { keys: "+", label: t("canvas.zoom.in"), run: () => desk.board.zoom(1.25) },
    { keys: "-", label: t("canvas.zoom.out"), run: () => desk.board.zoom(0.8) },
    { keys: "mod+s", typing: true, label: t("canvas.save"), run: () => { saveFile(desk); } },
    { keys: "mod+a", label: t("canvas.mask.all"), run: () => desk.selectAll() },
    { keys: "enter", label: t("canvas.select.fill"), run: () => !document.activeElement?.closest("button, a, summary") && select(() => desk.fillSelection())() },
    { keys: "delete", label: t("canvas.select.clear"), run: select(() => desk.fillSelection({ erase: true })) },
    { keys: "escape", label: t("canvas.select.none"), run: select(() => desk.select(null)) },
    ...[["arrowleft", -1, 0], ["arrowright", 1, 0], ["arrowup", 0, -1], ["arrowdown", 0, 1]].map(([keys, dx, dy]) => ({ keys, run: () => nudge(desk, dx, dy) })),
    { keys: "alt+1", label: t("canvas.panel.make"), run: () => open("make") },
    { keys: "alt+2", label: t("canvas.panel.tool"), run: () => open("tool") },
    { keys: "alt+3", label: t("canvas.panel.layers"), run: () => open("layers") },
    { keys: "space", label: t("canvas.hold"), run: () => false },
  ];
}

/** With the pose in hand, arrows move the chosen joint; else they pan. */
function nudge(desk, dx, dy) {
  if (document.activeElement?.closest(".canvas-side, .canvas-top, .canvas-tools")) return false;
  const { person, joint } = desk.picked, at = desk.tool === "pose" && desk.active?.people?.[person]?.[joint];
  if (at) desk.setJoint(desk.active, person, joint, [at[0] + dx, at[1] + dy]);
  else desk.board.pan(-dx * 40, -dy * 40);
  return true;
}

async function add(desk, file, name) {
  try {
    await desk.addPicture(await file(), name);
  } catch (error) {
    toast(error.message, { kind: "bad" });
  }
}

/** Take files: a project opens, pictures become layers. */
async function taken(desk, files) {
  const projects = files.filter((file) => file.name.endsWith(".fantascope"));
  if (projects.length) {
    try {
      await desk.saver.now();
      await begin(await projectOf(projects[0]));
    } catch (error) {
      toast(error.message, { kind: "bad" });
    }
    return;
  }
  for (const file of await checkFiles(files)) await add(desk, async () => file, file.name.replace(/\.\w+$/, ""));
}

function download(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function plainName(desk, suffix) {
  return (desk.project.name.replace(/[^\p{L}\p{N} _-]+/gu, "").trim() || "canvas") + suffix;
}

async function saveFile(desk) {
  try {
    download(await written(desk.project), plainName(desk, ".fantascope"));
  } catch (error) {
    toast(error.message, { kind: "bad" });
  }
}

function Top({ desk }) {
  const { history, project, state } = desk, zoom = Math.round((desk.board?.view.k ?? 1) * 100);
  return html`<div class="canvas-top">
    <${Button} kind="quiet" icon="left" label=${t("canvas.projects")} onClick=${() => go("canvas")} />
    <input class="canvas-name" aria-label=${t("canvas.name")} maxlength="80" value=${project.name} onChange=${(event) => desk.rename(event.target.value.trim())} />
    <span class=${`canvas-state ${state.kind}`} role="status" title=${t(`canvas.state.${state.kind}`)}><${Icon} name=${["full", "failed"].includes(state.kind) ? "warning" : "save"} size=${16} /><span>${t(`canvas.state.${state.kind}`)}</span></span>
    <span class="canvas-gap"></span>
    <${Button} kind="quiet" icon="undo" label=${t("canvas.undo")} disabled=${!history.canUndo} onClick=${() => desk.undo()} />
    <${Button} kind="quiet" icon="redo" label=${t("canvas.redo")} disabled=${!history.canRedo} onClick=${() => desk.redo()} />
    <span class="canvas-zoom">
      <${Button} kind="quiet" icon="minus" label=${t("canvas.zoom.out")} onClick=${() => desk.board.zoom(0.8)} />
      <button type="button" class="canvas-percent" title=${t("canvas.zoom.full")} onClick=${() => desk.board.zoom(1 / desk.board.view.k)}>${zoom} %</button>
      <${Button} kind="quiet" icon="plus" label=${t("canvas.zoom.in")} onClick=${() => desk.board.zoom(1.25)} />
      <${Button} kind="quiet" icon="compare" label=${t("canvas.zoom.fit")} onClick=${() => desk.board.fit()} /></span>
    <${Button} kind="quiet" icon="folder" label=${t("canvas.open")} onClick=${async () => taken(desk, await pickFiles({ multiple: true, accept: ".fantascope,image/png,image/jpeg,image/webp", kinds: "any", mostBytes: MOST_FILE }))} />
    <${Button} kind="quiet" icon="save" label=${t("canvas.save")} onClick=${() => saveFile(desk)} />
    <${Button} kind="quiet" icon="download" label=${t("canvas.export")} onClick=${async () => download(await asPng(flattened(project, undefined, null)), plainName(desk, ".png"))} />
  </div>`;
}

const ICONS = { hand: "hand", brush: "brush", eraser: "eraser", mask: "mask", lasso: "lasso", scribble: "edit", pose: "pose", segment: "palette" };
const DRAWN = { move: "M12 3v18M3 12h18M12 3l-3 3M12 3l3 3M12 21l-3-3M12 21l3-3M3 12l3-3M3 12l3 3M21 12l-3-3M21 12l-3 3", rect: "M4 6h3M10 6h4M17 6h3v3M20 12v3M20 18h-3M14 18h-4M7 18H4v-3M4 12V9" };

function Tools({ desk, onUse }) {
  return html`<div class="canvas-tools" role="toolbar" aria-label=${t("canvas.tools")} aria-orientation="vertical">${Object.entries(TOOLS).map(([tool, key]) => html`<button
    type="button" key=${tool} class="canvas-tool" data-tool=${tool} aria-pressed=${String(desk.tool === tool)} aria-keyshortcuts=${key} title=${`${t(`canvas.tool.${tool}`)} (${key.toUpperCase()})`} onClick=${() => onUse(tool)}>
    ${ICONS[tool] ? html`<${Icon} name=${ICONS[tool]} size=${22} />` : html`<svg width="22" height="22" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true"><path d=${DRAWN[tool]} /></svg>`}
    <span>${t(`canvas.tool.${tool}`)}</span></button>`)}</div>`;
}
