// The prompt box: what is typed, its parts coloured behind it, and below it what was found, what is missing and not known.
import { html, useEffect, useLayoutEffect, useRef } from "../lib.js";
import { t } from "../i18n.js";
import { Said } from "../parts.js";
import { PARTS, find, places, segments } from "./anatomy.js";

const MOST_HIGH = 0.38; // of the window; a longer prompt scrolls

/** Put a text into a textarea as if it had been typed, so that the browser's own undo takes it back. */
export function type(box, text) {
  if (!box || box.value === text) return;
  box.focus();
  box.setSelectionRange(0, box.value.length);
  if (!document.execCommand("insertText", false, text) || box.value !== text) {
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

/** The box. `box` is a ref of the textarea; `refused` are the words that a rule refuses. */
export function PromptBox({ box, value, told, refused, onInput, label, id, placeholder }) {
  const back = useRef(null);
  const high = () => {
    const one = box.current;
    if (!one) return;
    one.style.height = "auto";
    const most = Math.round(window.innerHeight * MOST_HIGH);
    one.style.height = `${Math.min(one.scrollHeight, most)}px`;
    one.style.overflowY = one.scrollHeight > most ? "scroll" : "hidden";
    back.current.style.overflowY = one.style.overflowY;
    slide();
  };
  const slide = () => {
    if (!box.current || !back.current) return;
    back.current.scrollTop = box.current.scrollTop;
    back.current.scrollLeft = box.current.scrollLeft;
  };
  useLayoutEffect(high, [value]);
  useLayoutEffect(slide);
  useEffect(() => {
    let wide = 0;
    const watch = new ResizeObserver(([entry]) => {
      if (Math.round(entry.contentRect.width) !== wide) {
        wide = Math.round(entry.contentRect.width);
        high();
      }
    });
    watch.observe(box.current);
    return () => watch.disconnect();
  }, []);
  return html`<div class="im-prompt">
    <div class="im-back" ref=${back} aria-hidden="true">
      ${segments(value, told, refused).map((run) => html`<${Run} key=${run.start} run=${run} />`)}${"\u200b"}
    </div>
    <textarea
      ref=${box}
      id=${id}
      class="im-text"
      rows="2"
      spellcheck="true"
      autocapitalize="sentences"
      aria-label=${label}
      aria-describedby="im-notes im-legend-said"
      aria-invalid=${refused?.length ? "true" : undefined}
      aria-keyshortcuts="Control+Enter Control+E"
      data-first="true"
      placeholder=${placeholder}
      value=${value}
      onInput=${(event) => onInput(event.currentTarget.value)}
      onScroll=${slide}
    ></textarea>
  </div>`;
}

function Run({ run }) {
  const kinds = [
    run.part && `im-part im-part-${run.part}`,
    run.strange && `im-strange im-strange-${run.strange}`,
    run.refused && "im-refused",
  ].filter(Boolean);
  return kinds.length ? html`<mark class=${kinds.join(" ")}>${run.text}</mark>` : run.text;
}

/** The nine parts: what was found of each, and what is missing. A part that was found selects its words. */
export function Legend({ value, told, box }) {
  const current = told && told.prompt === value ? told : null;
  const at = current ? places(value) : [];
  const pieces = (part) => (current ? current.pieces.filter((one) => one.part === part) : []);
  const missing = told?.missing ?? PARTS;
  const pick = (part) => {
    const one = pieces(part)[0];
    box.current?.focus();
    if (one) box.current?.setSelectionRange(at[one.start], at[one.end]);
    else box.current?.setSelectionRange(value.length, value.length);
  };
  const found = PARTS.filter((part) => !missing.includes(part));
  return html`<div class="im-legend" role="group" aria-label=${t("im.parts")}>
    ${PARTS.map((part) => {
      const has = !missing.includes(part);
      const words = pieces(part).map((one) => one.text).join(" · ");
      const said = has ? words || t("im.part.in_subject") : t("im.part.missing");
      return html`<button
        type="button"
        key=${part}
        class=${`im-chip im-part-${part} ${has ? "im-has" : "im-lacks"}`}
        title=${`${t(`im.part.${part}`)}: ${said}. ${t(`im.part.${part}.help`)}`}
        aria-label=${`${t(`im.part.${part}`)}: ${said}`}
        onClick=${() => pick(part)}
      >
        <span class="im-dot" aria-hidden="true"></span>${t(`im.part.${part}`)}
      </button>`;
    })}
    <span class="unseen" id="im-legend-said">
      ${value.trim() ? t("im.parts.said", { found: found.length, of: PARTS.length }) : ""}
    </span>
  </div>`;
}

/** What is read as other words, what is not known, what is wrong with the form: a line each, one click to mend. */
export function Notes({ value, told, failed, onChange }) {
  const current = told && told.prompt === value ? told : null;
  const put = (start, end, text) => {
    const at = places(value);
    onChange(value.slice(0, at[start]) + text + value.slice(at[end]));
  };
  const untaught = (current?.untaught ?? []).filter((word) => find(value, [word]).length);
  return html`<ul class="im-notes" id="im-notes" aria-live="polite">
    ${failed && failed.code !== "offline" && html`<li class="im-note im-note-problem">${failed.message}</li>`}
    ${(current?.problems ?? []).map((one) => html`<li key=${one} class="im-note im-note-problem"><${Said} text=${one} /></li>`)}
    ${(current?.changes ?? []).map(
      (one) => html`<li key=${`c${one.start}`} class="im-note">
        <span class="im-said im-strange-read">${one.said}</span> ${t("im.note.read")} <b>${one.read}</b>
      </li>`,
    )}
    ${(current?.unknown ?? []).map(
      (one) => html`<li key=${`u${one.start}`} class="im-note">
        <span class="im-said im-strange-unknown">${one.words}</span> ${t("im.note.unknown")}
        ${one.nearest.map(
          (near) => html`<button
            type="button"
            key=${near}
            class="im-near"
            aria-label=${t("im.note.write", { near, words: one.words })}
            onClick=${() => put(one.start, one.end, near)}
          >
            ${near}
          </button>`,
        )}
      </li>`,
    )}
    ${untaught.length > 0 &&
    html`<li class="im-note"><span>
      ${untaught.map((word, k) => html`${k > 0 ? ", " : ""}<span class="im-said im-strange-untaught" key=${word}>${word}</span>`)}
      ${" "}${t("im.note.untaught", { n: untaught.length })}</span>
    </li>`}
  </ul>`;
}
