// People as joints: OpenPose's 18, their limbs and colours, as the server draws them.

export const JOINTS = [
  "nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist", "right_hip",
  "right_knee", "right_ankle", "left_hip", "left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear",
];
export const COLOURS = [
  "#ff0000", "#ff5500", "#ffaa00", "#ffff00", "#aaff00", "#55ff00", "#00ff00", "#00ff55", "#00ffaa", "#00ffff", "#00aaff",
  "#0055ff", "#0000ff", "#5500ff", "#aa00ff", "#ff00ff", "#ff00aa", "#ff0055",
];
export const LIMBS = [
  [1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7], [1, 8], [8, 9], [9, 10], [1, 11], [11, 12], [12, 13], [1, 0], [0, 14],
  [14, 16], [0, 15], [15, 17],
];
export const MOST_PEOPLE = 32;

const STANDING = [
  [0, -0.42], [0, -0.3], [-0.1, -0.3], [-0.13, -0.14], [-0.14, 0.01], [0.1, -0.3], [0.13, -0.14], [0.14, 0.01], [-0.06, 0],
  [-0.07, 0.23], [-0.07, 0.45], [0.06, 0], [0.07, 0.23], [0.07, 0.45], [-0.02, -0.45], [0.02, -0.45], [-0.045, -0.435], [0.045, -0.435],
];
const STANCES = {
  standing: {},
  waving: { 6: [0.2, -0.42], 7: [0.16, -0.58] },
  arms_up: { 3: [-0.2, -0.44], 4: [-0.22, -0.6], 6: [0.2, -0.44], 7: [0.22, -0.6] },
  running: { 3: [-0.2, -0.2], 4: [-0.1, -0.1], 6: [0.18, -0.24], 7: [0.28, -0.34], 9: [-0.18, 0.16], 10: [-0.3, 0.32], 12: [0.2, 0.14], 13: [0.16, 0.4] },
  sitting: { 9: [-0.2, 0.04], 10: [-0.2, 0.28], 12: [0.2, 0.04], 13: [0.2, 0.28] },
};
export const STANCE_NAMES = Object.keys(STANCES);

/** Return a person in the middle of a canvas: 18 points, px, or null where a joint is missing. */
export function person(width, height, stance = "standing", shift = 0) {
  const tall = Math.min(height * 0.9, width * 1.4);
  return STANDING.map((usual, k) => {
    const [x, y] = STANCES[stance]?.[k] ?? usual;
    return inside([width / 2 + shift + x * tall, height / 2 + (y + 0.06) * tall], width, height);
  });
}

/** Return a point on the canvas, to a tenth of a px: every joint of a document lies there. */
export function inside([x, y], width, height) {
  const tenth = (value, most) => Math.round(Math.min(most - 0.1, Math.max(0, value)) * 10) / 10;
  return [tenth(x, width), tenth(y, height)];
}

/** Return the document that the server reads. */
export function documentOf(people, width, height) {
  const named = people.map((points) => Object.fromEntries(JOINTS.map((name, k) => [name, points[k]])));
  return { width, height, people: named };
}

/** Return people of a document, scaled to a canvas. */
export function peopleOf(found, width, height) {
  const across = width / found.width, down = height / found.height;
  return found.people.map((one) => JOINTS.map((name) => (one[name] ? inside([one[name][0] * across, one[name][1] * down], width, height) : null)));
}

/** Draw people as control networks were shown them: limbs of 0.6 of their colour, joints of the full one. */
export function drawPeople(ctx, people, width, height) {
  const half = Math.max(1, Math.round((4 / 512) * Math.min(width, height)));
  for (const points of people) {
    LIMBS.forEach(([one, other], k) => {
      const a = points[one], b = points[other];
      if (!a || !b) return;
      const long = Math.hypot(b[0] - a[0], b[1] - a[1]) / 2;
      ctx.beginPath();
      ctx.ellipse((a[0] + b[0]) / 2, (a[1] + b[1]) / 2, long, half, Math.atan2(b[1] - a[1], b[0] - a[0]), 0, 2 * Math.PI);
      ctx.fillStyle = dimmed(COLOURS[k]);
      ctx.fill();
    });
    points.forEach((point, k) => {
      if (!point) return;
      ctx.beginPath();
      ctx.arc(point[0], point[1], half, 0, 2 * Math.PI);
      ctx.fillStyle = COLOURS[k];
      ctx.fill();
    });
  }
}

function dimmed(colour) {
  return `rgb(${[1, 3, 5].map((at) => Math.floor(parseInt(colour.slice(at, at + 2), 16) * 0.6)).join(",")})`;
}
