"""A prompt from what was seen in a picture: four readings with their scores, the likeliest first.

What is seen comes from outside: things from a detector, their nearest training drawings, background, style and light
from pixels. Here it becomes words, those that captions use.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from fantascope.prompt.english import counted

READINGS = 4


@dataclass(frozen=True)
class Guess:
    """Something that may be so, and how likely it is, 0 to 1."""

    words: str
    score: float


@dataclass(frozen=True)
class SeenThing:
    """Things of one kind that stand together in a picture: what they may be, how many, and in which colour, if in
    another than their own."""

    kinds: tuple[Guess, ...]
    count: int = 1
    colour: str | None = None


@dataclass(frozen=True)
class SeenPicture:
    """What was seen: things from left to right, then guesses of the background, the style and the light."""

    things: tuple[SeenThing, ...] = ()
    grounds: tuple[Guess, ...] = ()
    styles: tuple[Guess, ...] = ()
    lights: tuple[Guess, ...] = ()


@dataclass(frozen=True)
class Described:
    """A prompt for a picture and its score: the mean of what its parts are worth, 0 to 1."""

    prompt: str
    score: float


def readings(seen: SeenPicture, most: int = READINGS) -> tuple[Described, ...]:
    """Return the likeliest prompts for what was seen, all different."""
    found: dict[str, float] = {}
    kinds = [thing.kinds[:3] for thing in seen.things]
    grounds = seen.grounds[:2] or (None,)  # a ground that was seen is said; style and light may go unsaid
    rows = list(product(grounds, *((*group[:2], None) for group in (seen.styles, seen.lights))))
    for chosen in product(*kinds):
        things = [_said(thing, guess.words) for thing, guess in zip(seen.things, chosen, strict=True)]
        for ground, style, light in rows:
            if not things and ground is None:
                continue
            text = "".join(_sentence(things, ground, style, light))
            found[text] = max(found.get(text, 0.0), _worth([*chosen, ground, style, light], seen))
    best = sorted(found, key=lambda text: (-found[text], text))[:most]
    return tuple(Described(text, round(found[text], 3)) for text in best)


def _worth(chosen: Sequence[Guess | None], seen: SeenPicture) -> float:
    """The mean score of what is said; what is left unsaid is worth what is left for it."""
    groups = [*(thing.kinds for thing in seen.things), seen.grounds, seen.styles, seen.lights]
    worth = []
    for guess, group in zip(chosen, groups, strict=True):
        if group:
            worth.append(guess.score if guess is not None else max(0.0, 1 - sum(one.score for one in group)))
    return sum(worth) / max(len(worth), 1)


def _said(thing: SeenThing, kind: str) -> str:
    return counted(thing.count, f"{thing.colour} {kind}" if thing.colour else kind)


def _sentence(things: Sequence[str], ground: Guess | None, style: Guess | None, light: Guess | None) -> Iterator[str]:
    if things:
        yield things[0] if len(things) == 1 else f"{', '.join(things[:-1])} and {things[-1]}"
    if ground is not None:
        yield f" {ground.words}" if things else ground.words.removeprefix("on ").removeprefix("in ")
    for more in (style, light):
        if more is not None:
            yield f", {more.words}"
