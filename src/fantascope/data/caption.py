"""Captions for composed scenes: a small grammar that names what is there, where, in which colours, style and light.

Some wordings are never used, so that prompts in them are certainly not training captions: "an image of …" (the
benchmark's frame), "a couple of", "a pair of" two different things, "a trio of", and each concept's `free` words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fantascope.core.colour import COLOURS
from fantascope.data.figure import Figure, words
from fantascope.data.vocabulary import Concept

NUMBERS = {2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4")}

FRAME = "an image of"
"""How the benchmark's prompts begin. No caption may contain it."""

GROUNDS: dict[str, tuple[str, ...]] = {
    "night": (" at night", " under the stars", " under a night sky", ", night sky"),
    "sky": (" in the sky", " in a blue sky with clouds", " against a cloudy sky", ", blue sky"),
    "grass": (" on the grass", " in a meadow", " on a green lawn", " in a field"),
    "sea": (" at sea", " in the ocean", " by the sea", " on the water"),
    "room": (" in a room", " indoors", " inside a room", " in the living room"),
    "galaxy": (" in space", " in a galaxy", " in outer space", ", galaxy background"),
    "sunset": (" at sunset", " in front of a sunset", " at dusk", ", sunset"),
    "kitchen": (" in the kitchen", " in a kitchen"),
    "snow": (" in the snow", " in a snowy landscape", " in winter"),
    "desert": (" in the desert", " on the sand", " on desert dunes"),
}

SCENERY: dict[str, tuple[str, ...]] = {
    "night": ("a night sky", "a starry night", "the night sky with stars"),
    "sky": ("a blue sky with clouds", "the sky", "a cloudy sky"),
    "grass": ("a green meadow", "a field of grass", "a lawn under a blue sky"),
    "sea": ("the sea", "the ocean", "a calm sea"),
    "room": ("an empty room", "a room", "a living room", "the inside of a house"),
    "galaxy": ("a galaxy", "a galaxy full of stars", "outer space"),
    "sunset": ("a sunset", "a sunset over the horizon", "an evening sky"),
    "kitchen": ("a kitchen", "an empty kitchen"),
    "snow": ("a snowy landscape", "a winter landscape", "snow"),
    "desert": ("a desert", "desert dunes", "a sandy desert"),
}

WORDS: dict[str, tuple[str, ...]] = {
    "flat": ("flat illustration of {}", "{}, flat style", "{}, flat vector art", "flat icon of {}"),
    "3d": ("a 3d render of {}", "{}, 3d style", "{} in 3d", "a glossy 3d icon of {}"),
    "cartoon": ("a cartoon of {}", "{}, cartoon style", "a cartoon drawing of {}"),
    "clipart": ("clip art of {}", "{}, clip art"),
    "outline": ("a line drawing of {}", "{}, line art", "an outline of {}", "line art of {}"),
    "minimal": ("a minimalist icon of {}", "{}, minimalist style", "{}, minimal"),
    "pixel": ("pixel art of {}", "{}, pixel art", "{}, 8-bit style"),
    "sketch": ("a pencil sketch of {}", "{}, sketch", "a sketch of {}", "a pencil drawing of {}"),
    "watercolour": ("a watercolor painting of {}", "{}, watercolor", "a watercolor of {}"),
    "oil": ("an oil painting of {}", "{}, oil painting", "{} painted in oil"),
}

LIGHT_WORDS: dict[str, tuple[str, ...]] = {
    "warm": (", warm light", " in warm light", ", warm and inviting"),
    "cold": (", cold light", " in cold blue light"),
    "dim": (", dim light", " in the dark", ", dark lighting"),
    "bright": (", bright light", " in bright light"),
}

FINISH_WORDS: dict[str, tuple[str, ...]] = {
    "low": (", low resolution", ", blurry", ", out of focus"),
    "shadow": (" with a shadow", ", drop shadow"),
    "sparkles": (" with sparkles", " surrounded by sparkles"),
    "": (", high resolution", ", 4k", ", sharp", ", highly detailed", ", high quality"),
}

SIZES: dict[str, tuple[str, ...]] = {
    "small": ("small", "tiny", "little"),
    "large": ("large", "big", "huge"),
}


@dataclass(frozen=True)
class Thing:
    """A concept in one colour, or in its own (`None`)."""

    concept: Concept
    colour: str | None


def caption(
    rng: np.random.Generator,
    *,
    layout: str,
    things: Sequence[Thing],
    count: int,
    backdrop: str,
    relation: str = "",
    size: str = "",
    spot: str = "",
    style: str = "flat",
    light: str = "",
    finish: str = "",
    figures: Sequence[Figure] = (),
) -> str:
    """Write a caption of at most 30 tokens.

    Args:
        rng: Where the choice of words comes from.
        layout, things, count, backdrop, relation, size, spot, style, light, finish, figures: As in `scene.Scene` and
            its plan; white goes without saying more often than not, and flat nearly always.
    """
    styled = style != "flat" or rng.random() < 0.15
    text = _subject(rng, layout, things, count, relation, size, spot, plain=styled)
    if layout == "empty":
        text = _pick(rng, SCENERY[backdrop])
    elif layout == "figure":
        text = " and ".join(words(rng, figure) for figure in figures) + _ground(rng, backdrop)
    elif layout != "among":
        text += _ground(rng, backdrop)
    elif backdrop == "grass" and rng.random() < 0.3:
        text += _pick(rng, GROUNDS["grass"][:3])
    if styled:
        text = _pick(rng, WORDS[style]).format(text)
    if light:
        text += _pick(rng, LIGHT_WORDS[light])
    if finish or rng.random() < 0.02:
        text += _pick(rng, FINISH_WORDS[finish])
    return text[0].upper() + text[1:] if rng.random() < 0.2 else text


