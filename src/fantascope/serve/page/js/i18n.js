// Words in English and Spanish. Each file adds its own; a test compares the keys.
import { useEffect, useState } from "./lib.js";

const LANGS = { en: "English", es: "Español" };
const words = { en: {}, es: {} };
let now = first();

function first() {
  let kept = null;
  try { kept = JSON.parse(localStorage.getItem("fs:lang")); } catch { /* storage is shut: the browser's language */ }
  if (kept in LANGS) return kept;
  return (navigator.languages || [navigator.language]).map((one) => String(one).slice(0, 2)).find((one) => one in LANGS) || "en";
}

document.documentElement.lang = now;

/** Add words: { en: { key: text }, es: { key: text } }. */
export function addWords(more) {
  for (const one of Object.keys(LANGS)) Object.assign(words[one], more[one] || {});
}

/** Return the language: "en" or "es". */
export function lang() { return now; }

/** The languages there are, by their code. */
export function langs() { return LANGS; }

/** Change the language; what is shown is drawn again. */
export function setLang(code) {
  if (!(code in LANGS) || code === now) return;
  now = code;
  document.documentElement.lang = code;
  try { localStorage.setItem("fs:lang", JSON.stringify(code)); } catch { /* only not remembered */ }
  window.dispatchEvent(new Event("fs:lang"));
}

/** Draw the component again when the language changes. */
export function useLang() {
  const [, turn] = useState(0);
  useEffect(() => {
    const heard = () => turn((k) => k + 1);
    window.addEventListener("fs:lang", heard);
    return () => window.removeEventListener("fs:lang", heard);
  }, []);
  return now;
}

/** Return the words of a key, with {name} filled in. "one|many" is chosen by `vars.n`. */
export function t(key, vars = {}) {
  let text = words[now][key] ?? words.en[key] ?? key;
  if (text.includes("|") && "n" in vars) {
    const [one, many] = text.split("|");
    text = new Intl.PluralRules(now).select(Number(vars.n)) === "one" ? one : many;
  }
  return text.replace(/\{(\w+)\}/g, (whole, name) => (name in vars ? String(vars[name]) : whole));
}

/** A number as this language writes it. */
export function number(value, digits = 2) {
  return new Intl.NumberFormat(now, { maximumFractionDigits: digits }).format(value);
}

/** A moment as this language writes it; `kind` is "date", "time" or "both". */
export function moment(value, kind = "both") {
  const style = { date: { dateStyle: "medium" }, time: { timeStyle: "short" }, both: { dateStyle: "medium", timeStyle: "short" } };
  return new Intl.DateTimeFormat(now, style[kind]).format(new Date(value));
}
