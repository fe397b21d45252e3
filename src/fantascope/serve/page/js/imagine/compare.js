// Pictures beside each other: a slider over two of them, one flipped for the other, or all side by side.
import { html, useEffect, useRef, useState } from "../lib.js";
import { fileUrl } from "../api.js";
import { Button, Dialog, Select, Tabs } from "../parts.js";
import { t } from "../i18n.js";

const WAYS = ["slider", "flip", "side"];

/** The dialog. `ids` are two pictures or more, `names` what they are called. */
export function Compare({ ids, names, onClose }) {
  const [way, setWay] = useState("slider");
  const [pair, setPair] = useState([ids[0], ids[1]]);
  const swap = () => setPair(([a, b]) => [b, a]);
  const options = ids.map((id, k) => ({ value: id, label: `${k + 1}. ${names[k]}` }));
  const choose = (at) => (id) => setPair((now) => now.map((one, k) => (k === at ? id : one)));
  const tabs = WAYS.map((key) => ({ key, label: t(`im.compare.${key}`) }));
  return html`<${Dialog} open wide title=${t("im.compare")} onClose=${onClose}>
    <div class="im-compare">
      <${Tabs} tabs=${tabs} value=${way} onChange=${setWay} label=${t("im.compare.way")} />
      ${ids.length > 2 && way !== "side" && html`<div class="im-two">
        <${Select} label=${t("im.compare.left")} value=${pair[0]} options=${options} onChange=${choose(0)} />
        <${Select} label=${t("im.compare.right")} value=${pair[1]} options=${options} onChange=${choose(1)} />
      </div>`}
      ${way === "slider" && html`<${Slide} pair=${pair} onSwap=${swap} />`}
      ${way === "flip" && html`<${Flip} pair=${pair} />`}
      ${way === "side" && html`<div class="im-side">${ids.map((id, k) => html`<figure key=${id}><img src=${fileUrl(id)} alt=${`${k + 1}. ${names[k]}`} /><figcaption>${k + 1}</figcaption></figure>`)}</div>`}
    </div>
  <//>`;
}

function Slide({ pair, onSwap }) {
  const [at, setAt] = useState(50);
  const box = useRef(null);
  const drag = (event) => {
    if (event.type === "pointermove" && !event.buttons) return;
    const { left, width } = box.current.getBoundingClientRect();
    if (event.type === "pointerdown") event.currentTarget.setPointerCapture(event.pointerId);
    setAt(Math.min(100, Math.max(0, Math.round(((event.clientX - left) / width) * 100))));
  };
  return html`<div class="im-slide">
    <div class="im-over" ref=${box} onPointerDown=${drag} onPointerMove=${drag}>
      <img src=${fileUrl(pair[0])} alt=${t("im.compare.left")} draggable="false" />
      <img class="im-top" src=${fileUrl(pair[1])} alt=${t("im.compare.right")} draggable="false" style=${{ clipPath: `inset(0 0 0 ${at}%)` }} />
      <span class="im-line" style=${{ left: `${at}%` }} aria-hidden="true"></span>
    </div>
    <div class="im-slide-line">
      <input type="range" autofocus min="0" max="100" value=${at} aria-label=${t("im.compare.line")} aria-valuetext=${t("im.compare.at", { at })} onInput=${(event) => setAt(Number(event.target.value))} />
      <${Button} small icon="retry" onClick=${onSwap}>${t("im.compare.swap")}<//>
    </div>
  </div>`;
}

function Flip({ pair }) {
  const [second, setSecond] = useState(false);
  const button = useRef(null);
  useEffect(() => button.current?.focus(), []);
  return html`<div class="im-flip">
    <button type="button" ref=${button} class="im-over" aria-label=${t("im.compare.flip.do", { which: second ? t("im.compare.right") : t("im.compare.left") })} onClick=${() => setSecond(!second)}>
      <img src=${fileUrl(pair[0])} alt="" />
      <img class=${`im-top ${second ? "" : "im-away"}`} src=${fileUrl(pair[1])} alt="" />
    </button>
    <p class="im-quiet" aria-live="polite">${second ? t("im.compare.right") : t("im.compare.left")} · ${t("im.compare.flip.help")}</p>
  </div>`;
}