def article(noun: str) -> str:
    """The noun with its indefinite article."""
    silent = noun.startswith(("hour", "honest"))
    consonant = noun.startswith(("uni", "ufo", "euro", "one-"))
    vowel = noun[0] in "aeiou" and not consonant
    return f"{'an' if vowel or silent else 'a'} {noun}"


def noun(name: str, colour: str | None, size: str = "") -> str:
    """A name with its colour and size before it; a colour in the name itself gives way to another."""
    if colour is not None:
        first, _, rest = name.partition(" ")
        name = f"{colour} {rest if first in COLOURS and rest else name}"
    return f"{size} {name}" if size else name


def _subject(
    rng: np.random.Generator,
    layout: str,
    things: Sequence[Thing],
    count: int,
    relation: str,
    size: str,
    spot: str,
    plain: bool,
) -> str:
    if layout == "one":
        return _one(rng, things[0], size, spot, plain)
    if layout == "pair":
        return _pair(rng, things, relation)
    if layout == "copies":
        return f"{_number(rng, count)} {_nouns(rng, things[0])}"
    if layout == "several":
        return _pick(rng, ("{}", "some {}", "several {}", "a group of {}")).format(_nouns(rng, things[0]))
    frames: tuple[str, ...]
    if layout == "row":
        frames = ("{} on parade", "{} on parade", "a parade of {}", "a row of {}", "{} in a row", "three {} in a row")
        return _pick(rng, frames).format(_nouns(rng, things[0]))
    if layout == "mixed":
        return f"two {_nouns(rng, things[0])} and {_a(rng, things[1])}"
    if layout == "three":
        one, two, three = (_a(rng, thing) for thing in things)
        return f"{one}, {two} and {three}"
    if layout == "behind":
        frames = ("{} with {} in the background", "{} in front of {}", "{}, {} in the background")
        return _pick(rng, frames).format(_a(rng, things[0]), _a(rng, things[1]))
    if layout == "among":
        frames = ("{} in a field of {}", "{} among {}", "{} surrounded by {}", "{} walking through a field of {}")
        return _pick(rng, frames).format(_a(rng, things[0]), _nouns(rng, things[1]))
    return ""


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _which(rng: np.random.Generator, names: Sequence[str]) -> str:
    """The usual name half the time, else any of its names."""
    return names[0] if rng.random() < 0.5 else _pick(rng, names)


def _noun(rng: np.random.Generator, thing: Thing, size: str = "") -> str:
    said = _pick(rng, SIZES[size]) if size else ""
    return noun(_which(rng, thing.concept.names), thing.colour, said)


def _nouns(rng: np.random.Generator, thing: Thing) -> str:
    return noun(_which(rng, thing.concept.plurals), thing.colour)


def _a(rng: np.random.Generator, thing: Thing, size: str = "") -> str:
    said = _noun(rng, thing, size)
    return said if thing.concept.bare else article(said)


def _one(rng: np.random.Generator, thing: Thing, size: str, spot: str, plain: bool) -> str:
    frames = ["{a}", "{a}", "{a}", "{a}", "{n}", "a picture of {a}", "a drawing of {a}", "an illustration of {a}"]
    frames = frames[:5] if plain else frames
    said = _noun(rng, thing, size)
    text = _pick(rng, frames).format(n=said, a=said if thing.concept.bare else article(said))
    sides = {
        "left": (" on the left", " on the left side"),
        "right": (" on the right", " on the right side"),
        "top": (" at the top",),
        "bottom": (" at the bottom",),
    }
    return text + (_pick(rng, sides[spot]) if spot else "")


def _pair(rng: np.random.Generator, things: Sequence[Thing], relation: str) -> str:
    frames = {
        "and": ("{} and {}", "{} and {}", "{} next to {}", "{} beside {}", "{} on the left and {} on the right"),
        "left": ("{} to the left of {}", "{} on the left of {}", "{} left of {}"),
        "right": ("{} to the right of {}", "{} on the right of {}", "{} right of {}"),
        "above": ("{} above {}", "{} over {}", "{} on top of {}"),
        "below": ("{} below {}", "{} under {}", "{} beneath {}"),
    }
    return _pick(rng, frames[relation]).format(_a(rng, things[0]), _a(rng, things[1]))


def _number(rng: np.random.Generator, count: int) -> str:
    return _pick(rng, NUMBERS[count]) if rng.random() < 0.3 else NUMBERS[count][0]


def _ground(rng: np.random.Generator, backdrop: str) -> str:
    if backdrop == "white" and rng.random() < 0.7:
        return ""
    if backdrop in GROUNDS:
        return _pick(rng, GROUNDS[backdrop])
    if backdrop.startswith("gradient:"):
        _, upper, lower = backdrop.split(":")
        return _pick(rng, (f" on a {upper} and {lower} gradient", f" on a gradient from {upper} to {lower}"))
    ground = article(f"{backdrop} background")
    return _pick(rng, (f" on {ground}", f" on {ground}", f", {backdrop} background", f" against {ground}"))
