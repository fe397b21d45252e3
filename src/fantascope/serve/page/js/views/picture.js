// The page of one picture: large, with what it is, where it comes from, what proves it, and what can be done with it.
import { html, useEffect, useState } from "../lib.js";
import { api } from "../api.js";
import { go } from "../app.js";
import { useKeys } from "../keys.js";
import { Button, EmptyState, ErrorNote, ReceiptCard } from "../parts.js";
import { moment, t } from "../i18n.js";
import "../imagine/words.js";
import "../imagine/words_picture.js";
import { ACTIONS, act, hint, madeWith, saveText, tell } from "../imagine/actions.js";
import { Compare } from "../imagine/compare.js";
import { History } from "../imagine/history.js";
import { Credential, Credits, Rules } from "../imagine/proof.js";
import { Run } from "../imagine/run.js";
import { open, start, useRuns } from "../imagine/runs.js";
import { Viewer } from "../imagine/viewer.js";
import { likeIt } from "../library/alike.js";

const SHOWN = ["subtle", "strong", "upscale", "edit", "canvas"];
const LATER = ["again", "compare", "link", "delete"];

/** What the server knows of the picture; asked again when something was made from it. */
function useFacts(id, turn) {
  const [state, setState] = useState({ id });
  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    const ask = async () => {
      const entry = await api(`/gallery/${id}`, { signal });
      const [history, receipt] = await Promise.all([
        api(`/gallery/${entry.id}/history`, { signal }),
        entry.given ? null : api(`/gallery/${entry.id}/receipt`, { signal }),
      ]);
      setState({ id, entry, history, receipt });
    };
    ask().catch((error) => error.name !== "AbortError" && setState({ id, error }));
    return () => control.abort();
  }, [id, turn]);
  return state.id === id ? state : { id };
}

/** What is painted from this picture beside what the grids offer. Each returns the task and its fields. */
function makers(entry, receipt) {
  const like = madeWith(receipt?.request);
  const expand = (fields) => ["expand", { ...like, picture: entry.id, ...fields, preview: true }];
  return [
    { name: "cutout", icon: "lasso", fields: () => ["cutout", { picture: entry.id }] },
    { name: "out", icon: "expand", fields: () => expand({ zoom: 1.5 }) },
    { name: "left", icon: "left", fields: () => expand({ pan: "left" }) },
    { name: "right", icon: "right", fields: () => expand({ pan: "right" }) },
    { name: "up", icon: "up", fields: () => expand({ pan: "up" }) },
    { name: "down", icon: "down", fields: () => expand({ pan: "down" }) },
    entry.prompt && { name: "tile", icon: "layers", fields: () => ["tile", { ...like, picture: entry.id, prompt: entry.prompt, preview: true }] },
    receipt && !receipt.private && { name: "copy", icon: "hidden", fields: () => privately(receipt) },
  ].filter(Boolean);
}

function privately(receipt) {
  const { task, ...fields } = receipt.request;
  const given = Object.entries(fields).filter(([, value]) => value !== null);
  return [task, { ...Object.fromEntries(given), private: true, preview: false }];
}

