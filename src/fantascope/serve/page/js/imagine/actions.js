// What can be done with a picture, the same on every page of it: each with its key, its words and its icon.
import { api, fileUrl } from "../api.js";
import { go } from "../app.js";
import { ask, copyText, toast } from "../parts.js";
import { t } from "../i18n.js";
import { start, startAgain, without } from "./runs.js";

/** The actions, in the order in which they are shown. `key` is the letter; `shift` says that it is a capital. */
export const ACTIONS = [
  { name: "open", key: "Enter", icon: "eye" },
  { name: "subtle", key: "v", icon: "vary", quick: true },
  { name: "strong", key: "V", icon: "dice" },
  { name: "upscale", key: "u", icon: "upscale", quick: true },
  { name: "edit", key: "e", icon: "edit" },
  { name: "canvas", key: "c", icon: "canvas" },
  { name: "compare", key: "x", icon: "compare" },
  { name: "again", key: "a", icon: "retry" },
  { name: "download", key: "d", icon: "download", quick: true },
  { name: "link", key: "l", icon: "link" },
  { name: "delete", key: "Delete", icon: "trash", danger: true },
];

/** The words of an action, with its key. */
export function hint(action) {
  const key = action.key.length > 1 ? action.key : action.key === action.key.toUpperCase() ? `Shift+${action.key}` : action.key.toUpperCase();
  return `${t(`im.do.${action.name}`)} (${key})`;
}

/** Return the action that a key means, or undefined: never with Ctrl, Alt or the command key. */
export function meant(event) {
  if (event.ctrlKey || event.altKey || event.metaKey) return undefined;
  if (event.key === "Backspace") return ACTIONS.find((one) => one.name === "delete");
  return ACTIONS.find((one) => one.key === event.key);
}

/** What a refusal of an action says, in passing: the server's words and its hint. */
export function tell(error) {
  if (error.name === "AbortError") return;
  toast([error.message, error.hint].filter(Boolean).join(" "), { kind: "bad" });
}

/**
 * Do something with a picture. `more`: n (how many variations), prompt (for the history), like (what it was made with,
 * as `madeWith` says), compare and gone (functions).
 * Returns what came of it: the job of what is painted, true, or null where it was refused or called off.
 */
export async function act(name, id, more = {}) {
  try {
    const work = DOING[name];
    return work ? await work(id, more) : null;
  } catch (error) {
    tell(error);
    return null;
  }
}

/** The model and the adapters of a request, for what is painted on from its picture; a map was made by none. */
export function madeWith(request, model = request?.model) {
  const like = model && model !== "annotators" ? { model } : {};
  return request?.adapters?.length && like.model ? { ...like, adapters: request.adapters } : like;
}

const DOING = {
  open: (id) => void go(`/picture/${id}`),
  edit: (id) => void go(`/converse/${id}`),
  canvas: (id) => void go(`/canvas/${id}`),
  compare: (id, { compare }) => void compare?.(id),
  subtle: (id, more) => painted("vary", { ...more.like, picture: id, amount: "subtle" }, id, more),
  strong: (id, more) => painted("vary", { ...more.like, picture: id, amount: "strong" }, id, more),
  upscale: (id, more) => painted("upscale", { picture: id, factor: 2 }, id, { ...more, n: 1 }),
  again: async (id, { prompt }) => begun(await startAgain(id, prompt)),
  download: (id) => download(fileUrl(id), id.slice(7, 23)),
  link: async (id) => copyText((await api(`/gallery/${id}/link?seconds=86400`)).url),
  delete: (id, { gone }) => remove(id, gone),
};

async function painted(task, fields, id, { n, prompt }) {
  return begun(await start(task, { ...fields, ...(n > 1 ? { n } : {}), preview: true }, { of: id, prompt }));
}

function begun(job) {
  toast(t("im.begun", { task: t(`im.task.${job.task}`) }), { ms: 2500 });
  return job;
}

/** Save what is at an address of this server under a name; the server says of what kind it is. */
export function download(url, name) {
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  return true;
}

/** Save a text as a file. */
export function saveText(text, name) {
  const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  download(url, name);
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

async function remove(id, gone) {
  const words = { title: t("im.delete.title"), text: t("im.delete.text"), yes: t("im.do.delete"), danger: true };
  if (!(await ask(words))) return null;
  try {
    await api(`/gallery/${id}`, { method: "DELETE" });
  } catch (error) {
    if (error.code !== "conflict") throw error;
    const harder = { ...words, text: `${error.message} ${t("im.delete.force")}`, yes: t("im.delete.yes") };
    if (!(await ask(harder))) return null;
    await api(`/gallery/${id}?force=true`, { method: "DELETE" });
  }
  without(id);
  toast(t("im.deleted"), { kind: "good", ms: 2500 });
  gone?.(id);
  return true;
}
