"""People from head to foot, drawn by code from their joints: what no set of icons has, and what poses are learned from.

A figure is planned as joints in a unit square and drawn from them, so the joints of every picture are known exactly.
Like the sceneries, figures are this project's own drawings: no source's licence is touched.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from fantascope.annotate.joints import JOINTS
from fantascope.core.colour import COLOURS

Point = tuple[float, float]
Rgb = tuple[int, int, int]

WHO: dict[str, float] = {"man": 0.22, "woman": 0.22, "person": 0.16, "boy": 0.12, "girl": 0.12, "chef": 0.16}
"""Who is drawn -> share."""

POSES: dict[str, tuple[float, tuple[str, ...]]] = {
    "standing": (0.14, ("standing", "")),
    "waving": (0.14, ("waving", "waving hello")),
    "cheering": (0.14, ("with raised arms", "cheering", "with both arms up")),
    "running": (0.12, ("running", "jogging")),
    "walking": (0.10, ("walking",)),
    "jumping": (0.08, ("jumping", "jumping for joy")),
    "dancing": (0.08, ("dancing",)),
    "pointing": (0.05, ("pointing", "pointing to the side")),
    "hips": (0.05, ("with hands on the hips",)),
    "any": (0.10, ("", "", "in a pose")),
}
"""Pose -> share, and what captions say of it."""

SKINS: tuple[Rgb, ...] = (
    (255, 219, 180),
    (241, 194, 140),
    (214, 160, 110),
    (166, 113, 72),
    (112, 74, 50),
    (255, 200, 61),
)
HAIRS: tuple[Rgb, ...] = ((60, 44, 36), (30, 26, 28), (120, 76, 40), (222, 170, 76), (176, 84, 44), (190, 190, 194))
TROUSERS = ("blue", "black", "gray", "brown", "green", "purple", "white")
SHOE: Rgb = (60, 50, 52)
CHILD = 0.8
"""How long a child's limbs are, of a grown-up's; the head is as large."""

WEAR: dict[str, tuple[str, ...]] = {
    "shirt": ("in a {} shirt", "wearing a {} shirt", "in {}"),
    "dress": ("in a {} dress", "wearing a {} dress"),
}

FINE = 4
"""How many times larger a figure is drawn before it is averaged down."""


@dataclass(frozen=True)
class Figure:
    """Somebody, standing in a square.

    Attributes:
        who: Key of `WHO`.
        pose: Key of `POSES`.
        joints: 18 points in OpenPose's order, 0..1 of the square, x to the right and y down.
        head: Radius of the head, of the square's side.
        skin, hair: sRGB.
        wear: Key of `WEAR`.
        colour: Name of the colour of shirt or dress.
        trousers: Name of the trousers' colour.
        long: Whether the hair is long.
    """

    who: str
    pose: str
    joints: tuple[Point, ...]
    head: float
    skin: Rgb
    hair: Rgb
    wear: str
    colour: str
    trousers: str
    long: bool


def plan_figure(rng: np.random.Generator, avoid: str = "") -> Figure:
    """Draw who it is, how they stand and what they wear; nothing worn has the colour `avoid`."""
    who, pose = _drawn(rng, WHO), _drawn(rng, {name: share for name, (share, _) in POSES.items()})
    female = who in ("woman", "girl") or (who == "person" and rng.random() < 0.4)
    names = [name for name in COLOURS if name not in (avoid, "white", "black")]
    pants = [name for name in TROUSERS if name != avoid]
    wear = "dress" if female and who != "person" and rng.random() < 0.5 else "shirt"
    joints, head = _joints(_angles(rng, pose), CHILD if who in ("boy", "girl") else 1.0)
    return Figure(
        who,
        pose,
        joints,
        head,
        SKINS[int(rng.integers(len(SKINS)))],
        HAIRS[int(rng.integers(len(HAIRS)))],
        wear,
        "white" if who == "chef" else str(rng.choice(names)),
        str(rng.choice(pants)),
        female,
    )


def words(rng: np.random.Generator, figure: Figure) -> str:
    """What a caption calls a figure: "a woman in a red dress dancing"."""
    said = [f"a {figure.who}"]
    if figure.who != "chef" and rng.random() < 0.5:
        options = WEAR[figure.wear]
        said.append(options[int(rng.integers(len(options)))].format(figure.colour))
    options = POSES[figure.pose][1]
    said.append(options[int(rng.integers(len(options)))])
    return " ".join(filter(None, said))


def draw_figure(figure: Figure, side: int) -> Image.Image:
    """Draw a figure as an RGBA picture of `side` x `side` px."""
    return _Pen(figure, side * FINE).drawn().resize((side, side), Image.Resampling.BOX)


def _drawn(rng: np.random.Generator, table: Mapping[str, float]) -> str:
    shares = np.array(list(table.values()))
    return str(rng.choice(list(table), p=shares / shares.sum()))


@dataclass(frozen=True)
class _Angles:
    """Where limbs point, degrees: 0 is down, 90 to the picture's right. Right and left are the person's."""

    lean: float
    right_arm: tuple[float, float]
    left_arm: tuple[float, float]
    right_leg: tuple[float, float]
    left_leg: tuple[float, float]

    def mirrored(self) -> _Angles:
        def turned(pair: tuple[float, float]) -> tuple[float, float]:
            return -pair[0], -pair[1]

        return _Angles(
            -self.lean, turned(self.left_arm), turned(self.right_arm), turned(self.left_leg), turned(self.right_leg)
        )


def _angles(rng: np.random.Generator, pose: str) -> _Angles:
    def about(middle: float, spread: float) -> float:
        return float(middle + rng.uniform(-spread, spread))

    down = (about(-18, 10), about(-8, 12)), (about(18, 10), about(8, 12))
    feet = (about(-7, 5), about(-4, 4)), (about(7, 5), about(4, 4))
    lean = about(0, 4)
    if pose == "standing":
        found = _Angles(lean, *down, *feet)
    elif pose == "waving":
        found = _Angles(lean, (about(-115, 25), about(-165, 20)), down[1], *feet)
    elif pose == "cheering":
        found = _Angles(lean, (about(-145, 20), about(-160, 20)), (about(145, 20), about(160, 20)), *feet)
    elif pose == "running":
        found = _Angles(
            about(14, 6),
            (about(-55, 15), about(30, 20)),
            (about(50, 15), about(120, 20)),
            (about(-30, 12), about(-85, 20)),
            (about(55, 12), about(-5, 12)),
        )
    elif pose == "walking":
        found = _Angles(
            about(4, 4),
            (about(-30, 10), about(-12, 10)),
            (about(30, 10), about(45, 15)),
            (about(-22, 8), about(-34, 10)),
            (about(24, 8), about(8, 8)),
        )
    elif pose == "jumping":
        found = _Angles(
            lean,
            (about(-125, 25), about(-135, 25)),
            (about(125, 25), about(135, 25)),
            (about(-40, 12), about(-25, 25)),
            (about(40, 12), about(25, 25)),
        )
    elif pose == "dancing":
        found = _Angles(
            about(-8, 8),
            (about(-100, 25), about(-60, 50)),
            (about(140, 25), about(170, 25)),
            (about(-12, 8), about(-8, 8)),
            (about(45, 15), about(-15, 25)),
        )
    elif pose == "pointing":
        found = _Angles(lean, (about(-90, 12), about(-90, 8)), down[1], *feet)
    elif pose == "hips":
        found = _Angles(lean, (about(-48, 6), about(42, 6)), (about(48, 6), about(-42, 6)), *feet)
    else:
        found = _Angles(
            about(0, 12),
            (about(-80, 75), about(-80, 85)),
            (about(80, 75), about(80, 85)),
            (about(-20, 25), about(-15, 30)),
            (about(20, 25), about(15, 30)),
        )
    return found.mirrored() if rng.random() < 0.5 else found


def _joints(angles: _Angles, limbs: float) -> tuple[tuple[Point, ...], float]:
    """The joints of a figure that fills the square, and the radius of its head."""
    head, torso, arm, leg = 0.115, 0.27, 0.155 * limbs, 0.19 * limbs
    hips = (0.5, 0.55)
    neck = _moved(hips, 180 - angles.lean, torso * (0.5 + 0.5 * limbs))
    across = (math.cos(math.radians(angles.lean)), math.sin(math.radians(angles.lean)))
    at: dict[str, Point] = {"neck": neck}
    for side, sign in (("right", -1), ("left", 1)):
        shoulder = (neck[0] + sign * 0.098 * across[0], neck[1] + 0.012 + sign * 0.098 * across[1])
        hip = (hips[0] + sign * 0.058, hips[1])
        upper, lower = angles.right_arm if side == "right" else angles.left_arm
        thigh, shin = angles.right_leg if side == "right" else angles.left_leg
        elbow, knee = _moved(shoulder, upper, arm), _moved(hip, thigh, leg)
        at |= {f"{side}_shoulder": shoulder, f"{side}_elbow": elbow, f"{side}_wrist": _moved(elbow, lower, arm)}
        at |= {f"{side}_hip": hip, f"{side}_knee": knee, f"{side}_ankle": _moved(knee, shin, leg)}
    middle = _moved(neck, 180 - 0.5 * angles.lean, head + 0.035)
    at["nose"] = (middle[0], middle[1] + 0.2 * head)
    for side, sign in (("right", -1), ("left", 1)):
        at[f"{side}_eye"] = (middle[0] + sign * 0.36 * head, middle[1] - 0.08 * head)
        at[f"{side}_ear"] = (middle[0] + sign * 0.98 * head, middle[1] + 0.06 * head)
    points = np.array([at[name] for name in JOINTS])
    room = np.array([0.07, 0.07])
    low = np.minimum(points.min(0) - room, np.array(middle) - 1.75 * head)
    high = np.maximum(points.max(0) + room, np.array(middle) + 1.25 * head)
    scale = 1.0 / float((high - low).max())
    shift = (1 - scale * (high + low)) / 2
    moved = points * scale + shift
    return tuple((float(x), float(y)) for x, y in moved), head * scale


def _moved(point: Point, angle: float, length: float) -> Point:
    turn = math.radians(angle)
    return point[0] + length * math.sin(turn), point[1] + length * math.cos(turn)


class _Pen:
    """Draws a figure on a canvas of `side` px, without smoothing."""

    def __init__(self, figure: Figure, side: int) -> None:
        self._figure, self._side = figure, side
        self._image = Image.new("RGBA", (side, side))
        self._draw = ImageDraw.Draw(self._image)
        self._at = dict(zip(JOINTS, figure.joints, strict=True))
        self._thick = figure.head / 0.115

    def drawn(self) -> Image.Image:
        figure = self._figure
        cloth, legs = COLOURS[figure.colour], COLOURS[figure.trousers]
        middle = self._head()
        if figure.long:
            self._disc((middle[0], middle[1] + 0.45 * figure.head), 1.22 * figure.head, figure.hair)
        for side in ("right", "left"):
            hip, knee, ankle = (self._at[f"{side}_{name}"] for name in ("hip", "knee", "ankle"))
            bare = figure.wear == "dress"
            self._limb((hip, knee), 0.09, figure.skin if bare else legs)
            self._limb((knee, ankle), 0.078, figure.skin if bare else legs)
            out = 0.02 if side == "left" else -0.02
            self._limb((ankle, (ankle[0] + out, ankle[1] + 0.012)), 0.085, SHOE)
        self._torso(cloth)
        for side in ("right", "left"):
            shoulder, elbow, wrist = (self._at[f"{side}_{name}"] for name in ("shoulder", "elbow", "wrist"))
            self._limb((elbow, wrist), 0.062, cloth if figure.who == "chef" else figure.skin)
            self._limb((shoulder, elbow), 0.075, _darker(cloth))
            self._disc(wrist, 0.042 * self._thick, figure.skin)
        self._limb((self._at["neck"], middle), 0.07, figure.skin)
        self._face(middle)
        return self._image

    def _head(self) -> Point:
        nose = self._at["nose"]
        return nose[0], nose[1] - 0.2 * self._figure.head

    def _torso(self, cloth: Rgb) -> None:
        at = self._at
        corners = [at[name] for name in ("right_shoulder", "left_shoulder", "left_hip", "right_hip")]
        for k, corner in enumerate(corners):
            self._limb((corner, corners[(k + 1) % 4]), 0.07, cloth)
        self._draw.polygon([self._px(corner) for corner in corners], fill=cloth)
        if self._figure.wear == "dress":
            hips = ((corners[2][0] + corners[3][0]) / 2, corners[2][1])
            knees = [at["right_knee"], at["left_knee"]]
            low = max(hips[1] + 0.06, (knees[0][1] + knees[1][1]) / 2 - 0.01)
            wide = max(0.15 * self._thick, abs(knees[0][0] - knees[1][0]) / 2 + 0.06 * self._thick)
            middle = (knees[0][0] + knees[1][0]) / 2
            skirt = [corners[3], corners[2], (middle + wide, low), (middle - wide, low)]
            for k in range(4):
                self._limb((skirt[k], skirt[(k + 1) % 4]), 0.05, cloth)
            self._draw.polygon([self._px(corner) for corner in skirt], fill=cloth)
        if self._figure.who == "chef":
            for down in (0.3, 0.6):
                for sign in (-1, 1):
                    x = at["neck"][0] + (hips_x(at) - at["neck"][0]) * down + sign * 0.025
                    y = at["neck"][1] + (at["right_hip"][1] - at["neck"][1]) * down
                    self._disc((x, y), 0.012 * self._thick, (90, 94, 104))

    def _face(self, middle: Point) -> None:
        figure, head = self._figure, self._figure.head
        for side in ("right", "left"):
            self._disc(self._at[f"{side}_ear"], 0.2 * head, figure.skin)
        self._disc(middle, head, figure.skin)
        box = [middle[0] - 1.06 * head, middle[1] - 1.1 * head, middle[0] + 1.06 * head, middle[1] + 1.0 * head]
        if figure.who == "chef":
            self._hat(middle)
        else:
            self._draw.chord([v * self._side for v in box], 188, 352, fill=figure.hair)
        for side in ("right", "left"):
            self._disc(self._at[f"{side}_eye"], 0.12 * head, (44, 36, 40))
        mouth = [middle[0] - 0.4 * head, middle[1] + 0.1 * head, middle[0] + 0.4 * head, middle[1] + 0.62 * head]
        self._draw.chord([v * self._side for v in mouth], 15, 165, fill=(170, 60, 56))

    def _hat(self, middle: Point) -> None:
        head, white = self._figure.head, (250, 250, 252)
        low, high = middle[1] - 0.55 * head, middle[1] - 1.15 * head
        corners = [(middle[0] + sign * 0.85 * head, y) for sign, y in ((-1, low), (1, low), (1, high), (-1, high))]
        for across in (-0.62, 0.0, 0.62):
            self._disc((middle[0] + across * head, high - 0.12 * head), 0.5 * head, white)
        self._draw.polygon([self._px(corner) for corner in corners], fill=(232, 234, 240))

    def _limb(self, ends: tuple[Point, Point], width: float, colour: Rgb) -> None:
        wide = width * self._thick
        self._draw.line([self._px(end) for end in ends], fill=colour, width=max(1, round(wide * self._side)))
        for end in ends:
            self._disc(end, wide / 2, colour)

    def _disc(self, middle: Point, radius: float, colour: Rgb) -> None:
        (x, y), r = self._px(middle), radius * self._side
        self._draw.ellipse([x - r, y - r, x + r, y + r], fill=colour)

    def _px(self, point: Point) -> Point:
        return point[0] * self._side, point[1] * self._side


def hips_x(at: Mapping[str, Point]) -> float:
    """The middle between the hips."""
    return (at["right_hip"][0] + at["left_hip"][0]) / 2


def _darker(colour: Rgb) -> Rgb:
    return tuple(round(level * 0.9) for level in colour)  # type: ignore[return-value]
