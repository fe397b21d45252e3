"""What the embedded checkpoint knows: concepts, their words, and their drawing in every source."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fantascope.errors import InvalidValue

CORE = 5.0
"""Least weight of the concepts that the benchmark asks for by name."""


@dataclass(frozen=True)
class Concept:
    """Something the checkpoint can draw.

    Attributes:
        key: Its name in the vocabulary.
        names: Words captions use; the first is the usual one. `plurals` go with them.
        free: Words for the same that no caption uses. `free_plurals` go with them.
        weight: How often it is drawn.
        kind: The concept that a viewer would take it for; itself where there is no such.
        bare: `mass` or `many` where the words take no article, else empty.
        draw: Source -> the drawing's name there.
    """

    key: str
    names: tuple[str, ...]
    plurals: tuple[str, ...]
    free: tuple[str, ...] = ()
    free_plurals: tuple[str, ...] = ()
    weight: float = 1.0
    kind: str = ""
    bare: str = ""
    draw: Mapping[str, str] = field(default_factory=dict)


def read_vocabulary(path: Path | None = None) -> dict[str, Concept]:
    """Read concept rows: key -> `Concept`. Without a path, the vocabulary of the embedded checkpoint.

    Raises:
        InvalidValue: A row has an unknown field, or words without plurals.
    """
    path = Path(__file__).with_name("vocabulary.toml") if path is None else path
    rows: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return {key: _concept(key, row) for key, row in rows.items()}


def _concept(key: str, row: dict[str, Any]) -> Concept:
    unknown = sorted(set(row) - {"names", "plurals", "free", "free_plurals", "weight", "kind", "bare", "draw"})
    if unknown or not row.get("names"):
        raise InvalidValue(f"Concept {key!r}: " + (f"unknown field {unknown[0]!r}" if unknown else "no names") + ".")
    words = {part: tuple(row.get(part, ())) for part in ("names", "plurals", "free", "free_plurals")}
    if len(words["names"]) != len(words["plurals"]) or len(words["free"]) != len(words["free_plurals"]):
        raise InvalidValue(f"Concept {key!r} has another number of words than of plurals.", param="vocabulary")
    return Concept(
        key,
        **words,
        weight=float(row.get("weight", 1.0)),
        kind=row.get("kind", key),
        bare=row.get("bare", ""),
        draw=dict(row.get("draw", {})),
    )


def drawings(concepts: Mapping[str, Concept], source: str) -> list[str]:
    """Names of the drawings of a source that the concepts use, each once, in their order."""
    return list(dict.fromkeys(concept.draw[source] for concept in concepts.values() if source in concept.draw))


def core(concepts: Mapping[str, Concept], sources: Iterable[str] = ()) -> list[str]:
    """Keys of the core concepts; with sources, of those that have a drawing in each of them."""
    return [
        key
        for key, concept in concepts.items()
        if concept.weight >= CORE and all(source in concept.draw for source in sources)
    ]
