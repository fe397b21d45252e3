// Converse: say what to change, see what was touched, and go back or on from any turn.

import { go } from "../app.js";
import { api, ApiError, submit } from "../api.js";
import { Composer } from "../converse/composer.js";
import { Pending } from "../converse/pending.js";
import { Start } from "../converse/start.js";
import { childrenOf, pathTo, saidOf, Tree } from "../converse/tree.js";
import { Turn } from "../converse/turn.js";
import "../converse/words.js";
import { t } from "../i18n.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Button, EmptyState, ErrorNote } from "../parts.js";
import { jobs, onEnded, remember, track, useTracked } from "../store.js";

const KEPT = ["before", "mask", "strength", "feather", "steps", "guidance", "guidance_rescale", "negative_prompt", "model", "private"];
/** What another seed of an edit keeps of its request; the rest follows from the picture and the instruction. */
const MADE_HERE = ["engine", "precision", "device", "n"];
/** What another seed of any other task leaves to the server. */

/** The page `#/converse` and `#/converse/ID`. */
export default function Converse({ params }) {
  const id = params.id ?? params[0];
  return id ? html`<${Talk} key="talk" id=${id} />` : html`<${Start} />`;
}

function newSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0];
}

/** Read the tree that a picture belongs to; while another is read, the one before stays. */
function useHistory(id) {
  const [found, show] = useState({ id: null, nodes: null, error: null });
  const [made, renew] = useState(0);
  useEffect(() => {
    const stop = new AbortController();
    api(`/gallery/${id}/history`, { signal: stop.signal }).then(
      (tree) => show({ id: tree.id, nodes: tree.data, error: null }),
      (error) => error.name !== "AbortError" && show({ id, nodes: null, error }),
    );
    return () => stop.abort();
  }, [id, made]);
  useEffect(() => onEnded((job) => job.artifacts?.length > 0 && renew((k) => k + 1)), []);
  return found;
}

const NARROW = 860;
/** Up to this width the facts of a turn stand below its picture, so the picture is what is shown first. */

/** Stay at the end of a talk while what is in it still comes, until somebody scrolls. */
function useBottom(talk, key) {
  useEffect(() => {
    if (!talk.current) return undefined;
    const bottom = () => {
      const last = talk.current?.querySelector(".is-last");
      if (window.innerWidth <= NARROW && last && !talk.current.querySelector(".is-pending")) last.scrollIntoView({ block: "start" });
      else window.scrollTo(0, document.documentElement.scrollHeight);
    };
    const watch = new ResizeObserver(bottom);
    const leave = () => watch.disconnect();
    const heard = ["wheel", "touchmove", "pointerdown", "keydown"];
    for (const one of heard) window.addEventListener(one, leave, { passive: true });
    watch.observe(talk.current);
    const later = setTimeout(leave, 3000);
    return () => {
      leave();
      clearTimeout(later);
      for (const one of heard) window.removeEventListener(one, leave);
    };
  }, [key]);
}

