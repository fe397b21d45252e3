// The frame: where one is, who one is, what is going on.
import { html, render, useEffect, useErrorBoundary, useRef, useState } from "./lib.js";
import { ask } from "./api.js";
import { addWords, lang, langs, setLang, t, useLang } from "./i18n.js";
import { leaveMe, loadMe, recall, remember, useMe, useStored } from "./store.js";
import { upload } from "./api.js";
import { Button, Dialog, EmptyState, ErrorNote, Icon, Toasts, dropFiles } from "./parts.js";
import { Offline } from "./frame/offline.js";
import { KeyHelp } from "./frame/help.js";
import { go, here, usePlace } from "./frame/place.js";
import { Login, logOut } from "./frame/login.js";
import { Tray } from "./frame/tray.js";
import { shown, useKeys } from "./keys.js";

addWords({
  en: {
    "app.imagine": "Imagine", "app.converse": "Converse", "app.canvas": "Canvas", "app.library": "Library", "app.jobs": "Jobs", "app.account": "Account", "app.picture": "Picture",
    "app.places": "Places", "app.skip": "Skip to the content", "app.theme": "Theme: {theme}", "app.theme.auto": "as the system", "app.theme.light": "light", "app.theme.dark": "dark",
    "app.language": "Language", "app.keys": "Keys", "app.out": "Log out", "app.nowhere": "There is nothing here", "app.nowhere.text": "The address {path} is none of this page.", "app.home": "Go to Imagine",
    "app.broken": "This part of the page failed", "app.reload": "Reload the page", "app.loading": "Loading …", "app.hint.title": "Three steps to a picture",
    "app.hint.1": "Write what the picture should show.", "app.hint.2": "Press {keys}, or Paint.", "app.hint.2.touch": "Touch Paint.",
    "app.hint.3": "Click a picture to vary it, or to say what to change. All you make is kept in the Library.", "app.hint.3.touch": "Touch a picture to vary it, or to say what to change. All you make is kept in the Library.", "app.hint.done": "Understood", "app.everywhere": "Everywhere",
    "app.write": "Write a prompt", "app.help": "Show the keys",
  },
  es: {
    "app.imagine": "Imaginar", "app.converse": "Conversar", "app.canvas": "Lienzo", "app.library": "Biblioteca", "app.jobs": "Trabajos", "app.account": "Cuenta", "app.picture": "Imagen",
    "app.places": "Lugares", "app.skip": "Saltar al contenido", "app.theme": "Tema: {theme}", "app.theme.auto": "como el sistema", "app.theme.light": "claro", "app.theme.dark": "oscuro",
    "app.language": "Idioma", "app.keys": "Teclas", "app.out": "Cerrar sesión", "app.nowhere": "Aquí no hay nada", "app.nowhere.text": "La dirección {path} no es de esta página.", "app.home": "Ir a Imaginar",
    "app.broken": "Esta parte de la página falló", "app.reload": "Recargar la página", "app.loading": "Cargando …", "app.hint.title": "Tres pasos hasta una imagen",
    "app.hint.1": "Escriba qué debe mostrar la imagen.", "app.hint.2": "Pulse {keys}, o Pintar.", "app.hint.2.touch": "Toque Pintar.",
    "app.hint.3": "Haga clic en una imagen para variarla o decir qué cambiar. Todo se guarda en la Biblioteca.", "app.hint.3.touch": "Toque una imagen para variarla o decir qué cambiar. Todo se guarda en la Biblioteca.", "app.hint.done": "Entendido", "app.everywhere": "En todas partes",
    "app.write": "Escribir un prompt", "app.help": "Mostrar las teclas",
  },
});

const PLACES = ["imagine", "converse", "canvas", "library", "jobs", "account"];
const VIEWS = [...PLACES, "picture"];
const LETTERS = { imagine: "i", converse: "c", canvas: "v", library: "l", jobs: "j", account: "a" };
const TOUCH = window.matchMedia("(hover: none)").matches;
const loaded = new Map();

export { go, here };

/** The theme: "auto", "light" or "dark". */
export function setTheme(theme) {
  remember("theme", theme);
  showTheme(theme);
}

