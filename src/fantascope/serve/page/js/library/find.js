// Pages of the gallery as one growing list under filters.

import { api } from "../api.js";
import { useEffect, useRef, useState } from "../lib.js";
import { onEnded } from "../store.js";

const PAGE = 60;
/** Pictures asked for at a time. */

export const NOTHING = { text: "", model: null, given: null, seed: "", from: "", to: "" };

/** Say whether anything is filtered. */
export function filtered(filters) {
  return Object.keys(NOTHING).some((name) => filters[name] !== NOTHING[name] && filters[name] !== undefined);
}

/** The filters as the server takes them. Days are those of this place: it gets their first moments. */
export function query(filters, before) {
  const told = new URLSearchParams({ limit: String(PAGE) });
  if (filters.text?.trim()) told.set("text", filters.text.trim());
  if (filters.model) told.set("model", filters.model);
  if (filters.given !== null && filters.given !== undefined) told.set("given", String(filters.given));
  if (filters.seed !== "" && filters.seed !== undefined) told.set("seed", filters.seed);
  const [since, until] = [start(filters.from), start(filters.to, 1)];
  if (since) told.set("since", since);
  if (until) told.set("until", until);
  if (before) told.set("before", before);
  return told;
}

/** Return the first moment of a day in this place as the server reads it, or null: `day` is YYYY-MM-DD. */
function start(day, later = 0) {
  const [year, month, date] = (day || "").split("-").map(Number);
  return date && year >= 1971 ? new Date(year, month - 1, date + later).toISOString() : null;
}

/**
 * Return the gallery under filters: { entries, state, error, more, drop, merge }.
 *   state: "loading", "more" or "end". more() reads on; drop(ids) takes out what was removed; merge() reads what is new.
 */
export function useGallery(filters) {
  const [found, show] = useState({ entries: [], state: "loading", error: null });
  const turn = useRef({ stop: null, before: null, busy: false });
  const key = JSON.stringify(filters);

  const read = async (first) => {
    if (turn.current.busy && !first) return;
    if (first) {
      turn.current.stop?.abort();
      turn.current = { stop: new AbortController(), before: null, busy: false };
    }
    const mine = turn.current;
    mine.busy = true;
    show((old) => ({ entries: first ? [] : old.entries, state: "loading", error: null }));
    try {
      const { data } = await api(`/gallery?${query(filters, mine.before)}`, { signal: mine.stop.signal });
      mine.before = data.at(-1)?.id ?? mine.before;
      show((old) => ({ entries: joined(old.entries, data), state: data.length < PAGE ? "end" : "more", error: null }));
    } catch (error) {
      if (error.name !== "AbortError") show((old) => ({ ...old, state: "more", error }));
    } finally {
      mine.busy = false;
    }
  };
  const merge = async () => {
    try {
      const { data } = await api(`/gallery?${query(filters)}`, { signal: turn.current.stop?.signal });
      show((old) => ({ ...old, entries: joined(data, old.entries) }));
    } catch (error) {
      if (error.name !== "AbortError") show((old) => ({ ...old, error }));
    }
  };
  useEffect(() => {
    const later = setTimeout(() => read(true), turn.current.stop ? 200 : 0);
    return () => clearTimeout(later);
  }, [key]);
  useEffect(() => onEnded((job) => job.artifacts?.length > 0 && merge()), [key]);
  useEffect(() => () => turn.current.stop?.abort(), []);
  const drop = (ids) => show((old) => ({ ...old, entries: old.entries.filter((one) => !ids.includes(one.id)) }));
  return { ...found, more: () => read(false), drop, merge };
}

/** Join two runs of the list; what stands in both is taken once, as the first has it. */
function joined(first, second) {
  const known = new Set(first.map((one) => one.id));
  return [...first, ...second.filter((one) => !known.has(one.id))];
}
