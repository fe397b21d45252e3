"""An evaluation from prompts to report: paint what is missing, look, measure, write."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fantascope.data.vocabulary import Concept
from fantascope.engines.detector import Detector, Labels
from fantascope.evaluate.measure import Seen, Told, distances, painted, real, reconstruction
from fantascope.evaluate.paint import Read, Sample, paint_missing, ran, read_as, samples_of, seconds
from fantascope.evaluate.prompts import Asked, benchmark, in_other_words, some, whole_vocabulary
from fantascope.evaluate.report import in_order, write_report
from fantascope.evaluate.sheets import grid, unpicked
from fantascope.evaluate.statistics import Figure, bootstrap
from fantascope.evaluate.truth import Truth

LISTS = ("benchmark", "free", "whole")
"""The benchmark, the same in other words, and one prompt for every concept."""


@dataclass(frozen=True)
class Wanted:
    """What is evaluated.

    Attributes:
        lists: Which of `LISTS`.
        prompts: Most prompts of each list; all if `None`.
        samples: Pictures a prompt; the whole vocabulary has one a prompt.
        seed: Seeds noise and whatever is drawn by chance; the benchmark's prompts do not depend on it.
    """

    lists: tuple[str, ...] = LISTS
    prompts: int | None = None
    samples: int = 4
    seed: int = 0


def prompts_of(labels: Labels, concepts: Mapping[str, Concept], wanted: Wanted) -> dict[str, list[Asked]]:
    """The prompts of every list."""
    objects = [kind for kind in labels.objects if kind in concepts]
    every = {"benchmark": benchmark(objects, concepts)}
    every["free"] = in_other_words(every["benchmark"], concepts)
    every["whole"] = whole_vocabulary(concepts, labels.kinds)
    return {name: some(every[name], wanted.prompts) for name in LISTS if name in wanted.lists}


def lists_of(asked: Mapping[str, Sequence[Asked]], wanted: Wanted) -> dict[str, list[Sample]]:
    """The pictures of every list."""
    return {
        name: samples_of(rows, 1 if name == "whole" else wanted.samples, wanted.seed) for name, rows in asked.items()
    }


def facts_of(request: Any, spec: Any, wanted: Wanted) -> dict[str, Any]:
    """What decides every pixel, beside prompt and sample."""
    keys = ("model", "steps", "guidance", "guidance_rescale", "sampler", "schedule", "width", "height", "engine")
    said = {key: getattr(request, key) for key in (*keys, "precision")}
    return said | {"source": spec.source, "weights": dict(sorted(spec.weights.items())), "seed": wanted.seed}


def paint(
    engine: Any, request: Any, lists: Mapping[str, list[Sample]], folder: Path, facts: Any, read: Read = str
) -> Iterator[int]:
    """Paint what a folder lacks; yields how many pictures are there."""
    yield from paint_missing(engine, request, [one for rows in lists.values() for one in rows], folder, facts, read)


def measure(
    engine: Any,
    request: Any,
    spec: Any,
    detector: Detector,
    lists: Mapping[str, list[Sample]],
    truth: Truth | None,
    folder: Path,
    wanted: Wanted,
    told: Told,
) -> dict[str, Any]:
    """Look at all that was painted, write report and sheets, and return the report.

    Args:
        engine, request, spec: What painted; the request is resolved.
        detector: What looks.
        lists: What was painted, by list.
        truth: Draws real pictures; without it what needs them is left out and said to be not measured.
        folder: Where the pictures are, and where the report goes.
        wanted: What was asked for.
        told: Told of progress.
    """
    labels, keys = detector.labels, ("steps", "guidance", "sampler", "width", "height")
    report: dict[str, Any] = {
        "model": {"name": spec.name, "title": spec.title} | {key: getattr(request, key) for key in keys} | ran(folder),
        "detector": {
            "hash": detector.id,
            "version": labels.version,
            "threshold": labels.threshold,
            "objects": len(labels.objects),
            "kinds": len(labels.kinds),
            "ceiling_from": "measured in this run" if truth is not None else "measured when the detector was made",
        },
        "seed": wanted.seed,
        "words": read_as(folder),
        "lists": {},
        "distances": None,
        "autoencoder": None if truth is None else _said(reconstruction(engine, truth, told)),
        "seconds": asdict(bootstrap(seconds(folder))) if seconds(folder) else None,
    }
    seen: dict[str, tuple[Seen, list[Sample]]] = {}
    for name, samples in lists.items():
        made, due = painted(detector, samples, folder, told), labels.ceiling.get(name)
        asked = list({sample.asked.id: sample.asked for sample in samples}.values())
        if truth is not None:
            true = real(detector, asked, 1 if name == "whole" else wanted.samples, truth, told, wanted.seed + 1)
            due = ceiling(true)
            if name == "benchmark":
                report["distances"] = _said(distances(detector, made, true, truth, told))
        seen[name] = made, samples
        report["lists"][name] = {"samples": len(samples) // max(1, len(asked)), "parts": _rows(made, due)}
    every = [sample for _, samples in seen.values() for sample in samples]
    marks = [mark for made, _ in seen.values() for mark in made.marks]
    report["marks"] = {s.name: m.why if not m.passed else "passed" for s, m in zip(every, marks, strict=True)}
    grid(every, marks, folder, wanted.seed).save(folder / "grid.png")
    unpicked(every, folder, wanted.seed).save(folder / "random.png")
    write_report(report, folder)
    return report


def ceiling(true: Seen) -> dict[str, dict[str, float]]:
    """What the procedure says of real pictures, by part, and overall where there are several."""
    parts = {part: asdict(figure) for part, figure in in_order(true.rates()).items()}
    return parts | ({"overall": asdict(true.overall())} if len(parts) > 1 else {})


def _rows(made: Seen, due: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """A row a part, and one for all of them."""
    figures: dict[str, Figure] = in_order(made.rates())
    prompts = {part: len({one.id for one in made.asked if one.part == part}) for part in figures}
    if len(figures) > 1:
        figures["overall"] = made.overall()
        prompts["overall"] = sum(prompts.values())
    return [
        {"part": part, "prompts": prompts[part], "ceiling": (due or {}).get(part)} | asdict(figure)
        for part, figure in figures.items()
    ]


def _said(figures: Mapping[str, Figure]) -> dict[str, Any]:
    return {name: asdict(figure) for name, figure in figures.items()}
