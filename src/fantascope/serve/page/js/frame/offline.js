// Says that the server is not there, and when it is back.
import { html, useEffect, useState } from "../lib.js";
import { addWords, t } from "../i18n.js";
import { Icon } from "../parts/icons.js";

addWords({
  en: { "offline.now": "The server does not answer. Nothing is lost: the page goes on when it is back." },
  es: { "offline.now": "El servidor no responde. No se pierde nada: la página sigue cuando vuelva." },
});

/** A line over the page while the server does not answer; it asks again until it does. */
export function Offline() {
  const [gone, lose] = useState(false);
  useEffect(() => {
    const heard = (event) => lose(event.type === "fs:offline");
    window.addEventListener("fs:offline", heard);
    window.addEventListener("fs:online", heard);
    return () => { window.removeEventListener("fs:offline", heard); window.removeEventListener("fs:online", heard); };
  }, []);
  useEffect(() => {
    if (!gone) return undefined;
    const timer = setInterval(async () => {
      try { if ((await fetch("/readyz", { cache: "no-store" })).ok) window.dispatchEvent(new Event("fs:online")); } catch { /* not yet */ }
    }, 1000);
    return () => clearInterval(timer);
  }, [gone]);
  return html`<div role="status" class="offline-place">${gone && html`<p class="offline"><${Icon} name="warning" />${t("offline.now")}</p>`}</div>`;
}
