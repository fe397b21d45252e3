// For who has no session: a token opens one.
import { html, useState } from "../lib.js";
import { addWords, lang, langs, setLang, t } from "../i18n.js";
import { ask } from "../api.js";
import { leaveMe } from "../store.js";
import { Button, Field, toast } from "../parts/basic.js";
import { ErrorNote } from "../parts/errors.js";

addWords({
  en: {
    "login.title": "Welcome to Fantascope", "login.token": "Token", "login.enter": "Open the studio",
    "login.help": "The operator of this server gives you one. Whoever started it with “fantascope studio” follows the link that it printed.",
    "login.link": "This link was used, or is older than five minutes. Paste a token, or run “fantascope studio” again.",
    "login.language": "Language",
  },
  es: {
    "login.title": "Bienvenido a Fantascope", "login.token": "Token", "login.enter": "Abrir el estudio",
    "login.help": "El operador de este servidor le da uno. Quien lo inició con «fantascope studio» sigue el enlace que mostró.",
    "login.link": "Este enlace ya se usó, o tiene más de cinco minutos. Pegue un token, o ejecute «fantascope studio» otra vez.",
    "login.language": "Idioma",
  },
});

/** Ask for a token, and open a session with it. */
export function Login({ onDone }) {
  const [token, write] = useState("");
  const [state, turn] = useState({});
  const stale = new URLSearchParams(location.search).get("login") === "again";
  const send = async (event) => {
    event.preventDefault();
    turn({ busy: true });
    try {
      await ask("/session", { method: "POST", body: JSON.stringify({ token: token.trim() }), headers: { "Content-Type": "application/json" } });
      if (stale) history.replaceState(null, "", `/${location.hash}`);
      await onDone();
    } catch (error) {
      turn({ error });
    }
  };
  return html`<main class="login"><form class="card" onSubmit=${send}>
    <img src="icon.svg" alt="" width="56" height="56" /><h1>${t("login.title")}</h1>
    ${stale && !state.error && html`<p class="wrong" role="alert">${t("login.link")}</p>`}
    <${ErrorNote} error=${state.error} />
    <${Field} label=${t("login.token")} help=${t("login.help")}><input type="password" autocomplete="current-password" required spellcheck="false" value=${token} onInput=${(event) => write(event.target.value)} /><//>
    <${Button} type="submit" kind="primary" icon="key" busy=${state.busy} disabled=${!token.trim()}>${t("login.enter")}<//>
    <div class="row" role="group" aria-label=${t("login.language")}>${Object.entries(langs()).map(([code, name]) => html`
      <${Button} key=${code} small kind="quiet" lang=${code} aria-pressed=${String(code === lang())} onClick=${() => setLang(code)}>${name}<//>`)}</div>
  </form></main>`;
}

/** Close the session. */
export async function logOut() {
  try { await ask("/logout", { method: "POST" }); } catch (error) { toast(error.message, { kind: "bad" }); return; }
  leaveMe();
}
