"""Training scenes, planned: what is where, in which colour, style and light, and the caption that says exactly that.

A scene is planned from a seed and nothing else, as a frozen `Scene`; `Composer.render` then draws that plan at any
multiple of 128 px. Places of one size differ by multiples of 8 px, the stride of the autoencoder, so that the same
drawing in another place has the same latents, moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from fantascope.core.colour import COLOURS
from fantascope.data.caption import Thing, caption
from fantascope.data.figure import Figure, plan_figure
from fantascope.data.vocabulary import Concept, core

CANVAS = 128
GRID = 8

LAYOUTS: dict[str, float] = {
    "one": 0.32,
    "pair": 0.33,
    "figure": 0.05,
    "copies": 0.13,
    "row": 0.05,
    "several": 0.02,
    "mixed": 0.02,
    "three": 0.025,
    "behind": 0.02,
    "among": 0.015,
    "empty": 0.02,
}
"""Layout -> share of the scenes."""

STYLES: dict[str, float] = {
    "flat": 0.72,
    "3d": 0.10,
    "cartoon": 0.06,
    "clipart": 0.01,
    "outline": 0.02,
    "minimal": 0.015,
    "pixel": 0.02,
    "sketch": 0.02,
    "watercolour": 0.0175,
    "oil": 0.0175,
}
"""Style -> share. The first four are other drawings, the rest filters over flat ones."""

DRAWN = ("flat", "3d", "cartoon", "clipart")

PLACES: dict[str, float] = {
    "night": 0.16,
    "sky": 0.14,
    "grass": 0.16,
    "sea": 0.12,
    "room": 0.10,
    "galaxy": 0.10,
    "sunset": 0.07,
    "kitchen": 0.05,
    "snow": 0.05,
    "desert": 0.05,
}
"""Scenery -> share among the scenes that have one."""

HALF, NEAR, MIDDLE, FAR = 60, 2, 34, 66
"""Side of things that share the canvas two by two, and their first, middle and second place. What is drawn should be as
large as it can, and stay more than a cell of the latents apart: with 68 px two pandas grew together."""

ANYWHERE = 0.1
"""Share of the single things that stand anywhere, in any size."""

LIGHTS = ("warm", "cold", "dim", "bright")
BEHIND = ("moon", "sun", "rainbow", "castle", "snowy-mountain", "tree", "cloud", "house", "volcano")
FIELDS = ("sunflower", "rose", "tulip", "mushroom", "star", "balloon", "cactus", "pine-tree")


@dataclass(frozen=True)
class Placed:
    """A drawing on the canvas: concept, source drawn from, colour (`None` is its own), left, top and side in px."""

    concept: str
    source: str
    colour: str | None
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Posed:
    """A figure on the canvas: left, top and side in px."""

    figure: Figure
    left: int
    top: int
    side: int


@dataclass(frozen=True)
class Scene:
    """What a picture shows.

    Attributes:
        seed: What it was planned from.
        layout: Key of `LAYOUTS`, or `dense`.
        backdrop: A colour, `gradient:UPPER:LOWER`, or a key of `PLACES`.
        style: Key of `STYLES`.
        things: What is placed, the farthest first.
        caption: Says it.
        light: One of `LIGHTS`, or empty.
        finish: `low` (resolution), `shadow`, `sparkles`, or empty.
        figures: People from head to foot, before everything else.
    """

    seed: int
    layout: str
    backdrop: str
    style: str
    things: tuple[Placed, ...]
    caption: str
    light: str = ""
    finish: str = ""
    figures: tuple[Posed, ...] = ()


@lru_cache(maxsize=8)
def _table(weights: tuple[float, ...]) -> NDArray[np.float64]:
    return np.cumsum(np.array(weights)) / sum(weights)


def draw_key(rng: np.random.Generator, table: Mapping[str, float]) -> str:
    """Draw a key by its weight."""
    at = int(np.searchsorted(_table(tuple(table.values())), rng.random(), side="right"))
    return list(table)[min(at, len(table) - 1)]


@lru_cache(maxsize=8)
def _weights(keys: tuple[str, ...], weights: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(keys, weights, strict=True))


def plan(seed: int, concepts: Mapping[str, Concept], layout: str | None = None) -> Scene:
    """Plan the scene of a seed.

    Args:
        seed: Any non-negative integer; the same seed gives the same scene.
        concepts: What may be drawn, weighted. Each must have a flat drawing.
        layout: Key of `LAYOUTS`; drawn by the seed where it is not given.
    """
    rng = np.random.default_rng([seed, 17])
    drawn, style = draw_key(rng, LAYOUTS), draw_key(rng, STYLES)
    layout = drawn if layout is None else layout
    if layout == "empty":
        return _empty(rng, seed)
    if layout == "figure":
        return _figures(rng, seed, style)
    backdrop = _backdrop(rng, layout)
    kinds = {"pair": 2, "mixed": 2, "three": 3, "behind": 2, "among": 2}.get(layout, 1)
    chosen = _choose(rng, concepts, layout, kinds)
    sources = [_source(style, concept) for concept in chosen]
    if style in DRAWN and style != "flat" and style not in sources:
        style, sources = "flat", ["flat"] * kinds
    share = {"one": 0.45, "pair": 0.58, "three": 0.2, "behind": 0.2, "among": 0.2}.get(layout, 0.4)
    if style in ("outline", "sketch"):
        share = 0.0
    colours = _colours(rng, kinds, share, backdrop)
    count = _count(rng, layout)
    size = str(rng.choice(["small", "large"])) if layout == "one" and rng.random() < 0.12 else ""
    spot = str(rng.choice(["left", "right", "top", "bottom"])) if layout == "one" and rng.random() < 0.08 else ""
    relation = _relation(rng, layout)
    things = []
    for which, (left, top, side) in _places(rng, layout, count, size, spot, relation):
        things.append(Placed(chosen[which].key, sources[which], colours[which], left, top, side))
    light = str(rng.choice(LIGHTS)) if rng.random() < 0.03 else ""
    finish = str(rng.choice(["low", "shadow", "sparkles"])) if rng.random() < 0.03 else ""
    said = [Thing(concept, colour) for concept, colour in zip(chosen, colours, strict=True)]
    text = caption(
        rng,
        layout=layout,
        things=said,
        count=count,
        relation=relation,
        size=size,
        spot=spot,
        backdrop=backdrop,
        style=style,
        light=light,
        finish=finish,
    )
    return Scene(seed, layout, backdrop, style, tuple(things), text, light, finish)


def plan_dense(seed: int, concepts: Mapping[str, Concept]) -> Scene:
    """Plan a crowded picture without a caption, of any sizes and places: what an autoencoder learns most from."""
    rng = np.random.default_rng([seed, 11])
    rows, things = list(concepts.values()), []
    style, cells = draw_key(rng, STYLES), int(rng.choice([1, 2, 3], p=[0.35, 0.45, 0.2]))
    for k in range(cells * cells):
        concept = rows[int(rng.integers(len(rows)))]
        colour = str(rng.choice(list(COLOURS))) if rng.random() < 0.35 else None
        side = int(rng.integers(80, 129)) if cells == 1 else int(CANVAS / cells * rng.uniform(0.8, 1.15))
        spare = CANVAS // cells - side
        left, top = (CANVAS // cells * at + int(rng.integers(-8, 9)) + spare // 2 for at in (k % cells, k // cells))
        drawn = [source for source in DRAWN if source in concept.draw]
        source = _source(style, concept) if rng.random() < 0.5 else drawn[int(rng.integers(len(drawn)))]
        things.append(Placed(concept.key, source, colour, left, top, side))
    return Scene(seed, "dense", _backdrop(rng, "one"), style, tuple(things), "")


def _empty(rng: np.random.Generator, seed: int) -> Scene:
    backdrop = draw_key(rng, PLACES)
    style = draw_key(rng, STYLES)
    style = "flat" if style in DRAWN else style
    text = caption(rng, layout="empty", things=[], count=0, backdrop=backdrop, style=style)
    return Scene(seed, "empty", backdrop, style, (), text)


def _figures(rng: np.random.Generator, seed: int, style: str) -> Scene:
    """One person, or two beside each other, of any size; said are who, clothes and pose."""
    backdrop = _backdrop(rng, "figure")
    style = "flat" if style in DRAWN else style
    if rng.random() < 0.15:
        places = [(0, 32, 64), (64, 32, 64)]
    else:
        side = int(rng.choice([120, 104, 88, 72], p=[0.55, 0.2, 0.15, 0.1]))
        free = CANVAS - side
        across, down = (int(rng.integers(0, free // GRID + 1)) * GRID for _ in range(2))
        middle = free // 2 // 4 * 4
        places = [(middle if rng.random() < 0.5 else across, middle if rng.random() < 0.5 else down, side)]
    figures = tuple(Posed(plan_figure(rng, backdrop), *place) for place in places)
    said = [posed.figure for posed in figures]
    text = caption(rng, layout="figure", things=[], count=len(said), backdrop=backdrop, style=style, figures=said)
    return Scene(seed, "figure", backdrop, style, (), text, figures=figures)


def _choose(rng: np.random.Generator, concepts: Mapping[str, Concept], layout: str, kinds: int) -> list[Concept]:
    """Different concepts by weight. What stands behind or in a field is one of a few, where the vocabulary has them."""
    table = _weights(tuple(concepts), tuple(concept.weight for concept in concepts.values()))
    chosen: list[Concept] = []
    special = {"behind": BEHIND, "among": FIELDS}.get(layout, ())
    known = [key for key in special if key in concepts]
    while len(chosen) < kinds:
        fixed = known and len(chosen) == 1
        key = str(rng.choice(known)) if fixed else draw_key(rng, table)
        if all(concepts[key].kind != other.kind for other in chosen) or len(concepts) < kinds:
            chosen.append(concepts[key])
    return chosen


def _source(style: str, concept: Concept) -> str:
    return style if style in DRAWN and style in concept.draw else "flat"


def _backdrop(rng: np.random.Generator, layout: str) -> str:
    draw = rng.random()
    if layout == "among":
        return "galaxy" if draw < 0.4 else "grass"
    if draw < 0.36:
        return "white"
    if draw < 0.68:
        return str(rng.choice([name for name in COLOURS if name != "white"]))
    if draw < 0.73:
        upper, lower = rng.choice(list(COLOURS), 2, replace=False)
        return f"gradient:{upper}:{lower}"
    return draw_key(rng, PLACES)


def _colours(rng: np.random.Generator, kinds: int, share: float, backdrop: str) -> list[str | None]:
    """A named colour that can be told from the backdrop for a share of the things; in pairs mostly both or none."""
    avoid = set(backdrop.split(":")) | {"night": {"black"}, "galaxy": {"black"}, "snow": {"white"}}.get(backdrop, set())
    names = [name for name in COLOURS if name not in avoid]
    both = rng.random() < share
    wanted = [both if rng.random() < 0.7 else rng.random() < share for _ in range(kinds)]
    picked = rng.choice(names, kinds, replace=False)
    return [str(name) if want else None for name, want in zip(picked, wanted, strict=True)]


def _count(rng: np.random.Generator, layout: str) -> int:
    if layout in ("copies", "mixed"):
        return int(rng.choice([2, 3, 4], p=[0.36, 0.34, 0.3])) if layout == "copies" else 2
    return {"row": 3, "several": int(rng.integers(3, 5)), "among": 5}.get(layout, 1)


def _relation(rng: np.random.Generator, layout: str) -> str:
    """How a pair stands: `and` goes from left to right, so do `left` and, told the other way round, `right`."""
    if layout != "pair":
        return ""
    return str(rng.choice(["and", "left", "right", "above", "below"], p=[0.4, 0.15, 0.15, 0.15, 0.15]))


def _places(
    rng: np.random.Generator, layout: str, count: int, size: str, spot: str, relation: str
) -> Iterator[tuple[int, tuple[int, int, int]]]:
    """Which thing, and its left, top and side: whole cells of the grid, and half a cell at the border."""
    step = int(rng.choice([-GRID, 0, GRID], p=[0.2, 0.6, 0.2]))
    other = int(rng.choice([-GRID, 0, GRID], p=[0.2, 0.6, 0.2]))
    if layout == "one":
        anywhere = not size and not spot and rng.random() < ANYWHERE
        yield 0, _anywhere(rng) if anywhere else _single(size, spot, step, other)
        return
    spots: Sequence[tuple[int, int, int, int]]
    if layout == "pair":
        if relation in ("above", "below"):
            spots = [(0, MIDDLE + step, NEAR, HALF), (1, MIDDLE + step, FAR, HALF)]
        else:
            spots = [(0, NEAR, MIDDLE + step, HALF), (1, FAR, MIDDLE + step, HALF)]
        if relation in ("below", "right"):
            spots = [(1 - which, *rest) for which, *rest in spots]  # type: ignore[misc]
    elif layout == "row":
        spots = [(0, left, 44 + step, 40) for left in (4, 44, 84)]
    elif layout == "three":
        spots = [(k, left, 44 + step, 40) for k, left in enumerate((4, 44, 84))]
    elif layout == "mixed":
        spots = [(0, NEAR, NEAR, HALF), (0, FAR, NEAR, HALF), (1, MIDDLE, FAR, HALF)]
    elif layout == "behind":
        spots = [(1, 76 if step >= 0 else 12, 4, 40), (0, 28, 44, 80)]
    elif layout == "among":
        around = ((4, 4), (84, 4), (4, 84), (84, 84), (44, 92))[:count]
        spots = [(1, left, top, 40 if top < 90 else 32) for left, top in around] + [(0, 36, 28, 56)]
    else:
        spots = [(0, *place) for place in _group(count, step)]
    for which, left, top, side in spots:
        yield which, (left, top, side)


def _anywhere(rng: np.random.Generator) -> tuple[int, int, int]:
    """Any size and place on the grid, of which the caption says nothing."""
    side = int(rng.integers(5, 15)) * GRID
    left, top = (int(rng.integers(0, (CANVAS - side) // GRID + 1)) * GRID for _ in range(2))
    return left, top, side


def _single(size: str, spot: str, across: int, down: int) -> tuple[int, int, int]:
    side = {"small": 48, "large": 120}.get(size, 64 if spot else 104)
    free = CANVAS - side
    low, high = 4, free - 4
    middle = free // 2 // 4 * 4
    left, top = {"left": (low, middle), "right": (high, middle), "top": (middle, low), "bottom": (middle, high)}.get(
        spot, (middle + across, middle + down if size else middle)
    )
    return min(max(left, 0), free), min(max(top, 0), free), side


def _group(count: int, step: int) -> list[tuple[int, int, int]]:
    if count == 2:
        return [(NEAR, MIDDLE + step, HALF), (FAR, MIDDLE + step, HALF)]
    if count == 3:
        return [(MIDDLE, NEAR, HALF), (NEAR, FAR, HALF), (FAR, FAR, HALF)]
    return [(NEAR, NEAR, HALF), (FAR, NEAR, HALF), (NEAR, FAR, HALF), (FAR, FAR, HALF)]


__all__ = [
    "CANVAS",
    "DRAWN",
    "GRID",
    "LAYOUTS",
    "PLACES",
    "STYLES",
    "Placed",
    "Posed",
    "Scene",
    "core",
    "plan",
    "plan_dense",
]
