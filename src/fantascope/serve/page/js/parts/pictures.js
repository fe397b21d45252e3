// Pictures: shown, picked, dropped.
import { html, useEffect, useRef, useState } from "../lib.js";
import { addWords, number, t } from "../i18n.js";
import { MOST_BYTES, fileOf, thumbUrl, upload } from "../api.js";
import { Button, toast, useId } from "./basic.js";
import { Icon } from "./icons.js";

addWords({
  en: {
    "pictures.gone": "This picture is not in the gallery any more.", "pictures.drop": "Drop it here", "pictures.choose": "Choose a file",
    "pictures.hint": "Drop, paste or choose a picture", "pictures.remove": "Take it out", "pictures.large": "{name} has {size} MiB; a file has at most {most} MiB.",
    "pictures.many": "{n} files at once are too many; the first {most} are taken.", "pictures.one": "{n} files at once are too many; only the first is taken.", "pictures.kind": "{name} is no picture that can be read here: PNG, JPEG or WebP.",
    "pictures.empty": "{name} is empty.", "pictures.open": "Open: {alt}", "pictures.some": "a picture", "pictures.reading": "Handing it in …",
  },
  es: {
    "pictures.gone": "Esta imagen ya no está en la galería.", "pictures.drop": "Suéltela aquí", "pictures.choose": "Elegir un archivo",
    "pictures.hint": "Suelte, pegue o elija una imagen", "pictures.remove": "Quitarla", "pictures.large": "{name} tiene {size} MiB; un archivo tiene como máximo {most} MiB.",
    "pictures.many": "{n} archivos a la vez son demasiados; se toman los primeros {most}.", "pictures.one": "{n} archivos a la vez son demasiados; solo se toma el primero.", "pictures.kind": "{name} no es una imagen que se pueda leer aquí: PNG, JPEG o WebP.",
    "pictures.empty": "{name} está vacío.", "pictures.open": "Abrir: {alt}", "pictures.some": "una imagen", "pictures.reading": "Entregándola …",
  },
});

/** How often a picture that did not come is asked for again: the server may be back by then. */
const RETRIES = 2;

export const DRAGGED = "application/x-fantascope-id";

/**
 * A picture of the gallery. side: longer side of the thumbnail in CSS pixels. onClick makes it a button.
 * actions: { icon, label, run } buttons over it. selected: true or false gives it a frame and says so.
 * It can be dragged: to a place made by `dropFiles`, to the canvas, or out of the browser.
 */
export function Picture({ id, side = 256, alt, onClick, selected, actions, width, height, children, class: more = "" }) {
  const [turn, again] = useState(0);
  const gone = turn > RETRIES;
  useEffect(() => again(0), [id]);
  const dense = Math.min(1024, Math.round(side * Math.min(2, window.devicePixelRatio || 1)));
  const drag = (event) => { event.dataTransfer.setData(DRAGGED, id); event.dataTransfer.effectAllowed = "copy"; };
  const shape = width && height ? { aspectRatio: `${width} / ${height}` } : undefined;
  const inner = gone
    ? html`<span class="picture-gone"><${Icon} name="picture" size=${28} /><span>${t("pictures.gone")}</span></span>`
    : html`<img src=${thumbUrl(id, dense)} alt=${onClick ? "" : alt || ""} loading="lazy" decoding="async" draggable="true" onDragStart=${drag} key=${turn}
        onError=${() => setTimeout(() => again((k) => k + 1), turn === RETRIES ? 0 : 700 * 3 ** turn)} />`;
  return html`<figure class=${`picture ${selected ? "selected" : ""} ${more}`} style=${shape}>
    ${onClick ? html`<button type="button" class="picture-open" aria-label=${t("pictures.open", { alt: alt || t("pictures.some") })}
        aria-pressed=${selected === undefined ? undefined : String(Boolean(selected))} onClick=${onClick}>${inner}</button>` : inner}
    ${actions?.length > 0 && html`<div class="picture-actions">${actions.filter(Boolean).map((one) => html`
      <${Button} key=${one.label} small kind=${one.kind || "plain"} icon=${one.icon} label=${one.label} disabled=${one.disabled} onClick=${one.run || one.onClick} />`)}</div>`}
    ${children}
  </figure>`;
}

/** A file of this machine, where the browser can show it. */
export function FilePreview({ file, alt, class: kind }) {
  const [url, show] = useState(null);
  useEffect(() => {
    const made = URL.createObjectURL(file);
    show(made);
    return () => URL.revokeObjectURL(made);
  }, [file]);
  return url && html`<img class=${kind} src=${url} alt=${alt} onError=${() => show(null)} />`;
}

/** A grid of pictures; arrow keys go from one to the next. label: what it holds. min: least width of a column, pixels. */
export function Grid({ label, min = 180, children, class: more = "" }) {
  const box = useRef(null);
  const keys = (event) => {
    if (!event.key.startsWith("Arrow") || event.altKey || event.ctrlKey || event.metaKey) return;
    const all = [...box.current.querySelectorAll(".picture-open")];
    const at = all.indexOf(document.activeElement);
    if (at < 0) return;
    const columns = getComputedStyle(box.current).gridTemplateColumns.split(" ").length;
    const to = all[at + { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns }[event.key]];
    if (to) { event.preventDefault(); to.focus(); }
  };
  return html`<div class=${`grid ${more}`} role="group" aria-label=${label} ref=${box} style=${{ "--column": `${min}px` }} onKeyDown=${keys}>${children}</div>`;
}