/** One conversation, open at one of its pictures. */
function Talk({ id }) {
  const { id: whole, nodes, error } = useHistory(id);
  const [refused, refuse] = useState(null);
  const [busy, work] = useState(false);
  const [news, tell] = useState("");
  const ahead = useRef([]);
  const talk = useRef(null);
  const rows = useTracked().filter((one) => one.meta?.view === "converse" && one.meta.parent === whole);

  useEffect(() => { refuse(null); }, [id]);
  useEffect(() => {
    if (nodes) remember("converse.last", { id: whole, said: saidOf(nodes.find((one) => one.id === whole)) });
  }, [whole, nodes]);
  useBottom(talk, `${whole} ${rows.length} ${Boolean(nodes)}`);
  useEffect(() => {
    const made = rows.find((one) => one.status === "done" && one.artifacts?.length > 0);
    if (!made) return;
    tell(t("converse.arrived", { said: made.meta.said }));
    jobs.dismiss(made.id);
    ahead.current = [];
    go(`/converse/${made.artifacts[0]}`);
  }, [rows.map((one) => one.status).join()]);

  /** Hand a turn in; return whether it was accepted. */
  const ask = async (task, fields, said, parent) => {
    work(true);
    refuse(null);
    try {
      track(await submit(task, { ...fields, preview: true }), { view: "converse", parent, said, label: said, fields, task });
      return true;
    } catch (problem) {
      refuse({ error: problem, fields });
      return false;
    } finally {
      work(false);
    }
  };
  if (error) return html`<${Lost} error=${error} />`;
  if (!nodes) return html`<p class="cv-loading" role="status">${t("converse.loading")}</p>`;
  const path = pathTo(nodes, whole);
  const here = path.at(-1);
  const say = (instruction, fields = {}) => ask("edit", { ...fields, picture: whole, instruction }, instruction, whole);
  const again = (node, receipt) => {
    const seed = newSeed();
    const { request } = receipt;
    const fields = request.task === "edit"
      ? { ...only(request, KEPT), picture: request.picture, instruction: request.instruction, seed }
      : { ...without(request, MADE_HERE), seed };
    if (node.id !== whole || node.parent) go(`/converse/${node.parent ?? node.id}`);
    return ask(request.task, without(fields, ["task"]), saidOf(node), node.parent ?? node.id);
  };
  const undo = here.parent ? () => { ahead.current.push(whole); go(`/converse/${here.parent}`); } : null;
  const next = ahead.current.at(-1);
  const below = childrenOf(nodes, whole);
  const forward = below.find((one) => one.id === next) ?? below.at(-1);
  const redo = forward ? () => { ahead.current.pop(); go(`/converse/${forward.id}`); } : null;
  const unheard = (reading, fields) => say(reading.said, without(fields, ["picture", "instruction"]));
  return html`<div class="cv">
    <header class="cv-head">
      <h1>${t("converse.title")}</h1>
      <${Button} small icon="plus" onClick=${() => go("/converse")}>${t("converse.newOne")}<//>
    </header>
    <div class="cv-columns">
      <div class="cv-talk" ref=${talk}>
        ${path.map((node, at) => html`<${Turn}
          key=${node.id}
          node=${node}
          at=${at}
          last=${node === here}
          children=${childrenOf(nodes, node.id).filter((one) => one !== path[at + 1])}
          onBranch=${() => go(`/converse/${node.id}`)}
          onAgain=${again}
        />`)}
        ${rows.toReversed().map((job) => html`<${Pending}
          key=${job.id}
          job=${job}
          onReading=${(reading) => { jobs.dismiss(job.id); unheard(reading, job.meta.fields); }}
          onRepeat=${() => { jobs.dismiss(job.id); ask(job.meta.task, job.meta.fields, job.meta.said, whole); }}
        />`)}
        <p class="unseen" role="status">${news}</p>
        <${Composer}
          root=${path[0].id}
          id=${whole}
          given=${here.task === "given"}
          busy=${busy}
          error=${refused?.error}
          onSay=${say}
          onReading=${(reading) => unheard(reading, refused.fields)}
          onDismiss=${() => refuse(null)}
          onUndo=${undo}
          onRedo=${redo}
        />
      </div>
      <details class="cv-side" open=${globalThis.innerWidth > 1100}>
        <summary>${t("converse.showTree", { n: nodes.length })}</summary>
        <${Tree} nodes=${nodes} id=${whole} />
      </details>
    </div>
  </div>`;
}

function Lost({ error }) {
  if (!(error instanceof ApiError) || error.status !== 404) return html`<div class="cv"><${ErrorNote} error=${error} /></div>`;
  return html`<${EmptyState} icon="converse" title=${t("converse.lost")} text=${error.message}>
    <${Button} kind="primary" onClick=${() => go("/converse")}>${t("converse.newOne")}<//>
  <//>`;
}

function only(fields, names) {
  return Object.fromEntries(names.filter((name) => fields[name] !== null && fields[name] !== undefined).map((name) => [name, fields[name]]));
}

function without(fields, names) {
  return Object.fromEntries(Object.entries(fields).filter(([name, value]) => !names.includes(name) && value !== null));
}
