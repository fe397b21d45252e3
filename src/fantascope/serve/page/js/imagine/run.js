// One run: what was asked, how far it is, and its pictures.
import { html, useEffect, useRef, useState } from "../lib.js";
import { thumbUrl } from "../api.js";
import { Button, ErrorNote, Icon, Progress } from "../parts.js";
import { DRAGGED } from "../parts/pictures.js";
import { moment, number, t } from "../i18n.js";
import { ACTIONS, hint, meant, tell } from "./actions.js";
import { cancel, forget, open, start } from "./runs.js";

/** How far a run is, from 0 to 1; null while nobody knows. */
export function share({ progress }) {
  if (!progress || !progress.steps || progress.stage === "load") return null;
  const { index = 0, count = 1, total = 1, step, steps } = progress;
  return Math.min(1, (index + (count * step) / steps) / Math.max(total, 1));
}

/** What a run is doing, in words. */
export function saying(run) {
  if (run.line === false) return t("im.run.line");
  if (run.status === "sending") return t("im.run.sending");
  if (run.status === "queued") return t("im.run.queued");
  const told = run.progress;
  if (!told) return t("im.run.started");
  if (told.stage === "load") return t("im.run.load");
  const step = t("im.run.step", { step: told.step, steps: told.steps });
  if (!(told.total > 1)) return step;
  const last = Math.min(told.total, told.index + told.count);
  const which = told.count > 1 ? `${told.index + 1}–${last}` : `${last}`;
  return `${step} · ${t("im.run.pictures", { which, total: told.total })}`;
}

/** The picture of a cell as it is painted, a data URL, or null. */
function previewOf(run, k) {
  const told = run.progress;
  if (!told) return null;
  const first = told.index ?? 0;
  return told.previews?.[k - first] ?? (k === first ? (told.preview ?? run.preview) : null) ?? null;
}

/**
 * A run. `chosen` are the ids that are chosen, in order; onChoose(ids). doing(name, id, run) does an action.
 * `onReuse(run)` takes its words and settings back to the box.
 */
