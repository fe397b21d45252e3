// A receipt as a card: what ran, whose weights, from what, for how much, and what the rules said.
import { html, useEffect, useState } from "../lib.js";
import { addWords, moment, number, t } from "../i18n.js";
import { api } from "../api.js";
import { called, said } from "../say.js";
import { Button, copyText } from "./basic.js";
import { ErrorNote } from "./errors.js";
import { Picture } from "./pictures.js";

addWords({
  en: {
    "receipt.title": "Receipt", "receipt.prompt": "Prompt", "receipt.model": "Model", "receipt.task": "Task", "receipt.seed": "Seed", "receipt.size": "Size",
    "receipt.sampler": "Sampler", "receipt.steps": "Steps", "receipt.guidance": "Guidance", "receipt.ran": "Ran on", "receipt.replay": "Replay", "receipt.weights": "Weights and licences",
    "receipt.parents": "Made from", "receipt.cost": "Cost", "receipt.cost.of": "{credits} credit in {seconds} s|{credits} credits in {seconds} s", "receipt.power": "Energy", "receipt.energy": "{wh} Wh (estimate)", "receipt.policy": "Rules",
    "receipt.passed": "{n} rule asked, it allowed|{n} rules asked, all allowed", "receipt.kept": "Left alone", "receipt.kept.of": "{share} % of the pixels are those of the original, proven by their hashes",
    "receipt.attribution": "Credits", "receipt.created": "Made", "receipt.version": "Fantascope", "receipt.id": "Id", "receipt.private": "The file does not carry the prompt and the settings.",
    "receipt.composite": "It holds pixels that were handed in.", "receipt.credential": "Files are kept signed, with this receipt inside and an invisible mark. Dropping one on the library checks it.", "receipt.copy": "Copy as JSON",
    "receipt.wait": "Reading the receipt …", "receipt.bit-exact": "bit for bit, whatever the batch", "receipt.batch-exact": "bit for bit in the same batch", "receipt.close": "within a few steps of 255", "receipt.negative": "Not to show", "receipt.instruction": "Instruction",
  },
  es: {
    "receipt.title": "Recibo", "receipt.prompt": "Prompt", "receipt.model": "Modelo", "receipt.task": "Tarea", "receipt.seed": "Semilla", "receipt.size": "Tamaño",
    "receipt.sampler": "Muestreador", "receipt.steps": "Pasos", "receipt.guidance": "Guía", "receipt.ran": "Ejecutado en", "receipt.replay": "Repetición", "receipt.weights": "Pesos y licencias",
    "receipt.parents": "Hecho de", "receipt.cost": "Coste", "receipt.cost.of": "{credits} crédito en {seconds} s|{credits} créditos en {seconds} s", "receipt.power": "Energía", "receipt.energy": "{wh} Wh (estimación)", "receipt.policy": "Reglas",
    "receipt.passed": "{n} regla consultada, lo permitió|{n} reglas consultadas, todas lo permitieron", "receipt.kept": "Sin tocar", "receipt.kept.of": "El {share} % de los píxeles son los del original, probado por sus hashes",
    "receipt.attribution": "Créditos", "receipt.created": "Hecho", "receipt.version": "Fantascope", "receipt.id": "Id", "receipt.private": "El archivo no lleva el prompt ni los ajustes.",
    "receipt.composite": "Contiene píxeles que fueron entregados.", "receipt.credential": "Los archivos se guardan firmados, con este recibo dentro y una marca invisible. Al soltar uno en la biblioteca se comprueba.", "receipt.copy": "Copiar como JSON",
    "receipt.wait": "Leyendo el recibo …", "receipt.bit-exact": "bit a bit, sea cual sea el lote", "receipt.batch-exact": "bit a bit en el mismo lote", "receipt.close": "a pocos pasos de 255", "receipt.negative": "Lo que no debe mostrar", "receipt.instruction": "Instrucción",
  },
});

