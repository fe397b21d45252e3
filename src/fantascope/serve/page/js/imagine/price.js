// What the settings cost, asked of the server a moment after they were changed.
import { html, useEffect, useState } from "../lib.js";
import { api } from "../api.js";
import { useMe } from "../store.js";
import { number, t } from "../i18n.js";
import { said as told } from "../say.js";
import { useBack } from "./anatomy.js";

const WAIT = 350; // ms
const STAND_IN = "a red car"; // the price does not depend on the words, and a half-typed prompt must not be judged

/**
 * Ask for the price of `fields` of a task. Returns { quote, error, busy }.
 * Prompts in the a1111 grammar can have parts that are painted apart, so there the real prompt is asked for; every other
 * prompt is replaced, because a quote judges the words and a refusal is logged.
 */
export function useQuote(task, fields, ready = true) {
  const [state, setState] = useState({ quote: null, error: null, busy: false });
  const { prompt, negative_prompt: _, said: __, ...rest } = fields;
  const asked = { ...rest, prompt: fields.grammar === "a1111" && ready && prompt.trim() ? prompt : STAND_IN };
  const body = JSON.stringify(asked);
  const back = useBack();
  useEffect(() => {
    const control = new AbortController();
    const { signal } = control;
    setState((now) => ({ ...now, busy: true }));
    const timer = setTimeout(async () => {
      try {
        const quote = await api(`/${task}/quote`, { body: JSON.parse(body), signal });
        setState({ quote, error: null, busy: false });
      } catch (error) {
        if (error.name !== "AbortError") setState({ quote: null, error, busy: false });
      }
    }, WAIT);
    return () => {
      clearTimeout(timer);
      control.abort();
    };
  }, [task, body, back]);
  return state;
}

/** The price in a line: credits, what is left, and how much work it is. */
export function Price({ state }) {
  const { quote, busy } = state;
  const me = useMe();
  const left = me?.left ?? quote?.left;
  const title = quote
    ? [told(quote.work), quote.energy_wh == null ? "" : `${number(quote.energy_wh, 4)} Wh: ${told(quote.energy_method)}`].filter(Boolean).join("\n")
    : "";
  return html`<p class=${`im-price ${busy ? "im-busy" : ""} ${quote && !quote.enough ? "im-short" : ""}`} title=${title} aria-live="polite">
    ${quote
      ? html`<b>${t("im.price", { n: quote.credits, credits: number(quote.credits) })}</b>
          <span>${quote.enough ? t("im.price.left", { left: number(left, 1) }) : t("im.price.short", { left: number(left, 1) })}</span>`
      : html`<span>${busy ? t("im.price.wait") : t("im.price.none")}</span>`}
  </p>`;
}
