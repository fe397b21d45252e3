// Offers a Spanish prompt in English, the language that models were taught.
import { html, useEffect, useState } from "../lib.js";
import { addWords, lang, t } from "../i18n.js";
import { dictionary, inEnglish } from "../english.js";

addWords({
  en: { "english.offer": "The model reads English. In English:", "english.write": "Write it in English: {text}" },
  es: { "english.offer": "El modelo lee inglés. En inglés:", "english.write": "Escribirlo en inglés: {text}" },
});

/**
 * A line with the text in English and a click that takes it; `children` where the page is English, or the text is. `order`
 * says that it is an instruction.
 */
export function InEnglish({ text, order = false, onTake, children }) {
  const [book, open] = useState(null);
  const needed = lang() === "es" && text.trim() !== "";
  useEffect(() => {
    let here = true;
    if (needed && !book) dictionary().then((found) => here && open(found), () => {});
    return () => { here = false; };
  }, [needed]);
  const english = needed && book ? inEnglish(text, book, order) : null;
  return html`<div class="in-english" aria-live="polite">${english && html`<span>${t("english.offer")}</span>
    <button type="button" class="im-near" lang="en" aria-label=${t("english.write", { text: english })} onClick=${() => onTake(english)}>${english}</button>`}</div>
    ${!english && children}`;
}
