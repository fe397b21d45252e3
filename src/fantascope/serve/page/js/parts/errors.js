// An error as the server says it, in the language of the page, with what can be done about it.
import { html, useState } from "../lib.js";
import { addWords, number, t } from "../i18n.js";
import { api } from "../api.js";
import { called, say } from "../say.js";
import { Button, Field } from "./basic.js";
import { Icon } from "./icons.js";

addWords({
  en: {
    "error.meant": "Did you mean", "error.appeal": "Appeal", "error.why": "Why this should be allowed", "error.send": "Send the appeal",
    "error.sent": "The appeal was sent. The operator decides on it.", "error.rule": "Rule {rule}: score {score}, refused from {threshold}",
    "error.words": "Words: {words}", "error.final": "This rule is final: no appeal can allow it.", "error.near": "At character {at}, near “{near}”.",
    "error.again": "Try again", "error.dismiss": "Dismiss this message", "error.field": "Field: {param}",
  },
  es: {
    "error.meant": "Quizá quiso decir:", "error.appeal": "Apelar", "error.why": "Por qué debería permitirse", "error.send": "Enviar la apelación",
    "error.sent": "La apelación se ha enviado. El operador decidirá.", "error.rule": "Regla {rule}: puntuación {score}, se rechaza desde {threshold}",
    "error.words": "Palabras: {words}", "error.final": "Esta regla es final: ninguna apelación puede permitirlo.", "error.near": "En el carácter {at}, cerca de «{near}».",
    "error.again": "Intentar de nuevo", "error.dismiss": "Descartar este mensaje", "error.field": "Campo: {param}",
  },
});

const APPEAL = /fantascope policy appeal (\w+)/;

/**
 * Show an error: message, hint, the readings as buttons (`onReading(reading, k)`), and an appeal where a rule refused.
 * `error` is an ApiError, or the `error` of a job. onRetry and onDismiss put buttons there.
 */
export function ErrorNote({ error, onReading, onRetry, onDismiss }) {
  if (!error) return null;
  const readings = error.readings || [];
  const told = error.english ? say(error.english.message) : { text: error.message || String(error), known: true };
  const hint = error.english ? say(error.english.hint) : { text: error.hint };
  const sort = !told.known && told.lang && called("codes", error.code);
  return html`<div class="error-note" role="alert">
    <${Icon} name="warning" />
    <div class="error-body">
      ${sort && html`<p class="error-message">${sort}</p>`}
      <p class=${sort ? "error-hint" : "error-message"} lang=${told.lang}>${told.text}</p>
      ${hint.text && html`<p class="error-hint" lang=${hint.lang}>${hint.text}</p>`}
      ${error.at !== null && error.at !== undefined && error.near && html`<p class="error-hint">${t("error.near", error)}</p>`}
      ${readings.length > 0 && html`<div class="readings" role="group" aria-label=${t("error.meant")}>
        <span>${t("error.meant")}</span>
        ${readings.map((one, k) => html`<${Button} key=${k} small onClick=${() => onReading?.(one, k)} disabled=${!onReading}><${Said} text=${one.said} /><//>`)}
      </div>`}
      ${error.verdict && html`<${Appeal} verdict=${error.verdict} id=${APPEAL.exec((error.english ?? error).hint)?.[1]} />`}
      ${(onRetry || onDismiss) && html`<div class="actions">
        ${onRetry && html`<${Button} small icon="retry" onClick=${onRetry}>${t("error.again")}<//>`}
        ${onDismiss && html`<${Button} small kind="quiet" onClick=${onDismiss}>${t("error.dismiss")}<//>`}</div>`}
    </div>
  </div>`;
}

/** A sentence of the server, in the language of the page; where it is not known there, English that says so. */
export function Said({ text }) {
  const { text: words, lang } = say(text);
  return lang ? html`<span lang=${lang}>${words}</span>` : words;
}

/** Which rule refused, and an appeal where the server takes one: its advice says under which id. */
function Appeal({ verdict, id }) {
  const [open, show] = useState(false);
  const [why, say] = useState("");
  const [state, turn] = useState({});
  const send = async (event) => {
    event.preventDefault();
    turn({ busy: true });
    try {
      await api(`/refusals/${id}/appeal`, { body: { why } });
      turn({ sent: true });
    } catch (error) {
      turn({ error });
    }
  };
  return html`<div class="verdict">
    <p class="error-hint">${t("error.rule", { rule: verdict.rule, score: number(verdict.score), threshold: number(verdict.threshold) })}
      ${verdict.words?.length > 0 && html`<br />${t("error.words", { words: verdict.words.join(", ") })}`}</p>
    ${!id ? html`<p class="error-hint">${t("error.final")}</p>` : state.sent ? html`<p role="status">${t("error.sent")}</p>`
      : open ? html`<form onSubmit=${send}>
        <${Field} label=${t("error.why")} error=${state.error?.message}><textarea rows="3" required maxlength="4000" value=${why} onInput=${(event) => say(event.target.value)} /><//>
        <${Button} type="submit" kind="primary" small busy=${state.busy} disabled=${!why.trim()}>${t("error.send")}<//></form>`
      : html`<${Button} small onClick=${() => show(true)}>${t("error.appeal")}<//>`}
  </div>`;
}
