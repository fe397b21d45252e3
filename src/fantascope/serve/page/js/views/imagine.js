// Imagine: a prompt becomes pictures.
import { html, useEffect, useRef, useState } from "../lib.js";
import { api, once, schemas, upload } from "../api.js";
import { go } from "../app.js";
import { useKeys, shown } from "../keys.js";
import { Button, EmptyState, ErrorNote, InEnglish, dropFiles, pickFiles } from "../parts.js";
import { useStored } from "../store.js";
import { t } from "../i18n.js";
import "../imagine/words.js";
import { ACTIONS, act, madeWith, tell } from "../imagine/actions.js";
import { taught, useAnatomy } from "../imagine/anatomy.js";
import { Compare } from "../imagine/compare.js";
import { Dropped } from "../imagine/dropped.js";
import { FRESH, formOf, requestOf } from "../imagine/form.js";
import { Price, useQuote } from "../imagine/price.js";
import { Legend, Notes, PromptBox, type } from "../imagine/prompt.js";
import { Refusal } from "../imagine/refusal.js";
import { Bar, Run } from "../imagine/run.js";
import { start, useRuns } from "../imagine/runs.js";
import { Settings } from "../imagine/settings.js";

const HIDDEN = ["control", "caption", "annotator"]; // families that paint nothing by themselves
const WIDE = "(min-width: 900px)";

function useCatalogue() {
  const [found, setFound] = useState({ models: [], adapters: [], schema: null, error: null });
  useEffect(() => {
    Promise.all([once("/models"), schemas(), api("/adapters")]).then(
      ([all, tasks, more]) => setFound({ models: all.data.filter((one) => !HIDDEN.includes(one.family)), adapters: more.data, schema: tasks.imagine.request, error: null }),
      (error) => setFound({ models: [], adapters: [], schema: null, error }),
    );
  }, []);
  return found;
}

/** Expansion: one key adds what the prompt does not say, the same key once more tries another, and it can be undone. */
function useExpansion(prompt, model, write) {
  const [made, setMade] = useStored("imagine.expanded", null);
  const [busy, setBusy] = useState(false);
  const here = made && made.prompt === prompt ? made : null;
  const expand = async () => {
    const said = here ? here.said : prompt;
    if (!said.trim() || busy) return;
    setBusy(true);
    try {
      const seed = here ? here.seed + 1 : 0;
      const found = await api("/prompt/expand", { body: { prompt: said, seed, ...(model ? { model } : {}) } });
      setMade({ ...found, seed });
      write(found.prompt);
    } catch (error) {
      tell(error);
    }
    setBusy(false);
  };
  const undo = () => {
    setMade(null);
    write(here.said);
  };
  return { here, expand, undo, busy };
}

function Expanded({ expansion }) {
  const { here, undo, expand } = expansion;
  if (!here) return null;
  const added = here.added.map((one) => `${one.phrase} (${t(`im.part.${one.part}`)})`).join(", ");
  return html`<div class="im-expanded" role="status">
    <p>${here.added.length ? t("im.expanded", { added }) : t("im.expanded.none")} <span class="im-quiet">${t("im.expanded.by", { by: here.by })}</span></p>
    <${Button} small icon="undo" onClick=${undo}>${t("im.expanded.undo")}<//>
    <${Button} small kind="quiet" icon="dice" onClick=${expand}>${t("im.expanded.other")}<//>
  </div>`;
}

function keysOf(paint, expand) {
  const mine = [
    { keys: "mod+enter", label: t("im.paint"), run: paint, typing: true },
    { keys: "mod+e", label: t("im.expand"), run: expand, typing: true },
  ];
  // Only for the list of keys: the grid itself listens to them, and `typed` keys are never capitals.
  const letters = ACTIONS.map((one) => ({ keys: one.key.length > 1 ? one.key : one.key === one.key.toUpperCase() ? `shift+${one.key}` : one.key.toUpperCase(), label: t(`im.do.${one.name}`), run: () => false }));
  return [...mine, { keys: "Space", label: t("im.key.choose"), run: () => false }, ...letters];
}