/** The receipt of a picture: `receipt` itself, or the `id` of the picture to ask for it. onOpen(id) opens a parent. */
export function ReceiptCard({ receipt, id, onOpen }) {
  const [found, show] = useState(receipt || null);
  const [failed, fail] = useState(null);
  useEffect(() => {
    let here = true;
    show(receipt || null);
    fail(null);
    if (!receipt && id) api(`/gallery/${id}/receipt`).then((one) => here && show(one), (error) => here && fail(error));
    return () => { here = false; };
  }, [id, receipt]);
  if (failed) return html`<${ErrorNote} error=${failed} />`;
  if (!found) return html`<p class="help" role="status">${t("receipt.wait")}</p>`;
  const { request, ran, spec, cost, verdicts = [] } = found;
  const told = [
    ["receipt.prompt", request.prompt], ["receipt.instruction", request.instruction], ["receipt.negative", request.negative_prompt], ["receipt.task", called("tasks", request.task) ?? request.task],
    ["receipt.model", [spec.title || spec.name || request.model, spec.licence?.id || spec.licence?.name].filter(Boolean).join(" · ")],
    ["receipt.size", request.width && `${request.width} × ${request.height}`], ["receipt.seed", request.seed], ["receipt.sampler", request.sampler],
    ["receipt.steps", request.steps], ["receipt.guidance", request.guidance], ["receipt.ran", `${ran.engine}, ${ran.device}, ${ran.precision}`],
    ["receipt.replay", t(`receipt.${ran.exactness}`)],
    ["receipt.cost", t("receipt.cost.of", { n: cost.credits, credits: number(cost.credits), seconds: number(cost.seconds) })],
    ["receipt.power", cost.energy_wh !== undefined && cost.energy_wh !== null ? t("receipt.energy", { wh: number(cost.energy_wh, 4) }) : null], ["receipt.policy", verdicts.length ? t("receipt.passed", { n: verdicts.length }) : null],
    ["receipt.kept", found.kept && t("receipt.kept.of", { share: number(100 * (1 - found.kept.touched), 1) })],
    ["receipt.created", found.created && moment(found.created)],
    ["receipt.version", found.fantascope], ["receipt.id", found.id],
  ].filter(([, value]) => value !== null && value !== undefined && value !== "");
  return html`<section class="receipt card" aria-label=${t("receipt.title")}>
    <dl>${told.map(([key, value]) => html`<div key=${key}><dt>${t(key)}</dt><dd title=${key === "receipt.power" ? said(cost.energy_method) : undefined}>${String(value)}</dd></div>`)}</dl>
    ${ran.weights?.length > 0 && html`<h3>${t("receipt.weights")}</h3><ul class="plain">${ran.weights.map((one) => html`<li key=${one.part}>
      <span>${one.part}</span> <span class="muted">${one.licence}</span> <code title=${one.sha256}>${one.sha256.slice(0, 12)}</code></li>`)}</ul>`}
    ${found.parents?.length > 0 && html`<h3>${t("receipt.parents")}</h3><div class="row">${found.parents.map((one) => html`
      <${Picture} key=${one} id=${one} side=${72} alt=${one.slice(0, 15)} onClick=${onOpen && (() => onOpen(one))} />`)}</div>`}
    ${found.attribution?.length > 0 && html`<details class="im-fold"><summary>${t("receipt.attribution")}</summary><ul class="plain">${found.attribution.map((one) => html`<li key=${one}>${one}</li>`)}</ul></details>`}
    ${found.private && html`<p class="help">${t("receipt.private")}</p>`}
    ${found.composite && html`<p class="help">${t("receipt.composite")}</p>`}
    <p class="help">${t("receipt.credential")}</p>
    <${Button} small icon="copy" onClick=${() => copyText(JSON.stringify(found, null, 2))}>${t("receipt.copy")}<//>
  </section>`;
}
