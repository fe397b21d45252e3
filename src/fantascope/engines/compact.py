"""The compact form of a text encoder: matrices as int8 with one scale a row, everything else float16.

`model.int8.safetensors` holds, for every matrix, `NAME` (int8, (rows, columns)) and `NAME.scale` (float, (rows,)); the
weight is `NAME * NAME.scale[:, None]`. What has no scale is stored as it is. Names are as in the original
state dict.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile

NAME = "model.int8.safetensors"
"""File name of the compact form inside a component's folder."""

SCALE = ".scale"


def compact(weights: dict[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """Return the compact form of a state dict: symmetric int8 per row for matrices, float16 for the rest.

    A row's scale is its largest magnitude / 127, so the error of a weight is at most half a scale.
    """
    out: dict[str, npt.NDArray[Any]] = {}
    for name, weight in weights.items():
        if weight.ndim != 2 or weight.dtype.kind != "f":
            out[name] = weight.astype(np.float16) if weight.dtype.kind == "f" else weight
            continue
        scale = np.abs(weight).max(axis=1).astype(np.float32) / np.float32(127)
        scale[scale == 0] = 1
        out[name] = np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8)
        out[name + SCALE] = scale
    return out


def expand(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Return the state dict of a compact file, in float32.

    Raises:
        BrokenModelFile: a scale fits no matrix, or see `SafeFile.open`.
    """
    file = SafeFile.open(path)
    out: dict[str, npt.NDArray[Any]] = {}
    for name, entry in file.tensors.items():
        if name.endswith(SCALE) and name.removesuffix(SCALE) in file.tensors:
            continue
        weight = file.read(name)
        if entry.dtype != "I8":
            out[name] = weight.astype(np.float32) if weight.dtype.kind == "f" else weight
            continue
        scale = file.read(name + SCALE).astype(np.float32)
        if scale.shape != entry.shape[:1]:
            raise BrokenModelFile(
                f"{name!r} in {path} is {entry.shape}, its scale {scale.shape}: one scale a row is due."
            )
        out[name] = weight.astype(np.float32) * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return out
