"""Unpacking a published picture classifier, of the npm package `nsfwjs`: weights in, safetensors out, NumPy alone.

The package (Infinite Red, MIT) keeps the weights of its network `mobilenet_v2_mid` as base64 text in JavaScript files,
one byte a number with a smallest value and a step for each tensor. They become float32, kernels turned from height,
width, in, out to out, in, height, width. The graph that reads them ships with us (`weights/nsfw/model.onnx`, written by
recipes/nsfw.py). Every file that goes in and the one that comes out are held to a pinned sha256, so the same tarball
gives the same bytes everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import BrokenModelFile, ModelNotFound, StorageError

Floats = npt.NDArray[np.float32]

VERSION = "4.3.0"
COMMAND = f"npm pack nsfwjs@{VERSION}"
"""Fetches the tarball with npm's ordinary client; nothing in Fantascope opens the net for it."""

INSTALL = f"{COMMAND} && fantascope policy detector nsfwjs-{VERSION}.tgz"

GRAPH, WEIGHTS, FACTS = "model.onnx", "model.safetensors", "classifier.json"

MAX_MEMBER = 20_000_000
"""Longest member that is read, bytes."""

BLOCKS = 17
"""Inverted residual blocks of a MobileNetV2 (Sandler et al. 2018, table 2); the first one has no expansion."""

_FOLDER = "package/dist/models/mobilenet_v2_mid/"
MEMBERS = {
    _FOLDER + "model.min.js": "a7a9e701491e2449b221dab7c424957f853e700602b5575da33cfd745616f964",
    _FOLDER + "group1-shard1of2.min.js": "f2e79a209e44d668220ec5f1533a98f2be954e3953685bf074d201b82fefc29a",
    _FOLDER + "group1-shard2of2.min.js": "f291df992a0131741372506a6072fb9f1645bff7c973c983fd6276f5f9625d5e",
}
"""Files in the tarball and their sha256: the model first, then the shards of its weights."""

_ROOT = (
    "StatefulPartitionedCall/sequential/keras_layer/StatefulPartitionedCall/StatefulPartitionedCall/"
    "StatefulPartitionedCall/predict/MobilenetV2/"
)
_HEAD = "Func/StatefulPartitionedCall/input/_"

_WEIGHT = re.compile(
    r'\{name:"(?P<name>[^"]+)",shape:\[(?P<shape>[\d,]*)\],dtype:"float32",'
    r'quantization:\{min:(?P<min>[-+.\deE]+),scale:(?P<scale>[-+.\deE]+),dtype:"uint8"\}\}'
)
_BASE64 = re.compile(r'"([A-Za-z0-9+/]{64,}={0,2})"')


def install(tarball: Path, shipped: Path, folder: Path) -> None:
    """Unpack the weights of `tarball` into `folder`, beside the graph of the folder `shipped`.

    Raises:
        ModelNotFound: there is no such file.
        BrokenModelFile: it is not the tarball that is known, or what comes out is not what was pinned.
        StorageError: the folder cannot be written.
    """
    data = encode(unpack(tarball))
    pinned = json.loads((shipped / FACTS).read_text("utf-8"))["weights"][WEIGHTS]
    if hashlib.sha256(data).hexdigest() != pinned:
        raise BrokenModelFile(f"The weights unpacked from {tarball} are not those that the graph was written for.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draft = folder / f".{WEIGHTS}.part"
        draft.write_bytes(data)
        shutil.copyfile(shipped / GRAPH, folder / GRAPH)
        draft.replace(folder / WEIGHTS)
    except OSError as error:
        raise StorageError(f"{folder} cannot be written: {error.strerror}.") from error


def unpack(tarball: Path) -> dict[str, Floats]:
    """Return `stem`, `0.depthwise` … `16.project`, `last` and `head`, each with `.weight` and `.bias`, float32.

    Raises:
        ModelNotFound: there is no such file.
        BrokenModelFile: it is no tarball, lacks a member, or a member is not the one that was pinned.
    """
    texts = [_member(tarball, name, digest) for name, digest in MEMBERS.items()]
    return dict(_layers(_tensors(tarball, texts[0], texts[1:])))


def encode(tensors: Mapping[str, Floats]) -> bytes:
    """Return a safetensors file of float32 tensors, in their order, as bytes; the data begin at a multiple of 64."""
    header: dict[str, Any] = {}
    at = 0
    for name, value in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [at, at + value.nbytes]}
        at += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(len(text) + 8) % 64)
    data = b"".join(np.ascontiguousarray(value, "<f4").tobytes() for value in tensors.values())
    return len(text).to_bytes(8, "little") + text + data