/** What is chosen in the grids, and what is compared. */
function useChoice(runs, form) {
  const [chosen, setChosen] = useState([]);
  const [compared, setCompared] = useState(null);
  const names = (ids) => ids.map((id) => runs.find((run) => run.artifacts?.includes(id))?.prompt ?? "");
  const compare = (id) => {
    const ids = [...new Set([...chosen, id])];
    if (ids.length < 2) {
      const run = runs.find((one) => one.artifacts?.includes(id));
      const other = run?.artifacts.find((one) => one && one !== id) ?? run?.of;
      if (other) ids.push(other);
    }
    if (ids.length > 1) setCompared(ids);
    else tell(new Error(t("im.compare.two")));
  };
  const doing = (name, id, run) => {
    const from = run ?? runs.find((one) => one.artifacts?.includes(id));
    const gone = (lost) => setChosen((now) => now.filter((one) => one !== lost));
    act(name, id, { n: form.n, prompt: from?.prompt ?? "", like: madeWith(from?.fields, from?.model), compare, gone });
  };
  const dialog = compared && html`<${Compare} ids=${compared} names=${names(compared)} onClose=${() => setCompared(null)} />`;
  return { chosen, setChosen, doing, dialog };
}

/** Pictures that are dropped on the page, or that another page sends: `#/imagine?from=ID`. */
function useDropped(params, box, setForm, folds) {
  const [id, setId] = useState(params.from ?? null);
  useEffect(() => params.from && setId(params.from), [params.from]);
  const close = () => {
    setId(null);
    if (params.from) go("imagine", { replace: true });
  };
  const take = async (files) => {
    try {
      setId((await upload(files[0])).id);
    } catch (error) {
      tell(error);
    }
  };
  const control = () => {
    setForm((now) => ({ ...now, controls: [{ kind: "canny", derive: true, weight: 1, ...now.controls[0], picture: id }] }));
    folds((now) => ({ ...now, control: true }));
    close();
  };
  const prompted = (text) => {
    close();
    setTimeout(() => type(box.current, text));
  };
  return { id, close, take, control, prompted, zone: dropFiles(take, { most: 1, onId: setId }) };
}

