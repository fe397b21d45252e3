// One turn of a conversation: what was said, the picture that came of it, what it touched and the proof of the rest.

import { fileUrl, once, thumbUrl } from "../api.js";
import { number, t } from "../i18n.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Button, Said, copyText } from "../parts.js";
import { outlineOf, pixelsOf, proveAgain, touchedOf } from "./region.js";
import { saidOf } from "./tree.js";

const outlines = new Map();

/** Return the outline of a mask of the gallery, read once: { path, count, width, height }. */
export function outlineOfMask(id) {
  if (!outlines.has(id)) {
    const found = pixelsOf(fileUrl(id)).then((mask) => ({
      ...outlineOf(touchedOf(mask), mask.width, mask.height),
      width: mask.width,
      height: mask.height,
    }));
    outlines.set(id, found);
    found.catch(() => outlines.delete(id));
  }
  return outlines.get(id);
}

/** Return the receipt of a picture that was made here, null of one that was handed in; undefined while it is asked. */
export function useReceipt(node) {
  const [receipt, show] = useState(undefined);
  useEffect(() => {
    let here = true;
    show(undefined);
    if (node.task === "given") show(null);
    else once(`/gallery/${node.id}/receipt`).then((found) => here && show(found), () => here && show(null));
    return () => { here = false; };
  }, [node.id]);
  return receipt;
}

/**
 * Show a turn.
 * @param {{node: object, at: number, last: boolean, children: object[], onBranch: function, onAgain: function}} props
 *   `at` is its number from 0; `children` are the other ways the talk went on from here.
 */
