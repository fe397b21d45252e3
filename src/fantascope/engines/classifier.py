"""The picture classifier that policy judges pixels by: how much a picture is a drawing, neutral, sexual.

A graph on OpenVINO or ONNX Runtime, without torch. The graph ships (`weights/nsfw/model.onnx`); its weights are those
of the npm package nsfwjs (Infinite Red, MIT) and are unpacked once by `fantascope policy detector TARBALL` into
`Settings.judges`. Like the detector it looks and does not render, so it has its own small contract.

Pictures become 224 x 224 the way the package does it: bilinear, corner on corner, without smoothing beforehand, so that
its probabilities and ours are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.engines.graph_runtime import Floats, Program, Source, open_runtime, runtime_name
from fantascope.engines.memory import Once
from fantascope.engines.weights import read_config, sha256
from fantascope.errors import BrokenModelFile, ModelNotFound
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED

SHIPPED = EMBEDDED.parent / "nsfw"
GRAPH, WEIGHTS, FACTS = "model.onnx", "model.safetensors", "classifier.json"
SIDE = 224

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Facts:
    """What `classifier.json` says: name, classes in the order of the outputs, file -> sha256, where it is from."""

    name: str
    classes: tuple[str, ...]
    weights: dict[str, str]
    source: dict[str, str]


def read_facts(folder: Path = SHIPPED) -> Facts:
    """Read `classifier.json`.

    Raises:
        ModelNotFound, BrokenModelFile: it is not there or malformed.
    """
    data: dict[str, Any] = read_config(folder / FACTS)
    try:
        return Facts(data["name"], tuple(data["classes"]), dict(data["weights"]), dict(data["source"]))
    except (KeyError, TypeError, ValueError) as error:
        raise BrokenModelFile(f"{folder / FACTS} is not the record of a classifier: {error!r}.") from error


def installed(settings: Settings) -> bool:
    """Say whether weights of a classifier were put into `Settings.judges`; whether they are sound, `load` says."""
    return (settings.judges / WEIGHTS).is_file()


class Classifier:
    """A loaded classifier.

    Attributes:
        facts: What it knows.
        id: sha256 of its weights, in hex.
    """

    def __init__(self, facts: Facts, program: Program) -> None:
        self.facts, self.id = facts, facts.weights[WEIGHTS]
        self._program = program

    @classmethod
    def load(cls, settings: Settings, folder: Path | None = None) -> Classifier:
        """Load graph and weights from `Settings.judges`; both are held to the hashes that ship.

        They are loaded once a process, whoever asks for them.

        Raises:
            ModelNotFound: it was not installed.
            BrokenModelFile: a file is not the one that was pinned, or cannot be read.
            MissingExtra: the runtime that was set is not installed.
        """
        place = settings.judges if folder is None else folder
        files = [SHIPPED / FACTS, place / GRAPH, place / WEIGHTS]
        key = (place.resolve(), runtime_name(settings.runtime), settings.threads)
        return _shared.get(key, files, lambda: cls._open(settings, place))

    @classmethod
    def _open(cls, settings: Settings, place: Path) -> Classifier:
        facts = read_facts()
        digests = []
        for name in (GRAPH, WEIGHTS):
            if not (place / name).is_file():
                raise ModelNotFound(f"There is no {place / name}.", hint="fantascope policy detector")
            digests.append(sha256(place / name, settings))
            if digests[-1] != facts.weights[name]:
                raise BrokenModelFile(
                    f"{place / name} is not the file that is known.", hint="fantascope policy detector"
                )
        source = Source(place / GRAPH, place / WEIGHTS, " ".join(digests))
        program = open_runtime(settings.runtime, settings).compile(source, {"pictures": (1, 3, SIDE, SIDE)}, "fp32")
        return cls(facts, program)

    def classify(self, pictures: Sequence[Pixels]) -> Floats:
        """Return the probability of every class, `(N, 5)`, for pictures `(H, W, 3 or 4)` uint8."""
        rows = [self._program(pictures=prepared(picture)) for picture in pictures]
        return np.concatenate(rows) if rows else np.zeros((0, len(self.facts.classes)), np.float32)


_shared = Once[Classifier]()


def prepared(picture: Pixels) -> Floats:
    """Return a picture as `(1, 3, 224, 224)` float32 in 0 … 1; what is transparent lies on white."""
    x = picture[..., :3].astype(np.float32) / np.float32(255)
    if picture.shape[2] == 4:
        alpha = picture[..., 3:].astype(np.float32) / np.float32(255)
        x = x * alpha + (1 - alpha)
    for axis in (0, 1):
        x = _resized(x, axis)
    return np.ascontiguousarray(x.transpose(2, 0, 1)[None])


def _resized(x: Floats, axis: int) -> Floats:
    """Bring one axis to 224: bilinear, the first and the last pixel stay first and last."""
    size = x.shape[axis]
    if size == SIDE:
        return x
    at = np.arange(SIDE, dtype=np.float32) * np.float32((size - 1) / (SIDE - 1))
    low = np.floor(at).astype(np.int64)
    high = np.minimum(np.ceil(at).astype(np.int64), size - 1)
    share = (at - low).astype(np.float32)
    share = share[:, None, None] if axis == 0 else share[None, :, None]
    first = x.take(low, axis)
    out: Floats = first + (x.take(high, axis) - first) * share
    return out
