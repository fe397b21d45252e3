"""Reads safetensors files without torch, and believes nothing that a header says before it is checked.

Layout (the safetensors specification): 8 bytes little-endian header length N, N bytes of JSON
`{name: {"dtype", "shape", "data_offsets": [begin, end]}, "__metadata__": {str: str}}`, then the data; offsets count
from the first byte after the header, and cover the data without gaps or overlaps.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import BrokenModelFile, ModelNotFound, UnsafeModelFile, Unsupported

MAX_HEADER = 100_000_000
"""Longest header that is read, in bytes."""

MAX_DIMENSIONS = 8

_WIDTHS: dict[str, int] = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 8),
}
"""Bytes of one element."""

_NUMPY: dict[str, str] = {
    "BOOL": "?",
    "U8": "u1",
    "I8": "i1",
    "U16": "<u2",
    "I16": "<i2",
    "F16": "<f2",
    "BF16": "<u2",
    "U32": "<u4",
    "I32": "<i4",
    "F32": "<f4",
    "U64": "<u8",
    "I64": "<i8",
    "F64": "<f8",
    "C64": "<c8",
}

CONVERT = (
    "Convert it on a machine or in a sandbox you can throw away, from a source you trust: "
    'python -c "import sys, torch, safetensors.torch as s; w = torch.load(sys.argv[1], weights_only=True); '
    "w = w.get('state_dict', w); s.save_file({k: v.contiguous() for k, v in w.items() if hasattr(v, 'shape')}, "
    'sys.argv[2])" MODEL.ckpt MODEL.safetensors'
)
"""The command that turns a pickle into safetensors elsewhere."""


@dataclass(frozen=True)
class Entry:
    """Where one tensor lies: safetensors dtype name, shape, first byte in the file, length in bytes."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    length: int


@dataclass(frozen=True)
class SafeFile:
    """A safetensors file whose whole header has been checked against the file's size.

    Attributes:
        path: The file.
        tensors: Every tensor by name, in the order of the header.
        metadata: The header's `__metadata__`.
    """

    path: Path
    tensors: dict[str, Entry]
    metadata: dict[str, str]

    @classmethod
    def open(cls, path: Path) -> SafeFile:
        """Check the header of `path`; no tensor is read.

        Raises:
            ModelNotFound: there is no such file.
            UnsafeModelFile: it is a pickle or an archive, whatever its name says.
            BrokenModelFile: it is truncated, or its header lies.
        """
        tensors, metadata = read_header(path)
        return cls(path, tensors, metadata)

    def read(self, name: str) -> npt.NDArray[Any]:
        """Return one tensor as a fresh array; bfloat16 becomes float32, which holds it exactly.

        Raises:
            BrokenModelFile: no such tensor, or the file shrank since it was checked.
            Unsupported: NumPy has no such number format (8-bit floats).
        """
        entry = self.tensors.get(name)
        if entry is None:
            raise BrokenModelFile(f"{self.path} holds no tensor {name!r}.")
        if entry.dtype not in _NUMPY:
            raise Unsupported(
                f"{name!r} in {self.path} is {entry.dtype}, which only the latent and pipeline engines read."
            )
        array = np.fromfile(self.path, np.dtype(_NUMPY[entry.dtype]), prod(entry.shape), offset=entry.start)
        if array.size != prod(entry.shape):
            raise BrokenModelFile(f"{self.path} ended inside {name!r}: it changed while it was read.")
        if entry.dtype == "BF16":
            array = (array.astype(np.uint32) << 16).view(np.float32)
        return array.reshape(entry.shape)

    def read_all(self) -> dict[str, npt.NDArray[Any]]:
        """Return every tensor by name."""
        return {name: self.read(name) for name in self.tensors}


def read_tensor(path: Path, name: str) -> npt.NDArray[Any]:
    """Check `path` and return its tensor `name`; see `SafeFile.open` and `SafeFile.read` for the errors."""
    return SafeFile.open(path).read(name)


