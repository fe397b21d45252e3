"""What models are asked for: GenEval's six parts over the objects that the detector knows, the same in other words, and
one prompt for every concept.

Every prompt begins with `data.caption.FRAME`, which no training caption contains. Objects, colours, counts and places
are drawn once, by a fixed seed, so that the list is the same everywhere as long as the vocabulary and the detector are.

Source: Ghosh et al., "GenEval" (2023), section 3 and its 553 prompts: 80 single object, 99 two objects, 80 counting, 94
colours, 100 position, 100 colour attribution.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fantascope.core.colour import COLOURS
from fantascope.data.caption import FRAME, NUMBERS, article, noun
from fantascope.data.vocabulary import Concept
from fantascope.errors import InvalidValue

PARTS: dict[str, int] = {
    "single object": 80,
    "two objects": 99,
    "counting": 80,
    "colours": 94,
    "position": 100,
    "colour attribution": 100,
}
"""Part -> least number of its prompts. There is one single-object prompt for every object; where the objects are fewer
than 80, counting fills up."""

RELATIONS = {"left": "to the left of", "right": "to the right of", "above": "above", "below": "below"}

COUNTED = {2: "a couple of", 3: "a trio of"}
"""Number -> words for it that no training caption uses."""


@dataclass(frozen=True)
class Want:
    """A kind of thing that must be there: so many, in this colour (`None` is any)."""

    kind: str
    count: int = 1
    colour: str | None = None


@dataclass(frozen=True)
class Asked:
    """A prompt and what a picture of it must show.

    Attributes:
        id: Names it in files and reports.
        part: Key of `PARTS`, or `whole vocabulary`.
        prompt: The words.
        wants: What must be there.
        relation: Where the first thing stands, seen from the second: key of `RELATIONS`, or empty.
    """

    id: str
    part: str
    prompt: str
    wants: tuple[Want, ...]
    relation: str = ""

    def seed(self, seed: int, sample: int) -> int:
        """The seed of a sample's noise: its own for every prompt and sample."""
        digest = hashlib.sha256(f"{seed} {self.id}".encode()).digest()
        return int.from_bytes(digest[:3], "big") * 64 + sample


def benchmark(objects: Sequence[str], concepts: Mapping[str, Concept], seed: int = 0) -> list[Asked]:
    """The six parts, part by part.

    Args:
        objects: Kinds to ask for; each is the key of a concept.
        concepts: Has their words.
        seed: Draws them.

    Raises:
        InvalidValue: There are fewer than four objects, or one that the vocabulary lacks.
    """
    unknown = [kind for kind in objects if kind not in concepts]
    if len(objects) < 4 or unknown:
        why = f"the vocabulary has no {unknown[0]!r}" if unknown else "there are fewer than four objects"
        raise InvalidValue(f"No benchmark can be drawn: {why}.", param="vocabulary")
    asked = []
    for number, part in enumerate(PARTS):
        rng = np.random.default_rng([seed, number])
        size = PARTS[part] + (max(0, PARTS["single object"] - len(objects)) if part == "counting" else 0)
        if part == "single object":
            drawn: Iterator[Asked] = (_asked(part, (Want(kind),), concepts) for kind in objects)
            size = len(objects)
        else:
            drawn = _drawn(rng, part, list(objects), concepts)
        asked += [replace(one, id=f"{part.replace(' ', '-')}-{k:03d}") for k, one in enumerate(_different(drawn, size))]
    return asked


def in_other_words(asked: Sequence[Asked], concepts: Mapping[str, Concept]) -> list[Asked]:
    """The prompts that can be said in words that no training caption uses, said so; what they want is the same."""
    said = []
    for one in asked:
        prompt = _prompt(one.wants, one.relation, concepts, free=True)
        if prompt != one.prompt:
            said.append(replace(one, id=f"free-{one.id}", prompt=prompt))
    return said


def whole_vocabulary(concepts: Mapping[str, Concept], kinds: Sequence[str]) -> list[Asked]:
    """One single-object prompt for every concept of a kind that the detector knows."""
    known = set(kinds)
    return [
        replace(_asked("whole vocabulary", (Want(concept.kind),), concepts, key), id=f"whole-{key}")
        for key, concept in concepts.items()
        if concept.kind in known
    ]


def some(asked: Sequence[Asked], most: int | None) -> list[Asked]:
    """At most so many prompts, the parts taken in turn; all if not given."""
    if most is None or most >= len(asked):
        return list(asked)
    parts: dict[str, list[Asked]] = {}
    for one in asked:
        parts.setdefault(one.part, []).append(one)
    turns = [one for k in range(len(asked)) for rows in parts.values() for one in rows[k : k + 1]]
    chosen = {one.id for one in turns[:most]}
    return [one for one in asked if one.id in chosen]


def _different(drawn: Iterator[Asked], size: int) -> list[Asked]:
    """So many different prompts; fewer where a small vocabulary has no more."""
    found: dict[str, Asked] = {}
    for tries, one in enumerate(drawn):
        found.setdefault(one.prompt, one)
        if len(found) == size or tries > 60 * size:
            break
    return list(found.values())


def _drawn(rng: np.random.Generator, part: str, objects: list[str], concepts: Mapping[str, Concept]) -> Iterator[Asked]:
    countable = [kind for kind in objects if not concepts[kind].bare] or objects
    while True:
        one, two = (str(kind) for kind in rng.choice(countable if part == "counting" else objects, 2, replace=False))
        dye, other = (str(name) for name in rng.choice(list(COLOURS), 2, replace=False))
        if part == "counting":
            yield _asked(part, (Want(one, int(rng.integers(2, 5))),), concepts)
        elif part == "colours":
            yield _asked(part, (Want(one, colour=dye),), concepts)
        elif part == "colour attribution":
            yield _asked(part, (Want(one, colour=dye), Want(two, colour=other)), concepts)
        else:
            relation = str(rng.choice(list(RELATIONS))) if part == "position" else ""
            yield _asked(part, (Want(one), Want(two)), concepts, relation=relation)


def _asked(
    part: str, wants: tuple[Want, ...], concepts: Mapping[str, Concept], key: str = "", relation: str = ""
) -> Asked:
    return Asked("", part, _prompt(wants, relation, concepts, key=key), wants, relation)


def _prompt(
    wants: tuple[Want, ...], relation: str, concepts: Mapping[str, Concept], *, free: bool = False, key: str = ""
) -> str:
    said = [_said(want, concepts[key or want.kind], free) for want in wants]
    return f"{FRAME} {f' {RELATIONS[relation]} '.join(said) if relation else ' and '.join(said)}"


def _said(want: Want, concept: Concept, free: bool) -> str:
    names, plurals = (concept.names, concept.plurals)
    if free and concept.free:
        names, plurals = (concept.free, concept.free_plurals)
    if want.count > 1:
        number = COUNTED.get(want.count, "") if free else ""
        return f"{number or NUMBERS[want.count][0]} {noun(plurals[0], want.colour)}"
    said = noun(names[0], want.colour)
    return said if concept.bare else article(said)
