// What the server says of a prompt: its nine parts, words read as others, words not known, and words that a rule refuses.
import { useEffect, useRef, useState } from "../lib.js";
import { api } from "../api.js";

export const PARTS = ["subject", "medium", "style", "artist", "website", "resolution", "details", "colour", "lighting"];

const WAIT = 250; // ms without a key before the server is asked
const LONGEST = 8000; // characters; longer prompts are painted, but not coloured as they are typed

/** Return for every code point of a text where it begins in UTF-16, as JavaScript counts; the last is the length. */
export function places(text) {
  const at = [];
  let k = 0;
  for (const char of text) {
    at.push(k);
    k += char.length;
  }
  at.push(k);
  return at;
}

/** Return what was told of a prompt without complaints about words that a chosen adapter was taught. */
export function taught(told, words) {
  if (!told || words.length === 0) return told;
  const strange = (one) => !words.includes(one.toLowerCase());
  return { ...told, unknown: told.unknown.filter((one) => strange(one.words)), untaught: told.untaught.filter(strange) };
}

/** Return where some words stand in a text, ignoring case: pairs of start and end. */
export function find(text, words) {
  const found = [];
  const low = text.toLowerCase();
  for (const word of words) {
    const one = word.toLowerCase();
    if (!one || low.length !== text.length) continue;
    for (let k = low.indexOf(one); k >= 0; k = low.indexOf(one, k + one.length)) found.push([k, k + one.length]);
  }
  return found;
}

/** Cut a prompt into runs with the same marks. Each is { text, start, part, strange, refused, title }. */
export function segments(text, told, refused) {
  const marks = [];
  if (told && told.prompt === text) {
    const at = places(text);
    const from = (one) => ({ start: at[one.start] ?? 0, end: at[one.end] ?? text.length });
    for (const piece of told.pieces) marks.push({ ...from(piece), part: piece.part, inside: piece.inside });
    for (const one of told.changes) marks.push({ ...from(one), strange: "read", title: one.read });
    for (const one of told.unknown) marks.push({ ...from(one), strange: "unknown", title: one.nearest.join(", ") });
    for (const [start, end] of find(text, told.untaught)) marks.push({ start, end, strange: "untaught", title: "" });
  }
  for (const [start, end] of find(text, refused ?? [])) marks.push({ start, end, refused: true });
  const cuts = [...new Set([0, text.length, ...marks.flatMap((mark) => [mark.start, mark.end])])].sort((a, b) => a - b);
  const runs = [];
  for (let k = 0; k + 1 < cuts.length; k += 1) {
    const [start, end] = [cuts[k], cuts[k + 1]];
    const over = marks.filter((mark) => mark.start <= start && end <= mark.end);
    const piece = over.find((mark) => mark.part && mark.inside) ?? over.find((mark) => mark.part);
    const strange = over.find((mark) => mark.strange);
    runs.push({
      text: text.slice(start, end),
      start,
      part: piece?.part ?? "",
      strange: strange?.strange ?? "",
      title: strange?.title ?? "",
      refused: over.some((mark) => mark.refused),
    });
  }
  return runs;
}

/** A number that grows whenever the server is there again: what was asked in vain is asked once more. */
export function useBack() {
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    const heard = () => setTurn((now) => now + 1);
    window.addEventListener("fs:online", heard);
    return () => window.removeEventListener("fs:online", heard);
  }, []);
  return turn;
}

/** Ask the server about a prompt as it is typed. Returns { told, verdict, error }; `told.prompt` says of which text. */
export function useAnatomy(prompt, model, grammar) {
  const [state, setState] = useState({ told: null, verdict: null, error: null });
  const asked = useRef(null);
  const back = useBack();
  useEffect(() => {
    asked.current?.abort();
    if (!prompt.trim() || prompt.length > LONGEST) {
      setState({ told: null, verdict: null, error: null });
      return undefined;
    }
    const control = new AbortController();
    asked.current = control;
    const timer = setTimeout(() => look(prompt, model, grammar, control.signal, setState), WAIT);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [prompt, model, grammar, back]);
  return state;
}

async function look(prompt, model, grammar, signal, setState) {
  const body = { prompt, ...(model ? { model } : {}), ...(grammar ? { grammar } : {}) };
  try {
    const [told, judged] = await Promise.all([
      api("/prompt/explain", { method: "POST", body, signal }),
      api("/judge", { method: "POST", body: { text: prompt }, signal }),
    ]);
    const verdict = judged.verdicts.find((one) => !one.allowed) ?? null;
    if (!signal.aborted) setState({ told, verdict, error: null });
  } catch (error) {
    if (!signal.aborted && error.name !== "AbortError") setState({ told: null, verdict: null, error });
  }
}

/** Return what may be written instead of refused words, as an offer of the rules says it: short phrases. */
export function phrases(verdict) {
  const offer = (verdict?.offer ?? "").replace(/^Allowed instead:\s*/i, "").replace(/\.$/, "");
  if (!offer) return [];
  if (verdict.rule.startsWith("artist/")) return [offer];
  const told = offer.split(/;\s*/).flatMap((half) => {
    const [head, tail] = half.split(/:\s*/, 2);
    const doing = (one) => (/^(?:\w+ing|at|in|on)\b/i.test(one) ? `${head.split(" ")[0]} ${one}` : one);
    return tail ? tail.split(/,\s*/).map(doing) : head.split(/,\s*/);
  });
  return told
    .flatMap((one) => one.split(/\s+or\s+(?=an?\s)/))
    .map((one) => one.replace(/^(or|and)\s+/, "").trim())
    .filter((one) => one && !/^(the same|saying|what|that|clothed)\b/i.test(one));
}

/** Put a phrase in the place of the refused words. Where they cannot be found, nothing is changed. */
export function reworded(prompt, verdict, phrase) {
  let text = prompt;
  for (const word of verdict.words) {
    const place = find(text, [word])[0];
    if (!place) continue;
    let [start, end] = place;
    if (verdict.rule.startsWith("artist/")) {
      const before = text.slice(0, start).match(/[\s,]*(?:in the style of|in the manner of|painted by|art by|by)\s+$/i);
      if (before) start -= before[0].length;
      if (before && start > 0) phrase = `, ${phrase}`;
    } else start -= text.slice(0, start).match(/\b(?:an?|the)\s+$/i)?.[0].length ?? 0;
    text = text.slice(0, start) + phrase + text.slice(end);
    break;
  }
  for (const word of verdict.words) for (const [a, b] of find(text, [word]).slice(0, 1)) text = text.slice(0, a) + text.slice(b);
  return text.replace(/\s+,/g, ",").replace(/\s{2,}/g, " ").trim();
}

/** Return rewordings of a refused prompt that the rules allow, at most three, the nearest to what was written first. */
export async function rewordings(prompt, verdict, signal) {
  const tries = phrases(verdict)
    .map((phrase) => reworded(prompt, verdict, phrase))
    .filter((text, k, all) => text && text !== prompt && all.indexOf(text) === k)
    .slice(0, 5);
  const judged = await Promise.all(tries.map((text) => api("/judge", { method: "POST", body: { text }, signal })));
  return tries.filter((_, k) => judged[k].allowed).slice(0, 3);
}