export function Turn({ node, at, last, children, onBranch, onAgain }) {
  const receipt = useReceipt(node);
  const said = saidOf(node);
  const name = at === 0 ? t("converse.first", { said }) : t("converse.turn", { n: at, said });
  const turns = receipt?.request?.turns || [];
  return html`<article class=${`cv-turn${last ? " is-last" : ""}`} aria-label=${name} id=${`turn-${node.id.slice(7, 19)}`}>
    <h2 class="cv-said"><span class="unseen">${name}</span><span aria-hidden="true">${said}</span></h2>
    <div class="cv-body">
      <${Frame} node=${node} receipt=${receipt} large=${last} name=${name} />
      <div class="cv-facts">
        ${turns.length > 0 &&
        html`<p class="cv-read">
          <b>${t("converse.understood")}</b> ${turns.map((one, k) => html`${k > 0 && "; "}<${Said} text=${one.said} />`)}
          <small>${" · "}${turns[0].by === "grammar" ? t("converse.byGrammar") : t("converse.byOther", { by: turns[0].by })}</small>
        </p>`}
        ${node.parent && receipt && html`<${Proof} node=${node} receipt=${receipt} />`}
        ${receipt && typeof receipt.request.seed === "number" && html`<p class="cv-seed">${t("converse.seed", { seed: receipt.request.seed })}</p>`}
        <div class="cv-actions">
          ${!last && html`<${Button} small icon="split" onClick=${() => onBranch(node)} label=${t("converse.branchOf", { said })}>${t("converse.branch")}<//>`}
          ${node.task !== "given" &&
          receipt &&
          html`<${Button} small icon="dice" onClick=${() => onAgain(node, receipt)} label=${t("converse.againOf", { said })}>${t("converse.again")}<//>`}
          <a class="button quiet small" href=${`#/picture/${node.id}`}>${t("converse.open")}</a>
          <a class="button quiet small" href=${fileUrl(node.id)} download>${t("converse.save")}</a>
        </div>
        ${children.length > 0 &&
        html`<div class="cv-forks">
          <p>${t("converse.went")}</p>
          ${children.map(
            (one) => html`<a key=${one.id} class="cv-node" href=${`#/converse/${one.id}`}>
              <img src=${thumbUrl(one.id, 96)} alt="" width="44" height="44" loading="lazy" /><span>${saidOf(one)}</span>
            </a>`,
          )}
        </div>`}
      </div>
    </div>
  </article>`;
}

/** Say whether an element has come near what is seen; it stays true. Long talks load what is looked at. */
function useNear(box) {
  const [near, come] = useState(false);
  useEffect(() => {
    const watch = new IntersectionObserver(([seen]) => seen.isIntersecting && come(true), { rootMargin: "500px" });
    if (box.current) watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return near;
}

/** The picture of a turn, with what was touched outlined, and what it was before behind it. */
function Frame({ node, receipt, large, name }) {
  const [old, showOld] = useState(false);
  const [lined, showLine] = useState(true);
  const [outline, setOutline] = useState(null);
  const box = useRef(null);
  const near = useNear(box);
  const mask = near ? receipt?.kept?.mask : null;
  useEffect(() => {
    let here = true;
    setOutline(null);
    if (mask) outlineOfMask(mask).then((found) => here && setOutline(found), () => {});
    return () => { here = false; };
  }, [mask]);
  const drawn = outline && outline.count > 0 && outline.count < outline.width * outline.height;
  const shown = old && node.parent ? node.parent : node.id;
  const [width, height] = [receipt?.request?.width || 512, receipt?.request?.height || 512];
  return html`<figure class="cv-frame" ref=${box}>
    <div class="cv-picture" style=${{ aspectRatio: `${width} / ${height}` }}>
      <img src=${large ? fileUrl(shown) : thumbUrl(shown, 512)} alt=${old ? t("converse.before") : name} loading="lazy" />
      ${drawn &&
      lined &&
      html`<svg viewBox=${`0 0 ${outline.width} ${outline.height}`} class="cv-outline" aria-hidden="true">
        <path d=${outline.path} /><path d=${outline.path} />
      </svg>`}
    </div>
    ${node.parent &&
    html`<figcaption class="cv-toggles">
      <div class="segmented" role="group" aria-label=${t("converse.shown")}>
        <button type="button" aria-pressed=${String(old)} onClick=${() => showOld(true)}>${t("converse.before")}</button>
        <button type="button" aria-pressed=${String(!old)} onClick=${() => showOld(false)}>${t("converse.after")}</button>
      </div>
      ${drawn &&
      html`<label class="cv-check"><input type="checkbox" checked=${lined} onChange=${(event) => showLine(event.target.checked)} />
        <span>${t("converse.outline")}</span></label>`}
    </figcaption>`}
  </figure>`;
}

/** What the receipt proves of the pixels that were left alone, and a button that proves it once more in this page. */
function Proof({ node, receipt }) {
  const [found, setFound] = useState(null);
  const [busy, setBusy] = useState(false);
  const { kept } = receipt;
  if (!kept) return html`<p class="cv-proof is-none">${t("converse.noProof")}</p>`;
  if (kept.touched >= 1) return html`<p class="cv-proof is-none">${t("converse.whole")}</p>`;
  const check = async () => {
    setBusy(true);
    const files = { before: fileUrl(node.parent), after: fileUrl(node.id), mask: fileUrl(kept.mask) };
    try {
      setFound(await proveAgain({ ...files, left: kept.left, top: kept.top }));
    } catch (error) {
      setFound({ error: error.message });
    }
    setBusy(false);
  };
  const good = found && !found.error && found.differing === 0 && (found.after === null || found.after === kept.after);
  return html`<div class="cv-proof">
    <p class="cv-hash" title=${kept.after}>
      <span aria-hidden="true">✓</span> ${t("converse.proof", { hash: "" })}<code>${kept.after}</code>
    </p>
    <p>${t("converse.touched", { share: `${number(100 * kept.touched, 1)} %` })}</p>
    <div class="cv-actions">
      ${!found && html`<${Button} small icon="shield" onClick=${check} busy=${busy}>${busy ? t("converse.checking") : t("converse.check")}<//>`}
      <${Button} small kind="quiet" icon="copy" onClick=${() => copyText(kept.after)}>${t("converse.copyHash")}<//>
    </div>
    <p role="status" class=${good === false ? "is-bad" : ""}>${found && verdictOf(found, kept)}</p>
  </div>`;
}

function verdictOf(found, kept) {
  if (found.error) return found.error;
  const counted = t("converse.checked", { n: number(found.outside), d: number(found.differing) });
  if (found.after === null) return `${counted} ${t("converse.noHash")}`;
  const same = found.after === kept.after && found.before === kept.before;
  return `${counted} ${same ? t("converse.hashes") : t("converse.hashesDiffer", { hash: found.after })}`;
}