export function Run({ run, chosen, onChoose, doing, onReuse, onRefused, heading = "h3" }) {
  const size = run.width && run.height ? `${run.width} / ${run.height}` : "1 / 1";
  const made = (run.artifacts ?? []).length;
  const cells = open(run) ? Math.max(run.n ?? run.fields.n ?? 1, made) : made;
  const retry = () => start(run.task, run.fields, { of: run.of, prompt: run.prompt }).catch(onRefused ?? tell);
  const shown = [...Array(cells).keys()].filter((k) => run.artifacts?.[k] !== null);
  return html`<section class="im-run" aria-label=${run.prompt || t(`im.task.${run.task}`)} aria-busy=${open(run) ? "true" : "false"} data-status=${run.status}>
    <header class="im-run-head">
      <${heading} class="im-run-prompt" title=${run.read ?? run.prompt}>${run.prompt || t(`im.task.${run.task}`)}<//>
      <p class="im-run-facts">${open(run) && html`<b>${saying(run)}</b> · `}${facts(run)}</p>
      <div class="im-run-buttons">
        ${open(run)
          ? html`<${Button} small icon="stop" onClick=${() => cancel(run).catch(tell)} disabled=${!run.id}>${t("im.run.cancel")}<//>`
          : html`${onReuse && html`<${Button} small kind="quiet" icon="up" label=${t("im.run.reuse")} onClick=${() => onReuse(run)} />`}
              <${Button} small kind="quiet" icon="close" label=${t("im.run.forget")} onClick=${() => forget(run.key)} />`}
      </div>
      ${open(run) && html`<div class="im-run-progress"><${Progress} value=${share(run)} label=${t("im.run.progress")} /></div>`}
    </header>
    ${run.status === "failed" && html`<${ErrorNote} error=${run.error} onRetry=${run.task === "again" ? undefined : retry} />`}
    ${run.status === "cancelled" && html`<p class="im-quiet">${t("im.run.cancelled", { n: made })}</p>`}
    ${shown.length > 0 &&
    html`<${Cells} run=${run} cells=${shown} size=${size} chosen=${chosen} onChoose=${onChoose} doing=${doing} />`}
    <p class="unseen" role="status">${run.status === "done" ? t("im.run.done", { n: made }) : ""}</p>
  </section>`;
}

function facts(run) {
  const told = [
    run.task !== "imagine" && t(`im.task.${run.task}`),
    run.seed != null && t("im.run.seed", { seed: run.seed }),
    run.width && `${run.width} × ${run.height}`,
    run.quote != null && t("im.price", { n: run.quote, credits: number(run.quote) }),
    moment(run.at, "time"),
  ];
  return told.filter(Boolean).join(" · ");
}

function Cells({ run, cells, size, chosen, onChoose, doing }) {
  const box = useRef(null);
  const [at, setAt] = useState(0);
  const here = cells.includes(at) ? at : cells[0];
  const dense = cells.length < 3 ? 512 : Math.min(512, Math.round(256 * (window.devicePixelRatio || 1))); // what is decoded stays in memory
  const focus = (k) => {
    setAt(k);
    box.current?.querySelector(`[data-cell="${k}"]`)?.focus();
  };
  const keys = (event) => {
    if (!event.target.matches?.(".im-cell")) return;
    const id = run.artifacts?.[here];
    const to = moved(box.current, event.key, cells.indexOf(here), cells.length);
    if (to !== null) {
      event.preventDefault();
      focus(cells[to]);
      if (event.shiftKey && run.artifacts?.[cells[to]]) onChoose(toggled(chosen, run.artifacts[cells[to]], true));
    } else if (event.key === "Escape") {
      event.stopPropagation();
      onChoose([]);
    } else if (event.key === " " && id) {
      event.preventDefault();
      onChoose(toggled(chosen, id));
    } else if (id && meant(event)) {
      event.preventDefault();
      event.stopPropagation();
      doing(meant(event).name, id, run);
    }
  };
  return html`<div class=${`im-cells im-cells-${Math.min(cells.length, 4)}`} ref=${box} role="group" aria-label=${t("im.cells")} onKeyDown=${keys}>
    ${cells.map(
      (k) => html`<${Cell} key=${k} k=${k} run=${run} size=${size} dense=${dense} current=${k === here} chosen=${chosen}
        onFocus=${() => setAt(k)} onChoose=${onChoose} doing=${doing} />`,
    )}
  </div>`;
}

/** Put an id into the chosen ones, or take it out. */
function toggled(chosen, id, only) {
  if (chosen.includes(id)) return only ? chosen : chosen.filter((one) => one !== id);
  return [...chosen, id];
}

/** Where an arrow leads in a grid of `count` cells, or null for another key. */
function moved(box, key, at, count) {
  const tops = [...box.querySelectorAll(".im-cell")].map((one) => one.parentElement.offsetTop);
  const row = Math.max(1, tops.filter((top) => top === tops[0]).length);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowUp: at - row, ArrowDown: at + row, Home: 0, End: count - 1 }[key];
  return to === undefined ? null : Math.min(count - 1, Math.max(0, to));
}

function Cell({ k, run, size, dense, current, chosen, onFocus, onChoose, doing }) {
  const id = run.artifacts?.[k];
  const preview = id ? null : previewOf(run, k);
  const picked = Boolean(id) && chosen.includes(id);
  const name = t("im.cell", { k: k + 1, prompt: run.prompt || t(`im.task.${run.task}`) });
  const pick = (event) => {
    if (!id) return;
    onChoose(event.ctrlKey || event.metaKey || event.shiftKey ? toggled(chosen, id) : picked && chosen.length === 1 ? [] : [id]);
  };
  const drag = (event) => {
    event.dataTransfer.setData(DRAGGED, id);
    event.dataTransfer.setData("text/plain", id);
    event.dataTransfer.effectAllowed = "copyLink";
  };
  return html`<div class=${`im-cell-wrap ${picked ? "im-picked" : ""}`} style=${{ aspectRatio: size }}>
    <button
      type="button"
      class=${`im-cell ${id ? "im-kept" : "im-wait"}`}
      data-cell=${k}
      data-picture=${id}
      tabindex=${current ? 0 : -1}
      aria-pressed=${id ? String(picked) : undefined}
      aria-disabled=${id ? undefined : "true"}
      aria-label=${id ? name : t("im.cell.wait", { k: k + 1 })}
      draggable=${Boolean(id)}
      onDragStart=${id ? drag : undefined}
      onFocus=${onFocus}
      onClick=${pick}
      onDblClick=${() => id && doing("open", id, run)}
    >
      ${id
        ? html`<${Fading} id=${id} side=${dense} />`
        : preview
          ? html`<img class="im-preview" src=${preview} alt="" />`
          : html`<span class="im-skeleton" aria-hidden="true"></span>`}
    </button>
    ${picked && html`<span class="im-tick" aria-hidden="true"><${Icon} name="check" size=${16} /></span>`}
    ${id &&
    html`<div class="im-quick">
      ${ACTIONS.filter((one) => one.quick).map(
        (one) => html`<button type="button" key=${one.name} tabindex="-1" title=${hint(one)} aria-label=${`${t(`im.do.${one.name}`)}: ${name}`}
          onClick=${() => doing(one.name, id, run)}><${Icon} name=${one.icon} size=${18} /></button>`,
      )}
    </div>`}
  </div>`;
}

/** A kept picture. A thumbnail that does not come says so instead of a broken image. */
function Fading({ id, side }) {
  const [gone, setGone] = useState(false);
  useEffect(() => setGone(false), [id]);
  if (gone) return html`<span class="im-gone">${t("im.cell.gone")}</span>`;
  return html`<img src=${thumbUrl(id, side)} alt="" loading="lazy" decoding="async" onError=${() => setGone(true)} />`;
}

const BARE = ["again", "download", "link", "delete"]; // shown as icons alone in the bar
const WORDED = ["edit"]; // what keeps its words where there is little room: how a picture is changed

/** The actions for what is chosen, in a bar that stays at the bottom of the window. */
export function Bar({ chosen, doing, onChoose, names = ACTIONS.map((one) => one.name) }) {
  const last = chosen[chosen.length - 1];
  useEffect(() => { if (last) document.querySelector(".im-picked")?.scrollIntoView({ block: "nearest" }); }, [chosen.length === 0]); // the bar must not lie on it
  if (chosen.length === 0) return null;
  return html`<div class="im-bar" role="toolbar" aria-label=${t("im.bar")}>
    <span class="im-bar-count">${t("im.bar.count", { n: chosen.length })}</span>
    ${ACTIONS.filter((one) => names.includes(one.name)).map(
      (one) => html`<${Button}
        key=${one.name}
        small
        kind=${one.danger ? "danger" : "quiet"}
        icon=${one.icon}
        class=${WORDED.includes(one.name) ? "im-worded" : ""}
        title=${hint(one)}
        label=${BARE.includes(one.name) ? hint(one) : undefined}
        aria-keyshortcuts=${one.key}
        onClick=${() => (one.name === "delete" || one.name === "download" ? chosen : [last]).forEach((id) => doing(one.name, id))}
        >${BARE.includes(one.name) ? null : t(`im.do.${one.name}`)}<//
      >`,
    )}
    <${Button} small kind="quiet" icon="close" label=${t("im.bar.none")} onClick=${() => onChoose([])} />
  </div>`;
}
