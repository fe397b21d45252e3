// Where a picture comes from and what was made from it: parents, children, and the whole tree.
import { html } from "../lib.js";
import { go } from "../app.js";
import { Picture, Said } from "../parts.js";
import { thumbUrl } from "../api.js";
import { t } from "../i18n.js";

function Row({ title, ids }) {
  if (ids.length === 0) return null;
  return html`<div><h3>${title}</h3><div class="pi-row">${ids.map((id) => html`<${Picture} key=${id} id=${id} side=${84} alt=${`${title}: ${id.slice(7, 15)}`} onClick=${() => go(`picture/${id}`)} />`)}</div></div>`;
}

/** The tree as nested lists; `history` is the answer of the server. */
export function History({ history }) {
  const below = (parent) => history.data.filter((one) => one.parent === parent);
  const branch = (node) => html`<li key=${node.id}>
    <a class="pi-node" href=${`#/picture/${node.id}`} aria-current=${node.id === history.id ? "true" : undefined}>
      <img src=${thumbUrl(node.id, 96)} alt="" width="44" height="44" loading="lazy" /><span><${Said} text=${node.done} /></span></a>
    ${below(node.id).length > 0 && html`<ul>${below(node.id).map(branch)}</ul>`}
  </li>`;
  const tree = history.data.length > 1;
  return html`<section class="card pi-card" aria-label=${t("pi.history")}>
    <h2>${t("pi.history")}</h2>
    <${Row} title=${t("pi.parents")} ids=${history.parents} />
    <${Row} title=${t("pi.children", { n: history.children.length })} ids=${history.children} />
    ${tree ? html`<div><h3>${t("pi.tree")}</h3><ul class="pi-tree">${below(null).map(branch)}</ul></div>` : html`<p class="im-quiet">${t("pi.alone")}</p>`}
  </section>`;
}
