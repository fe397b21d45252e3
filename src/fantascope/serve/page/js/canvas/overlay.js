// What lies over the picture and can be taken hold of: joints, the frame, the box around a layer, the outline of a selection.

import { JOINTS, COLOURS, LIMBS } from "./pose.js";
import { pen, sheet } from "./raster.js";

const HANDLES = { left: [0, 0.5], right: [1, 0.5], top: [0.5, 0], bottom: [0.5, 1], "left top": [0, 0], "right top": [1, 0], "left bottom": [0, 1], "right bottom": [1, 1] };

export class Overlay {
  constructor(board, desk) {
    const { Konva } = board;
    Object.assign(this, { board, desk, Konva });
    this.group = new Konva.Group();
    this.outline = new Konva.Group({ listening: false });
    this.cursor = new Konva.Circle({ listening: false, visible: false, stroke: "#000", strokeWidth: 1, shadowColor: "#fff", shadowBlur: 2, shadowOpacity: 1, strokeScaleEnabled: false });
    board.over.add(this.group, this.outline, this.cursor);
    this.step = () => queueMicrotask(() => this.build()); // not while Konva still tells of the nodes that go
    this.line = () => this.lines();
    desk.addEventListener("step", this.step);
    desk.addEventListener("outline", this.line);
    this.build();
  }

  close() {
    this.desk.removeEventListener("step", this.step);
    this.desk.removeEventListener("outline", this.line);
  }

  /** One px of the screen, in px of the canvas. */
  get px() { return 1 / this.board.view.k; }

  /** The view was moved: what keeps its size on the screen is made anew. */
  moved() {
    if (this.held) return;
    this.board.over.batchDraw();
    if (this.scale === this.board.view.k) return;
    this.scale = this.board.view.k;
    if (this.transformer) this.transformer.forceUpdate();
    else this.build();
  }

  /** Show how large the brush is, where the pointer is. */
  hover(place) {
    const shown = Boolean(place) && this.desk.paints && !this.desk.frame;
    if (shown) this.cursor.setAttrs({ x: place.x, y: place.y, radius: this.desk.brush.size / 2, visible: true });
    else if (this.cursor.visible()) this.cursor.visible(false);
  }

  lines() {
    this.outline.destroyChildren();
    const points = this.desk.lasso ?? this.desk.selection;
    if (points) {
      const more = { points: points.flat(), closed: !this.desk.lasso || this.desk.tool === "rect", strokeScaleEnabled: false, strokeWidth: 1.5 };
      this.outline.add(new this.Konva.Line({ ...more, stroke: "#fff" }), new this.Konva.Line({ ...more, stroke: "#000", dash: [6, 6] }));
    }
    if (this.desk.frame && !this.held) this.build();
  }

  build() {
    this.group.destroyChildren();
    this.board.hidden = null;
    this.transformer = null;
    const { desk } = this, layer = desk.active;
    if (desk.frame) this.frame();
    else if (desk.tool === "pose" && layer?.people && layer.visible) this.people(layer);
    else if (desk.tool === "move" && layer?.raster && layer.visible && !layer.pending) this.mover(layer);
    this.board.over.batchDraw();
  }

  // Poses

  people(layer) {
    layer.people.forEach((points, who) => this.person(layer, points, who));
  }

  person(layer, points, who) {
    const { Konva, desk, px } = this, { width, height } = desk.project, nodes = [], limbs = [];
    const all = new Konva.Group({ draggable: true, name: `person-${who}` });
    const draw = () => limbs.forEach(({ node, one, other }) => node.points([nodes[one].x(), nodes[one].y(), nodes[other].x(), nodes[other].y()]));
    LIMBS.forEach(([one, other], k) => {
      if (!points[one] || !points[other]) return;
      const node = new Konva.Line({ stroke: COLOURS[k], strokeWidth: 3 * px, hitStrokeWidth: 16 * px, opacity: 0.9 });
      limbs.push({ node, one, other });
      all.add(node);
    });
    points.forEach((at, k) => {
      if (!at) return;
      const picked = desk.picked.person === who && desk.picked.joint === k;
      const node = new Konva.Circle({
        x: at[0], y: at[1], radius: (picked ? 8 : 6) * px, fill: COLOURS[k], stroke: picked ? "#fff" : "#000", strokeWidth: (picked ? 3 : 1) * px,
        hitStrokeWidth: 14 * px, draggable: true, name: `joint-${who}-${JOINTS[k]}`,
      });
      nodes[k] = node;
      node.on("dragstart", (event) => { event.cancelBubble = true; this.held = true; });
      node.on("dragmove", (event) => {
        event.cancelBubble = true;
        node.position({ x: Math.min(width - 0.1, Math.max(0, node.x())), y: Math.min(height - 0.1, Math.max(0, node.y())) });
        draw();
      });
      node.on("dragend", (event) => {
        event.cancelBubble = true;
        this.held = false;
        desk.setJoint(layer, who, k, [node.x(), node.y()]);
      });
      node.on("pointerdown", () => { desk.picked = { person: who, joint: k }; desk.say(); });
      all.add(node);
    });
    draw();
    all.on("dragstart", () => { this.held = true; });
    all.on("dragend", () => {
      this.held = false;
      desk.picked = { person: who, joint: desk.picked.person === who ? desk.picked.joint : 0 };
      desk.movePerson(layer, who, all.x(), all.y());
    });
    this.group.add(all);
  }

