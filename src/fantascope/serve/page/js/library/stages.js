// What a lesson is at, in words: for the lesson itself, and for the lists of jobs.

import { number, t } from "../i18n.js";
import { said } from "../say.js";
import "./lesson_words.js";

/** What a lesson is called in a list. */
export function lessonName(job) {
  return t("personal.task", job.request);
}

/** What a lesson that has not ended is at. */
export function stageOf(job) {
  const told = job.progress;
  if (job.status === "queued" || !told?.stage) return t("personal.queued");
  if (told.stage !== "learning") return t("personal.stage", { ...told, stage: said(told.stage) });
  const loss = told.loss === undefined ? "" : ` · ${t("personal.loss", { loss: number(told.loss, 4) })}`;
  return t("personal.learning", told) + loss;
}
