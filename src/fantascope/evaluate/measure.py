"""Measuring painted pictures: marks by the rules, and distances between what was painted and what is real."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.data.scene import plan
from fantascope.engines.base import LatentEngine
from fantascope.engines.detector import Detector
from fantascope.evaluate.paint import Pixels, Sample
from fantascope.evaluate.prompts import Asked
from fantascope.evaluate.score import Mark, judge
from fantascope.evaluate.statistics import (
    Figure,
    bootstrap,
    clustered,
    frechet,
    halved,
    kernel_distance,
    nearest,
    psnr,
    spread,
    ssim,
    wilson,
)
from fantascope.evaluate.truth import Truth

CHUNK = 64
TRAINED = 3000
"""Training scenes that painted pictures are compared with: the first of them."""

UNSEEN = 3_000_000
"""First of the scenes that nothing is trained on."""

RECONSTRUCTED = 64

Told = Callable[[str, int, int], None]
"""Told what is being done, how much of it is done, and how much there is."""

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """Pictures of prompts, looked at: a mark and a feature each."""

    asked: tuple[Asked, ...]
    marks: tuple[Mark, ...]
    features: Floats

    def rates(self) -> dict[str, Figure]:
        """Part -> share of its pictures that passed."""
        return {part: clustered(list(prompts.values())) for part, prompts in self._passed().items()}

    def overall(self, seed: int = 0, rounds: int = 1000) -> Figure:
        """The mean of the parts' rates, as GenEval's; its interval comes from resampling prompts within each part."""
        means = [np.array([np.mean(passed) for passed in rows.values()]) for rows in self._passed().values()]
        if not means:
            return Figure(0.0, 0.0, 1.0, 0)
        rng = np.random.default_rng([seed, 79])
        drawn = [
            np.mean([part[rng.integers(len(part), size=len(part))].mean() for part in means]) for _ in range(rounds)
        ]
        low, high = np.quantile(drawn, [0.025, 0.975])
        return Figure(float(np.mean([part.mean() for part in means])), float(low), float(high), len(self.asked))

    def _passed(self) -> dict[str, dict[str, list[bool]]]:
        """Part -> prompt -> whether each of its pictures passed."""
        parts: dict[str, dict[str, list[bool]]] = {}
        for one, mark in zip(self.asked, self.marks, strict=True):
            parts.setdefault(one.part, {}).setdefault(one.id, []).append(mark.passed)
        return parts

    def groups(self) -> list[Floats]:
        """Features prompt by prompt."""
        rows: dict[str, list[int]] = {}
        for at, one in enumerate(self.asked):
            rows.setdefault(one.id, []).append(at)
        return [self.features[at] for at in rows.values()]


def look(detector: Detector, asked: Sequence[Asked], pictures: Iterator[Pixels], told: Told, what: str) -> Seen:
    """Look at one picture for each of `asked`."""
    marks: list[Mark] = []
    features = []
    threshold = detector.labels.threshold
    for start in range(0, len(asked), CHUNK):
        rows = asked[start : start + CHUNK]
        chunk = [next(pictures) for _ in rows]
        finds, wholes = detector.study(chunk)
        marks += [judge(one, found, threshold) for one, found in zip(rows, finds, strict=True)]
        features.append(wholes)
        told(what, len(marks), len(asked))
    wide = detector.labels.feature + detector.labels.whole
    return Seen(tuple(asked), tuple(marks), np.concatenate(features) if features else np.zeros((0, wide), np.float32))


def painted(detector: Detector, samples: Sequence[Sample], folder: Path, told: Told) -> Seen:
    """Look at painted pictures."""
    pictures = (sample.pixels(folder) for sample in samples)
    return look(detector, [sample.asked for sample in samples], pictures, told, "looking")


def real(detector: Detector, asked: Sequence[Asked], samples: int, truth: Truth, told: Told, seed: int = 0) -> Seen:
    """Look at real pictures of the prompts that can be drawn."""
    drawable = [one for one in asked if truth.has(one)]
    pictures = (picture for one in drawable for picture in truth.pictures(one, samples, seed))
    return look(detector, [one for one in drawable for _ in range(samples)], pictures, told, "real pictures")


def distances(detector: Detector, made: Seen, true: Seen, truth: Truth, told: Told) -> dict[str, Figure]:
    """How far painted pictures are from real ones, from each other, and from what was trained on.

    `frechet` and `kernel` are distances of all painted pictures to all real ones of the same prompts; `diversity` is
    the mean distance of the pictures of one prompt; `nearest training picture` the median distance to the nearest of
    the first training scenes, and `copied` the share nearer than 99 of 100 real pictures that were never trained on.
    """
    trained = _features(detector, truth, range(TRAINED), told)
    far, due = nearest(made.features, trained), nearest(true.features, trained)
    line = float(np.quantile(due, 0.01))
    figures = {
        "frechet": halved(frechet, made.features, true.features),
        "kernel": halved(kernel_distance, made.features, true.features),
        "nearest training picture": bootstrap(far),
        "nearest training picture, real": bootstrap(due),
        "copied": wilson(int((far < line).sum()), len(far)),
    }
    several = [spread(rows) for rows in made.groups() if len(rows) > 1]
    if several:
        figures["diversity"] = bootstrap(several)
        figures["diversity, real"] = bootstrap([spread(rows) for rows in true.groups() if len(rows) > 1])
    return figures


def _features(detector: Detector, truth: Truth, scenes: range, told: Told) -> Floats:
    rows = []
    for start in range(scenes.start, scenes.stop, CHUNK):
        planned = [plan(seed, truth.concepts) for seed in range(start, min(start + CHUNK, scenes.stop))]
        rows.append(detector.embed([np.asarray(truth.composer.render(scene)) for scene in planned]))
        told("training scenes", min(start + CHUNK, scenes.stop), scenes.stop)
    return np.concatenate(rows)


def reconstruction(engine: Any, truth: Truth, told: Told) -> dict[str, Figure]:
    """What the autoencoder makes of real pictures that it never saw: PSNR in dB and SSIM. Empty where it has none."""
    if not isinstance(engine, LatentEngine) or engine.latent_factor != 8:
        return {}
    likeness: dict[str, list[float]] = {"psnr": [], "ssim": []}
    for k in range(RECONSTRUCTED):
        scene = plan(UNSEEN + k, truth.concepts)
        before = np.asarray(truth.composer.render(scene))
        latents = engine.encode_image(engine.from_numpy(truth.composer.pixels(scene)[None]))
        after = engine.to_numpy(engine.decode(latents))[0].transpose(1, 2, 0)
        pixels = np.clip(after * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
        likeness["psnr"].append(psnr(before, pixels))
        likeness["ssim"].append(ssim(before, pixels))
        told("reconstructions", k + 1, RECONSTRUCTED)
    return {name: bootstrap(values) for name, values in likeness.items()}
