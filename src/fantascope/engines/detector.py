"""The detector that scores pictures: finds drawn things in them and says what they are and in which colour.

A graph on OpenVINO or ONNX Runtime, without torch, a reader of colours, and a list of what they know. What is found at
first sight is cut out and looked at again. It was trained apart from every
generator, on drawing styles that no generator here has seen; `detector.json` beside its weights says how often it is
right on real pictures of other styles, and that is the ceiling of every figure measured with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.engines.closer import Box as Box
from fantascope.engines.closer import cuts
from fantascope.engines.dyes import Dyes
from fantascope.engines.graph_runtime import Floats, Program, Source, open_runtime, runtime_name
from fantascope.engines.memory import Once
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import read_config, sha256
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED

DETECTOR = EMBEDDED.parent / "detector"
GRAPH, WEIGHTS, DYES, LABELS = "model.onnx", "model.safetensors", "dyes.safetensors", "detector.json"

SIDE = 128
CELL = 8
BATCH = 16
"""Pictures that go through the graph together."""

LOWEST = 0.05
"""Score below which nothing is reported."""

OVERLAP = 0.5
"""Intersection over union above which the weaker of two finds is dropped."""

TOP = 5
"""Kinds named for each find."""

CLOSER = 0.15
"""Score from which a find is looked at again."""

BELIEVED = 2.0
"""How much more the reader of colours is believed than the net."""

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Labels:
    """What `detector.json` says.

    Attributes:
        kinds, colours: Names, in the order of the net's outputs.
        sharp: What cosines are multiplied with before they become probabilities.
        feature, whole: Length of a find's feature and of what describes the whole picture.
        threshold: Score from which a find counts.
        objects: The kinds that benchmarks ask for: known from several styles and recognised on real pictures.
        ceiling: How often the detector's verdict is right on real pictures, and how that was measured.
        weights: File -> sha256.
        version: Of the whole instrument: figures of one version are comparable.
    """

    kinds: tuple[str, ...]
    colours: tuple[str, ...]
    sharp: float
    feature: int
    whole: int
    threshold: float
    objects: tuple[str, ...]
    ceiling: dict[str, Any]
    weights: dict[str, str]
    version: int


@dataclass(frozen=True)
class Found:
    """One thing in a picture.

    Attributes:
        kind: What it most likely is.
        score: How sure it is that there is something, 0..1.
        kinds: The likeliest kinds and their probabilities, best first.
        box: Left, top, right and bottom in px of 128.
        colour: The named colour that it most likely has; `own` is not among them.
        colours: Probability of every colour the detector knows, `own` included.
        feature: What it looks like, (96,), of unit length.
    """

    kind: str
    score: float
    kinds: tuple[tuple[str, float], ...]
    box: Box
    colour: str
    colours: dict[str, float]
    feature: Floats


@dataclass(frozen=True)
class _Sight:
    """What one look says of a thing: score, box in px, feature, and the logits of the colours."""

    score: float
    box: Box
    feature: Floats
    dyes: Floats


class Detector:
    """A loaded detector.

    Attributes:
        labels: What it knows and how good it is.
        id: sha256 of its weights, in hex.

    Example:
        >>> from fantascope.settings import Settings
        >>> detector = Detector.load(Settings())
        >>> len(detector.look(np.zeros((2, 128, 128, 3), np.uint8)))
        2
    """

    def __init__(self, labels: Labels, program: Program, classes: Floats, dyes: Dyes) -> None:
        self.labels, self.id = labels, labels.weights[WEIGHTS]
        self._program, self._classes, self._dyes = program, classes, dyes
        self._named = np.array([name != "own" for name in labels.colours])

    @classmethod
    def load(cls, settings: Settings, folder: Path = DETECTOR) -> Detector:
        """Load the detector of a folder; its files are held to the hashes that `detector.json` pins.

        It is loaded once a process, whoever asks for it.

        Raises:
            ModelNotFound: A file is missing.
            BrokenModelFile: A file is not the one that was pinned, or cannot be read.
            MissingExtra: The runtime that was set is not installed.
        """
        files = [folder / name for name in (LABELS, GRAPH, WEIGHTS, DYES)]
        key = (folder.resolve(), runtime_name(settings.runtime), settings.threads)
        return _shared.get(key, files, lambda: cls._open(settings, folder))

    @classmethod
    def _open(cls, settings: Settings, folder: Path) -> Detector:
        labels = read_labels(folder)
        digests = []
        for name in (GRAPH, WEIGHTS, DYES):
            if not (folder / name).is_file():
                raise ModelNotFound(f"The detector's folder {folder} has no {name}.", hint="fantascope train detector")
            digests.append(sha256(folder / name, settings))
            if digests[-1] != labels.weights.get(name):
                raise BrokenModelFile(f"{folder / name} is not the file that {LABELS} was written for.")
        source = Source(folder / GRAPH, folder / WEIGHTS, " ".join(digests[:2]))
        runtime = open_runtime(settings.runtime, settings)
        program = runtime.compile(source, {"pictures": (BATCH, 3, SIDE, SIDE)}, "fp32")
        classes = SafeFile.open(folder / WEIGHTS).read("kinds").astype(np.float32)
        if classes.shape != (len(labels.kinds), labels.feature):
            raise BrokenModelFile(f"{folder / WEIGHTS} has class vectors of {classes.shape}.")
        return cls(labels, program, classes / np.linalg.norm(classes, axis=1, keepdims=True), Dyes.load(folder / DYES))

    def look(self, pictures: Pixels | Sequence[Pixels], among: Sequence[str] | None = None) -> list[list[Found]]:
        """What is in each picture, best first.

        Args:
            pictures: (N, H, W, 3) uint8, or a list of (H, W, 3); other sizes than 128 px are resized.
            among: The kinds to choose from; all if not given.
        """
        columns = np.arange(len(self.labels.kinds)) if among is None else self._columns(among)
        shown = [_sized(picture) for picture in pictures]
        return self._closer(shown, [self._sights(maps) for maps in self._maps(shown)], columns)

    def embed(self, pictures: Pixels | Sequence[Pixels]) -> Floats:
        """What whole pictures look like, (N, 224) of unit length: half what is in them, half layout, style, colours."""
        return self._features(self._maps(pictures))

    def study(self, pictures: Pixels | Sequence[Pixels]) -> tuple[list[list[Found]], Floats]:
        """What `look` and `embed` say, for the time of one."""
        shown = [_sized(picture) for picture in pictures]
        maps, columns = list(self._maps(shown)), np.arange(len(self.labels.kinds))
        return self._closer(shown, [self._sights(one) for one in maps], columns), self._features(maps)

    def _features(self, every: Iterable[Floats]) -> Floats:
        rows = []
        for maps in every:
            parts = self._split(maps)
            weight = _sigmoid(parts["heat"][0]) + 0.02
            inside = (parts["feature"] * (weight / weight.sum())).sum((1, 2))
            rows.append(np.concatenate([_unit(inside), _unit(parts["whole"][:, 0, 0])]) / np.float32(np.sqrt(2)))
        return np.array(rows, np.float32).reshape(len(rows), self.labels.feature + self.labels.whole)

    def _columns(self, kinds: Sequence[str]) -> npt.NDArray[np.intp]:
        unknown = [kind for kind in kinds if kind not in self.labels.kinds]
        if unknown or not kinds:
            raise InvalidValue(f"The detector knows no kind {unknown[0]!r}." if unknown else "No kind is given.")
        return np.array([self.labels.kinds.index(kind) for kind in kinds])

    def _maps(self, pictures: Pixels | Sequence[Pixels]) -> Iterator[Floats]:
        """The net's maps (C, 16, 16) of each picture; the graph runs on full batches."""
        for start in range(0, len(pictures), BATCH):
            some = [_sized(picture) for picture in pictures[start : start + BATCH]]
            batch = np.zeros((BATCH, 3, SIDE, SIDE), np.float32)
            batch[: len(some)] = np.stack(some).transpose(0, 3, 1, 2) / np.float32(127.5) - 1
            yield from self._program(pictures=batch)[: len(some)]

    def _split(self, maps: Floats) -> dict[str, Floats]:
        sizes = {
            "feature": self.labels.feature,
            "heat": 1,
            "box": 4,
            "colour": len(self.labels.colours),
            "whole": self.labels.whole,
        }
        ends = np.cumsum(list(sizes.values()))
        return dict(zip(sizes, np.split(maps, ends[:-1]), strict=True))

    def _sights(self, maps: Floats) -> list[_Sight]:
        """What the first look finds, best first."""
        parts = self._split(maps)
        heat = _sigmoid(parts["heat"][0])
        wide = np.pad(heat, 1)
        around = np.max([wide[y : y + heat.shape[0], x : x + heat.shape[1]] for y in range(3) for x in range(3)], 0)
        rows, cells = np.nonzero((heat >= LOWEST) & (heat >= around))
        kept: list[_Sight] = []
        for k in np.argsort(-heat[rows, cells], kind="stable"):
            sight = self._sight(parts, int(rows[k]), int(cells[k]))
            if all(overlap(sight.box, other.box) < OVERLAP for other in kept):
                kept.append(sight)
        return kept

    def _sight(self, parts: dict[str, Floats], y: int, x: int) -> _Sight:
        left, top, right, bottom = (float(v) for v in parts["box"][:, y, x])
        box = tuple(
            min(max(v * CELL, 0.0), float(SIDE))
            for v in (x + 0.5 - left, y + 0.5 - top, x + 0.5 + right, y + 0.5 + bottom)
        )
        score = float(_sigmoid(parts["heat"][0, y, x]))
        return _Sight(score, box, _unit(parts["feature"][:, y, x]), parts["colour"][:, y, x])  # type: ignore[arg-type]

    def _closer(
        self, pictures: Sequence[Pixels], seen: Sequence[list[_Sight]], columns: npt.NDArray[np.intp]
    ) -> list[list[Found]]:
        """Look again at what was found for sure enough, and say what it is."""
        sure = [(picture, one) for picture, sights in zip(pictures, seen, strict=True) for one in sights]
        sure = [(picture, one) for picture, one in sure if one.score >= CLOSER]
        looks = [cut for picture, one in sure for cut in cuts(picture, one.box)]
        again = iter([self._middle(maps) for maps in self._maps(looks)])
        count = len(looks) // max(1, len(sure))
        more = {id(one): [next(again) for _ in range(count)] for _, one in sure}
        return [
            [self._told(picture, [one, *more.get(id(one), [])], columns) for one in sights]
            for picture, sights in zip(pictures, seen, strict=True)
        ]

    def _middle(self, maps: Floats) -> _Sight:
        """What a look says of the thing in its middle."""
        parts, middle = self._split(maps), SIDE // CELL // 2
        four = [(y, x) for y in (middle - 1, middle) for x in (middle - 1, middle)]
        return self._sight(parts, *max(four, key=lambda cell: float(parts["heat"][0][cell])))

    def _told(self, picture: Pixels, looks: Sequence[_Sight], columns: npt.NDArray[np.intp]) -> Found:
        """A find from all looks at it, the first one first: the geometric mean of what each says."""
        first, classes = looks[0], self._classes[columns]
        chances = _softmax(_mean([_logs(self.labels.sharp * (classes @ one.feature)) for one in looks]))
        best = np.argsort(-chances, kind="stable")[:TOP]
        kinds = tuple((self.labels.kinds[columns[k]], float(chances[k])) for k in best)
        dyes = _softmax(_mean([_logs(one.dyes) for one in looks]))
        if len(looks) > 1:
            said = np.log(np.maximum(dyes[self._named], 1e-9)) + BELIEVED * self._dyes.read(picture, first.box)
            dyes[self._named] = _softmax(said) * dyes[self._named].sum()
        colour = self.labels.colours[int(np.argmax(np.where(self._named, dyes, -1)))]
        shares = {name: float(share) for name, share in zip(self.labels.colours, dyes, strict=True)}
        return Found(kinds[0][0], first.score, kinds, first.box, colour, shares, first.feature)


