// Search by look: a picture is dropped, chosen or named, and those that look like it come, the nearest first.

import { go } from "../app.js";
import { api } from "../api.js";
import { addWords, number, t } from "../i18n.js";
import { html, useEffect, useState } from "../lib.js";
import { Button, dropFiles, FilePreview, Icon, pickFiles, Picture } from "../parts.js";
import { query } from "./find.js";

addWords({
  en: {
    "library.byPicture": "Search by picture",
    "library.dropLook": "Drop a picture here to find what looks like it",
    "library.like": "More like this",
    "library.alike": "What looks like this",
    "library.alikeFile": "What looks like {name}",
    "library.alikeGrid": "Pictures that look like it, nearest first",
    "library.alikeHelp": "0 is the same picture, up to about 0.1 mostly the same thing, from about 0.3 on something else. Drawings are told apart better than photos.",
    "library.distance": "distance {n}",
    "library.unseen": "Looking at {n} more picture …|Looking at {n} more pictures …",
    "library.alikeNone": "No other picture of yours fits.",
    "library.alikeCount": "The nearest one.|The nearest {n}.",
    "library.alikeClose": "Show all pictures",
    "library.alikeCheck": "Check what the file says of itself",
  },
  es: {
    "library.byPicture": "Buscar por imagen",
    "library.dropLook": "Suelte aquí una imagen para encontrar lo que se le parece",
    "library.like": "Más como esta",
    "library.alike": "Lo que se parece a esta",
    "library.alikeFile": "Lo que se parece a {name}",
    "library.alikeGrid": "Imágenes que se le parecen, las más cercanas primero",
    "library.alikeHelp": "0 es la misma imagen; hasta 0,1 más o menos, casi siempre lo mismo; desde 0,3 más o menos, otra cosa. Distingue mejor los dibujos que las fotos.",
    "library.distance": "distancia {n}",
    "library.unseen": "Mirando {n} imagen más …|Mirando {n} imágenes más …",
    "library.alikeNone": "Ninguna otra imagen suya coincide.",
    "library.alikeCount": "La más cercana.|Las {n} más cercanas.",
    "library.alikeClose": "Mostrar todas las imágenes",
    "library.alikeCheck": "Comprobar qué dice el archivo de sí mismo",
  },
});

const MOST = 60;

/** The address of the pictures that look like one. */
export function likeIt(id) { go(`library?like=${encodeURIComponent(id)}`); }

/**
 * Return what looks like a picture: { entries, unseen, state, error }, each entry with its distance. `like` is { id } or
 * { file }, or null for nothing. What the server has not looked at yet comes as it is looked at.
 */
export function useAlike(like, filters) {
  const [found, show] = useState({ entries: [], unseen: 0, state: "end", error: null });
  useEffect(() => {
    if (!like) return undefined;
    const stop = new AbortController();
    const read = async () => {
      show({ entries: [], unseen: 0, state: "loading", error: null });
      for (let before = Infinity; ;) {
        const told = query(filters);
        told.set("limit", MOST);
        if (like.id) told.set("like", like.id);
        const body = like.file ? new Blob([like.file], { type: like.file.type }) : undefined;
        const { data, unseen } = await api(`/gallery/search?${told}`, { body, signal: stop.signal });
        const more = unseen > 0 && unseen < before;
        show({ entries: data, unseen, state: more ? "loading" : "end", error: null });
        if (!more) return;
        before = unseen;
      }
    };
    const later = setTimeout(() => read().catch((error) => error.name !== "AbortError" && show((old) => ({ ...old, state: "end", error }))), 0);
    return () => { clearTimeout(later); stop.abort(); };
  }, [like?.id, like?.file, JSON.stringify(filters)]);
  const drop = (ids) => show((old) => ({ ...old, entries: old.entries.filter((one) => !ids.includes(one.id)) }));
  return { ...found, drop };
}

/** Where a picture is dropped, pasted or chosen. onFile(file); a picture dragged from a grid is gone to by its id. */
export function LookPick({ onFile }) {
  const pick = async () => {
    const [file] = await pickFiles({ most: 1 });
    if (file) onFile(file);
  };
  return html`<div class="lb-look" tabindex="-1" ...${dropFiles(([file]) => onFile(file), { most: 1, onId: likeIt })}>
    <${Icon} name="picture" size=${22} /><p class="help">${t("library.dropLook")}</p>
    <${Button} small icon="search" onClick=${pick}>${t("library.byPicture")}<//>
  </div>`;
}

/** What is searched for, above what was found. */
export function Asked({ like, alike, onClose, onCheck }) {
  const name = like.file?.name?.slice(0, 60);
  return html`<section class="card lb-asked" aria-labelledby="lb-asked">
    ${like.id ? html`<${Picture} id=${like.id} side=${120} alt=${t("library.alike")} onClick=${() => go(`picture/${like.id}`)} />` : html`<${FilePreview} file=${like.file} alt="" class="lb-preview" />`}
    <div class="lb-asked-words">
      <h2 id="lb-asked">${name ? t("library.alikeFile", { name }) : t("library.alike")}</h2>
      <p class="help">${t("library.alikeHelp")}</p>
      <p role="status">${said(alike)}</p>
      <div class="actions">
        <${Button} small icon="close" onClick=${onClose}>${t("library.alikeClose")}<//>
        ${like.file && html`<${Button} small kind="quiet" icon="shield" onClick=${() => onCheck(like.file)}>${t("library.alikeCheck")}<//>`}
      </div>
    </div>
  </section>`;
}

function said({ entries, unseen, state, error }) {
  if (error) return "";
  if (state === "loading") return unseen > 0 ? t("library.unseen", { n: unseen }) : t("library.loading");
  return entries.length > 0 ? t("library.alikeCount", { n: entries.length }) : t("library.alikeNone");
}

/** How far a picture is from the one that was asked with. */
export function distanceOf(entry) {
  return t("library.distance", { n: number(entry.distance, 2) });
}
