"""Attribution: which training drawings a drawn thing looks like, and how unusual that likeness is.

An index holds what every training drawing looks like to the detector, over several versions of it: on other grounds, in
other colours, a little moved. What changes between versions of one drawing is made not to count (within-class
covariance normalisation, Hatch, Kajarekar and Stolcke 2006), and likeness is the cosine of what is left. How much it
says is calibrated on drawings that no checkpoint here was trained on: a likeness is given with the share of those whose
nearest training drawing is less alike. Nearness is no proof of use, and distance no proof of the contrary.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fantascope.errors import BrokenModelFile, ModelNotFound

INDEX = "attribution.npz"
"""Name of the index in a checkpoint folder."""

MEANING = (
    "Likeness is what a trained eye sees, not proof: what looks near need not have been used for this picture, and "
    "what was used need not look near."
)
Floats = NDArray[np.floating[Any]]
Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]
DIRECTIONS = 96
"""Numbers kept of each drawing: where drawings differ most, in units of how versions of one drawing differ."""

FLOOR = 0.01
"""Least variance within a drawing, in units of its mean over all directions."""

MARGIN = 1.23
"""Side of the square around a thing, in units of its longer side: as drawings stand in the index."""


@dataclass(frozen=True)
class Near:
    """A training drawing that something looks like.

    Attributes:
        sha256: Of the drawing: its row in the ledger.
        likeness: Cosine, -1..1.
        unusual: Share, 0..1, of drawings never trained on whose nearest training drawing is less alike.
    """

    sha256: str
    likeness: float
    unusual: float

    @property
    def distance(self) -> float:
        """1 minus the likeness."""
        return 1 - self.likeness


@dataclass(frozen=True)
class Index:
    """What training drawings look like.

    Attributes:
        detector: sha256 of the weights that see.
        ledger: Root hash of the ledger whose drawings these are.
        hashes: Of the drawings, (M, 32) bytes.
        mean: Of what the detector sees, (D,).
        project: From there to what is compared, (D, C).
        features: (M, C), int8: 127 times a vector of unit length.
        foreign: (K,) likeness of each drawing never trained on to its nearest training drawing, rising.
    """

    detector: str
    ledger: str
    hashes: NDArray[np.uint8]
    mean: NDArray[np.float32]
    project: NDArray[np.float32]
    features: NDArray[np.int8]
    foreign: NDArray[np.float32]

    def likeness(self, seen: Floats) -> NDArray[np.float32]:
        """Cosine of N things, as the detector sees them (N, D), to each of the M drawings, (N, M)."""
        return self.describe(seen) @ _unit(self.features.astype(np.float32)).T

    def describe(self, seen: Floats) -> NDArray[np.float32]:
        """What is compared: (..., D) to (..., C) of unit length."""
        return _unit((seen - self.mean) @ self.project)

    def nearest(self, seen: Floats, top: int) -> list[list[Near]]:
        """The `top` drawings most like each of N things, best first; `seen` as for `likeness`."""
        return [self._near(row, top) for row in self.likeness(seen)]

    def _near(self, likeness: NDArray[np.float32], top: int) -> list[Near]:
        order = np.argsort(-likeness, kind="stable")[:top]
        values = [float(value) for value in likeness[order]]
        names = [self.hashes[k].tobytes().hex() for k in order]
        return [Near(name, value, self.unusual(value)) for name, value in zip(names, values, strict=True)]

    def unusual(self, likeness: float) -> float:
        """Share of drawings never trained on whose nearest training drawing is less alike than this."""
        return float(np.searchsorted(self.foreign, likeness)) / max(len(self.foreign), 1)


def make_index(detector: str, ledger: str, hashes: Sequence[str], seen: Floats, foreign: Floats) -> Index:
    """Make an index.

    Args:
        detector: See `Index`, as for `ledger`.
        ledger: See `Index`.
        hashes: M drawings, hex.
        seen: What the detector sees of V versions of the M drawings, (V, M, D).
        foreign: What it sees of drawings that were never trained on, (K, D).
    """
    middle = seen.mean(0)
    mean = middle.mean(0)
    apart = (seen - middle).reshape(-1, seen.shape[-1]).astype(np.float64)
    spread, axes = np.linalg.eigh(apart.T @ apart / len(apart))
    even = axes / np.sqrt(spread + FLOOR * spread.mean() + 1e-12)
    between, directions = np.linalg.eigh(np.cov(((middle - mean) @ even).T))
    project = even @ directions[:, np.argsort(-between)[: min(DIRECTIONS, len(hashes) - 1)]]
    project = (project / np.abs(project).max()).astype(np.float16).astype(np.float32)
    digests = np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, 32)
    bare = Index(
        detector, ledger, digests, mean.astype(np.float32), project, np.zeros((0, 0), np.int8), np.zeros(0, np.float32)
    )
    features = np.round(_unit(bare.describe(seen).mean(0)) * 127).astype(np.int8)
    index = replace(bare, features=features)
    return replace(index, foreign=np.sort(index.likeness(foreign).max(1)).astype(np.float32))


def _unit(vectors: Floats) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)


def write_index(index: Index, path: Path) -> None:
    """Write an index as an npz file without pickles, in one move."""
    told = {"detector": index.detector, "ledger": index.ledger}
    new = path.with_suffix(".new")
    path.parent.mkdir(parents=True, exist_ok=True)
    with new.open("wb") as file:
        np.savez_compressed(
            file,
            told=np.frombuffer(json.dumps(told).encode(), np.uint8),
            hashes=index.hashes,
            mean=index.mean,
            project=index.project.astype(np.float16),
            features=index.features,
            foreign=index.foreign,
        )
    new.replace(path)


def read_index(path: Path) -> Index:
    """Read an index.

    Raises:
        ModelNotFound: There is none.
        BrokenModelFile: It is not one.
    """
    if not path.is_file():
        raise ModelNotFound(f"There is no {path}.", param="index", hint="fantascope data index SOURCES")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        told = json.loads(arrays["told"].tobytes())
        named = (arrays[name] for name in ("hashes", "mean", "project", "features", "foreign"))
        hashes, mean, project, features, foreign = named
        index = Index(
            str(told["detector"]), str(told["ledger"]), hashes, mean, project.astype(np.float32), features, foreign
        )
    except Exception as error:  # a broken archive fails in as many ways as zip, npy and JSON have
        raise BrokenModelFile(f"{path} is not an index: {error}.", param="index") from error
    if not _whole(index):
        raise BrokenModelFile(f"{path} is not an index: its arrays do not fit together.", param="index")
    return index


def _whole(index: Index) -> bool:
    return (
        index.features.dtype == np.int8
        and index.hashes.dtype == np.uint8
        and index.mean.dtype == index.foreign.dtype == np.float32
        and index.hashes.shape == (len(index.features), 32)
        and index.project.shape == (*index.mean.shape, *index.features.shape[1:])
        and index.features.size > 0
        and index.foreign.ndim == 1
    )


def crop(picture: Pixels, box: Box, side: int = 128) -> Pixels:
    """Cut the square around a thing, as large against it as drawings of the index are against theirs.

    Args:
        picture: (H, W, 3).
        box: Left, top, right, bottom in px of `side`, whatever the picture's own size.
        side: See `box`.

    Returns:
        (S, S, 3). Where the square leaves the picture, its border is repeated.
    """
    down, across = picture.shape[0] / side, picture.shape[1] / side
    left, top, right, bottom = box[0] * across, box[1] * down, box[2] * across, box[3] * down
    half = max(MARGIN * max(right - left, bottom - top) / 2, 1.0)
    rows, columns = (
        np.clip(np.arange(round(middle - half), round(middle + half)), 0, limit - 1)
        for middle, limit in (((top + bottom) / 2, picture.shape[0]), ((left + right) / 2, picture.shape[1]))
    )
    size = min(len(rows), len(columns))
    return np.ascontiguousarray(picture[rows[:size]][:, columns[:size]])
