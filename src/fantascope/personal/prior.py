"""Pictures that a base paints itself: of a class, which keep it what it was, and of things beside a subject."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fantascope.artifact import Output
from fantascope.core.colour import COLOURS
from fantascope.errors import StorageError
from fantascope.personal.names import captions
from fantascope.prompt.english import with_article
from fantascope.request import Imagine
from fantascope.spec import Spec

Pixels = npt.NDArray[np.uint8]
SEED = 20_000
TOGETHER = 8
"""Pictures of one request: between two of them nothing is lost when all is stopped."""


def class_prompts(kind: str, count: int, photos: bool) -> list[str]:
    """What is painted: a third of them the bare class, the rest on grounds of every colour."""
    bare = [with_article(kind)] * (count // 3)
    names = list(COLOURS)
    if photos:
        return [captions("", kind, photos=True)[k % 4] for k in range(count)]
    return bare + [captions("", kind, names[k % len(names)])[k % 3] for k in range(count - len(bare))]


def painted(studio: Any, spec: Spec, weights: str, prompts: Sequence[str]) -> Iterator[list[tuple[Pixels, str]]]:
    """Yield pictures of prompts, and the prompts, more and more of them, until all are there.

    They are painted by the studio's engine for the base and kept under the cache folder, by base weights, prompts and
    settings: the next subject of the same class finds them.

    Args:
        studio: A `fantascope.Studio`.
        weights: Hash of the base's weights.

    Raises:
        PolicyRefused: A rule refused one of them.
        StorageError: The cache cannot be written.
    """
    sizes, defaults, count = spec.sizes, spec.defaults, len(prompts)
    told = {
        "weights": weights,
        "prompts": list(prompts),
        "seed": SEED,
        "side": sizes.native,
        "steps": defaults.steps,
        "guidance": defaults.guidance,
        "rescale": defaults.guidance_rescale,
        "sampler": defaults.sampler,
    }
    key = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:24]
    folder = studio.settings.cache / "classes" / key
    done: list[tuple[Pixels, str]] = []
    for first in range(0, count, TOGETHER):
        some = range(first, min(first + TOGETHER, count))
        paths = [folder / f"{k:04d}.png" for k in some]
        for k in [k for k, path in zip(some, paths, strict=True) if not path.is_file()]:
            _paint(studio, spec, prompts[k], SEED + k, folder / f"{k:04d}.png")
        done += [(_read(path), prompts[k]) for k, path in zip(some, paths, strict=True)]
        yield done


def _read(path: Path) -> Pixels:
    with Image.open(path) as picture:
        return np.array(picture.convert("RGB"))


def _paint(studio: Any, spec: Spec, prompt: str, seed: int, path: Path) -> None:
    side = spec.sizes.native
    job = studio.resolve(Imagine(prompt=prompt, model=spec.name, seed=seed, width=side, height=side, upscale=1, n=1))
    with studio.engines.lease(job.spec, job.choice) as engine, closing(engine.render(job.request)) as events:
        pixels = next(event.pixels for event in events if isinstance(event, Output))
    studio.look_at([pixels])
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., :3]).save(draft, "PNG")
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise StorageError(f"{path.parent} cannot be written: {error.strerror}.", param="prior") from error
