"""Control maps of composed scenes: found in the picture as a user's would be, or known from the scene's plan.

Lines and edges come from the annotators, on the scene drawn at 512 or 256 px, and are brought to 128 px as a map of a
user's picture is. Regions and depth are known: which pixels a thing covers, and which thing lies before which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fantascope.annotate import annotate, palette
from fantascope.annotate.joints import COLOURS as JOINT_COLOURS
from fantascope.annotate.joints import DIM, JOINTS, LIMBS, Person, Pose, draw_pose
from fantascope.annotate.pixels import back, resized
from fantascope.annotate.segments import class_of, find_regions, free_colours
from fantascope.data.compose import Composer
from fantascope.data.scene import CANVAS, Scene, plan
from fantascope.data.vocabulary import Concept

Plane = NDArray[np.uint8]

SHARES: dict[str, float] = {
    "canny": 1.0,
    "hough": 0.6,
    "softedge": 1.0,
    "scribble": 1.0,
    "segmentation": 0.8,
    "depth": 0.6,
}
"""Kind -> how often it is drawn, relative to the others. A scene with people has their pose before all others."""

KINDS: tuple[str, ...] = (*SHARES, "pose")

PEOPLE = 0.4
"""Share of the scenes that are made to show people: a pose is harder to follow than an outline."""

LARGE = 512
PLAIN = 0.5
"""Share of the colour maps whose things have no class's colour, and of those whose backdrop is black."""

CLASSES = {
    "sky": "sky",
    "grass": "grass",
    "sea": "sea",
    "sunset": "sky",
    "snow": "earth",
    "desert": "sand",
    "room": "wall",
}
"""Scenery -> class in a colour map."""


@dataclass(frozen=True)
class Mapped:
    """A scene with some of its maps.

    Attributes:
        picture: (3, 128, 128) in -1..1.
        caption: Says what is there.
        maps: (M, 128, 128) uint8: levels, or for `segmentation` rows of `colours()`.
        kinds: M of `KINDS`.
    """

    picture: NDArray[np.float32]
    caption: str
    maps: Plane
    kinds: tuple[str, ...]


def colours() -> Plane:
    """The colours of maps that have some, (256, 3): black, the classes of ADE20K, colours that mean nothing, and those
    of joints and limbs."""
    known, bones = [(0, 0, 0), *palette().values()], _bones()
    return np.array([*known, *islice(free_colours(), 256 - len(known) - len(bones)), *bones], np.uint8)


def _bones() -> list[tuple[int, ...]]:
    dim = [tuple(int(DIM * level) for level in colour) for colour in JOINT_COLOURS[: len(LIMBS)]]
    return [*JOINT_COLOURS, *dim]


FREE = 1 + len(palette())
"""First row of `colours()` that means nothing."""

BONES = 256 - len(_bones())
"""First row of joints and limbs."""


def mapped(composer: Composer, concepts: dict[str, Concept], first: int, last: int, each: int = 3) -> Iterator[Mapped]:
    """The scenes `first` to `last` - 1 with `each` maps of different kinds, each a function of the scene's number.

    Raises:
        MissingExtra: OpenCV is not installed.
    """
    names = list(SHARES)
    shares = np.array(list(SHARES.values())) / sum(SHARES.values())
    for seed in range(first, last):
        rng = np.random.default_rng([seed, 23])
        scene = plan(seed, concepts, "figure" if rng.random() < PEOPLE else None)
        kinds = tuple(names[k] for k in rng.choice(len(names), each, replace=False, p=shares))
        if scene.figures:
            kinds = ("pose", *kinds[1:])
        large = np.asarray(composer.render(scene, LARGE))
        maps = [map_of(kind, scene, composer, concepts, large, rng) for kind in kinds]
        yield Mapped(composer.pixels(scene), scene.caption, np.stack(maps), kinds)


