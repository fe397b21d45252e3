"""Writes a complete diffusers folder of a model: what is compact is expanded, what is ours alone is left out."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fantascope.engines import compact
from fantascope.engines.weights import open_place
from fantascope.errors import InvalidValue, StorageError, Unsupported
from fantascope.settings import Settings
from fantascope.spec import Spec

OURS = frozenset({".onnx", ".part"})
"""File endings that a diffusers folder does not need: the exported graphs."""

_NAMES = {"f2": "F16", "f4": "F32", "f8": "F64", "i1": "I8", "i2": "I16", "i4": "I32", "i8": "I64", "u1": "U8"}


def export_folder(spec: Spec, folder: Path, settings: Settings) -> Path:
    """Write the model to a folder that `StableDiffusionPipeline.from_pretrained` loads; return the folder.

    The folder appears whole or not at all.

    Raises:
        InvalidValue: the folder exists.
        Unsupported: the model is not a diffusers folder.
        StorageError: it cannot be written.
    """
    if folder.exists():
        raise InvalidValue(f"{folder} exists; an export makes a new folder.", param="folder")
    place = open_place(spec.source, settings)
    if place.single or not place.has("model_index.json"):
        raise Unsupported(f"{spec.name} is not a diffusers folder, so there is nothing to export.", param="model")
    beside = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(beside, ignore_errors=True)
        for source in sorted(path for path in place.root.rglob("*") if path.is_file()):
            relative = source.relative_to(place.root)
            if source.suffix in OURS or relative.name == "fantascope.json":
                continue
            target = beside / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.name == compact.NAME:
                write_safetensors(target.with_name("model.safetensors"), _whole(compact.expand(source)))
            elif source.name == compact.PACKED:
                half = {name: array.astype(np.float16) for name, array in compact.expand(source).items()}
                write_safetensors(target.with_name(source.name.replace(".int8", "")), half)
            else:
                shutil.copyfile(place.path(relative.as_posix()), target)
        beside.rename(folder)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise StorageError(f"{folder} cannot be written: {error.strerror}.", param="folder") from error
    return folder


def _whole(tensors: dict[str, Any]) -> dict[str, Any]:
    """Add the pooling layer that BertModel expects and that no picture depends on, as zeros, where it was left out."""
    words, pooler = tensors.get("embeddings.word_embeddings.weight"), "pooler.dense.weight"
    if words is None or pooler in tensors:
        return tensors
    width = words.shape[1]
    return tensors | {pooler: np.zeros((width, width), np.float32), "pooler.dense.bias": np.zeros(width, np.float32)}


def write_safetensors(path: Path, tensors: dict[str, Any], metadata: dict[str, str] | None = None) -> None:
    """Write NumPy arrays as a safetensors file: 8 bytes of header length, JSON header, raw little-endian data."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"} | (metadata or {})}
    offset = 0
    arrays = {name: np.ascontiguousarray(array) for name, array in sorted(tensors.items())}
    for name, array in arrays.items():
        kind = _NAMES[array.dtype.newbyteorder("=").str[1:]]
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [offset, offset + array.nbytes]}
        offset += array.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for array in arrays.values():
            file.write(array.tobytes())
