// What can be proven of a picture: its credential, the rules that were asked, the training drawings that it looks like.
import { html, useEffect, useRef, useState } from "../lib.js";
import { api, fileOf } from "../api.js";
import { Button, ErrorNote, Icon, Said, copyText } from "../parts.js";
import { number, t } from "../i18n.js";

const MARKS = { holds: "check", fails: "warning", absent: "minus", unknown: "help" };

function useAsked(ask, on) {
  const [state, setState] = useState({ busy: true });
  useEffect(() => {
    const control = new AbortController();
    setState({ busy: true });
    ask(control.signal).then(
      (found) => setState({ found }),
      (error) => error.name !== "AbortError" && setState({ error }),
    );
    return () => control.abort();
  }, on);
  return state;
}

/** What a claim of a file is called. */
function claim(name) {
  const part = name.startsWith("licence ") ? name.slice("licence ".length) : "";
  return [t(`pi.claim.${part ? "licence" : name.replace(" ", "-")}`), part].filter(Boolean).join(" ");
}

/** The credential in the file: whether it holds, who signed, and each claim. The server checks the bytes it hands out. */
export function Credential({ id }) {
  const { busy, found, error } = useAsked(async (signal) => api("/verify", { body: await fileOf(id, { signal }), signal }), [id]);
  const signature = found?.checks.find((one) => one.name === "signature");
  const state = !found ? "" : found.empty ? "absent" : found.ok ? "holds" : "fails";
  return html`<section class="card pi-card" aria-label=${t("pi.credential")}>
    <h2>${t("pi.credential")}</h2>
    ${busy && html`<p class="im-quiet" role="status">${t("pi.checking")}</p>`}
    ${error && html`<${ErrorNote} error=${error} />`}
    ${found &&
    html`<p class=${`pi-verdict pi-${state}`}><${Icon} name=${state === "holds" ? "shield" : MARKS[state]} /> <b>${t(`pi.credential.${state}`)}</b></p>
      ${signature && html`<p><${Said} text=${signature.text} /></p>`}
      ${found.checks.length > 1 && html`<details class="im-fold"><summary>${t("pi.claims", { n: found.checks.length })}</summary>
        <ul class="pi-checks">${found.checks.map((one, k) => html`<li key=${k} class=${`pi-${one.verdict}`}>
          <${Icon} name=${MARKS[one.verdict]} size=${18} label=${t(`pi.verdict.${one.verdict}`)} /><span><b>${claim(one.name)}</b> <${Said} text=${one.text} /></span></li>`)}</ul>
      </details>`}`}
  </section>`;
}

/** The rules that were asked, what each said, and the hash of all of them. */
export function Rules({ receipt }) {
  return html`<section class="card pi-card" aria-label=${t("pi.rules")}>
    <h2>${t("pi.rules")}</h2>
    <ul class="pi-checks">${receipt.verdicts.map((one, k) => html`<li key=${k} class=${one.allowed ? "pi-holds" : "pi-fails"}>
      <${Icon} name=${one.allowed ? "check" : "warning"} size=${18} label=${one.allowed ? t("pi.rules.allowed") : t("pi.rules.refused")} />
      <span><b>${one.rule}</b> <${Said} text=${one.reason} /> <span class="im-quiet">${t("pi.rules.score", { score: number(one.score), threshold: number(one.threshold) })}</span></span></li>`)}</ul>
    <p class="pi-hash"><span class="im-quiet">${t("pi.rules.hash")}</span> <code title=${receipt.policy}>${receipt.policy.slice(0, 16)}…</code>
      <${Button} small kind="quiet" icon="copy" label=${t("pi.copy")} onClick=${() => copyText(receipt.policy)} /></p>
  </section>`;
}

/** The training drawings nearest to each thing in the picture, with authors and licences; asked once it is in view. */
export function Credits({ id, onBox }) {
  const place = useRef(null);
  const [seen, setSeen] = useState(false);
  const [state, setState] = useState({});
  useEffect(() => {
    const watch = new IntersectionObserver((entries) => entries.some((one) => one.isIntersecting) && setSeen(true), { rootMargin: "120px" });
    watch.observe(place.current);
    return () => watch.disconnect();
  }, []);
  useEffect(() => {
    if (!seen) return undefined;
    const control = new AbortController();
    setState({ busy: true });
    api(`/gallery/${id}/attribute?top=4`, { signal: control.signal }).then(
      (found) => setState({ found }),
      (error) => error.name !== "AbortError" && setState({ error }),
    );
    return () => control.abort();
  }, [id, seen]);
  const { busy, found, error } = state;
  return html`<section class="card pi-card" aria-label=${t("pi.credits")} ref=${place}>
    <h2>${t("pi.credits")}</h2>
    ${busy && html`<p class="im-quiet" role="status">${t("pi.credits.looking")}</p>`}
    ${error && html`<${ErrorNote} error=${error} />`}
    ${found && found.things.length === 0 && html`<p class="im-quiet">${t("pi.credits.none")}</p>`}
    ${found?.things.map((thing, k) => html`<${Thing} key=${k} thing=${thing} k=${k} onBox=${onBox} />`)}
    ${found && html`<p class="help"><${Said} text=${found.means} /></p><p class="help"><${Said} text=${found.origin} /></p>`}
  </section>`;
}

function Thing({ thing, k, onBox }) {
  const show = () => onBox(thing.box.map((one) => Math.min(1, Math.max(0, one / 128))));
  return html`<div class="pi-thing" onMouseEnter=${show} onMouseLeave=${() => onBox(null)}>
    <h3>${t("pi.thing", { k: k + 1, kind: thing.kind })} <button type="button" class="im-near" onFocus=${show} onBlur=${() => onBox(null)} onClick=${show}>${t("pi.thing.show")}</button></h3>
    <ol class="pi-near">${thing.near.map((one, at) => html`<li key=${at}>
      <meter min="0" max="1" value=${one.likeness} title=${t("pi.likeness", { share: number(one.likeness * 100, 0) })}>${number(one.likeness * 100, 0)} %</meter>
      <span><b>${one.name}</b> · ${one.author} · ${one.licence}<br /><span class="im-quiet">${t("pi.likeness", { share: number(one.likeness * 100, 0) })} ·
        <a href=${safe(one.url)} target="_blank" rel="noreferrer noopener">${one.package} ${one.version}</a></span></span></li>`)}</ol>
  </div>`;
}

/** An address of the web, or nothing: a ledger's row must not become a script. */
function safe(url) {
  return /^https?:\/\//i.test(url ?? "") ? url : undefined;
}
