// A picture that was dropped on the page: vary from it, describe it into the prompt, or steer by it.
import { html, useEffect, useState } from "../lib.js";
import { api } from "../api.js";
import { Button, Dialog, ErrorNote, Picture, Slider, Switch } from "../parts.js";
import { number, t } from "../i18n.js";

/** The dialog. `prompt` is what stands in the box; onVary(fields), onPrompt(text), onControl() do what is chosen. */
export function Dropped({ id, prompt, onVary, onPrompt, onControl, onClose }) {
  const [strength, setStrength] = useState(0.55);
  const [worded, setWorded] = useState(Boolean(prompt.trim()));
  const [seen, setSeen] = useState({ busy: true });
  useEffect(() => {
    const control = new AbortController();
    api(`/gallery/${id}/describe`, { signal: control.signal }).then(
      (found) => setSeen({ found }),
      (error) => error.name !== "AbortError" && setSeen({ error }),
    );
    return () => control.abort();
  }, [id]);
  const vary = () => onVary({ picture: id, strength, ...(worded && prompt.trim() ? { prompt } : {}) });
  return html`<${Dialog} open wide title=${t("im.dropped")} onClose=${onClose}>
    <div class="im-dropped">
      <${Picture} id=${id} side=${320} alt=${t("im.dropped")} />
      <div class="im-dropped-ways">
        <section>
          <h3>${t("im.dropped.vary")}</h3>
          <${Slider} label=${t("im.dropped.strength")} help=${t("im.dropped.strength.help")} value=${strength} min=${0} max=${1} step=${0.05} onChange=${setStrength} />
          ${prompt.trim() && html`<${Switch} label=${t("im.dropped.worded")} help=${prompt} value=${worded} onChange=${setWorded} />`}
          <${Button} kind="primary" icon="vary" autofocus onClick=${vary}>${t("im.dropped.vary.do")}<//>
        </section>
        <section>
          <h3>${t("im.dropped.describe")}</h3>
          ${seen.busy && html`<p class="im-quiet" role="status">${t("im.dropped.looking")}</p>`}
          ${seen.error && html`<${ErrorNote} error=${seen.error} />`}
          ${seen.found && html`<div class="im-readings">
            ${seen.found.readings.map((one) => html`<button type="button" key=${one.prompt} class="im-reading" title=${t("im.dropped.sure", { share: number(one.score * 100, 0) })} onClick=${() => onPrompt(one.prompt)}>${one.prompt}</button>`)}
          </div><p class="help">${t("im.dropped.detector")}</p>`}
        </section>
        <section>
          <h3>${t("im.dropped.control")}</h3>
          <p class="im-quiet">${t("im.dropped.control.help")}</p>
          <${Button} icon="pose" onClick=${onControl}>${t("im.dropped.control.do")}<//>
        </section>
      </div>
    </div>
  <//>`;
}
