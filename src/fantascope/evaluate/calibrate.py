"""What a detector is fit for, found on real pictures in styles that it was not trained on.

The three questions use pictures of their own, so that no answer is measured on what it was chosen with: which objects a
benchmark may ask for, from which score a find counts, and how often the verdict is then right (the ceiling, and how
often wrong questions about the same pictures get a yes).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from fantascope.core.colour import COLOURS
from fantascope.data.vocabulary import CORE, Concept
from fantascope.engines.detector import Detector, Found
from fantascope.evaluate.measure import CHUNK, Told, real
from fantascope.evaluate.prompts import Asked, Want, benchmark, in_other_words, whole_vocabulary
from fantascope.evaluate.run import ceiling
from fantascope.evaluate.score import judge
from fantascope.evaluate.truth import Truth
from fantascope.evaluate.wrong import accepted

STYLES = 2
"""Least number of the detector's own styles that must have an object."""

TRIED = 8
"""Real pictures of each object with it alone, as many with two of it, and as many with it in a named colour."""

KNOWN = 0.75
"""Least share of them in which it is found."""

THRESHOLDS = tuple(round(0.15 + 0.05 * k, 2) for k in range(13))
SLACK = 0.002
SEEDS = {"objects": 101, "threshold": 102, "ceiling": 103}


def objects(
    detector: Detector, truth: Truth, concepts: Mapping[str, Concept], styles: Sequence[str], told: Told
) -> tuple[list[str], dict[str, float]]:
    """The objects that a benchmark may ask for, and the share of real pictures in which each candidate was found.

    Candidates are the core concepts that at least `STYLES` of the detector's own styles have. One is taken if the
    detector finds it in `KNOWN` of `TRIED` real pictures of it alone, `TRIED` of two of it, and `TRIED` of it in a
    named colour.
    """
    candidates = [
        key
        for key, concept in concepts.items()
        if concept.weight >= CORE and concept.kind == key and key in detector.labels.kinds
        if sum(style in concept.draw for style in styles) >= STYLES
    ]
    dyes = list(COLOURS)[:TRIED]
    ways: list[tuple[int, str | None]] = [(1, None), (2, None), *((1, dye) for dye in dyes)]
    wanted = [Want(key, count, dye) for key in candidates for count, dye in ways]
    asked = [
        Asked(f"{one.kind}-{one.count}-{one.colour}", "two objects", one.kind, (one,))
        for one in wanted
        for _ in range(1 if one.colour is not None else TRIED)
    ]
    asked = [replace(one, id=f"{one.id}-{k}") for k, one in enumerate(asked) if truth.has(one)]
    finds = _looked(detector, asked, 1, truth, SEEDS["objects"], told)
    shares: dict[str, float] = {}
    for key in candidates:
        hits = [
            any(found.kind == key and found.score >= detector.labels.threshold for found in seen)
            for one, seen in finds
            if one.wants[0].kind == key
        ]
        if hits:
            shares[key] = float(np.mean(hits))
    return [key for key, share in shares.items() if share >= KNOWN], shares


def threshold(
    detector: Detector, truth: Truth, concepts: Mapping[str, Concept], chosen: Sequence[str], told: Told
) -> tuple[float, dict[float, float]]:
    """The score from which finds should count, and the share of right verdicts on real pictures for each one tried.

    The strictest is taken of those that are right as often as the best, but for `SLACK`.
    """
    asked = [one for one in benchmark(chosen, concepts) if truth.has(one)]
    finds = _looked(detector, asked, 1, truth, SEEDS["threshold"], told)
    parts = {one.part for one in asked}
    rates = {}
    for line in THRESHOLDS:
        passed: dict[str, list[bool]] = {part: [] for part in parts}
        for one, seen in finds:
            passed[one.part].append(judge(one, seen, line).passed)
        rates[line] = float(np.mean([np.mean(rows) for rows in passed.values()]))
    best = max(rates.values())
    return max(line for line, rate in rates.items() if rate >= best - SLACK), rates


def ceilings(
    detector: Detector, truth: Truth, concepts: Mapping[str, Concept], samples: int, told: Told
) -> dict[str, Any]:
    """How often verdicts on real pictures are right, by list and part, with intervals."""
    asked = benchmark(detector.labels.objects, concepts)
    lists = {
        "benchmark": (asked, samples),
        "free": (in_other_words(asked, concepts), samples),
        "whole": (whole_vocabulary(concepts, detector.labels.kinds), 1),
    }
    return {
        name: ceiling(real(detector, rows, count, truth, told, SEEDS["ceiling"]))
        for name, (rows, count) in lists.items()
    }


def wrongly(
    detector: Detector, truth: Truth, concepts: Mapping[str, Concept], samples: int, told: Told
) -> dict[str, dict[str, Any]]:
    """How often wrong questions about the pictures of the ceiling get a yes: sort -> figures by question and by
    picture."""
    asked = [one for one in benchmark(detector.labels.objects, concepts) if truth.has(one)]
    seen = _looked(detector, asked, samples, truth, SEEDS["ceiling"], told)
    yes = accepted(seen, detector.labels.objects, detector.labels.threshold)
    return {
        sort: {"questions": asdict(questions), "pictures": asdict(pictures)}
        for sort, (questions, pictures) in yes.items()
    }


def with_labels(detector: Detector, **changes: Any) -> Detector:
    """The detector with other labels; its program stays."""
    detector.labels = replace(detector.labels, **changes)
    return detector


def _looked(
    detector: Detector, asked: Sequence[Asked], samples: int, truth: Truth, seed: int, told: Told
) -> list[tuple[Asked, list[Found]]]:
    rows = [one for one in asked for _ in range(samples)]
    pictures = (picture for one in asked for picture in truth.pictures(one, samples, seed))
    out: list[tuple[Asked, list[Found]]] = []
    for start in range(0, len(rows), CHUNK):
        some = rows[start : start + CHUNK]
        out += zip(some, detector.look([next(pictures) for _ in some]), strict=True)
        told("real pictures", len(out), len(rows))
    return out
