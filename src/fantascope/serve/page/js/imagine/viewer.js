// A large picture: fitted, or larger with a scroll, a drag and keys.
import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib.js";
import { fileUrl } from "../api.js";
import { useKeys } from "../keys.js";
import { Button, ErrorNote } from "../parts.js";
import { number, t } from "../i18n.js";

const STEP = 1.5;
const MOST = 16;
const LEAST = 0.1;

/** Show the file of a picture. `box` is a thing in it to outline: left, top, right, bottom, each a share from 0 to 1. */
export function Viewer({ id, alt, width, height, box }) {
  const room = useRef(null);
  const keep = useRef(null);
  const [size, setSize] = useState({ width, height });
  const [scale, setScale] = useState(null); // null: fitted
  const [lost, setLost] = useState(false);
  useEffect(() => {
    setScale(null);
    setLost(false);
    setSize({ width, height });
  }, [id]);
  const fitted = () => {
    const { clientWidth, clientHeight } = room.current;
    return Math.min(clientWidth / size.width, clientHeight / size.height);
  };
  const zoom = (to, event) => {
    if (!size.width) return;
    const from = scale ?? fitted();
    const next = Math.min(MOST, Math.max(LEAST, typeof to === "function" ? to(from) : to));
    const frame = room.current.getBoundingClientRect();
    const x = event ? event.clientX - frame.left : frame.width / 2;
    const y = event ? event.clientY - frame.top : frame.height / 2;
    keep.current = { x, y, left: (room.current.scrollLeft + x) / from, top: (room.current.scrollTop + y) / from, next };
    setScale(next);
  };
  useLayoutEffect(() => {
    const held = keep.current;
    if (!held) return;
    room.current.scrollLeft = held.left * held.next - held.x;
    room.current.scrollTop = held.top * held.next - held.y;
    keep.current = null;
  }, [scale]);
  useEffect(() => {
    const wheel = (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom((from) => from * (event.deltaY < 0 ? 1.2 : 1 / 1.2), event);
    };
    room.current.addEventListener("wheel", wheel, { passive: false });
    return () => room.current?.removeEventListener("wheel", wheel);
  });
  useKeys(
    [
      { keys: "=", label: t("pi.zoom.in"), run: () => zoom((from) => from * STEP) },
      { keys: "+", run: () => zoom((from) => from * STEP) },
      { keys: "-", label: t("pi.zoom.out"), run: () => zoom((from) => from / STEP) },
      { keys: "0", label: t("pi.zoom.fit"), run: () => setScale(null) },
      { keys: "1", label: t("pi.zoom.whole"), run: () => zoom(1) },
    ],
    t("pi.zoom"),
  );
  const drag = (event) => {
    if (scale === null || event.button !== 0 || event.pointerType === "touch") return;
    const { scrollLeft, scrollTop } = room.current;
    const [x, y] = [event.clientX, event.clientY];
    const move = (moved) => {
      room.current.scrollLeft = scrollLeft - (moved.clientX - x);
      room.current.scrollTop = scrollTop - (moved.clientY - y);
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      window.removeEventListener("pointerup", end);
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end);
  };
  const large = scale === null ? undefined : { width: `${size.width * scale}px`, height: `${size.height * scale}px` };
  const loaded = (event) => setSize({ width: event.currentTarget.naturalWidth, height: event.currentTarget.naturalHeight });
  return html`<div class="pi-viewer">
    <div
      class=${`pi-room ${scale === null ? "pi-fit" : "pi-zoomed"}`}
      ref=${room}
      role="group"
      aria-label=${t("pi.picture")}
      tabindex=${scale === null ? -1 : 0}
      onPointerDown=${drag}
      onDblClick=${(event) => (scale === null ? zoom(Math.max(1, fitted() * 2), event) : setScale(null))}
    >
      ${lost
        ? html`<${ErrorNote} error=${{ message: t("pi.lost") }} />`
        : html`<div class="pi-sheet" style=${large}>
            <img src=${fileUrl(id)} alt=${alt} width=${width} height=${height} draggable="false" class=${scale > 2 ? "pi-pixels" : ""} onLoad=${loaded} onError=${() => setLost(true)} />
            ${box && html`<span class="pi-box" style=${{ left: `${box[0] * 100}%`, top: `${box[1] * 100}%`, width: `${(box[2] - box[0]) * 100}%`, height: `${(box[3] - box[1]) * 100}%` }}></span>`}
          </div>`}
    </div>
    <div class="pi-zoom" role="group" aria-label=${t("pi.zoom")}>
      <${Button} small kind="quiet" icon="minus" label=${`${t("pi.zoom.out")} (−)`} onClick=${() => zoom((from) => from / STEP)} />
      <output class="pi-scale">${scale === null ? t("pi.fitted") : `${number(scale * 100, 0)} %`}</output>
      <${Button} small kind="quiet" icon="plus" label=${`${t("pi.zoom.in")} (+)`} onClick=${() => zoom((from) => from * STEP)} />
      <${Button} small kind="quiet" title="0" aria-pressed=${String(scale === null)} onClick=${() => setScale(null)}>${t("pi.zoom.fit")}<//>
      <${Button} small kind="quiet" title="1" aria-pressed=${String(scale === 1)} onClick=${() => zoom(1)}>100 %<//>
    </div>
  </div>`;
}
