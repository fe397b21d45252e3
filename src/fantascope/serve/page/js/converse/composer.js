// Where the next turn is said: a line of text that is kept, its options, and the way back.

import { api } from "../api.js";
import { t } from "../i18n.js";
import { useKeys } from "../keys.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Button, ErrorNote, Field, InEnglish, SchemaForm } from "../parts.js";
import { useStored } from "../store.js";

const OPTIONS = ["seed", "strength", "feather", "steps", "guidance", "negative_prompt", "model", "private"];
const EXAMPLES = ["converse.ex1", "converse.ex2", "converse.ex3", "converse.ex4"];

/**
 * The line at the end of a conversation.
 * @param {{root: string, id: string, given: boolean, busy: boolean, error: object|null, onSay: function,
 *   onReading: function, onUndo: function|null, onRedo: function|null}} props
 *   `onSay(instruction, fields)` returns whether it was accepted; `root` names the draft, so each talk has its own.
 */
export function Composer({ root, id, given, busy, error, onSay, onReading, onDismiss, onUndo, onRedo }) {
  const [text, setText] = useStored(`converse.draft.${root}`, "");
  const [before, setBefore] = useStored(`converse.before.${id}`, "");
  const [options, setOptions] = useStored("converse.options", {});
  const line = useRef(null);
  useEffect(() => fit(line.current), [text]);
  useEffect(() => { line.current?.focus({ preventScroll: true }); }, [id]);

  const say = async () => {
    const said = (text || "").trim();
    if (!said || busy) return;
    if (await onSay(said, { ...options, ...(given && before?.trim() ? { before: before.trim() } : {}) })) setText(null);
  };
  const read = async (reading) => { if (await onReading(reading)) setText(null); };
  const onKeyDown = (event) => {
    if (event.isComposing) return;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      say();
    }
  };
  const turned = (turn) => () => {
    const writing = document.activeElement?.matches("textarea, input") && document.activeElement.value !== "";
    if (writing || !turn) return false;
    turn();
    return true;
  };
  useKeys([
    { keys: "mod+z", label: t("converse.undo"), run: turned(onUndo), typing: true },
    { keys: "mod+shift+z", label: t("converse.redo"), run: turned(onRedo), typing: true },
  ], t("converse.title"));
  return html`<section class="cv-composer" aria-label=${t("converse.say")}>
    ${error && html`<${ErrorNote} error=${error} onReading=${read} onDismiss=${onDismiss} />`}
    ${given && html`<${Shows} id=${id} value=${before || ""} onChange=${setBefore} />`}
    <form class="cv-line" onSubmit=${(event) => { event.preventDefault(); say(); }}>
      <textarea
        ref=${line}
        rows="1"
        maxlength="4000"
        aria-label=${t("converse.say")}
        placeholder=${t("converse.sayHint")}
        value=${text || ""}
        onInput=${(event) => setText(event.target.value)}
        onKeyDown=${onKeyDown}
      />
      <${Button} kind="primary" type="submit" icon="send" busy=${busy} disabled=${!text?.trim()}>${t("converse.send")}<//>
    </form>
    <${InEnglish} text=${text || ""} order onTake=${(english) => { setText(english); line.current?.focus(); }} />
    <div class="cv-under">
      <${Button} small kind="quiet" icon="undo" onClick=${onUndo} disabled=${!onUndo}>${t("converse.undo")}<//>
      <${Button} small kind="quiet" icon="redo" onClick=${onRedo} disabled=${!onRedo}>${t("converse.redo")}<//>
      <details class="cv-options">
        <summary>${t("converse.more")}</summary>
        <${SchemaForm} task="edit" value=${options} onChange=${setOptions} only=${OPTIONS} />
      </details>
      <div class="cv-examples" role="group" aria-label=${t("converse.examples")}>
        ${EXAMPLES.map((key) => html`<button type="button" key=${key} class="chip" onClick=${() => take(t(key), setText, line.current)}>${t(key)}</button>`)}
      </div>
    </div>
  </section>`;
}

/** What a picture that was handed in shows: typed, or looked at. */
function Shows({ id, value, onChange }) {
  const [busy, work] = useState(false);
  const [error, fail] = useState(null);
  const look = async () => {
    work(true);
    fail(null);
    try {
      const found = await api(`/gallery/${id}/describe`);
      onChange(found.readings[0]?.prompt ?? "");
    } catch (problem) {
      fail(problem);
    }
    work(false);
  };
  return html`<div class="cv-shows">
    <${Field} label=${t("converse.shows")} help=${t("converse.showsHelp")}>
      <input type="text" maxlength="4000" value=${value} onInput=${(event) => onChange(event.target.value)} />
    <//>
    <${Button} small icon="eye" busy=${busy} onClick=${look}>${t("converse.look")}<//>
    <${ErrorNote} error=${error} />
  </div>`;
}

/** Put an example in the line, with its first gap chosen, so that typing fills it. */
function take(example, setText, line) {
  setText(example);
  line.value = example;
  line.focus();
  const gap = example.indexOf("…");
  if (gap >= 0) line.setSelectionRange(gap, gap + 1);
}

function fit(line) {
  if (!line) return;
  line.style.height = "auto";
  line.style.height = `${Math.min(160, line.scrollHeight + 2)}px`;
}
