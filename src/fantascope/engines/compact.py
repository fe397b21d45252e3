"""The compact form of a network: matrices and kernels in int8, tables of words in 4 bits, everything else float16.

`….int8.safetensors` holds, for every matrix or kernel, `NAME` (int8, (rows, …)) and `NAME.scale` (float, (rows,)): the
weight is `NAME * NAME.scale`, row by row. A table has `NAME` (uint8, (rows, columns / 2)) and `NAME.scale` (float16,
(rows, columns / 32)): a byte holds column k in its low four bits and column `columns / 2 + k` in its high ones, both
plus 8, and the weight is that number times the scale of its group of 32 columns. What has no scale is stored as it is.
Names are as in the original state dict.
"""

from __future__ import annotations

from collections.abc import Collection
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile

NAME = "model.int8.safetensors"
"""File name of the compact form inside a text encoder's folder."""

PACKED = "diffusion_pytorch_model.int8.safetensors"
"""File name of the compact form inside a folder of a network of diffusers."""

SCALE = ".scale"

GROUP = 32
"""Columns of a table that share a scale."""

CLIPPED = (1.0, 0.95, 0.9, 0.85, 0.8, 0.75)
"""Shares of a group's largest magnitude that are tried as the largest one it can hold; the least error decides."""


def compact(weights: dict[str, npt.NDArray[Any]], tables: Collection[str] = ()) -> dict[str, npt.NDArray[Any]]:
    """Return the compact form of a state dict: symmetric int8 per row for matrices and kernels, 4 bits for `tables`.

    A row's scale is its largest magnitude / 127, so the error of a weight is at most half a scale.

    Args:
        weights: Arrays by name.
        tables: Names of matrices (rows, columns) that rows are looked up in; columns must be a multiple of 32.
    """
    out: dict[str, npt.NDArray[Any]] = {}
    for name, weight in weights.items():
        if weight.ndim < 2 or weight.dtype.kind != "f":
            out[name] = weight.astype(np.float16) if weight.dtype.kind == "f" else weight
        elif name in tables:
            out[name], out[name + SCALE] = _pack(weight.astype(np.float32))
        else:
            flat = weight.reshape(len(weight), -1)
            scale = np.abs(flat).max(axis=1).astype(np.float32) / np.float32(127)
            scale[scale == 0] = 1
            rows = np.clip(np.rint(flat / scale[:, None]), -127, 127).astype(np.int8)
            out[name], out[name + SCALE] = rows.reshape(weight.shape), scale
    return out


def _pack(table: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.float16]]:
    """Round a table (rows, columns) to 4 bits: its bytes and the scales of its groups."""
    groups = table.reshape(len(table), -1, GROUP)
    most = np.abs(groups).max(axis=2, keepdims=True)
    kept, scales = np.zeros(groups.shape, np.int8), np.zeros(most.shape, np.float16)
    least = np.full(most.shape, np.inf, np.float32)
    for share in CLIPPED:
        scale = (most * (share / 7)).astype(np.float16)
        scale[scale == 0] = 1
        rounded = np.clip(np.rint(groups / scale.astype(np.float32)), -8, 7)
        error = np.square(rounded * scale.astype(np.float32) - groups).sum(axis=2, keepdims=True)
        better = error < least
        kept = np.where(better, rounded.astype(np.int8), kept)
        scales, least = np.where(better, scale, scales), np.where(better, error, least)
    nibbles = (kept.reshape(table.shape) + 8).astype(np.uint8)
    half = table.shape[1] // 2
    packed = np.bitwise_or(nibbles[:, :half], nibbles[:, half:] << 4, dtype=np.uint8)
    return packed, scales[:, :, 0]


def _unpack(packed: npt.NDArray[np.uint8], scale: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The table (rows, columns) of what `_pack` made."""
    nibbles = np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.int8) - 8
    groups = nibbles.reshape(len(packed), -1, GROUP).astype(np.float32) * scale[:, :, None]
    table: npt.NDArray[np.float32] = groups.reshape(nibbles.shape)
    return table


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
        if entry.dtype == "I8" or name + SCALE in file.tensors:
            out[name] = _expanded(f"{name!r} in {path}", weight, file.read(name + SCALE).astype(np.float32))
        else:
            out[name] = weight.astype(np.float32) if weight.dtype.kind == "f" else weight
    return out


def numbers(file: SafeFile) -> int:
    """Return how many numbers a file's tensors stand for; a byte of a packed table is two, and a scale is none."""
    names = file.tensors.keys()
    owned = [name for name in names if not (name.endswith(SCALE) and name.removesuffix(SCALE) in names)]
    tables = {name for name in owned if file.tensors[name].dtype == "U8" and name + SCALE in names}
    return sum(prod(file.tensors[name].shape) * (2 if name in tables else 1) for name in owned)


def _expanded(what: str, weight: npt.NDArray[Any], scale: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The weight that integers and their scales stand for; `what` names it in an error."""
    table = weight.dtype == np.uint8 and weight.ndim == 2
    due = (len(weight), weight.shape[1] * 2 // GROUP) if table else weight.shape[:1]
    if scale.shape != due:
        of = f"group of {GROUP} columns" if table else "row"
        raise BrokenModelFile(f"{what} is {weight.shape}, its scale {scale.shape}: {due} is due, one scale a {of}.")
    if table:
        return _unpack(weight, scale)
    rows: npt.NDArray[np.float32] = weight.astype(np.float32) * scale.reshape(-1, *[1] * (weight.ndim - 1))
    return rows
