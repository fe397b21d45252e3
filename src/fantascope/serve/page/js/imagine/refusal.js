// A prompt that a rule refuses: which rule, which words, and what may be written instead, each tried against the rules.
import { html, useEffect, useState } from "../lib.js";
import { Button, Icon, Said } from "../parts.js";
import { t } from "../i18n.js";
import { rewordings } from "./anatomy.js";
import { tell } from "./actions.js";

/** Show the verdict of a prompt, and rewordings that pass as buttons. `quiet` leaves the reason to the error beside it. */
export function Refusal({ prompt, verdict, onTake, quiet }) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    const control = new AbortController();
    setFound(null);
    rewordings(prompt, verdict, control.signal).then(setFound, (error) => {
      setFound([]);
      tell(error);
    });
    return () => control.abort();
  }, [prompt, verdict.rule]);
  if (quiet && !found?.length) return null;
  return html`<div class="im-refusal" role="status">
    ${!quiet &&
    html`<p class="im-refusal-why"><${Icon} name="shield" size=${18} /> <span><${Said} text=${verdict.reason} /></span></p>
      ${verdict.offer && html`<p class="im-quiet"><${Said} text=${verdict.offer} /></p>`}`}
    ${found?.length > 0 &&
    html`<div class="im-rewordings" role="group" aria-label=${t("im.refusal.instead")}>
      <span>${t("im.refusal.instead")}</span>
      ${found.map((text) => html`<${Button} key=${text} small onClick=${() => onTake(text)}>${text}<//>`)}
    </div>`}
  </div>`;
}
