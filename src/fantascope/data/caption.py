"""Captions for composed scenes: a small grammar that names what is there, where and in which colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUMBERS = {2: ("two", "2"), 3: ("three", "3"), 4: ("four", "4")}


@dataclass(frozen=True)
class Concept:
    """Something the checkpoint can draw: its sprite, its names, their plurals and how often it is drawn."""

    sprite: str
    names: tuple[str, ...]
    plurals: tuple[str, ...]
    weight: float = 1.0


@dataclass(frozen=True)
class Thing:
    """A concept in one colour, or in its own (`None`)."""

    concept: Concept
    colour: str | None


def caption(rng: np.random.Generator, layout: str, things: Sequence[Thing], count: int, background: str) -> str:
    """Write a caption of at most 28 tokens.

    Args:
        rng: Where the choice of words comes from.
        layout: `one`, `pair`, `copies` or `row`.
        things: What is drawn; only a pair uses the second.
        count: How many copies there are.
        background: Colour name. White goes without saying more often than not.
    """
    if layout == "one":
        subject = _one(rng, things[0])
    elif layout == "pair":
        subject = _pair(rng, things)
    elif layout == "copies":
        subject = _copies(rng, things[0], count)
    else:
        subject = _row(rng, things[0])
    text = subject + _ground(rng, background)
    return text[0].upper() + text[1:] if rng.random() < 0.25 else text


def _pick(rng: np.random.Generator, options: Sequence[str]) -> str:
    return options[int(rng.integers(len(options)))]


def _name(rng: np.random.Generator, names: Sequence[str]) -> str:
    """The usual name six times in ten, else any of its names."""
    return names[0] if rng.random() < 0.6 else _pick(rng, names)


def _noun(rng: np.random.Generator, thing: Thing) -> str:
    name = _name(rng, thing.concept.names)
    if thing.colour is None:
        return name
    return f"{thing.colour} {name.removeprefix('red ').removeprefix('brown ')}"


def _nouns(rng: np.random.Generator, thing: Thing) -> str:
    name = _name(rng, thing.concept.plurals)
    if thing.colour is None:
        return name
    return f"{thing.colour} {name.removeprefix('red ').removeprefix('brown ')}"


def _a(noun: str) -> str:
    article = "an" if noun[0] in "aeiou" and not noun.startswith("uni") else "a"
    return f"{article} {noun}"


def _one(rng: np.random.Generator, thing: Thing) -> str:
    noun = _noun(rng, thing)
    frames = (_a(noun), _a(noun), _a(noun), noun, f"a picture of {_a(noun)}", f"a drawing of {_a(noun)}", f"the {noun}")
    return _pick(rng, frames)


def _pair(rng: np.random.Generator, things: Sequence[Thing]) -> str:
    left, right = (_noun(rng, thing) for thing in things)
    frames = (
        f"{_a(left)} and {_a(right)}",
        f"{_a(left)} and {_a(right)}",
        f"{left} and {right}",
        f"{_a(left)} next to {_a(right)}",
        f"{_a(left)} beside {_a(right)}",
        f"{_a(left)} on the left and {_a(right)} on the right",
    )
    return _pick(rng, frames)


def _copies(rng: np.random.Generator, thing: Thing, count: int) -> str:
    nouns = _nouns(rng, thing)
    if rng.random() < 0.25:
        return _pick(rng, (nouns, f"some {nouns}", f"a picture of {nouns}"))
    return f"{_pick(rng, NUMBERS[count])} {nouns}" if rng.random() < 0.3 else f"{NUMBERS[count][0]} {nouns}"


def _row(rng: np.random.Generator, thing: Thing) -> str:
    nouns = _nouns(rng, thing)
    frames = (
        f"{nouns} on parade",
        f"{nouns} on parade",
        f"a parade of {nouns}",
        f"a row of {nouns}",
        f"{nouns} in a row",
        f"three {nouns} in a row",
    )
    return _pick(rng, frames)


def _ground(rng: np.random.Generator, background: str) -> str:
    if background == "white" and rng.random() < 0.6:
        return ""
    backdrop = f"{background} background"
    return _pick(rng, (f" on {_a(backdrop)}", f" on {_a(backdrop)}", f", {backdrop}", f" on {background}"))