def map_of(
    kind: str,
    scene: Scene,
    composer: Composer,
    concepts: Mapping[str, Concept],
    large: Plane,
    rng: np.random.Generator,
) -> Plane:
    """A map of one kind, (128, 128), as `Mapped.maps` has it; parameters are drawn around their defaults.

    Args:
        kind: One of `KINDS`.
        scene, composer, concepts: What is drawn, by whom, of what.
        large: The scene, (512, 512, 3).
        rng: Draws parameters.
    """
    if kind == "segmentation":
        return segmented(scene, composer, concepts, large, rng)
    if kind == "depth":
        return layered(scene, composer, rng)
    if kind == "pose":
        return posed(scene, rng)
    if kind == "canny":
        low = int(rng.integers(40, 121))
        return small(annotate("canny", large, {"low": low, "high": min(255, 2 * low)}), rng)
    if kind == "hough":
        return small(annotate("hough", large, {"length": float(rng.uniform(12, 32))}), rng)
    seen = large if rng.random() < 0.5 else resized(large, (LARGE // 2, LARGE // 2), "area")
    values: dict[str, Any] = {"smooth": float(rng.uniform(0, 50)), "resolution": len(seen)}
    if kind == "softedge":
        return back(annotate(kind, seen, values), CANVAS, CANVAS, "soft")[..., 0]
    values["thickness"] = max(0.5, float(rng.uniform(0.6, 4)) * len(seen) / LARGE)
    return small(annotate("fake_scribble", seen, values), rng)


def small(lines: Plane, rng: np.random.Generator) -> Plane:
    """Lines (H, W, 3) at 128 px: whole and white mostly, sometimes averaged to grey, as another program would."""
    scale = "soft" if rng.random() < 0.2 else "lines"
    return back(lines, CANVAS, CANVAS, scale)[..., 0]


def segmented(
    scene: Scene, composer: Composer, concepts: Mapping[str, Concept], large: Plane, rng: np.random.Generator
) -> Plane:
    """Rows of `colours()` by the plan: a class's where a thing has one, or any; a quarter by colour alone."""
    some = rng.permutation(BONES - FREE) + FREE
    if rng.random() < 0.25:
        labels, _ = find_regions(resized(large, (CANVAS, CANVAS), "area"))
        return some[labels % len(some)].astype(np.uint8)
    rows = {name: 1 + k for k, name in enumerate(palette())}
    named = rng.random() >= PLAIN
    behind = CLASSES.get(scene.backdrop) if named else None
    ground = 0 if rng.random() < PLAIN else rows[behind] if behind in rows else int(some[-1])
    out = np.full((CANVAS, CANVAS), ground, np.uint8)
    kinds = [concepts[thing.concept].kind for thing in scene.things] + ["man"] * len(scene.figures)
    for k, (kind, shape) in enumerate(zip(kinds, composer.shapes(scene), strict=True)):
        name = class_of(kind) if named else None
        out[shape > 127] = rows[name] if name is not None else some[k]
    return out


def layered(scene: Scene, composer: Composer, rng: np.random.Generator) -> Plane:
    """Nearness by the order of the layers: 0 is the backdrop, 255 the nearest thing; half have ground that rises."""
    out = np.zeros((CANVAS, CANVAS), np.float32)
    if rng.random() < 0.5:
        out += np.linspace(0, rng.uniform(20, 120), CANVAS, dtype=np.float32)[:, None]
    count = len(scene.things) + len(scene.figures)
    for k, shape in enumerate(composer.shapes(scene)):
        cover = shape.astype(np.float32) / 255
        out += cover * (255 * (0.5 + 0.5 * (k + 1) / count) - out)
    return np.round(out).astype(np.uint8)


def pose_of(scene: Scene, size: int) -> Pose:
    """The joints of a scene's people on a canvas of `size` px."""
    people = []
    for one in scene.figures:
        at = [
            ((one.left + one.side * x) * size / CANVAS, (one.top + one.side * y) * size / CANVAS)
            for x, y in one.figure.joints
        ]
        people.append(Person(**dict(zip(JOINTS, at, strict=True))))
    return Pose(width=size, height=size, people=tuple(people))


def posed(scene: Scene, rng: np.random.Generator) -> Plane:
    """Rows of `colours()`: joints and limbs as OpenPose's maps have them, some left out as a network misses some."""
    size = int(rng.choice([256, 512, 768]))
    whole = pose_of(scene, size)
    people = []
    for person in whole.people:
        lost = {name: None for name in JOINTS if rng.random() < 0.04}
        people.append(person.model_copy(update=lost))
    drawn = resized(draw_pose(whole.model_copy(update={"people": tuple(people)})), (CANVAS, CANVAS), "nearest")
    table = {tuple(colour): BONES + k for k, colour in enumerate(colours()[BONES:].tolist())}
    rows = [table.get(tuple(pixel), 0) for pixel in drawn.reshape(-1, 3).tolist()]
    return np.array(rows, np.uint8).reshape(CANVAS, CANVAS)