const KINDS = { "89504e47": "image/png", "52494646": "image/webp", ffd8ff: "image/jpeg" };

/**
 * Return those of some files that may be handed in, and say why the others are not: too large, empty, or by their
 * first bytes no picture, whatever their names say. most: how many at once. kinds: "picture", or "any" file.
 */
export async function checkFiles(files, { most = 20, kinds = "picture", mostBytes = MOST_BYTES } = {}) {
  const given = [...files];
  if (given.length > most) toast(t(most === 1 ? "pictures.one" : "pictures.many", { n: given.length, most }), { kind: "bad" });
  const good = [];
  for (const file of given.slice(0, most)) {
    const name = (file.name || t("pictures.some")).slice(0, 60);
    if (file.size > mostBytes) toast(t("pictures.large", { name, size: number(file.size / 2 ** 20, 0), most: number(mostBytes / 2 ** 20, 0) }), { kind: "bad" });
    else if (file.size === 0) toast(t("pictures.empty", { name }), { kind: "bad" });
    else if (kinds === "any") good.push(file);
    else {
      const kind = await kindOf(file);
      if (kind === null) toast(t("pictures.kind", { name }), { kind: "bad" });
      else good.push(file.type === kind ? file : new File([file], file.name || "picture", { type: kind }));
    }
  }
  return good;
}

async function kindOf(file) {
  const head = [...new Uint8Array(await file.slice(0, 4).arrayBuffer())].map((one) => one.toString(16).padStart(2, "0")).join("");
  return Object.entries(KINDS).find(([start]) => head.startsWith(start))?.[1] ?? null;
}

/**
 * Return what an element needs to take dropped and pasted files: `<div ...${dropFiles(take)}>`. `take(files)` gets
 * checked files (see `checkFiles`, which has the options). A picture dragged from a grid comes as its file, or goes to
 * `options.onId(id)` where that is given. The element has the class `dropping` while something is over it.
 */
export function dropFiles(take, options = {}) {
  const over = (event) => {
    if (![...event.dataTransfer.types].some((one) => one === "Files" || one === DRAGGED)) return;
    event.preventDefault();
    event.stopPropagation();
    event.dataTransfer.dropEffect = "copy";
    event.currentTarget.classList.add("dropping");
  };
  return {
    onDragEnter: over,
    onDragOver: over,
    onDragLeave: (event) => { if (!event.currentTarget.contains(event.relatedTarget)) event.currentTarget.classList.remove("dropping"); },
    onDrop: async (event) => {
      event.currentTarget.classList.remove("dropping");
      const id = event.dataTransfer.getData(DRAGGED), files = [...event.dataTransfer.files];
      if (!id && files.length === 0) return;
      event.preventDefault();
      event.stopPropagation();
      try {
        if (id && options.onId) { options.onId(id); return; }
        const good = id ? [new File([await fileOf(id)], `${id.slice(7, 23)}.png`)] : files;
        const checked = await checkFiles(good, options);
        if (checked.length) await take(checked);
      } catch (error) {
        toast(error.message, { kind: "bad" });
      }
    },
    onPaste: async (event) => {
      const files = [...(event.clipboardData?.files || [])];
      if (files.length === 0) return;
      event.preventDefault();
      const checked = await checkFiles(files, options);
      if (checked.length) await take(checked);
    },
  };
}

/** Let somebody choose files; returns those that pass `checkFiles`. */
export function pickFiles({ multiple = false, accept = "image/png,image/jpeg,image/webp", ...options } = {}) {
  return new Promise((good) => {
    const input = Object.assign(document.createElement("input"), { type: "file", multiple, accept });
    input.addEventListener("change", async () => good(await checkFiles(input.files, options)));
    input.addEventListener("cancel", () => good([]));
    input.click();
  });
}

/** A field for one picture: its id, taken by drop, paste or file. onChange(id or null). */
export function PicturePick({ label, value, onChange, help, error }) {
  const id = useId("pick");
  const [busy, work] = useState(false);
  const take = async (files) => {
    if (!files.length) return;
    work(true);
    try {
      onChange((await upload(files[0])).id);
    } catch (failed) {
      toast([failed.message, failed.hint].filter(Boolean).join(" "), { kind: "bad" });
    }
    work(false);
  };
  return html`<div class="field">
    <span class="label" id=${id}>${label}</span>
    <div class="pick" role="group" aria-labelledby=${id} tabindex="-1" ...${dropFiles(take, { most: 1, onId: onChange })}>
      ${value ? html`<${Picture} id=${value} side=${120} alt=${label} />` : html`<span class="pick-hint">${busy ? t("pictures.reading") : t("pictures.hint")}</span>`}
      <div class="actions">
        <${Button} small icon="upload" busy=${busy} onClick=${async () => take(await pickFiles({ most: 1 }))}>${t("pictures.choose")}<//>
        ${value && html`<${Button} small kind="quiet" icon="close" label=${t("pictures.remove")} onClick=${() => onChange(null)} />`}
      </div>
    </div>
    ${help && html`<p class="help">${help}</p>`}
    ${error && html`<p class="wrong">${error}</p>`}
  </div>`;
}
