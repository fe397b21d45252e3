// Buttons, fields, dialogs, notes that pass.
import { html, render, useEffect, useRef, useState } from "../lib.js";
import { addWords, t } from "../i18n.js";
import { Icon } from "./icons.js";

addWords({
  en: {
    "parts.close": "Close", "parts.cancel": "Cancel", "parts.copied": "Copied.", "parts.nocopy": "The browser does not let this page copy.",
    "parts.notes": "Notes", "parts.busy": "Working …", "parts.default": "automatic",
  },
  es: {
    "parts.close": "Cerrar", "parts.cancel": "Cancelar", "parts.copied": "Copiado.", "parts.nocopy": "El navegador no permite copiar desde esta página.",
    "parts.notes": "Avisos", "parts.busy": "Trabajando …", "parts.default": "automático",
  },
});

let counter = 0;

/** An id for an element of this page that no other has. */
export function newId(stem = "f") { counter += 1; return `${stem}-${counter}`; }

export function useId(stem) {
  const kept = useRef(null);
  if (kept.current === null) kept.current = newId(stem);
  return kept.current;
}

/**
 * A button. kind: "primary", "plain" (default), "quiet" or "danger". icon: a name. label: for a button with an icon
 * alone. busy: shows that it works and takes no click. Everything else goes to the element.
 */
export function Button({ kind = "plain", icon, label, busy, disabled, small, type = "button", children, class: more = "", ...rest }) {
  const bare = children === undefined || children === null || (Array.isArray(children) && children.length === 0);
  return html`<button type=${type} class=${`button ${kind} ${bare ? "bare" : ""} ${small ? "small" : ""} ${more}`} disabled=${disabled || busy}
    aria-label=${label} title=${bare ? label : undefined} aria-busy=${busy ? "true" : undefined} ...${rest}>
    ${busy ? html`<span class="spinner" aria-hidden="true" />` : icon && html`<${Icon} name=${icon} />`}
    ${!bare && html`<span class="button-words">${children}</span>`}
  </button>`;
}

