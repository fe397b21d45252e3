"""How well people in a picture stand as they were asked to: joints found again, and where the people are.

The pose network learned from photos and does not see most people that are painted or drawn, so joints alone say little.
On a plain ground a person is what differs from the ground, whoever painted it: that needs no network, and knows nothing
of what was asked for. It is compared with the silhouette that the joints have when they are drawn as thick as the
people of `data.figure` are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from fantascope.annotate import Person, Pose, Tools, find_pose
from fantascope.annotate.joints import JOINTS
from fantascope.annotate.pixels import opencv, resized

Mask = npt.NDArray[np.bool_]
Point = tuple[float, float]

NEAR = 0.15
"""How far a joint may be off, of the height of the person as given."""

SEEN = 512
"""Short side at which a picture is looked at, px."""

MOST = 4
"""People that are told apart."""

APART = 0.1
"""Least distance of a person from the ground, root mean square over the channels, of the whole range."""

FRAME = 0.03
"""Width of the strip along the border that is taken for ground, of the picture's side."""

SPECK = 0.004
"""Least share of the picture of a part of a person, and of a hole in one."""

ON = 0.75
"""Share of a limb that has to lie on a person."""

SIDES = ("right", "left")
WIDE = {("shoulder", "elbow"): 0.65, ("elbow", "wrist"): 0.54, ("hip", "knee"): 0.78, ("knee", "ankle"): 0.68}
"""Limbs that show how somebody stands, of either side, and how thick they are drawn, in radii of the head."""

TRUNK = 0.61
"""Thickness of the neck and of the torso's outline, in radii of the head."""

EARS, SHOULDERS, TALL = 1.96, 1.7, 7.0
"""Distance of the ears, of the shoulders, and height from the eyes to the ankles, in radii of the head."""

FINE = 4
"""How many times larger a silhouette is drawn before it is averaged down."""


def joints_met(asked: Pose, picture: Any, tools: Tools | None = None) -> float:
    """Share of the joints asked for that are found within `NEAR` of a person's height, 0..1.

    People are found by the pose network (`find_pose`) and paired with those asked for so that most joints are met; a
    person who is not found meets none.

    Args:
        asked: Joints on a canvas of the picture's shape.
        picture: (H, W, 3) uint8.
        tools: Where the network's files are.

    Raises:
        ModelNotFound: They are not there; the message says how to get them.

    Source: Yang & Ramanan, "Articulated human detection with flexible mixtures of parts" (2013), section 5 (PCK).
    """
    people = [person for person in asked.people if any(person.joints())][:MOST]
    if not people:
        return 1.0
    scale = max(1, round(SEEN / min(picture.shape[:2])))
    size = (picture.shape[1] * scale, picture.shape[0] * scale)
    found = find_pose(resized(picture, size, "cubic"), people=len(people), confidence=0.3, tools=tools)
    ratio = asked.width / found.width
    table = [[_met(one, other, ratio) for other in found.people] for one in people]
    due = sum(joint is not None for person in people for joint in person.joints())
    return _best(table) / due


def _best(table: Sequence[Sequence[int]]) -> int:
    """The most joints met by pairing rows with different columns."""
    columns = range(len(table[0]) if table else 0)
    spare = [None] * len(table)
    orders = set(permutations([*columns, *spare], len(table)))
    return max(sum(0 if k is None else row[k] for row, k in zip(table, order, strict=True)) for order in orders)


def _met(one: Person, other: Person, ratio: float) -> int:
    given = [joint for joint in one.joints() if joint is not None]
    tall = max(max(y for _, y in given) - min(y for _, y in given), 1.0)
    pairs = zip(one.joints(), other.joints(), strict=True)
    return sum(
        math.dist(a, (b[0] * ratio, b[1] * ratio)) <= NEAR * tall for a, b in pairs if a is not None and b is not None
    )


def person_of(picture: Any) -> Mask:
    """Where somebody is, (H, W), in a picture (H, W, 3) uint8 of a plain or evenly graded ground: what is not ground.

    The ground is a plane through the colours along the border, refitted three times without the half that is farthest
    from it, so somebody who touches the border does not matter. Specks are left out, and small holes are filled.
    """
    height, width = picture.shape[:2]
    pixels = picture.reshape(-1, 3).astype(np.float64)
    rows, columns = np.mgrid[:height, :width]
    at = np.stack([np.ones(height * width), rows.ravel() / height - 0.5, columns.ravel() / width - 0.5], 1)
    strip = max(1, round(FRAME * min(height, width)))
    inner = np.zeros((height, width), bool)
    inner[strip : height - strip, strip : width - strip] = True
    border = np.flatnonzero(~inner.ravel())
    # The first plane is flat: the middle of each channel is the ground's while it has more than half of the border.
    plane = np.stack([np.median(pixels[border], 0), np.zeros(3), np.zeros(3)])
    for _ in range(3):
        off = np.abs(at[border] @ plane - pixels[border]).max(1)
        kept = border[off <= np.median(off)]
        plane = np.linalg.lstsq(at[kept], pixels[kept], rcond=None)[0]
    far = np.sqrt(((at @ plane - pixels) ** 2).mean(1)) / 255 > APART
    return ~_large(~_large(far.reshape(height, width)))


