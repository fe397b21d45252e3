// The gallery: search, filters, and what is done with many pictures at once.

import { go } from "../app.js";
import { api, fileUrl, once, pause, upload } from "../api.js";
import { moment, t } from "../i18n.js";
import { useKeys } from "../keys.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { ask, Button, Dialog, EmptyState, ErrorNote, Field, Grid, pickFiles, Picture, Select, toast } from "../parts.js";
import { useStored } from "../store.js";
import { Asked, distanceOf, likeIt, LookPick, useAlike } from "./alike.js";
import { filtered, NOTHING, useGallery } from "./find.js";

const SUFFIX = { "image/png": "png", "image/jpeg": "jpg", "image/webp": "webp" };

/** The words for a picture: its prompt, or when it was handed in. */
export function wordsOf(entry) {
  return entry.prompt || t("library.noPrompt", { day: moment(entry.kept, "date") });
}

/**
 * The grid of pictures.
 * @param {{onFile: function, like: string}} props  takes a file to be checked; id of the picture that others are to look like
 */
export function Pictures({ onFile, like }) {
  const [filters, setFilters] = useStored("library.filters", NOTHING);
  const [file, look] = useState(null);
  const asked = file ? { file } : like ? { id: like } : null;
  const every = useGallery(filters);
  const alike = useAlike(asked, filters);
  const gallery = asked ? { ...every, ...alike } : every;
  const [chosen, choose] = useState([]);
  const [conflicts, warn] = useState([]);
  const last = useRef(null);
  const { entries, state, error } = gallery;
  const there = chosen.filter((id) => entries.some((one) => one.id === id));

  const toggle = (id, range) => {
    const ids = entries.map((one) => one.id);
    const [from, to] = [ids.indexOf(last.current), ids.indexOf(id)].sort((a, b) => a - b);
    const on = !there.includes(id);
    const meant = range && from >= 0 ? ids.slice(from, to + 1) : [id];
    choose(on ? [...new Set([...there, ...meant])] : there.filter((one) => !meant.includes(one)));
    last.current = id;
  };
  const remove = async (ids, force = false) => {
    const [gone, kept] = [[], []];
    for (const id of entries.map((one) => one.id).filter((one) => ids.includes(one))) {
      try {
        await api(`/gallery/${id}${force ? "?force=true" : ""}`, { method: "DELETE" });
        gone.push(id);
      } catch (problem) {
        if (problem.status === 409) kept.push({ id, error: problem });
        else if (problem.status === 404) gone.push(id);
        else toast([problem.message, problem.hint].filter(Boolean).join(" "), { kind: "bad" });
      }
    }
    every.drop(gone);
    alike.drop(gone);
    choose((old) => old.filter((id) => !gone.includes(id)));
    if (gone.length > 0) toast(t("library.removed", { n: gone.length }), { kind: "good" });
    warn(kept);
  };
  const removeChosen = async () => {
    const told = { title: t("library.removeAsk", { n: there.length }), text: t("library.removeText"), yes: t("library.remove"), danger: true };
    if (there.length > 0 && (await ask(told))) await remove(there);
  };
  const save = async () => {
    for (const entry of entries.filter((one) => there.includes(one.id))) {
      const link = Object.assign(document.createElement("a"), { href: fileUrl(entry.id), download: `${entry.id.slice(7, 23)}.${SUFFIX[entry.media_type] ?? "png"}` });
      document.body.append(link);
      link.click();
      link.remove();
      await pause(250);
    }
    toast(t("library.exported", { n: there.length }), { kind: "good" });
  };
  const handIn = async (files) => {
    let count = 0;
    for (const file of files) {
      try {
        await upload(file);
        count += 1;
      } catch (problem) {
        toast(`${file.name}: ${[problem.message, problem.hint].filter(Boolean).join(" ")}`, { kind: "bad" });
      }
    }
    if (count > 0) toast(t("library.uploaded", { n: count }), { kind: "good" });
    every.merge();
  };
  const showAll = () => { look(null); if (like) go("library"); };
  useEffect(() => look(null), [like]);
  const mark = (range) => () => {
    const id = document.activeElement?.closest("[data-id]")?.dataset.id;
    if (id) toggle(id, range);
    return Boolean(id);
  };
  useKeys([
    { keys: "x", label: t("library.keySelect"), run: mark(false) },
    { keys: "shift+x", label: t("library.keyRange"), run: mark(true) },
    { keys: "mod+a", label: t("library.selectAll"), run: () => choose(entries.map((one) => one.id)) },
    { keys: "escape", label: t("library.selectNone"), run: () => choose([]) },
    { keys: "l", label: t("library.like"), run: () => { const id = document.activeElement?.closest("[data-id]")?.dataset.id; if (id) likeIt(id); return Boolean(id); } },
    { keys: "delete", label: t("library.remove"), run: () => { removeChosen(); } },
  ], t("library.title"));
  return html`<div class="lb-pictures">
    <div class="lb-search"><${Filters} value=${filters} onChange=${setFilters} /><${LookPick} onFile=${look} /></div>
    ${asked && html`<${Asked} like=${asked} alike=${alike} onClose=${showAll} onCheck=${onFile} />`}
    <div class="lb-bar">
      <${Button} icon="upload" onClick=${async () => handIn(await pickFiles({ multiple: true }))}>${t("library.upload")}<//>
      ${there.length > 0 && html`<div class="lb-chosen" role="group" aria-label=${t("library.selected", { n: there.length })}>
        <span role="status">${t("library.selected", { n: there.length })}</span>
        <${Button} small icon="download" onClick=${save}>${t("library.export")}<//>
        <${Button} small kind="danger" icon="trash" onClick=${removeChosen}>${t("library.remove")}<//>
        <${Button} small kind="quiet" onClick=${() => choose(entries.map((one) => one.id))}>${t("library.selectAll")}<//>
        <${Button} small kind="quiet" onClick=${() => choose([])}>${t("library.selectNone")}<//>
      </div>`}
    </div>
    <${ErrorNote} error=${error} onRetry=${asked ? undefined : every.more} />
    ${!asked && entries.length === 0 && state === "end" && (filtered(filters)
      ? html`<p class="lb-none" role="status">${t("library.noMatch")}</p>`
      : html`<${EmptyState} icon="library" title=${t("library.empty")} text=${t("library.emptyText")}>
          <${Button} kind="primary" onClick=${() => go("/imagine")}>${t("library.makeOne")}<//><//>`)}
    <${Grid} label=${t(asked ? "library.alikeGrid" : "library.grid")} min=${160} class="lb-grid">
      ${entries.map((one) => html`<${Tile} key=${one.id} entry=${one} chosen=${there.includes(one.id)} onToggle=${toggle} />`)}
    <//>
    ${!asked && html`<${End} state=${state} count=${entries.length} more=${every.more} />`}
    <${Conflicts} rows=${conflicts} onClose=${() => warn([])} onForce=${() => { const ids = conflicts.map((one) => one.id); warn([]); remove(ids, true); }} />
  </div>`;
}

/** One picture, with its box to select it. */
function Tile({ entry, chosen, onToggle }) {
  const words = wordsOf(entry);
  const range = useRef(false);
  const actions = [
    { icon: "converse", label: t("library.converse"), run: () => go(`/converse/${entry.id}`) },
    { icon: "canvas", label: t("library.canvas"), run: () => go(`/canvas/${entry.id}`) },
    { icon: "search", label: t("library.like"), run: () => likeIt(entry.id) },
  ];
  return html`<div class=${`lb-tile${chosen ? " is-chosen" : ""}`} data-id=${entry.id}>
    <${Picture} id=${entry.id} side=${220} alt=${words} width=${1} height=${1} onClick=${() => go(`/picture/${entry.id}`)} actions=${actions} />
    <label class="lb-box" title=${t("library.select", { alt: words })}>
      <input type="checkbox" checked=${chosen} aria-label=${t("library.select", { alt: words })}
        onClick=${(event) => { range.current = event.shiftKey; }} onChange=${() => onToggle(entry.id, range.current)} />
    </label>
    ${entry.distance !== undefined && html`<p class="lb-distance">${distanceOf(entry)}</p>`}
    <p class="lb-words" title=${words}>${words}</p>
  </div>`;
}

/** What is searched for. */
function Filters({ value, onChange }) {
  const [models, know] = useState([]);
  useEffect(() => { once("/models").then((found) => know(found.data), () => {}); }, []);
  const put = (name) => (next) => onChange((old) => ({ ...NOTHING, ...old, [name]: next }));
  const typed = (name) => (event) => put(name)(event.target.value);
  const kinds = [{ value: false, label: t("library.made") }, { value: true, label: t("library.given") }];
  const [open, unfold] = useState(() => ["model", "given", "seed", "from", "to"].some((name) => value[name] !== NOTHING[name] && value[name] !== undefined));
  return html`<search class="lb-filters">
    <${Field} label=${t("library.words")}>
      <input type="search" maxlength="400" placeholder=${t("library.wordsHint")} value=${value.text} onInput=${typed("text")} />
    <//>
    <details open=${open} onToggle=${(event) => unfold(event.target.open)}>
      <summary>${t("library.filters")}</summary>
      <div class="lb-filter-row">
        <${Select} label=${t("library.model")} value=${value.model} empty=${t("library.any")} onChange=${put("model")}
          options=${models.map((one) => ({ value: one.name, label: one.title || one.name }))} />
        <${Select} label=${t("library.kind")} value=${value.given} empty=${t("library.any")} onChange=${put("given")} options=${kinds} />
        <${Field} label=${t("library.seed")}><input type="number" min="0" step="1" value=${value.seed} onInput=${typed("seed")} /><//>
        <${Field} label=${t("library.from")}><input type="date" value=${value.from} max=${value.to || undefined} onInput=${typed("from")} /><//>
        <${Field} label=${t("library.to")}><input type="date" value=${value.to} min=${value.from || undefined} onInput=${typed("to")} /><//>
        <${Button} small kind="quiet" icon="close" disabled=${!filtered(value)} onClick=${() => onChange(NOTHING)}>${t("library.clear")}<//>
      </div>
    </details>
  </search>`;
}

/** The end of the list: comes into view, and more is read. */
function End({ state, count, more }) {
  const mark = useRef(null);
  useEffect(() => {
    if (state !== "more" || !mark.current) return undefined;
    const watch = new IntersectionObserver(([seen]) => seen.isIntersecting && more(), { rootMargin: "600px" });
    watch.observe(mark.current);
    return () => watch.disconnect();
  }, [state, count]);
  return html`<div class="lb-end" ref=${mark} aria-live="polite">
    ${state === "loading" && html`<span class="spinner" aria-hidden="true" /> ${t("library.loading")}`}
    ${state === "more" && html`<${Button} small kind="quiet" onClick=${more}>${t("library.more")}<//>`}
    ${state === "end" && count > 0 && t("library.end", { n: count })}
  </div>`;
}

/** Pictures that others were made from: they are kept until somebody says otherwise. */
function Conflicts({ rows, onClose, onForce }) {
  const buttons = html`<${Button} onClick=${onClose}>${t("library.keepThem")}<//>
    <${Button} kind="danger" icon="trash" onClick=${onForce}>${t("library.force")}<//>`;
  return html`<${Dialog} open=${rows.length > 0} title=${t("library.children")} onClose=${onClose} actions=${buttons}>
    <ul class="lb-conflicts">${rows.map(({ id, error }) => html`<li key=${id}><${Picture} id=${id} side=${56} alt=${id.slice(0, 15)} /><span>${error.message}</span></li>`)}</ul>
    <p>${t("library.childrenText")}</p>
  <//>`;
}
