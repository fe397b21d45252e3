// Where a canvas begins: a new one, a file, or one that this browser kept.

import "./words.js";
import { html, useEffect, useState } from "../lib.js";
import { moment, t } from "../i18n.js";
import { Button, Field, Icon, Select, ask, dropFiles, pickFiles, toast } from "../parts.js";
import { fileOf } from "../api.js";
import { go } from "../app.js";
import { MOST_SIDE, decoded } from "./raster.js";
import { newLayer, newProject, opened, wrongSize } from "./project.js";
import * as saves from "./saves.js";

const SIZES = [[512, 512], [768, 512], [512, 768], [1024, 1024], [2048, 2048]];
export const MOST_FILE = 480 * 2 ** 20;

/** New projects that this browser could not keep: they live as long as the page. */
export const unkept = new Map();

/** Keep a new project, and go there; one that cannot be kept is opened all the same, and it is said. */
export async function begin(project, { replace = false } = {}) {
  try {
    await saves.write(project, { all: true });
  } catch (error) {
    unkept.set(project.id, project);
    toast(t("canvas.unkept", { why: error.message }), { kind: "bad" });
  }
  go(`canvas/${project.id}`, { replace });
}

/** Return a project of a file: of a picture, or one that was saved. */
export async function projectOf(file) {
  if (!/^image\//.test(file.type)) return opened(file);
  return pictureProject(file, file.name.replace(/\.\w+$/, ""));
}

/** Return a project of a picture, as large as that; one that is too large is made smaller, and it is said. */
export async function pictureProject(blob, name) {
  const bitmap = await decoded(blob), share = Math.min(1, MOST_SIDE / Math.max(bitmap.width, bitmap.height));
  const width = Math.max(16, Math.round(bitmap.width * share)), height = Math.max(16, Math.round(bitmap.height * share));
  if (share < 1) toast(t("canvas.picture.fit", { width: bitmap.width, height: bitmap.height, most: MOST_SIDE }));
  const project = newProject(width, height, name, null), layer = newLayer("picture", width, height, t("canvas.kind.picture"));
  layer.raster.draw(layer.raster.box, (ctx) => {
    ctx.imageSmoothingQuality = "high";
    ctx.drawImage(bitmap, 0, 0, width, height);
  });
  bitmap.close();
  project.layers = [layer];
  project.active = layer.id;
  return project;
}

/** Make a project of a picture of the gallery. */
export async function galleryProject(id) {
  return pictureProject(await fileOf(id), id.replace("sha256:", "").slice(0, 8));
}

export function Start() {
  const [size, setSize] = useState([512, 512]);
  const [rows, setRows] = useState([]);
  const load = () => saves.list().then(setRows, () => {});
  useEffect(() => { load(); }, []);
  const wrong = wrongSize(...size);
  const create = async (event) => {
    event.preventDefault();
    if (!wrong) await tried(() => begin(newProject(...size, t("canvas.untitled"))));
  };
  const take = ([file]) => file && tried(async () => begin(await projectOf(file)));
  const forget = async (row) => {
    if (!(await ask({ title: t("canvas.delete", row), text: t("canvas.delete.sure"), yes: t("canvas.delete.yes"), danger: true }))) return;
    await saves.forget(row.id);
    load();
  };
  const put = (k) => (event) => setSize(size.map((old, at) => (at === k ? Number(event.target.value) : old)));
  const preset = SIZES.find(([w, h]) => w === size[0] && h === size[1]);
  return html`<div class="page canvas-start" ...${dropFiles(take, { kinds: "any", most: 1, mostBytes: MOST_FILE, onId: (id) => go(`canvas/${id}`) })}>
    <h1>${t("canvas.start")}</h1><p class="muted">${t("canvas.start.text")}</p>
    <form class="card canvas-new" onSubmit=${create}>
      <h2>${t("canvas.new")}</h2>
      <${Select} label=${t("canvas.size")} value=${preset ? SIZES.indexOf(preset) : null} empty="…" options=${SIZES.map(([w, h], value) => ({ value, label: `${w} × ${h}` }))}
        onChange=${(k) => k !== null && setSize(SIZES[k])} />
      <div class="canvas-pair">
        <${Field} label=${t("canvas.width")}><input type="number" min="16" step="1" value=${size[0]} onInput=${put(0)} /><//>
        <${Field} label=${t("canvas.height")}><input type="number" min="16" step="1" value=${size[1]} onInput=${put(1)} /><//></div>
      ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
      <div class="actions"><${Button} type="submit" kind="primary" icon="plus" disabled=${Boolean(wrong)}>${t("canvas.create")}<//>
        <${Button} icon="folder" onClick=${async () => take(await pickFiles({ accept: ".fantascope,image/png,image/jpeg,image/webp", kinds: "any", mostBytes: MOST_FILE }))}>${t("canvas.open.file")}<//></div>
    </form>
    ${rows.length > 0 && html`<section class="canvas-recent"><h2>${t("canvas.recent")}</h2><ul>${rows.map((row) => html`<li key=${row.id} class="card">
      <a href=${`#/canvas/${row.id}`}><${Icon} name="canvas" /><span><strong>${row.name}</strong><br /><span class="muted">${row.width} × ${row.height} · ${moment(row.changed)}</span></span></a>
      <${Button} kind="quiet" icon="trash" label=${t("canvas.delete", row)} onClick=${() => forget(row)} /></li>`)}</ul></section>`}
  </div>`;
}

async function tried(work) {
  try {
    await work();
  } catch (error) {
    toast(error.message, { kind: "bad" });
  }
}