def _member(tarball: Path, name: str, digest: str) -> str:
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            info = archive.getmember(name)
            file = archive.extractfile(info) if info.isfile() and info.size <= MAX_MEMBER else None
            data = file.read() if file is not None else b""
    except FileNotFoundError as error:
        raise ModelNotFound(f"There is no file {tarball}.", hint=COMMAND) from error
    except KeyError as error:
        raise BrokenModelFile(
            f"{tarball} holds no {name}.", hint=f"It has to be what this fetches: {COMMAND}"
        ) from error
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BrokenModelFile(f"{tarball} cannot be read as an npm tarball: {error}.", hint=COMMAND) from error
    if hashlib.sha256(data).hexdigest() != digest:
        raise BrokenModelFile(
            f"{name} in {tarball} is not the file that is known (sha256 {digest[:16]}…).",
            hint=f"Only version {VERSION} is known: {COMMAND}",
        )
    return data.decode("ascii", "replace")


def _tensors(tarball: Path, model: str, shards: list[str]) -> dict[str, Floats]:
    """Return every tensor: value = min + step * byte."""
    data = b"".join(base64.b64decode(max(_BASE64.findall(text), key=len, default="")) for text in shards)
    out: dict[str, Floats] = {}
    at = 0
    for found in _WEIGHT.finditer(model):
        shape = [int(side) for side in found["shape"].split(",") if side]
        count = int(np.prod(shape))
        raw = np.frombuffer(data[at : at + count], np.uint8).astype(np.float32)
        if raw.size != count:
            raise BrokenModelFile(f"The weights in {tarball} end inside {found['name']}.")
        value = raw * np.float32(float(found["scale"])) + np.float32(float(found["min"]))
        out[found["name"]], at = value.reshape(shape), at + count
    if at != len(data):
        raise BrokenModelFile(f"The weights in {tarball} hold {len(data)} bytes and their list names {at}.")
    return out


def _layers(tensors: Mapping[str, Floats]) -> Iterator[tuple[str, Floats]]:
    for name, theirs, deep in _convolutions():
        inner = f"{_ROOT}{theirs}/{'depthwise' if deep else 'Conv2D'}"
        kernel = tensors[f"{inner}_weights"]
        turned = kernel.transpose(2, 3, 0, 1) if deep else kernel.transpose(3, 2, 0, 1)
        yield f"{name}.weight", np.ascontiguousarray(turned)
        yield f"{name}.bias", tensors[f"{inner}_bn_offset"]
    yield "head.weight", np.ascontiguousarray(tensors[f"{_HEAD}262"].T)
    yield "head.bias", tensors[f"{_HEAD}263"]


def _convolutions() -> Iterator[tuple[str, str, bool]]:
    """Yield (our name, theirs, depthwise) of every convolution, first to last."""
    yield "stem", "Conv", False
    for k in range(BLOCKS):
        theirs = f"expanded_conv_{k}" if k else "expanded_conv"
        for part in ("expand", "depthwise", "project") if k else ("depthwise", "project"):
            yield f"{k}.{part}", f"{theirs}/{part}", part == "depthwise"
    yield "last", "Conv_1", False
