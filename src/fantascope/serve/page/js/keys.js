// Keys: each place says what it listens to, and the help lists it all.
import { useEffect, useRef } from "./lib.js";

const sets = new Set();
const MAC = /Mac|iP/.test(navigator.platform);
let before = null;

/**
 * Listen to keys while the component is there. list: { keys, label, run, typing }. keys: "?", "g i" (one after the
 * other), "mod+enter" (Ctrl, on a Mac Command), "shift+d", "delete", "arrowleft". label: words for the help. typing:
 * also while a text field has the focus. A `run` that returns false lets the key go on.
 */
export function useKeys(list, title = "") {
  const entry = useRef(null);
  if (entry.current === null) entry.current = {};
  Object.assign(entry.current, { list, title });
  useEffect(() => {
    sets.add(entry.current);
    return () => sets.delete(entry.current);
  }, []);
}

/** What is listened to now: [{ title, list }]. */
export function keysNow() { return [...sets].filter((one) => one.list.some((key) => key.label)); }

/** Keys as they are shown: ["Ctrl", "Enter"]. */
export function shown(keys) {
  const names = { mod: MAC ? "⌘" : "Ctrl", enter: "Enter", escape: "Esc", delete: "Del", arrowleft: "←", arrowright: "→", arrowup: "↑", arrowdown: "↓", " ": "Space", space: "Space", shift: "Shift", alt: "Alt" };
  return keys.split(/[ +]/).filter(Boolean).map((one) => names[one] || (one.length === 1 ? one.toUpperCase() : one));
}

function typed(event) {
  const parts = [];
  if (MAC ? event.metaKey : event.ctrlKey) parts.push("mod");
  if (event.altKey) parts.push("alt");
  const key = event.key === " " ? "space" : event.key.toLowerCase();
  if (event.shiftKey && (key.length > 1 || /[a-z]/.test(key))) parts.push("shift");
  return [...parts, key].join("+");
}

function writing(target) {
  return target.isContentEditable || ["TEXTAREA", "SELECT"].includes(target.tagName)
    || (target.tagName === "INPUT" && !["checkbox", "radio", "range", "button", "color"].includes(target.type));
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  const key = typed(event), busy = writing(event.target), modal = document.querySelector("dialog[open]");
  const both = before ? `${before} ${key}` : null;
  before = null;
  for (const meant of both ? [both, key] : [key]) {
    for (const { list } of [...sets].reverse()) {
      for (const one of list) {
        if ((busy && !one.typing) || (modal && !one.modal) || one.keys !== meant) continue;
        if (one.run(event) !== false) event.preventDefault();
        return;
      }
    }
  }
  if (!busy && !modal && [...sets].some(({ list }) => list.some((one) => one.keys.startsWith(`${key} `)))) {
    before = key;
    setTimeout(() => { before = null; }, 1500);
  }
});
