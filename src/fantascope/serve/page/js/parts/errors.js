// An error, word for word as the server says it, with what can be done about it.
import { html, useState } from "../lib.js";
import { addWords, t } from "../i18n.js";
import { api } from "../api.js";
import { Button, Field } from "./basic.js";
import { Icon } from "./icons.js";

addWords({
  en: {
    "error.meant": "Did you mean", "error.appeal": "Appeal", "error.why": "Why this should be allowed", "error.send": "Send the appeal",
    "error.sent": "The appeal was sent. The operator decides on it.", "error.rule": "Rule {rule}, score {score} of {threshold}",
    "error.words": "Words: {words}", "error.none": "This refusal is not in the log, so it cannot be appealed against.", "error.near": "At character {at}, near “{near}”.",
    "error.again": "Try again", "error.dismiss": "Dismiss this message", "error.field": "Field: {param}",
  },
  es: {
    "error.meant": "¿Quiso decir", "error.appeal": "Apelar", "error.why": "Por qué debería permitirse", "error.send": "Enviar la apelación",
    "error.sent": "La apelación se ha enviado. El operador decidirá.", "error.rule": "Regla {rule}, puntuación {score} de {threshold}",
    "error.words": "Palabras: {words}", "error.none": "Este rechazo no está en el registro, así que no se puede apelar.", "error.near": "En el carácter {at}, cerca de «{near}».",
    "error.again": "Intentar de nuevo", "error.dismiss": "Descartar este mensaje", "error.field": "Campo: {param}",
  },
});

/**
 * Show an error: message, hint, the readings as buttons (`onReading(reading, k)`), and an appeal where a rule refused.
 * `error` is an ApiError, or the `error` of a job. onRetry and onDismiss put buttons there.
 */
export function ErrorNote({ error, onReading, onRetry, onDismiss }) {
  if (!error) return null;
  const readings = error.readings || [];
  return html`<div class="error-note" role="alert">
    <${Icon} name="warning" />
    <div class="error-body">
      <p class="error-message">${error.message || String(error)}</p>
      ${error.hint && html`<p class="error-hint">${error.hint}</p>`}
      ${error.at !== null && error.at !== undefined && error.near && html`<p class="error-hint">${t("error.near", error)}</p>`}
      ${readings.length > 0 && html`<div class="readings" role="group" aria-label=${t("error.meant")}>
        <span>${t("error.meant")}</span>
        ${readings.map((one, k) => html`<${Button} key=${k} small onClick=${() => onReading?.(one, k)} disabled=${!onReading}>${one.said}<//>`)}
      </div>`}
      ${error.verdict && html`<${Appeal} verdict=${error.verdict} />`}
      ${(onRetry || onDismiss) && html`<div class="actions">
        ${onRetry && html`<${Button} small icon="retry" onClick=${onRetry}>${t("error.again")}<//>`}
        ${onDismiss && html`<${Button} small kind="quiet" onClick=${onDismiss}>${t("error.dismiss")}<//>`}</div>`}
    </div>
  </div>`;
}

function Appeal({ verdict }) {
  const [open, show] = useState(false);
  const [why, say] = useState("");
  const [state, turn] = useState({});
  const send = async (event) => {
    event.preventDefault();
    turn({ busy: true });
    try {
      const logged = (await api("/refusals")).data.filter((one) => one.rule === verdict.rule && !one.appeal);
      const same = logged.filter((one) => one.subject === verdict.subject);
      const meant = (same.length ? same : logged).sort((a, b) => b.at.localeCompare(a.at))[0];
      if (!meant) throw new Error(t("error.none"));
      await api(`/refusals/${meant.id}/appeal`, { body: { why } });
      turn({ sent: true });
    } catch (error) {
      turn({ error });
    }
  };
  return html`<div class="verdict">
    <p class="error-hint">${t("error.rule", { rule: verdict.rule, score: verdict.score, threshold: verdict.threshold })}
      ${verdict.words?.length > 0 && html`<br />${t("error.words", { words: verdict.words.join(", ") })}`}</p>
    ${state.sent ? html`<p role="status">${t("error.sent")}</p>`
      : open ? html`<form onSubmit=${send}>
        <${Field} label=${t("error.why")} error=${state.error?.message}><textarea rows="3" required maxlength="4000" value=${why} onInput=${(event) => say(event.target.value)} /><//>
        <${Button} type="submit" kind="primary" small busy=${state.busy} disabled=${!why.trim()}>${t("error.send")}<//></form>`
      : html`<${Button} small onClick=${() => show(true)}>${t("error.appeal")}<//>`}
  </div>`;
}
