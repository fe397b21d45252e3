// What the server says, in the language of the page. The server speaks English; a catalogue holds its sentences.
//
// lang/<language>/*.json: { English: translation }. In both, {name} stands for any text, which is passed on as it is;
// {name:n} for a number, {name:w} for a word, {name:l} for a list with "or" and "and", {name:f} for the name of a field, {name:t} of a task,
// {name:s} for a sentence that is said in its turn. lang/en holds only what reads differently in a browser, as the
// command of a terminal for which there is a button. names.json has codes of errors, fields and tasks by their name.
import { lang } from "./i18n.js";

const FILES = { en: ["hints", "lessons"], es: ["names", "errors", "hints", "rules", "prompts", "fields", "verify", "lessons"] };
const HOLE = /\{(\w+)(?::([nwlfst]))?\}/g;
const SHAPES = { n: "([-+]?[\\d.,]+(?:e[-+]?\\d+)?)", w: "(\\S+?)", f: "([\\w.-]+)", t: "([\\w'-]+)" };
const JOINTS = { es: { " or ": " o ", " and ": " y " } };
const QUOTED = { es: "«$1»" };
const DEEPEST = 6;
const LEAST = 6; // letters of its own from which a sentence is one, whatever stands in its holes
const MOST_KEPT = 500;
const LONGEST = 4000; // characters; what is longer is no sentence of the server's own

const books = {};
const kept = new Map();

/** Read the catalogue of the language of the page; what is shown is drawn again when it is there. */
async function load() {
  const code = lang();
  if (books[code]) return;
  books[code] = book({});
  try {
    const parts = await Promise.all(FILES[code].map(async (name) => {
      const reply = await fetch(`lang/${code}/${name}.json`);
      if (!reply.ok) throw new Error(`lang/${code}/${name}.json: ${reply.status}`);
      return [name, await reply.json()];
    }));
    books[code] = book(Object.fromEntries(parts));
    window.dispatchEvent(new Event("fs:lang"));
  } catch {
    delete books[code]; // The server is away: English until the language is chosen again.
  }
  kept.clear();
}

/** A catalogue as it is looked things up in: whole sentences by themselves, those with holes from the most exact on. */
export function book({ names = {}, ...files }) {
  const whole = new Map(), patterns = [];
  for (const [english, said] of Object.entries(Object.assign({}, ...Object.values(files)))) {
    if (english.search(HOLE) < 0) whole.set(english, said);
    else patterns.push(pattern(english, said));
  }
  patterns.sort((a, b) => b.letters - a.letters);
  return { names, whole, patterns };
}

function pattern(english, said) {
  const holes = [];
  let form = "", at = 0;
  for (const hole of english.matchAll(HOLE)) {
    form += quoted(english.slice(at, hole.index)) + (SHAPES[hole[2]] || "([^]+?)");
    holes.push({ name: hole[1], kind: hole[2] });
    at = hole.index + hole[0].length;
  }
  form += quoted(english.slice(at));
  const bare = english.replace(HOLE, "");
  return { holes, said, form: new RegExp(`^${form}$`), letters: bare.length, words: (bare.match(/\p{L}/gu) ?? []).length >= LEAST };
}

function quoted(text) { return text.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"); }

/**
 * Say a sentence of the server: { text, lang, known }. What the catalogue does not hold stays English, and `lang` says so
 * (undefined where it is the page's language).
 */
export function say(english) {
  if (typeof english !== "string" || !english) return { text: english ?? "", lang: undefined, known: false };
  const code = lang(), key = `${code} ${english}`;
  if (!kept.has(key)) {
    const found = books[code] && english.length <= LONGEST ? found_in(books[code], english, code, 0) : null;
    if (kept.size >= MOST_KEPT) kept.clear();
    kept.set(key, found === null ? { text: english, lang: code === "en" ? undefined : "en", known: false } : { text: found, lang: undefined, known: true });
  }
  return kept.get(key);
}

/** A sentence of the server as bare text, where nothing can tell its language. */
export function said(english) { return say(english).text; }

function found_in(from, english, code, depth) {
  if (from.whole.has(english)) return from.whole.get(english);
  if (depth >= DEEPEST) return null;
  for (const one of from.patterns) {
    const match = one.form.exec(english);
    const filled = match && fill(from, one, match.slice(1), code, depth);
    if (filled !== null) return filled;
  }
  return null;
}

/** Fill a translation with what stood in the holes; null where it would be English but for a mark or an "or". */
function fill(from, { holes, said: into, words }, texts, code, depth) {
  const values = {};
  for (const [k, { name, kind }] of holes.entries()) {
    let value = texts[k];
    if (kind === "s") {
      value = found_in(from, value, code, depth + 1);
      if (value === null && !words) return null;
      value ??= texts[k];
    } else if (kind === "l") value = value.replace(/ (?:or|and) /g, (joint) => JOINTS[code]?.[joint] ?? joint);
    else if (kind === "f") {
      const title = from.names.fields?.[value.split(".")[0]];
      if (!title && !words) return null;
      value = title ? `«${title}»` : value;
    } else if (kind === "t") {
      value = from.names.tasks?.[value.replaceAll("'", "")];
      if (!value) return null;
    }
    values[name] = QUOTED[code] && kind !== "s" ? value.replace(/(?<![\p{L}\d])'([^']+)'(?![\p{L}\d])/gu, QUOTED[code]) : value;
  }
  return into.replace(HOLE, (_, name) => values[name]);
}

/** What a kind of name is called in this language: of "codes", "fields" or "tasks". Undefined where only English is known. */
export function called(kind, name) { return books[lang()]?.names[kind]?.[name]; }

window.addEventListener("fs:lang", load);
load();
