// Check a file: what it says of itself, whether that holds, where it is here, and which training pictures it looks like.

import { go } from "../app.js";
import { api, thumbUrl, upload } from "../api.js";
import { number, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, dropFiles, ErrorNote, FilePreview, Icon, pickFiles, Picture, Said } from "../parts.js";

const ICONS = { holds: "check", absent: "minus", fails: "warning", unknown: "help" };
const LICENCE = "licence ";

/**
 * The place where a file is checked.
 * @param {{file: File|null, onFile: function}} props
 */
export function Verify({ file, onFile }) {
  const pick = async () => {
    const [chosen] = await pickFiles({ most: 1, kinds: "any", accept: "" });
    if (chosen) onFile(chosen);
  };
  return html`<div class="vf">
    <div class="vf-drop" tabindex="-1" ...${dropFiles(([one]) => onFile(one), { most: 1, kinds: "any" })}>
      <${Icon} name="shield" size=${32} />
      <p>${t("verify.drop")}</p><p class="help">${t("verify.private")}</p>
      <${Button} icon="upload" onClick=${pick}>${t("verify.choose")}<//>
    </div>
    ${file && html`<${Report} key=${`${file.name}-${file.size}-${file.lastModified}`} file=${file} />`}
  </div>`;
}

/** Find a file in the gallery: the file itself by its hash, or the picture that its receipt is of. */
async function inGallery(file, receipt) {
  const names = [];
  if (globalThis.crypto?.subtle) {
    const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", await file.arrayBuffer()));
    names.push(`sha256:${[...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`);
  }
  if (receipt) names.push(receipt);
  for (const name of names) {
    try {
      return { entry: await api(`/gallery/${name}`), same: name.startsWith("sha256:") };
    } catch (error) {
      if (error.status !== 404) throw error;
    }
  }
  return null;
}

function Report({ file }) {
  const [state, set] = useState({});
  useEffect(() => {
    let here = true;
    const work = async () => {
      const body = new Blob([file], { type: file.type || "application/octet-stream" });
      const report = await api("/verify", { body });
      return { report, found: await inGallery(file, report.receipt) };
    };
    work().then((told) => here && set(told), (error) => here && set({ error }));
    return () => { here = false; };
  }, [file]);
  const { report, found, error } = state;
  if (error) return html`<${ErrorNote} error=${error} />`;
  if (!report) return html`<p role="status"><span class="spinner" aria-hidden="true" /> ${t("verify.checking", { name: file.name })}</p>`;
  const verdict = report.empty ? "empty" : report.ok ? "ok" : "bad";
  const licences = report.checks.filter((one) => one.name.startsWith(LICENCE));
  const claims = report.checks.filter((one) => !one.name.startsWith(LICENCE));
  return html`<article class=${`vf-card is-${verdict}`} aria-labelledby="vf-verdict">
    <header>
      <${Icon} name=${{ ok: "shield", bad: "warning", empty: "help" }[verdict]} size=${28} />
      <div><h2 id="vf-verdict" role="status">${t(`verify.${verdict}`)}</h2><p class="vf-name">${file.name}</p></div>
      <${FilePreview} file=${file} alt=${file.name} class="vf-preview" />
    </header>
    <h3>${t("verify.checks")}</h3>
    <dl class="vf-checks">${claims.map((one) => html`<${Check} key=${one.name} check=${one} name=${named(one.name)} />`)}</dl>
    ${licences.length > 0 && html`<details class="vf-licences"><summary>${t("verify.licences")}</summary>
      <dl class="vf-checks">${licences.map((one) => html`<${Check} key=${one.name} check=${one} name=${t("verify.licence", { part: one.name.slice(LICENCE.length) })} />`)}</dl>
    </details>`}
    <${Here} file=${file} found=${found} receipt=${report.receipt} onKept=${(entry) => set({ report, found: { entry, same: true } })} />
  </article>`;
}