/** A control with its label, help and error. The child is an element, or a function of the attributes it must carry. */
export function Field({ label, help, error, children, row, hideLabel }) {
  const id = useId("field");
  const told = [help && `${id}-help`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;
  const attributes = { id, "aria-describedby": told, "aria-invalid": error ? "true" : undefined };
  let child = Array.isArray(children) ? children.find((one) => one && typeof one === "object") ?? children[0] : children;
  if (typeof child === "function") child = child(attributes);
  else if (child?.props) Object.assign(child.props, { ...attributes, ...(child.props.id ? { id: child.props.id } : {}) });
  return html`<div class=${`field ${row ? "row" : ""}`}>
    <label for=${child?.props?.id || id} class=${hideLabel ? "unseen" : ""}>${label}</label>
    ${child}
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
    ${error && html`<p class="wrong" id=${`${id}-error`}>${error}</p>`}
  </div>`;
}

/** A slider with its number beside it. `value` may be null: then `fallback` is where it stands. onChange(number). */
export function Slider({ label, value, min = 0, max = 1, step = 0.01, onChange, help, fallback, disabled }) {
  const id = useId("slider");
  const at = value ?? fallback ?? min;
  const put = (event) => {
    const given = Number(event.target.value);
    if (event.target.value !== "" && Number.isFinite(given)) onChange(Math.min(max, Math.max(min, given)));
  };
  return html`<div class="field slider">
    <label for=${id}>${label}</label>
    <div class="slider-line">
      <input type="range" id=${id} min=${min} max=${max} step=${step} value=${at} disabled=${disabled} onInput=${put}
        aria-describedby=${help ? `${id}-help` : undefined} />
      <input type="number" class="slider-number" aria-label=${label} min=${min} max=${max} step=${step} value=${at}
        disabled=${disabled} onChange=${put} />
    </div>
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
  </div>`;
}

/** A choice. options: texts, or { value, label, disabled }. `empty`: words for "nothing chosen" (value null). */
export function Select({ label, value, options, onChange, help, empty, disabled, hideLabel, ...rest }) {
  const id = useId("select");
  const told = options.map((one) => (typeof one === "object" ? one : { value: one, label: String(one) }));
  const chosen = told.findIndex((one) => one.value === value);
  return html`<div class="field">
    <label for=${id} class=${hideLabel ? "unseen" : ""}>${label}</label>
    <select id=${id} disabled=${disabled} value=${String(chosen)} aria-describedby=${help ? `${id}-help` : undefined}
      onChange=${(event) => onChange(event.target.value === "-1" ? null : told[Number(event.target.value)].value)} ...${rest}>
      ${empty !== undefined && html`<option value="-1" selected=${chosen < 0}>${empty}</option>`}
      ${told.map((one, k) => html`<option key=${k} value=${String(k)} selected=${k === chosen} disabled=${one.disabled}>${one.label}</option>`)}
    </select>
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
  </div>`;
}

/** Yes or no. */
export function Switch({ label, value, onChange, help, disabled }) {
  const id = useId("switch");
  return html`<div class="field switch">
    <label for=${id}><input type="checkbox" id=${id} role="switch" checked=${Boolean(value)} disabled=${disabled}
      aria-describedby=${help ? `${id}-help` : undefined} onChange=${(event) => onChange(event.target.checked)} />
      <span class="switch-track" aria-hidden="true" /><span>${label}</span></label>
    ${help && html`<p class="help" id=${`${id}-help`}>${help}</p>`}
  </div>`;
}

/** Tabs. tabs: { key, label, icon, count }. The panel is the caller's: it stands below, `children`. */
export function Tabs({ tabs, value, onChange, label, children }) {
  const id = useId("tabs");
  const row = useRef(null);
  useEffect(() => { row.current?.querySelector('[aria-selected="true"]')?.scrollIntoView({ block: "nearest", inline: "nearest" }); }, [value]);
  const keys = (event) => {
    const at = tabs.findIndex((one) => one.key === value);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    onChange(next.key);
    row.current.querySelector(`[data-key="${CSS.escape(next.key)}"]`)?.focus();
  };
  return html`<div class="tabs">
    <div class="tab-row" role="tablist" aria-label=${label} ref=${row} onKeyDown=${keys}>
      ${tabs.map((one) => html`<button type="button" key=${one.key} role="tab" class="tab" data-key=${one.key} id=${`${id}-${one.key}`}
        aria-selected=${one.key === value ? "true" : "false"} aria-controls=${children ? `${id}-panel` : undefined}
        tabindex=${one.key === value ? 0 : -1} onClick=${() => onChange(one.key)}>
        ${one.icon && html`<${Icon} name=${one.icon} size=${18} />`}<span>${one.label}</span>
        ${one.count !== undefined && html`<span class="count">${one.count}</span>`}</button>`)}
    </div>
    ${children && html`<div role="tabpanel" class="tab-panel" id=${`${id}-panel`} aria-labelledby=${`${id}-${value}`}>${children}</div>`}
  </div>`;
}

/** How far something is: value 0 to 1, or null where nobody knows. */
export function Progress({ value = null, label, preview, children }) {
  return html`<div class="progress">
    ${preview && html`<img class="progress-preview" src=${preview} alt="" />`}
    <div class="progress-bar" role="progressbar" aria-label=${label} aria-valuemin="0" aria-valuemax="100"
      aria-valuenow=${value === null ? undefined : Math.round(value * 100)}>
      <span class=${value === null ? "progress-fill unknown" : "progress-fill"} style=${value === null ? undefined : { transform: `scaleX(${Math.max(0, Math.min(1, value))})` }} />
    </div>
    ${children && html`<div class="progress-words">${children}</div>`}
  </div>`;
}

/** What a place shows that has nothing yet. */
export function EmptyState({ icon = "picture", title, text, children }) {
  return html`<div class="empty">
    <span class="empty-icon"><${Icon} name=${icon} size=${32} /></span>
    <h2>${title}</h2>${text && html`<p>${text}</p>`}${children && html`<div class="actions">${children}</div>`}
  </div>`;
}

/** A dialog over the page. It takes the focus, gives it back, and closes with Escape. actions: what stands below.
 *  reading: it holds words alone, so it is scrolled by keys itself. */
export function Dialog({ open, title, onClose, children, actions, wide, reading }) {
  const box = useRef(null);
  const id = useId("dialog");
  useEffect(() => {
    const shown = box.current;
    if (!shown) return undefined;
    if (open && !shown.open) {
      const before = document.activeElement;
      shown.showModal();
      return () => { if (shown.open) shown.close(); before?.focus?.(); };
    }
    if (!open && shown.open) shown.close();
    return undefined;
  }, [open]);
  if (!open) return null;
  return html`<dialog ref=${box} class=${`dialog ${wide ? "wide" : ""}`} aria-labelledby=${id}
    onCancel=${(event) => { event.preventDefault(); onClose(); }}
    onMouseDown=${(event) => { if (event.target === box.current) onClose(); }}>
    <div class="dialog-inside">
      <header class="dialog-head"><h2 id=${id}>${title}</h2><${Button} kind="quiet" icon="close" label=${t("parts.close")} onClick=${onClose} /></header>
      <div class="dialog-body" tabindex=${reading ? 0 : undefined}>${children}</div>
      ${actions && html`<footer class="dialog-foot">${actions}</footer>`}
    </div>
  </dialog>`;
}

/** Ask yes or no in a dialog; returns a promise of true or false. */
export function ask({ title, text, yes, danger }) {
  return new Promise((good) => {
    const place = document.createElement("div");
    document.body.append(place);
    const end = (answer) => { render(null, place); place.remove(); good(answer); };
    const buttons = html`<${Button} onClick=${() => end(false)}>${t("parts.cancel")}<//>
      <${Button} kind=${danger ? "danger" : "primary"} onClick=${() => end(true)}>${yes}<//>`;
    render(html`<${Dialog} open title=${title} onClose=${() => end(false)} actions=${buttons}><p>${text}</p><//>`, place);
  });
}

// Notes that pass

let notes = [];
const shown = new EventTarget();

/** Say something in passing. kind: "info", "good" or "bad". action: { label, run }. It goes after `ms`, 0 for never. */
export function toast(text, { kind = "info", action, ms = kind === "bad" ? 9000 : 5000 } = {}) {
  const note = { id: newId("note"), text: String(text), kind, action };
  notes = [...notes.filter((one) => one.text !== note.text), note].slice(-4);
  shown.dispatchEvent(new Event("notes"));
  if (ms) setTimeout(() => drop(note.id), ms);
  return () => drop(note.id);
}

function drop(id) {
  notes = notes.filter((one) => one.id !== id);
  shown.dispatchEvent(new Event("notes"));
}

/** Where they are shown; the frame of the page has it. */
export function Toasts() {
  const [, turn] = useState(0);
  useEffect(() => {
    const changed = () => turn((k) => k + 1);
    shown.addEventListener("notes", changed);
    return () => shown.removeEventListener("notes", changed);
  }, []);
  return html`<div class="toasts" role="status" aria-live="polite" aria-label=${t("parts.notes")}>
    ${notes.map((one) => html`<div key=${one.id} class=${`toast ${one.kind}`}>
      <span>${one.text}</span>
      ${one.action && html`<${Button} small kind="quiet" onClick=${() => { drop(one.id); one.action.run(); }}>${one.action.label}<//>`}
      <${Button} small kind="quiet" icon="close" label=${t("parts.close")} onClick=${() => drop(one.id)} />
    </div>`)}
  </div>`;
}

/** Copy a text, and say so. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = Object.assign(document.createElement("textarea"), { value: text, className: "unseen" });
    document.body.append(area);
    area.select();
    const good = document.execCommand("copy");
    area.remove();
    if (!good) { toast(t("parts.nocopy"), { kind: "bad" }); return false; }
  }
  toast(t("parts.copied"), { kind: "good", ms: 2500 });
  return true;
}
