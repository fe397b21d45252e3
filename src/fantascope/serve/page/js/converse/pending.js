// A turn that is not there yet: what was said, how far it is, and what went wrong with it.

import { t } from "../i18n.js";
import { html } from "../lib.js";
import { Button, ErrorNote, Progress } from "../parts.js";
import { jobs } from "../store.js";

/**
 * Show a job that the conversation waits for.
 * @param {{job: object, onReading: function, onRepeat: function}} props  a row of `useTracked`
 */
export function Pending({ job, onReading, onRepeat }) {
  const { said } = job.meta;
  const open = job.status === "queued" || job.status === "running";
  const { step, steps } = job.progress || {};
  const words = job.status === "queued"
    ? t("converse.waiting")
    : steps ? t("converse.painting", { step, steps }) : t("converse.starting");
  return html`<article class="cv-turn is-pending" aria-label=${said}>
    <h2 class="cv-said">${said}</h2>
    ${open &&
    html`<div class="cv-wait">
      <${Progress} label=${said} value=${steps ? step / steps : null} preview=${job.preview}>${words}<//>
      <${Button} small icon="stop" onClick=${() => jobs.cancel(job.id)}>${t("converse.cancel")}<//>
    </div>`}
    ${job.status === "failed" &&
    html`<${ErrorNote}
      error=${job.error || { message: job.status }}
      onReading=${(reading) => onReading(reading, job)}
      onRetry=${() => onRepeat(job)}
      onDismiss=${() => jobs.dismiss(job.id)}
    />`}
    ${job.status === "cancelled" &&
    html`<p class="cv-over" role="status">${t("converse.cancelled")}</p>
      <div class="cv-actions">
        <${Button} small icon="retry" onClick=${() => onRepeat(job)}>${t("converse.repeat")}<//>
        <${Button} small kind="quiet" onClick=${() => jobs.dismiss(job.id)}>${t("converse.dismiss")}<//>
      </div>`}
  </article>`;
}
