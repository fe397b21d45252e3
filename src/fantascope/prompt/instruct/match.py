"""Which part of a prompt an instruction means: by its words, its misspelling, another name, or the encoder.

Scores: 1 the same words · 0.98 the same noun · 0.95 `the red one` · 0.85 to 0.9 misspelled, or a word for the same or
for the kind of thing · 0.6 to 0.8 near by the encoder: nearer than the common names of other things · below 0.6 not
    meant.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.prompt.english import distance, singular, split_determiner
from fantascope.prompt.knowledge import COMMON, HE, KINDS, SAME, SHE
from fantascope.prompt.lexicon import COLOUR, SIZES, names
from fantascope.prompt.parse import LISTED, Part, Scene, parse

Embed = Callable[[Sequence[str]], npt.NDArray[Any]]

MEANT = 0.6
"""Score from which a part counts as meant."""

MARGIN = 0.05
"""Two parts whose scores differ by less are equally good."""

NEAR, NEAR_KNOWN, LEAD = 0.5, 0.8, 0.03
"""Cosine from which the encoder's word counts, for a strange word and for a common one; how far another thing's name
may be nearer. Calibrated on the `dev` rows of tests/prompt/instructions.tsv."""

IT = names("it this that them these those him her he she they its their his itself")
WHOLE = names(
    """everything picture image scene photo whole all drawing painting illustration artwork render composition shot
    mood atmosphere"""
)
_KNOWN = frozenset(COMMON)
SURE = frozenset((*_KNOWN, *(word for same in SAME for name in same for word in name.split()), *KINDS))
"""Words that are nouns and spelled right."""


@dataclass(frozen=True)
class Match:
    """A part that may be meant, and how well it fits, 0 to 1."""

    at: int
    score: float


def is_pronoun(words: str) -> bool:
    """Whether the words are `it`, `them`, `him` …"""
    return words.lower().strip() in IT


def is_whole(words: str) -> bool:
    """Whether the words mean the whole picture: `the scene`, `this image`, `everything`."""
    parts = split_determiner(words.lower())[1].split()
    return bool(set(parts) & WHOLE) and all(part in WHOLE or part in ("the", "thing", "of", "it") for part in parts)


def matches(query: str, scene: Scene, embed: Embed, *, places: bool = True) -> list[Match]:
    """Return the parts that a phrase may mean, best first; those below `MEANT` come too, to be offered.

    Args:
        query: A noun phrase, or a pronoun: `it` means every thing there is alike, so only a single one is found.
        scene: The prompt.
        embed: The sentence encoder.
        places: Whether a place or backdrop can be meant.
    """
    kinds = ("thing", "place", "backdrop", "light") if places else ("thing",)
    if is_pronoun(query):
        return _by_pronoun(query.lower().strip(), scene)
    pieces = parse(query.lower()).parts
    if not pieces or any(LISTED.fullmatch(piece.lead) for piece in pieces[1:]):
        return []
    words = list(pieces[0].words) or query.lower().split()
    at = [k for k, part in enumerate(scene.parts) if part.kind in kinds and part.words]
    found = {k: by_words(words, scene.parts[k]) for k in at}
    if max(found.values(), default=0.0) < 0.7:
        found = {k: max(found[k], _by_spelling(words, scene.parts[k])) for k in at}
    if at and max(found.values()) < MEANT:
        by_meaning = _by_meaning(" ".join(words), [scene.parts[k] for k in at], embed)
        found = {k: found[k] or score for k, score in zip(at, by_meaning, strict=True)}
    return sorted((Match(k, round(score, 3)) for k, score in found.items()), key=lambda m: (-m.score, m.at))


def _by_pronoun(word: str, scene: Scene) -> list[Match]:
    things = scene.things()
    fits: list[int] = []
    if word in ("him", "he", "his"):
        fits = [k for k in things if _bases(scene.parts[k]) & HE]
    elif word in ("her", "she"):
        fits = [k for k in things if _bases(scene.parts[k]) & SHE]
    elif word in ("them", "they", "these", "those", "their"):
        fits = [
            k
            for k in things
            if (scene.parts[k].number or 0) > 1 or singular(head(scene.parts[k])) != head(scene.parts[k])
        ]
    return [Match(k, 0.9) for k in fits or things]


def head(part: Part) -> str:
    """The noun of a part; it is its last word."""
    return part.head


def _bases(part: Part) -> set[str]:
    return {singular(word) for word in part.words}


def by_words(words: Sequence[str], part: Part) -> float:
    """Score a phrase's words against a part's, without its determiner; 0 where the noun is another."""
    mine = [singular(word) for word in words]
    theirs = [singular(word) for word in part.words]
    if mine == theirs:
        return 1.0
    if mine[-1] == "one":
        return 0.95 if mine[:-1] and set(mine[:-1]) <= set(theirs) else 0.0
    if mine[-1] == theirs[-1]:
        extra = set(mine) - set(theirs)
        if not extra:
            return 0.98
        ours, given = (" ".join(each[:-1]) for each in (mine, theirs))
        colour, other = COLOUR.search(ours), COLOUR.search(given)
        clash = colour and (other is None or colour.group() != other.group())
        sizes = [{SIZES[word] // 2 for word in each if word in SIZES} for each in (mine, theirs)]
        return 0.55 if clash or (sizes[0] and sizes[1] and sizes[0] != sizes[1]) else 0.9
    if len(mine) == 1 and mine[0] in theirs and COLOUR.fullmatch(mine[0]) is None:
        return 0.75
    return 0.0


def _by_spelling(words: Sequence[str], part: Part) -> float:
    """Score another name for the noun, or a misspelling of it."""
    mine, theirs = singular(words[-1]), singular(head(part))
    phrase, other = " ".join([*words[:-1], mine]), " ".join([*part.words[:-1], theirs])
    colours = COLOUR.search(" ".join(words[:-1])), COLOUR.search(" ".join(part.words[:-1]))
    if colours[0] and colours[1] and colours[0].group().lower() != colours[1].group().lower():
        return 0.5
    for same in SAME:
        if same & {mine, phrase} and same & {theirs, other, " ".join(part.words[-2:])}:
            return 0.9
    if theirs in KINDS.get(mine, ()):
        return 0.85
    if mine in SURE:
        return 0.0
    letters = min(len(mine), len(theirs))
    apart = distance(mine, theirs)
    if apart == 1 and letters >= 3 and len(mine) > 3:
        return 0.9
    if apart == 1 and letters >= 3 and mine[0] == theirs[0]:
        return 0.85
    return 0.85 if apart == 2 and (letters >= 6 or (letters == 5 and mine[0] == theirs[0])) else 0.0


def _by_meaning(phrase: str, parts: Sequence[Part], embed: Embed) -> list[float]:
    """Score by cosine: 0.6 and more where a part is nearer than every common thing, below where it is not."""
    texts = [phrase, *(" ".join(part.words) for part in parts), *(head(part) for part in parts)]
    vectors = np.asarray(embed(texts))
    cosines = vectors[1:] @ vectors[0]
    best = np.maximum(cosines[: len(parts)], cosines[len(parts) :])
    known = singular(phrase) in _KNOWN
    known_names, bank = _bank(embed)
    own = {singular(phrase)}.union(*(_bases(part) for part in parts))
    others = max(
        (float(c) for name, c in zip(known_names, bank @ vectors[0], strict=True) if name not in own), default=0.0
    )
    floor = NEAR_KNOWN if known else max(NEAR, others - LEAD)
    return [
        MEANT + 0.2 * min(1.0, (float(c) - floor) / max(1e-6, 1.0 - floor)) if c >= floor else 0.55 * max(0.0, float(c))
        for c in best
    ]


@lru_cache(maxsize=2)
def _bank(embed: Embed) -> tuple[tuple[str, ...], npt.NDArray[Any]]:
    """The vectors of common names, computed once an encoder."""
    return COMMON, np.asarray(embed(COMMON))