def _large(mask: Mask) -> Mask:
    """The connected parts of a mask that have at least `SPECK` of the picture."""
    count, names, stats, _ = opencv().connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    large = [k for k in range(1, count) if stats[k, 4] >= SPECK * mask.size]
    return np.asarray(np.isin(names, large))


def silhouette(pose: Pose, side: int) -> Mask:
    """What people of these joints cover, (side, side): trunk, limbs and head as thick as those of `data.figure`.

    Hair, hats and clothes are left out: joints do not ask for them.
    """
    image, draw, scale = _canvas(pose, side)
    for person in pose.people:
        head = _head(person)
        at = {name: joint for name, joint in zip(JOINTS, person.joints(), strict=True) if joint is not None}
        for one, other, wide in _limbs(at):
            _stroke(draw, one, other, wide * head, scale)
        corners = [at[name] for name in ("right_shoulder", "left_shoulder", "left_hip", "right_hip") if name in at]
        for k, corner in enumerate(corners):
            _stroke(draw, corner, corners[(k + 1) % len(corners)], TRUNK * head, scale)
        if len(corners) > 2:
            draw.polygon([(x * scale, y * scale) for x, y in corners], fill=255)
        if "nose" in at:
            middle = (at["nose"][0], at["nose"][1] - 0.2 * head)
            _stroke(draw, at.get("neck", middle), middle, TRUNK * head, scale)
            _stroke(draw, middle, middle, 2 * head, scale)
    return _averaged(image, side)


def limbs_on(pose: Pose, where: Mask) -> float:
    """Share of the arms' and legs' two halves, drawn as thick as in `silhouette`, that lie by `ON` on a mask (N, N).

    Trunk and head are left out: whoever stands in the middle has them in the right place.
    """
    marks = []
    for person in pose.people:
        head = _head(person)
        at = {name: joint for name, joint in zip(JOINTS, person.joints(), strict=True) if joint is not None}
        for one, other, wide in _limbs(at):
            image, draw, scale = _canvas(pose, len(where))
            _stroke(draw, one, other, wide * head, scale)
            limb = _averaged(image, len(where))
            marks.append(bool((limb & where).sum() >= ON * limb.sum()))
    return float(np.mean(marks)) if marks else 1.0


def shared(one: Mask, other: Mask) -> float:
    """Intersection over union of two masks of one shape, 0..1; 1 where both are empty."""
    union = int((one | other).sum())
    return 1.0 if union == 0 else float((one & other).sum() / union)


def moved_into(pose: Pose, place: Pose) -> Pose:
    """People of one pose as large as they fit, and in the middle, where those of another with as many people stand."""
    people = []
    for person, other in zip(pose.people, place.people, strict=True):
        low, high = _box(person)
        to_low, to_high = _box(other)
        scale = float(((to_high - to_low) / np.maximum(high - low, 1e-6)).min())
        shift = (to_low + to_high - scale * (low + high)) / 2
        points = [joint and (scale * joint[0] + shift[0], scale * joint[1] + shift[1]) for joint in person.joints()]
        people.append(Person(**dict(zip(JOINTS, points, strict=True))))
    return Pose(width=place.width, height=place.height, people=tuple(people))


def _box(person: Person) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    points = np.array([joint for joint in person.joints() if joint is not None])
    return points.min(0), points.max(0)


def _head(person: Person) -> float:
    """Radius of a person's head, as far as joints tell it."""
    for one, other, apart in (
        (person.right_ear, person.left_ear, EARS),
        (person.right_shoulder, person.left_shoulder, SHOULDERS),
    ):
        if one is not None and other is not None:
            return math.dist(one, other) / apart
    points = [joint for joint in person.joints() if joint is not None]
    return (max(y for _, y in points) - min(y for _, y in points)) / TALL if points else 0.0


def _limbs(at: dict[str, Point]) -> list[tuple[Point, Point, float]]:
    names = [(f"{side}_{one}", f"{side}_{other}", wide) for side in SIDES for (one, other), wide in WIDE.items()]
    return [(at[one], at[other], wide) for one, other, wide in names if one in at and other in at]


def _canvas(pose: Pose, side: int) -> tuple[Image.Image, ImageDraw.ImageDraw, float]:
    image = Image.new("L", (side * FINE, side * FINE))
    return image, ImageDraw.Draw(image), side * FINE / pose.width


def _stroke(draw: ImageDraw.ImageDraw, one: Point, other: Point, wide: float, scale: float) -> None:
    """A line with round ends."""
    ends = [(one[0] * scale, one[1] * scale), (other[0] * scale, other[1] * scale)]
    draw.line(ends, fill=255, width=max(1, round(wide * scale)))
    for x, y in ends:
        reach = wide * scale / 2
        draw.ellipse([x - reach, y - reach, x + reach, y + reach], fill=255)


def _averaged(image: Image.Image, side: int) -> Mask:
    return np.asarray(image.resize((side, side), Image.Resampling.BOX)) > 127