  // The frame that is dragged outwards

  frame() {
    const { Konva, desk, px } = this, { width, height } = desk.project, { left, right, top, bottom } = desk.frame;
    const box = { x: -left, y: -top, w: width + left + right, h: height + top + bottom };
    this.group.add(new Konva.Rect({ x: box.x, y: box.y, width: box.w, height: box.h, stroke: "#5b5bd6", strokeWidth: 2 * px, dash: [8 * px, 5 * px], listening: false }));
    this.group.add(new Konva.Rect({ x: 0, y: 0, width, height, stroke: "#fff", strokeWidth: px, listening: false }));
    for (const [name, [u, v]] of Object.entries(HANDLES)) {
      const node = new Konva.Rect({
        x: box.x + box.w * u, y: box.y + box.h * v, width: 14 * px, height: 14 * px, offsetX: 7 * px, offsetY: 7 * px, fill: "#fff", stroke: "#5b5bd6",
        strokeWidth: 2 * px, cornerRadius: 3 * px, hitStrokeWidth: 22 * px, draggable: true, name: `handle-${name.replace(" ", "-")}`,
      });
      const sides = name.split(" ");
      node.on("dragstart", () => { this.held = true; });
      node.on("dragmove", () => this.pull(sides, node));
      node.on("dragend", () => {
        this.pull(sides, node);
        this.held = false;
        queueMicrotask(() => this.board.fit(0.75));
      });
      this.group.add(node);
    }
  }

  pull(sides, node) {
    const { width, height } = this.desk.project, next = { ...this.desk.frame }, whole = (value) => Math.max(0, Math.round(value));
    if (sides.includes("left")) next.left = whole(-node.x());
    if (sides.includes("right")) next.right = whole(node.x() - width);
    if (sides.includes("top")) next.top = whole(-node.y());
    if (sides.includes("bottom")) next.bottom = whole(node.y() - height);
    this.desk.setFrame(next);
  }

  // Moving, turning and scaling a layer

  mover(layer) {
    const box = layer.raster.bounds();
    if (!box) return;
    const { Konva, desk } = this, source = sheet(box.w, box.h);
    pen(source).translate(-box.x, -box.y);
    layer.raster.paste(pen(source));
    const node = new Konva.Image({ image: source, x: box.x, y: box.y, width: box.w, height: box.h, draggable: true, name: "moved" });
    const done = () => {
      this.held = false;
      const matrix = node.getTransform().getMatrix(), plain = matrix[0] === 1 && matrix[3] === 1 && matrix[1] === 0 && matrix[2] === 0;
      if (plain) matrix.splice(4, 2, Math.round(matrix[4]), Math.round(matrix[5]));
      if (plain && matrix[4] === box.x && matrix[5] === box.y) return;
      desk.transform(layer, source, box, matrix);
    };
    const start = () => {
      this.held = true;
      this.board.hidden = layer;
      this.board.show();
      node.opacity(layer.opacity);
    };
    node.opacity(0);
    node.on("dragstart transformstart", start);
    node.on("dragend transformend", () => {
      this.board.hidden = null;
      done();
      this.board.show();
      this.step();
    });
    this.transformer = new Konva.Transformer({ nodes: [node], rotationSnaps: [0, 90, 180, 270], keepRatio: true, flipEnabled: false, anchorSize: 12, anchorCornerRadius: 3, borderStroke: "#5b5bd6", anchorStroke: "#5b5bd6" });
    this.group.add(node, this.transformer);
  }
}
