// Where one is: the address behind the #, and how far the page was scrolled there.
import { useEffect, useState } from "../lib.js";
import { recall } from "../store.js";

const scrolled = new Map();
let latest = Date.now();
let standing = null;

history.scrollRestoration = "manual";
window.addEventListener("scroll", () => { if (standing !== null) scrolled.set(standing, window.scrollY); }, { passive: true });

/** Go to a place of the page: go("picture/sha256:…"), go("library?text=car"). replace: without a step in the history. */
export function go(path, { replace = false } = {}) {
  const hash = `#/${String(path).replace(/^[#/]+/, "")}`;
  if (hash === location.hash) return;
  if (replace) {
    history.replaceState(history.state, "", hash);
    window.dispatchEvent(new HashChangeEvent("hashchange"));
  } else location.hash = hash;
}

/** The place that is shown: { name, params: { id, ...query }, path }. */
export function here() {
  const path = location.hash.replace(/^#\/?/, "") || recall("place", "imagine");
  const [way, query] = path.split("?");
  const [name, ...rest] = way.split("/").map((one) => { try { return decodeURIComponent(one); } catch { return one; } });
  return { name, path, params: { ...Object.fromEntries(new URLSearchParams(query || "")), ...(rest[0] ? { id: rest[0] } : {}) } };
}

/** The place, drawn again when it changes. Who goes back finds it scrolled as it was left. */
export function usePlace() {
  const [place, move] = useState(here);
  useEffect(() => {
    const moved = () => { move(here()); settle(); };
    settle();
    window.addEventListener("hashchange", moved);
    return () => window.removeEventListener("hashchange", moved);
  }, []);
  return place;
}

/** Scroll to where this step of the history was left, or to the top of a new one. */
function settle() {
  const known = history.state?.step;
  if (known === standing && known !== undefined) return;
  standing = null;
  const step = known ?? (latest += 1);
  if (known === undefined) history.replaceState({ ...history.state, step }, "");
  const to = scrolled.get(step) ?? 0;
  let tries = to > 0 ? 20 : 1;
  const turn = () => {
    window.scrollTo(0, to);
    tries -= 1;
    if (tries > 0 && Math.abs(window.scrollY - to) > 2) setTimeout(turn, 50);
    else standing = step;
  };
  turn();
}
