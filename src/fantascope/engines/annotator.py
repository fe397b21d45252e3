"""The engine that draws control maps: annotators behind the same contract as weights that paint."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from fantascope.artifact import Output, Step
from fantascope.engines.base import Choice, Inputs
from fantascope.receipt import Ran, Weight
from fantascope.request import Annotate, Request
from fantascope.settings import Settings
from fantascope.spec import Spec


class AnnotatorEngine:
    """Draws the map of a picture, or renders a document of joints or strokes; bit-exact on one machine."""

    supports = frozenset({"annotate"})
    rowwise = False

    def __init__(self, spec: Spec, choice: Choice, settings: Settings) -> None:
        from fantascope.annotate import Tools

        self.spec, self.choice, self.settings = spec, choice, settings
        self.tools = Tools(weights=settings.home / "annotators", threads=settings.threads)
        self._weights: tuple[Weight, ...] = ()

    @classmethod
    def load(cls, spec: Spec, choice: Choice, settings: Settings) -> AnnotatorEngine:
        """Return the engine; a network is opened when its kind is first asked for."""
        return cls(spec, choice, settings)

    def render(self, request: Request, inputs: Inputs = Inputs()) -> Iterator[Step | Output]:
        """Yield one map, of the picture's size, and what was found where the kind finds things that can be edited.

        Raises:
            ModelNotFound: the kind's network is not there; the message says which file and how to get it.
            InvalidValue: a parameter is out of range, or the document is not one of its kind.
            MissingExtra: OpenCV is not installed.
        """
        from fantascope.annotate import annotate, find_annotator, find_pose, settle, weights

        assert isinstance(request, Annotate)
        kind = find_annotator(request.kind)
        values = settle(request.kind, request.parameters or {})
        yield Step(0, 1, "annotate")
        found = None
        if request.document is not None:
            pixels = annotate(request.kind, request.document, values, self.tools)
        else:
            pixels = annotate(request.kind, inputs.pictures[0], values, self.tools)
            self._weights = self._used(kind, weights(request.kind, self.tools))
            if kind.kind == "pose":
                pose = find_pose(inputs.pictures[0], int(values["people"]), float(values["confidence"]), self.tools)
                found = json.dumps(pose.as_dict())
        yield Step(1, 1, "annotate")
        seed = request.seed if request.seed is not None else 0
        yield Output(np.ascontiguousarray(pixels), 0, seed, painted=bool(self._weights), found=found)

    def _used(self, kind: Any, hashes: dict[str, str]) -> tuple[Weight, ...]:
        licences = {file.name: file.licence for file in kind.files}
        return tuple(
            Weight(part=kind.kind, path=name, sha256=digest, licence=licences.get(name, "NOASSERTION"))
            for name, digest in hashes.items()
        )

    def ran(self) -> Ran:
        """Say what ran for the last request."""
        return Ran(
            engine="annotator",
            runtime="opencv",
            device="cpu",
            precision="fp32",
            threads=self.settings.threads,
            exactness="bit-exact",
            weights=self._weights,
            versions={name: found for name in ("opencv-python-headless", "openvino") if (found := _version(name))},
            reasons=self.choice.reasons,
        )

    def close(self) -> None:
        """Free nothing: networks belong to the process."""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