export default function Imagine({ params = {} }) {
  const box = useRef(null);
  const [prompt, setPrompt] = useStored("imagine.prompt", "");
  const [form, setForm] = useStored("imagine.form", FRESH);
  const [folds, setFolds] = useStored("imagine.folds", {});
  const [failed, setFailed] = useState(null);
  const [busy, setBusy] = useState(false);
  const { models, adapters, schema, error } = useCatalogue();
  const model = models.find((one) => (form.model ? one.name === form.model : one.default)) ?? null;
  const anatomy = useAnatomy(prompt, form.model, form.grammar);
  const triggers = form.adapters.flatMap((used) => adapters.find((one) => one.name === used.name)?.trigger ?? []);
  const told = taught(anatomy.told, triggers.map((word) => word.toLowerCase()));
  const expansion = useExpansion(prompt, form.model, (text) => type(box.current, text));
  const runs = useRuns();
  const choice = useChoice(runs, form);
  const dropped = useDropped(params, box, setForm, setFolds);
  const request = requestOf(form, prompt, expansion.here?.said);
  const price = useQuote("imagine", request, !anatomy.verdict);
  const verdict = failed?.verdict && failed.of === prompt ? failed.verdict : anatomy.told?.prompt === prompt ? anatomy.verdict : null;
  useEffect(() => {
    if (params.prompt) setPrompt(params.prompt);
    if (window.matchMedia(WIDE).matches && !params.from) box.current?.focus();
  }, []);

  const run = async (task, fields, more) => {
    setFailed(null);
    setBusy(true);
    try {
      await start(task, fields, more);
      if (!window.matchMedia(WIDE).matches) document.querySelector(".im-run")?.scrollIntoView({ block: "start", behavior: "smooth" });
    } catch (wrong) {
      if (wrong.name !== "AbortError") setFailed(Object.assign(wrong, { of: prompt }));
    }
    setBusy(false);
  };
  const paint = () => {
    if (prompt.trim() && !busy) run("imagine", request);
    else box.current?.focus();
  };
  const vary = (fields) => {
    dropped.close();
    run("vary", { ...madeWith(form), ...fields, n: form.n, preview: true }, { of: fields.picture });
  };
  const reuse = (one) => {
    if (one.task === "imagine") setForm(formOf({ ...one.fields, seed: one.seed }, schema));
    type(box.current, one.fields.said ?? one.fields.prompt ?? one.prompt);
    window.scrollTo({ top: 0, behavior: "smooth" });
  };
  useKeys(keysOf(paint, expansion.expand), t("app.imagine"));

  return html`<div class="im-page page" tabindex="-1" ...${dropped.zone}>
    <h1 class="unseen">${t("app.imagine")}</h1>
    <div class="im-layout">
      <section class="im-desk card" aria-label=${t("im.prompt")}>
        <${PromptBox} box=${box} id="im-prompt" label=${t("im.prompt")} placeholder=${t("im.prompt.example")} value=${prompt} told=${told} refused=${verdict?.words} onInput=${setPrompt} />
        <${Legend} value=${prompt} told=${told} box=${box} />
        <${Expanded} expansion=${expansion} />
        <${InEnglish} text=${prompt} onTake=${(text) => type(box.current, text)}><${Notes} value=${prompt} told=${told} failed=${anatomy.error} onChange=${(text) => type(box.current, text)} /><//>
        ${failed && html`<${ErrorNote} error=${failed} onDismiss=${() => setFailed(null)} />`}
        ${verdict && html`<${Refusal} prompt=${prompt} verdict=${verdict} quiet=${Boolean(failed?.verdict)} onTake=${(text) => { setFailed(null); type(box.current, text); }} />`}
        ${price.error && price.error.code !== "offline" && !failed && html`<${ErrorNote} error=${price.error} />`}
        <div class="im-paint">
          <div class="im-tools">
            <${Button} icon="imagine" busy=${expansion.busy} disabled=${!prompt.trim()} title=${`${t("im.expand")} (${shown("mod+e").join("+")})`} onClick=${expansion.expand}>${t("im.expand.short")} <kbd>${shown("mod+e").join(" ")}</kbd><//>
            <${Button} kind="quiet" icon="picture" title=${t("im.from.help")} onClick=${async () => { const files = await pickFiles({ most: 1 }); if (files.length) dropped.take(files); }}>${t("im.from")}<//>
          </div>
          <div class="im-go"><${Price} state=${price} />
          <${Button} kind="primary" icon="brush" busy=${busy} disabled=${!prompt.trim()} title=${`${t("im.paint")} (${shown("mod+enter").join("+")})`} onClick=${paint}>${t("im.paint")} <kbd>${shown("mod+enter").join(" ")}</kbd><//></div>
        </div>
      </section>
      <aside class="im-settings card" aria-label=${t("im.settings")}>
        ${error && html`<${ErrorNote} error=${error} />`}
        <${Panel} form=${form} model=${model}>
          <${Settings} form=${form} onChange=${setForm} models=${models} model=${model} adapters=${adapters} schema=${schema} last=${runs.find((one) => one.seed != null)?.seed} />
        <//>
      </aside>
      <section class="im-runs" aria-label=${t("im.runs")}>
        ${runs.length === 0 && html`<${Start} onTake=${(text) => type(box.current, text)} />`}
        ${runs.length > 0 && html`<h2 class="im-runs-title">${t("im.runs")} <span class="im-quiet">${t(window.matchMedia("(hover: none)").matches ? "im.runs.touch" : "im.runs.how")}</span></h2>`}
        ${runs.map((one) => html`<${Run} key=${one.key} run=${one} chosen=${choice.chosen} onChoose=${choice.setChosen} doing=${choice.doing} onReuse=${reuse} onRefused=${setFailed} />`)}
        <${Bar} chosen=${choice.chosen} onChoose=${choice.setChosen} doing=${choice.doing} />
      </section>
    </div>
    ${choice.dialog}
    ${dropped.id && html`<${Dropped} id=${dropped.id} prompt=${prompt} onVary=${vary} onPrompt=${dropped.prompted} onControl=${dropped.control} onClose=${dropped.close} />`}
  </div>`;
}

/** The settings: open beside the prompt where there is room, behind one line on a phone. */
function Panel({ form, model, children }) {
  const [wide, setWide] = useState(() => window.matchMedia(WIDE).matches);
  const [open, setOpen] = useState(false);
  useEffect(() => {
    const query = window.matchMedia(WIDE);
    const heard = () => setWide(query.matches);
    query.addEventListener("change", heard);
    return () => query.removeEventListener("change", heard);
  }, []);
  if (wide) return html`<div><h2 class="im-settings-title">${t("im.settings")}</h2>${children}</div>`;
  const size = model ? `${form.width ?? model.defaults.width} × ${form.height ?? model.defaults.height}` : "";
  return html`<details class="im-panel" open=${open} onToggle=${(event) => setOpen(event.currentTarget.open)}>
    <summary><b>${t("im.settings")}</b> <span>${[size, t("im.pictures", { n: form.n }), form.seed === null ? "" : t("im.run.seed", { seed: form.seed })].filter(Boolean).join(" · ")}</span></summary>
    ${open && children}
  </details>`;
}

/** Before there is any picture: prompts to begin with. */
function Start({ onTake }) {
  return html`<${EmptyState} icon="imagine" title=${t("im.start")} text=${t("im.start.text")}>
    ${["1", "2", "3"].map((k) => html`<${Button} key=${k} lang="en" onClick=${() => onTake(t(`im.start.${k}`))}>${t(`im.start.${k}`)}<//>`)}
  <//>`;
}