def read_header(path: Path) -> tuple[dict[str, Entry], dict[str, str]]:
    """Return the checked tensors and metadata of a safetensors file; see `SafeFile.open` for the errors."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            start = file.read(16)
            length = int.from_bytes(start[:8], "little")
            if size < 10 or length > size - 8 or length > MAX_HEADER or start[8:9] != b"{":
                raise _not_safetensors(path, start, length, size)
            file.seek(8)
            raw = file.read(length)
    except (FileNotFoundError, IsADirectoryError) as error:
        raise ModelNotFound(f"There is no weights file at {path}.") from error
    except OSError as error:
        raise BrokenModelFile(f"{path} cannot be read: {error.strerror}.") from error
    try:
        header = json.loads(raw.decode("utf-8"), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _broken(path, f"its header is not the JSON it should be ({error})") from None
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise _broken(path, "its metadata are not texts")
    tensors = {name: _entry(path, name, item, 8 + length) for name, item in header.items()}
    _check_cover(path, tensors, 8 + length, size)
    return tensors, metadata


def _entry(path: Path, name: str, item: Any, base: int) -> Entry:
    """Turn one header item into an `Entry`, with its length held against dtype and shape."""
    if not isinstance(item, dict) or set(item) != {"dtype", "shape", "data_offsets"}:
        raise _broken(path, f"{name!r} lacks dtype, shape or data_offsets, or has more")
    dtype, shape, offsets = item["dtype"], item["shape"], item["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _WIDTHS:
        raise _broken(path, f"{name!r} has the unknown dtype {dtype!r}")
    if not _counts(shape) or len(shape) > MAX_DIMENSIONS:
        raise _broken(path, f"{name!r} has an impossible shape")
    if not _counts(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise _broken(path, f"{name!r} has impossible data_offsets")
    if offsets[1] - offsets[0] != prod(shape) * _WIDTHS[dtype]:
        raise _broken(path, f"{name!r} says {dtype} {shape} but has {offsets[1] - offsets[0]} bytes")
    return Entry(dtype, tuple(shape), base + offsets[0], offsets[1] - offsets[0])


def _check_cover(path: Path, tensors: dict[str, Entry], base: int, size: int) -> None:
    """Refuse overlapping tensors, gaps between them, and data beyond or short of the end of the file."""
    reached = base
    for name, entry in sorted(tensors.items(), key=lambda pair: (pair[1].start, pair[1].length)):
        if entry.start != reached:
            how = "overlaps another tensor" if entry.start < reached else "leaves a gap before it"
            raise _broken(path, f"{name!r} {how}")
        reached += entry.length
    if reached != size:
        raise _broken(path, f"its tensors end at byte {reached}, the file at byte {size}")


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and n >= 0 for n in value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def runs_code(start: bytes) -> str | None:
    """Name the format whose loading can run code that a file beginning with these 16 bytes is in, or None."""
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "a zip archive of pickles (torch.save)"
    if start[:1] == b"\x80" and start[1:2] in (b"\x01", b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a pickle"
    if start[:2] in (b"(d", b"(l", b"(i", b"cp", b"c_", b"cb", b"co", b"cs", b"cn"):
        return "a pickle"
    return None


def _not_safetensors(path: Path, start: bytes, length: int, size: int) -> UnsafeModelFile | BrokenModelFile:
    kind = runs_code(start)
    if kind is not None:
        return UnsafeModelFile(f"{path} is {kind}, and loading one can run any code.", hint=CONVERT)
    if length > MAX_HEADER:
        return _broken(path, f"it claims a header of {length} bytes; at most {MAX_HEADER} are read")
    if length > size - 8:
        return _broken(path, f"it claims a header of {length} bytes and is only {size} bytes long")
    return _broken(path, "it does not begin with a safetensors header")


def _broken(path: Path, why: str) -> BrokenModelFile:
    return BrokenModelFile(f"{path} is not a sound safetensors file: {why}.", hint="Fetch the file again.")