_shared = Once[Detector]()


def read_labels(folder: Path = DETECTOR) -> Labels:
    """Read what a detector knows.

    Raises:
        ModelNotFound: There is none.
        BrokenModelFile: The file does not say all of it.
    """
    path = folder / LABELS
    if not path.is_file():
        raise ModelNotFound(f"There is no detector at {folder}.", hint="fantascope train detector")
    data = read_config(path)
    try:
        names: dict[str, Any] = {name: tuple(map(str, data[name])) for name in ("kinds", "colours", "objects")}
        names |= {
            name: data[name] for name in ("sharp", "feature", "whole", "threshold", "ceiling", "weights", "version")
        }
    except (KeyError, TypeError) as error:
        raise BrokenModelFile(f"{path} lacks {error}.") from error
    return Labels(**names)


def write_labels(folder: Path, **changes: Any) -> None:
    """Change fields of `detector.json`."""
    path = folder / LABELS
    data = (read_config(path) if path.is_file() else {}) | changes
    path.write_text(json.dumps(data, indent=1, sort_keys=True) + "\n", "utf-8")


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return wide * high / (sum(areas) - wide * high)


def _sized(picture: Pixels) -> Pixels:
    if picture.ndim != 3 or picture.shape[2] != 3:
        raise InvalidValue(f"A picture is (H, W, 3), not {picture.shape}.")
    if picture.shape[:2] == (SIDE, SIDE):
        return picture
    high, wide = (_areas(count) for count in picture.shape[:2])
    small = np.einsum("yh,hwc->ywc", high, picture.astype(np.float32), optimize=True)
    return np.asarray(np.einsum("xw,ywc->yxc", wide, small, optimize=True) + 0.5, np.uint8)


def _areas(count: int) -> Floats:
    """How much of each of `count` px lies in each of 128 px of the same whole length, rows summing to 1."""
    ends = np.arange(SIDE + 1) * (count / SIDE)
    inside = np.minimum(ends[1:, None], np.arange(count) + 1) - np.maximum(ends[:-1, None], np.arange(count))
    return np.asarray(np.clip(inside, 0, None) * (SIDE / count), np.float32)


def _sigmoid(x: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-x)), np.float32)


def _softmax(x: Floats) -> Floats:
    y = np.exp(x - x.max())
    return np.asarray(y / y.sum(), np.float32)


def _logs(x: Floats) -> Floats:
    y = x - x.max()
    return np.asarray(y - np.log(np.exp(y).sum()), np.float32)


def _mean(rows: Sequence[Floats]) -> Floats:
    return np.asarray(np.mean(rows, 0), np.float32)


def _unit(x: Floats) -> Floats:
    return np.asarray(x / max(float(np.linalg.norm(x)), 1e-12), np.float32)