export default function PicturePage({ params = {} }) {
  const { id } = params;
  const runs = useRuns();
  const [box, setBox] = useState(null);
  const [chosen, setChosen] = useState([]);
  const [compared, setCompared] = useState(null);
  const [failed, setFailed] = useState(null);
  const ours = runs.filter((one) => one.of === id);
  const ended = ours.filter((one) => !open(one)).length;
  const { entry, history, receipt, error } = useFacts(id, ended);
  useEffect(() => {
    setChosen([]);
    setFailed(null);
    setBox(null);
    window.scrollTo(0, 0);
  }, [id]);

  const doing = (name, of = id) => {
    setFailed(null);
    const other = history?.parents[0] ?? history?.children[0] ?? ours.find((one) => one.artifacts?.[0])?.artifacts[0];
    const compare = (one) => (one !== id ? setCompared([id, one]) : other ? setCompared([other, id]) : tell(new Error(t("im.compare.two"))));
    const gone = (lost) => (lost === id ? go("library", { replace: true }) : setChosen([]));
    return act(name, of, { n: 2, prompt: entry?.prompt ?? "", like: madeWith(receipt?.request), compare, gone });
  };
  const make = async (maker) => {
    setFailed(null);
    const [task, fields] = maker.fields();
    try {
      await start(task, fields, { of: id, prompt: entry.prompt ?? "" });
    } catch (wrong) {
      if (wrong.name !== "AbortError") setFailed(wrong);
    }
  };
  const letters = ACTIONS.filter((one) => one.name !== "open");
  useKeys(
    [
      ...letters.map((one) => ({ keys: one.key === one.key.toLowerCase() ? one.key : one.key.length > 1 ? one.key.toLowerCase() : `shift+${one.key.toLowerCase()}`, label: t(`im.do.${one.name}`), run: () => void (entry && doing(one.name)) })),
    ],
    t("app.picture"),
  );

  if (!id) return html`<div class="page"><${EmptyState} title=${t("app.nowhere")}><a href="#/library">${t("app.library")}</a><//></div>`;
  if (error?.status === 404) return html`<div class="page"><${EmptyState} icon="picture" title=${t("pi.nowhere")} text=${t("pi.nowhere.text")}><a class="button primary" href="#/library">${t("app.library")}</a><//></div>`;
  if (error) return html`<div class="page"><${ErrorNote} error=${error} /><p><a href="#/library">${t("app.library")}</a></p></div>`;
  if (!entry) return html`<div class="page" aria-busy="true"><p class="im-quiet" role="status">${t("app.loading")}</p></div>`;
  const title = entry.prompt || (entry.given ? t("pi.handed") : t(`im.task.${entry.task}`));
  return html`<div class="page pi-page">
    <div class="pi-layout">
      <div class="pi-main">
        <${Viewer} id=${entry.id} alt=${title} width=${entry.width} height=${entry.height} box=${box} />
        <${Made} runs=${ours} chosen=${chosen} onChoose=${setChosen} doing=${doing} onRefused=${setFailed} />
        ${history && html`<${History} history=${history} />`}
        <${Credits} id=${entry.id} onBox=${setBox} />
      </div>
      <div class="pi-side">
        <header class="pi-head"><h1>${title}</h1>
          <p class="im-quiet">${[entry.task && t(`im.task.${entry.task}`), entry.width && `${entry.width} × ${entry.height}`, moment(entry.kept)].filter(Boolean).join(" · ")}</p>
          ${(receipt?.private || entry.given) && html`<p class="row">${receipt?.private && html`<span class="tag accent">${t("pi.private")}</span>`}${entry.given && html`<span class="tag">${t("pi.handed")}</span>`}</p>`}
        </header>
        <${Doings} entry=${entry} receipt=${receipt} doing=${doing} make=${make} />
        ${failed && html`<${ErrorNote} error=${failed} onDismiss=${() => setFailed(null)} />`}
        ${receipt ? html`<section class="pi-receipt"><h2>${t("pi.receipt")}</h2><${ReceiptCard} receipt=${receipt} onOpen=${(one) => go(`picture/${one}`)} /></section>` : html`<p class="card im-quiet">${t("pi.given")}</p>`}
        <${Credential} id=${entry.id} />
        ${receipt && html`<${Rules} receipt=${receipt} />`}
        ${receipt && html`<details class="card im-fold pi-raw"><summary>${t("pi.raw")}</summary><pre tabindex="0">${JSON.stringify(receipt, null, 2)}</pre></details>`}
      </div>
    </div>
    ${compared && html`<${Compare} ids=${compared} names=${compared.map((one) => one.slice(7, 15))} onClose=${() => setCompared(null)} />`}
  </div>`;
}

function Doings({ entry, receipt, doing, make }) {
  const action = (name) => ACTIONS.find((one) => one.name === name);
  const button = (one, more = {}) => html`<${Button} key=${one.name} icon=${one.icon} kind=${one.danger ? "danger" : "plain"} title=${hint(one)} aria-keyshortcuts=${one.key} ...${more} onClick=${() => doing(one.name)}>${t(`im.do.${one.name}`)}<//>`;
  const later = LATER.filter((name) => receipt || name !== "again").map((name) => button(action(name), { small: true }));
  return html`<div class="pi-doings" role="group" aria-label=${t("pi.actions")}>
    <div class="pi-first">${SHOWN.map((name) => button(action(name)))}
      ${button(action("download"), { title: `${hint(action("download"))}. ${receipt?.private ? t("pi.do.private.help") : t("pi.do.file.help")}` })}</div>
    <details class="im-fold pi-more"><summary>${t("pi.more")}</summary><div class="pi-rest">
      ${makers(entry, receipt).map((one) => html`<${Button} key=${one.name} small icon=${one.icon} title=${one.name === "copy" ? t("pi.do.copy.help") : undefined} onClick=${() => make(one)}>${t(`pi.do.${one.name}`)}<//>`)}
      <${Button} small icon="imagine" onClick=${() => go(`imagine?from=${encodeURIComponent(entry.id)}`)}>${t("pi.do.start")}<//>
      <${Button} small icon="search" onClick=${() => likeIt(entry.id)}>${t("library.like")}<//>
      ${receipt && html`<${Button} small icon="save" onClick=${() => saveText(JSON.stringify(receipt, null, 2), `${entry.id.slice(7, 23)}.json`)}>${t("pi.do.record")}<//>`}
      ${later}
    </div></details>
  </div>`;
}

/** What was painted from it on this page: progress with previews, then the pictures. */
function Made({ runs, chosen, onChoose, doing, onRefused }) {
  if (runs.length === 0) return null;
  return html`<section class="card pi-card" aria-label=${t("pi.made")}><h2>${t("pi.made")}</h2>
    ${runs.map((one) => html`<${Run} key=${one.key} run=${one} chosen=${chosen} onChoose=${onChoose} doing=${doing} onRefused=${onRefused} />`)}</section>`;
}
