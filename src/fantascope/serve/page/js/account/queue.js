// The queue of everybody, for the operator: how much waits, and a way to stop and go on.

import { api } from "../api.js";
import { addWords, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, ErrorNote } from "../parts.js";
import { onEnded } from "../store.js";

addWords({
  en: {
    "queue.title": "The queue of everybody",
    "queue.now": "{queued} waiting, {running} at work",
    "queue.paused": "Paused: no more jobs are begun, and the engines' memory is given back.",
    "queue.pause": "Pause the queue",
    "queue.resume": "Go on",
  },
  es: {
    "queue.title": "La cola de todos",
    "queue.now": "{queued} en espera, {running} en marcha",
    "queue.paused": "En pausa: no se empieza ningún trabajo más y se devuelve la memoria de los motores.",
    "queue.pause": "Poner la cola en pausa",
    "queue.resume": "Seguir",
  },
});

const EVERY = 5000;

/** Call `work` now and every few milliseconds while the page is seen. */
export function useEvery(work, ms, keys = []) {
  useEffect(() => {
    let here = true;
    const turn = () => here && !document.hidden && work();
    work();
    const timer = setInterval(turn, ms);
    document.addEventListener("visibilitychange", turn);
    return () => {
      here = false;
      clearInterval(timer);
      document.removeEventListener("visibilitychange", turn);
    };
  }, keys);
}

/** What waits and runs, with the button that pauses it. */
export function Queue() {
  const [found, show] = useState(null);
  const [error, fail] = useState(null);
  const [busy, work] = useState(false);
  const read = () => api("/queue").then((told) => { show(told); fail(null); }, fail);
  useEvery(read, EVERY);
  useEffect(() => onEnded(read), []);
  const turn = async () => {
    work(true);
    try {
      show(await api(`/queue/${found.paused ? "resume" : "pause"}`, { method: "POST" }));
    } catch (problem) {
      fail(problem);
    }
    work(false);
  };
  return html`<section class="card jb-queue" aria-label=${t("queue.title")}>
    <div><h2>${t("queue.title")}</h2>
      <p role="status">${found && t("queue.now", found)}${found?.paused && html`<br /><strong>${t("queue.paused")}</strong>`}</p></div>
    ${found && html`<${Button} icon=${found.paused ? "play" : "pause"} kind=${found.paused ? "primary" : "plain"} busy=${busy} onClick=${turn}>
      ${found.paused ? t("queue.resume") : t("queue.pause")}<//>`}
    <${ErrorNote} error=${error} />
  </section>`;
}