function showTheme(theme) {
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

showTheme(recall("theme", "auto"));

function View({ name, params }) {
  const [view, show] = useState(() => ({ name, component: loaded.get(name) }));
  const [failed, fail] = useState(null);
  const [broken, mend] = useErrorBoundary((error) => console.error(error));
  useEffect(() => {
    let here = true;
    fail(null);
    mend();
    if (loaded.has(name)) { show({ name, component: loaded.get(name) }); return undefined; }
    import(`./views/${name}.js`).then((found) => {
      loaded.set(name, found.default);
      if (here) show({ name, component: found.default });
    }, (error) => here && fail(error));
    return () => { here = false; };
  }, [name]);
  const wrong = broken || failed;
  if (wrong) {
    return html`<div class="page"><${ErrorNote} error=${{ message: t("app.broken"), hint: String(wrong.message || wrong) }} />
      <${Button} icon="retry" onClick=${() => location.reload()}>${t("app.reload")}<//></div>`;
  }
  const Found = view.name === name ? view.component : loaded.get(name);
  if (!Found) return html`<p class="page muted" role="status">${t("app.loading")}</p>`;
  return html`<${Found} key=${name} params=${params} />`;
}

/** A picture or a file that is dropped on a place is opened there. */
function onto(place) {
  const way = { imagine: "imagine?from=", converse: "converse/", canvas: "canvas/" }[place];
  if (!way) return {};
  const open = (id) => go(way + encodeURIComponent(id));
  return dropFiles(async ([file]) => open((await upload(file)).id), { most: 1, onId: open });
}

function Places({ name }) {
  return html`<nav class="places" aria-label=${t("app.places")}><ul>${PLACES.map((one) => html`<li key=${one}>
    <a href=${`#/${one}`} class="place" ...${onto(one)} aria-current=${one === name || (one === "library" && name === "picture") ? "page" : undefined}>
      <${Icon} name=${one} size=${22} /><span>${t(`app.${one}`)}</span></a></li>`)}</ul></nav>`;
}

function Corner({ onHelp }) {
  const [theme] = useStored("theme", "auto");
  const next = { auto: "light", light: "dark", dark: "auto" }[theme] || "auto";
  const icons = { auto: "auto", light: "sun", dark: "moon" };
  return html`<div class="corner">
    <${Tray} />
    <${Button} kind="quiet" icon=${icons[theme] || "auto"} label=${t("app.theme", { theme: t(`app.theme.${theme}`) })} onClick=${() => setTheme(next)} />
    <label class="language"><span class="unseen">${t("app.language")}</span><${Icon} name="language" />
      <select value=${lang()} onChange=${(event) => setLang(event.target.value)}>
        ${Object.entries(langs()).map(([code, name]) => html`<option key=${code} value=${code} lang=${code} selected=${code === lang()}>${name}</option>`)}</select></label>
    <${Button} kind="quiet" icon="help" label=${t("app.keys")} class="wide-only" onClick=${onHelp} />
    <${Button} kind="quiet" icon="out" label=${t("app.out")} onClick=${logOut} />
  </div>`;
}

function Hint() {
  const [seen, see] = useStored("hint", false);
  const [known] = useState(() => recall("imagine.runs", []).some((one) => one.artifacts?.length > 0)); // who painted before needs no steps
  if (seen || known) return null;
  const way = TOUCH ? ".touch" : "";
  return html`<aside class="hint" aria-labelledby="hint-title">
    <div><h2 id="hint-title">${t("app.hint.title")}</h2>
      <ol><li>${t("app.hint.1")}</li><li>${t(`app.hint.2${way}`, { keys: shown("mod+enter").join(" ") })}</li><li>${t(`app.hint.3${way}`)}</li></ol></div>
    <${Button} small onClick=${() => see(true)}>${t("app.hint.done")}<//></aside>`;
}

function Frame() {
  const place = usePlace();
  const [help, showHelp] = useState(false);
  const main = useRef(null);
  const first = useRef(true);
  useKeys([
    { keys: "?", label: t("app.help"), run: () => showHelp(true) },
    ...PLACES.map((one) => ({ keys: `g ${LETTERS[one]}`, label: t(`app.${one}`), run: () => go(one) })),
    { keys: "/", label: t("app.write"), run: () => { const box = document.querySelector("main [data-first], main textarea, main input[type=search]"); box?.focus(); return Boolean(box); } },
  ], t("app.everywhere"));
  const known = VIEWS.includes(place.name);
  useEffect(() => {
    if (PLACES.includes(place.name)) remember("place", place.name);
    if (!first.current) main.current?.focus({ preventScroll: true });
    first.current = false;
  }, [place.name]);
  useEffect(() => { document.title = known ? `${t(`app.${place.name}`)} · Fantascope` : "Fantascope"; });
  return html`<div class="frame">
    <a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); main.current.focus(); }}>${t("app.skip")}</a>
    <header class="bar"><a class="brand" href="#/imagine" aria-label="Fantascope"><img src="icon.svg" alt="" width="28" height="28" /><span>Fantascope</span></a>
      <${Corner} onHelp=${() => showHelp(true)} /></header>
    <${Places} name=${place.name} />
    <main id="main" tabindex="-1" ref=${main}>
      <${Offline} />${place.name === "imagine" && html`<${Hint} />`}
      ${known ? html`<${View} name=${place.name} params=${place.params} />`
        : html`<${EmptyState} title=${t("app.nowhere")} text=${t("app.nowhere.text", { path: place.path.slice(0, 80) })}><${Button} kind="primary" onClick=${() => go("imagine")}>${t("app.home")}<//><//>`}
    </main>
    <${Dialog} reading open=${help} title=${t("app.keys")} onClose=${() => showHelp(false)}><${KeyHelp} /><//>
    <${Toasts} />
  </div>`;
}

function App({ error }) {
  useLang();
  const me = useMe();
  const [failed, fail] = useState(error);
  const [asked, answer] = useState(Boolean(me));
  useEffect(() => {
    const out = () => { if (!failed) leaveMe(); answer(true); };
    window.addEventListener("fs:out", out);
    return () => window.removeEventListener("fs:out", out);
  }, []);
  const enter = async () => {
    try {
      const session = await (await ask("/session")).json();
      if (session.account !== null) await loadMe();
      fail(null);
    } catch (wrong) {
      fail(wrong.status === 401 ? null : wrong);
    }
    answer(true);
  };
  useEffect(() => { if (!me) enter(); }, []);
  if (me) return html`<${Frame} key=${me.account} />`;
  if (failed) return html`<div class="page alone"><${ErrorNote} error=${failed} onRetry=${enter} /></div>`;
  if (!asked) return html`<p class="boot">Fantascope</p>`;
  return html`<${Login} onDone=${enter} />`;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
