"""Painting the prompts of a benchmark: at native size, in batches of one size, kept in a folder so that nothing is
painted twice.

The engine is used directly: these pictures are measured and not published, so they are neither sealed nor kept in the
gallery.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.artifact import Output
from fantascope.core.denoise import denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.schedules import levels
from fantascope.core.seeds import noise, stream
from fantascope.engines.base import LatentEngine
from fantascope.errors import InvalidValue
from fantascope.evaluate.prompts import Asked

RUN, RAN, TIMES, PICTURES = "run.json", "ran.json", "times.jsonl", "pictures"
BATCH = 4
"""Pictures painted together: what an engine on a CPU gains most from."""

Pixels = npt.NDArray[np.uint8]
Read = Callable[[str], str]
"""Turns a prompt into the words it is painted by: those that a user's own prompt would be read as."""


@dataclass(frozen=True)
class Sample:
    """One picture to be painted: its prompt, which of the prompt's pictures it is, and the seed of its noise."""

    asked: Asked
    number: int
    seed: int

    @property
    def name(self) -> str:
        return f"{self.asked.id}-{self.number}"

    def path(self, folder: Path) -> Path:
        """Its file below a folder of results."""
        return folder / PICTURES / f"{self.name}.png"

    def pixels(self, folder: Path) -> Pixels:
        """The picture, (H, W, 3)."""
        with Image.open(self.path(folder)) as picture:
            return np.asarray(picture.convert("RGB"))


def samples_of(asked: Sequence[Asked], samples: int, seed: int) -> list[Sample]:
    """The pictures to be painted, prompt by prompt."""
    return [Sample(one, k, one.seed(seed, k)) for one in asked for k in range(samples)]


def paint_missing(
    engine: Any,
    request: Any,
    samples: Sequence[Sample],
    folder: Path,
    facts: dict[str, Any],
    read: Read = str,
) -> Iterator[int]:
    """Paint the pictures that a folder lacks.

    Args:
        engine: Loaded weights.
        request: A resolved `Imagine` that says how; its prompt and seed do not matter.
        samples: What is wanted.
        folder: Where pictures, `run.json` and `times.jsonl` are kept.
        facts: What else decides the pictures, for `run.json`.
        read: Turns a prompt into the words it is painted by.

    Yields:
        How many of the samples are there.

    Raises:
        InvalidValue: The folder has pictures of other settings or another model.
    """
    missing = [sample for sample in samples if not sample.path(folder).is_file()]
    _claim(folder, facts)
    yield len(samples) - len(missing)
    batch = min(BATCH, engine.batch_limit(request)) if isinstance(engine, LatentEngine) else 1
    for start in range(0, len(missing), batch):
        rows = missing[start : start + batch]
        full = (rows * batch)[:batch]
        since = time.perf_counter()
        pictures = _paint(engine, request, full, read)
        took = time.perf_counter() - since
        if start == 0:
            (folder / RAN).write_text(json.dumps(_ran(engine), indent=1, sort_keys=True) + "\n", "utf-8")
        for sample, picture in zip(rows, pictures, strict=False):
            _save(picture, sample.path(folder))
        with (folder / TIMES).open("a") as file:
            file.write(json.dumps({"pictures": batch, "seconds": took, "warm": start > 0}) + "\n")
        yield len(samples) - len(missing) + start + len(rows)


def ran(folder: Path) -> dict[str, Any]:
    """What painted a folder's pictures: engine, precision, the hash of every file of weights and one over all."""
    said: dict[str, Any] = json.loads((folder / RAN).read_text("utf-8"))
    return said


def read_as(folder: Path) -> str:
    """How the prompts of a folder's pictures were read: `as written`, or by which thesaurus."""
    return str(json.loads((folder / RUN).read_text("utf-8")).get("words", "as written"))


def _ran(engine: Any) -> dict[str, Any]:
    said = engine.ran()
    weights = {weight.path: weight.sha256 for weight in said.weights}
    digest = hashlib.sha256("".join(f"{path} {sha}\n" for path, sha in sorted(weights.items())).encode()).hexdigest()
    keys = ("engine", "runtime", "device", "precision", "threads")
    return {key: getattr(said, key) for key in keys} | {"weights": weights, "hash": digest}


def seconds(folder: Path) -> list[float]:
    """Seconds a picture of every batch but the first after each start, which also loads and compiles."""
    path = folder / TIMES
    rows = [json.loads(row) for row in path.read_text("utf-8").splitlines()] if path.is_file() else []
    return [row["seconds"] / row["pictures"] for row in rows if row["warm"]]


def _claim(folder: Path, facts: dict[str, Any]) -> None:
    """Write what decides the pictures of a folder, or hold it to what is written there."""
    (folder / PICTURES).mkdir(parents=True, exist_ok=True)
    path, said = folder / RUN, json.loads(json.dumps(facts))
    if not path.is_file():
        path.write_text(json.dumps(facts, indent=1, sort_keys=True) + "\n", "utf-8")
        return
    old = json.loads(path.read_text("utf-8"))
    differ = [key for key in sorted(old | said) if old.get(key) != said.get(key)]
    if differ:
        raise InvalidValue(
            f"{folder} has pictures painted with another {' and another '.join(differ)}.",
            param="out",
            hint="Give another --out, or the same settings.",
        )


def _paint(engine: Any, request: Any, rows: Sequence[Sample], read: Read = str) -> list[Pixels]:
    if not isinstance(engine, LatentEngine):
        return [_alone(engine, request, sample, read) for sample in rows]
    texts = [read(sample.asked.prompt) for sample in rows]
    if request.guidance != 1:
        texts = [request.negative_prompt or ""] * len(rows) + texts
    network = engine.network(request, engine.encode_text(texts, request))
    network = guided(network, request.guidance, request.guidance_rescale)
    training, seeds = engine.training_schedule, [sample.seed for sample in rows]
    factor = engine.latent_factor
    shape = (engine.latent_channels, request.height // factor, request.width // factor)
    fresh = stream(seeds, shape)
    latents: Any = None
    for state in denoise(
        predict(network, training),
        engine.from_numpy(noise(seeds, shape)),
        levels(training, request.steps, request.schedule, sampler=request.sampler),
        request.sampler,
        lambda step: engine.from_numpy(fresh(step)),
    ):
        latents = state.x
    pictures = engine.to_numpy(engine.decode(latents))
    pixels = np.clip(pictures * 127.5 + 127.5, 0, 255).round().astype(np.uint8)
    return list(np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)))


def _alone(engine: Any, request: Any, sample: Sample, read: Read) -> Pixels:
    """Paint one picture with an engine that does not show its parts."""
    one = request.replace(prompt=read(sample.asked.prompt), seed=sample.seed, n=1)
    outputs = [event for event in engine.render(one) if isinstance(event, Output)]
    pixels: Pixels = np.asarray(outputs[0].pixels)[..., :3]
    return pixels


def _save(picture: Pixels, path: Path) -> None:
    new = path.with_suffix(".new")
    Image.fromarray(picture).save(new, "PNG")
    new.replace(path)
