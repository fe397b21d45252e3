// The tree of a conversation: what was made from what, with thumbnails. It is the receipts' parents, nothing beside them.

import { thumbUrl } from "../api.js";
import { t } from "../i18n.js";
import { html, useEffect, useRef } from "../lib.js";

/** Return the nodes from the root to a picture, in order. */
export function pathTo(nodes, id) {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const path = [];
  for (let node = known.get(id); node; node = known.get(node.parent)) path.unshift(node);
  return path;
}

/** Return the nodes that were made from a picture, oldest first. */
export function childrenOf(nodes, id) {
  return nodes.filter((node) => node.parent === id);
}

/** Say in few words what made a picture: the instruction or the prompt, without the task before it. */
export function saidOf(node) {
  if (node.task === "given") return t("converse.given");
  const start = `${node.task}: `;
  return node.done.startsWith(start) ? node.done.slice(start.length) : node.done;
}

const KEYS = ["ArrowUp", "ArrowDown", "ArrowLeft", "ArrowRight", "Home", "End"];

/**
 * Show a tree as nested lists of links, with the arrow keys between them.
 * @param {{nodes: object[], id: string}} props  of the history, and the picture that is open
 */
export function Tree({ nodes, id }) {
  const box = useRef(null);
  useEffect(() => {
    const here = box.current?.querySelector("[aria-current]");
    if (!here || !box.current) return;
    const [outer, inner] = [box.current.getBoundingClientRect(), here.getBoundingClientRect()];
    if (inner.top < outer.top || inner.bottom > outer.bottom) box.current.scrollTop += inner.top - outer.top - 40;
  }, [id, nodes]);
  const onKeyDown = (event) => {
    if (!KEYS.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
    const links = [...box.current.querySelectorAll("a")];
    const at = links.indexOf(document.activeElement);
    if (at < 0) return;
    event.preventDefault();
    const item = links[at].closest("li");
    const next = {
      ArrowUp: links[at - 1],
      ArrowDown: links[at + 1],
      ArrowLeft: item.parentElement.closest("li")?.querySelector("a"),
      ArrowRight: item.querySelector("ul a"),
      Home: links[0],
      End: links[links.length - 1],
    }[event.key];
    next?.focus();
  };
  const roots = nodes.filter((node) => !nodes.some((other) => other.id === node.parent));
  return html`<nav class="cv-tree" aria-label=${t("converse.tree")} ref=${box} onKeyDown=${onKeyDown}>
    <ul>
      ${roots.map((node) => html`<${Branch} key=${node.id} node=${node} nodes=${nodes} id=${id} />`)}
    </ul>
  </nav>`;
}

/** A picture and, below it, what was made from it. A single child stays at its parent's depth: a talk is a line. */
function Branch({ node, nodes, id }) {
  const line = [node];
  for (let below = childrenOf(nodes, node.id); below.length === 1; below = childrenOf(nodes, line.at(-1).id)) {
    line.push(below[0]);
  }
  const forks = childrenOf(nodes, line.at(-1).id);
  return html`${line.map(
    (one) => html`<li key=${one.id}>
      <a
        href=${`#/converse/${one.id}`}
        class="cv-node"
        aria-current=${one.id === id ? "page" : undefined}
        title=${saidOf(one)}
      >
        <img src=${thumbUrl(one.id, 96)} alt="" width="44" height="44" loading="lazy" />
        <span>${saidOf(one)}</span>
      </a>
      ${one === line.at(-1) &&
      forks.length > 0 &&
      html`<ul>
        ${forks.map((child) => html`<${Branch} key=${child.id} node=${child} nodes=${nodes} id=${id} />`)}
      </ul>`}
    </li>`,
  )}`;
}
