"""The fake engine that ships: paints the request's own hash, so that every surface can be tested in milliseconds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fantascope.artifact import Output, Step
from fantascope.engines.base import EDITS, Choice, Inputs
from fantascope.receipt import Ran, Weight, canonical
from fantascope.request import Painting, Request
from fantascope.settings import Settings
from fantascope.spec import Spec

PREVIEW = 32
"""Side of a step preview in pixels."""


class EchoEngine:
    """Paints rings and a wash of colour that follow from prompt, seed and settings alone; bit-exact anywhere."""

    supports = EDITS | {"imagine"}
    rowwise = False

    def __init__(self, spec: Spec, choice: Choice) -> None:
        self.spec, self.choice = spec, choice

    @classmethod
    def load(cls, spec: Spec, choice: Choice, settings: Settings) -> EchoEngine:
        """Return the engine; there is nothing to load."""
        return cls(spec, choice)

    def render(self, request: Request, inputs: Inputs = Inputs()) -> Iterator[Step | Output]:
        """Yield `steps` steps and one output for each of the `n` pictures of a resolved request, in turn."""
        assert isinstance(request, Painting)
        assert request.n is not None and request.steps is not None and request.seed is not None
        assert request.width is not None and request.height is not None
        for index in range(request.n):
            seed = request.seed + index
            yield Step(0, request.steps, "encode", index, total=request.n)
            for step in range(1, request.steps + 1):
                small = (
                    pattern(request, seed, PREVIEW, PREVIEW, step / request.steps)[None] if request.preview else None
                )
                yield Step(step, request.steps, index=index, total=request.n, preview=small)
            width, height = inputs.size if inputs.size is not None else (request.width, request.height)
            yield Output(pixels=pattern(request, seed, width, height), index=index, seed=seed)

    def ran(self) -> Ran:
        """Say that nothing but NumPy ran; the one weight named is the engine's own code version."""
        digest = hashlib.sha256(b"fantascope echo 1").hexdigest()
        return Ran(
            engine="echo",
            runtime="numpy",
            device="cpu",
            precision=self.choice.precision,
            threads=1,
            exactness="bit-exact",
            weights=(Weight(part="echo", path="echo", sha256=digest, licence=self.spec.licence.spdx),),
            versions={"numpy": np.__version__},
            reasons=self.choice.reasons,
        )

    def close(self) -> None:
        """Free nothing."""


def pattern(request: Painting, seed: int, width: int, height: int, share: float = 1.0) -> npt.NDArray[np.uint8]:
    """Return `(height, width, 3)` uint8: rings over a wash of two colours, grown by `share` in 0 … 1."""
    told = request.model_dump(
        exclude={"n", "seed", "preview", "private", "format", "quality", "model", "engine", "device"}
    )
    digest = np.frombuffer(hashlib.sha256(canonical({**told, "seed": seed})).digest(), np.uint8).astype(np.int64)
    low, high, ring = digest[0:3], digest[3:6], digest[6:9]
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    wash = (x * 256 // width + y * 256 // height)[..., None] // 2
    pixels = (low * (255 - wash) + high * wash) // 255
    cx, cy = width * int(digest[9]) // 255, height * int(digest[10]) // 255
    distance = ((x - cx) ** 2 + (y - cy) ** 2) * 64 // (width * width + height * height)
    rings = (distance % (2 + int(digest[11]) % 5) == 0) & (distance <= int(64 * share))
    return np.asarray(np.where(rings[..., None], ring, pixels), np.uint8)