function named(name) {
  const words = t(`verify.${name}`);
  return words === `verify.${name}` ? name : words;
}

function Check({ check, name }) {
  return html`<div class=${`vf-check is-${check.verdict}`}>
    <dt><${Icon} name=${ICONS[check.verdict]} size=${18} /><span>${name}</span><span class="vf-verdict">${t(`verify.${check.verdict}`)}</span></dt>
    <dd><${Said} text=${check.text} /></dd>
  </div>`;
}

/** Where the file is in the gallery; if it is not, it may be kept. */
function Here({ file, found, receipt, onKept }) {
  const [busy, work] = useState(false);
  const [error, fail] = useState(null);
  const keep = async () => {
    work(true);
    fail(null);
    try {
      const entry = await upload(file);
      onKept(entry);
      return entry;
    } catch (problem) {
      fail(problem);
      return null;
    } finally {
      work(false);
    }
  };
  return html`<section class="vf-here" aria-label=${t("verify.here")}>
    ${found
      ? html`<div class="vf-found"><${Picture} id=${found.entry.id} side=${96} alt=${found.entry.prompt || found.entry.id.slice(7, 19)} onClick=${() => go(`/picture/${found.entry.id}`)} />
          <p>${found.same ? t("verify.same") : t("verify.receipt", { receipt })}</p></div>
        <${Likeness} id=${found.entry.id} />`
      : html`<p>${t("verify.notHere")}</p>
        <${Button} icon="plus" busy=${busy} onClick=${keep}>${t("verify.keep")}<//>`}
    <${ErrorNote} error=${error} />
  </section>`;
}

/** The training drawings that the things in a picture look most like, with credits. */
export function Likeness({ id }) {
  const [state, set] = useState({});
  const look = async () => {
    set({ busy: true });
    try {
      set({ found: await api(`/gallery/${id}/attribute?top=4`) });
    } catch (error) {
      set({ error });
    }
  };
  const { found, busy, error } = state;
  return html`<section class="vf-like" aria-label=${t("verify.like")}>
    ${!found && html`<${Button} icon="search" busy=${busy} onClick=${look}>${busy ? t("verify.likeWait") : t("verify.likeFind")}<//>`}
    <${ErrorNote} error=${error} />
    ${found && html`<h3>${t("verify.like")}</h3>
      ${found.things.length === 0 && html`<p>${t("verify.likeNone")}</p>`}
      ${found.things.length > 0 && html`<div class="vf-things">
        <${Boxes} id=${id} things=${found.things} />
        <ol>${found.things.map((thing, k) => html`<li key=${k}>
          <h4>${t("verify.thing", { n: k + 1, kind: thing.kind })}</h4>
          <ul>${thing.near.map((near) => html`<li key=${near.sha256}>
            <a href=${/^https?:\/\//.test(near.url ?? "") ? near.url : undefined} target="_blank" rel="noreferrer noopener">${near.name}</a>
            <span> ${t("verify.by", { author: near.author, licence: near.licence })}</span>
            <small>${near.package} ${near.version} · ${t("verify.likeness", { share: number(near.likeness, 2) })}</small>
          </li>`)}</ul>
        </li>`)}</ol>
      </div>`}
      <p class="help">${found.means}</p>`}
  </section>`;
}

/** The picture with a numbered box around each thing; boxes are counted of 128. */
function Boxes({ id, things }) {
  return html`<figure class="vf-boxes" aria-label=${t("verify.boxes")}>
    <img src=${thumbUrl(id, 512)} alt="" />
    <svg viewBox="0 0 128 128" preserveAspectRatio="none" aria-hidden="true">
      ${things.map(({ box: [left, top, right, bottom] }, k) => html`<g key=${k}>
        <rect x=${left} y=${top} width=${right - left} height=${bottom - top} />
        <text x=${left + 2} y=${top + 9}>${k + 1}</text>
      </g>`)}
    </svg>
  </figure>`;
}
