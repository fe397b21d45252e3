"""LoRA files of a UNet in the layout of diffusers and peft, read without torch and added to weights.

For a layer `NAME` such a file holds `unet.NAME.lora_A.weight` (rank, columns …) and `unet.NAME.lora_B.weight` (rows,
rank …), and the layer's weight becomes `W + B @ A`, both taken as matrices. This is the layout without alphas, where
alpha equals the rank: what holds alphas, other kinds of factors or other networks is refused rather than misread.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile, Unsupported

PREFIX, DOWN, UP = "unet.", ".lora_A.weight", ".lora_B.weight"

BASE = "base_sha256"
"""Entry of the file's metadata: the sha256 of the weights file that it was made for."""


def layers_of(file: SafeFile) -> list[str]:
    """Return the layers that a LoRA file adds to, by their names in the UNet.

    Raises:
        Unsupported: it holds something else than pairs of factors of a UNet, or alphas.
        BrokenModelFile: a factor lacks its other, or they do not fit.
    """
    names = []
    for name in file.tensors:
        layer = name.removeprefix(PREFIX).removesuffix(DOWN).removesuffix(UP)
        if name not in (f"{PREFIX}{layer}{DOWN}", f"{PREFIX}{layer}{UP}"):
            raise Unsupported(f"{file.path} holds {name!r}; only LoRA factors of a UNet without alphas are read.")
        names.append(layer)
    found = list(dict.fromkeys(names))
    for layer in found:
        down, up = (file.tensors.get(f"{PREFIX}{layer}{part}") for part in (DOWN, UP))
        if down is None or up is None or len(up.shape) < 2 or down.shape[:1] != up.shape[1:2]:
            raise BrokenModelFile(f"The two LoRA factors of {layer!r} in {file.path} do not fit.")
    return found


def product(file: SafeFile, layer: str) -> npt.NDArray[np.float32]:
    """Return what a LoRA file adds to the weight of a layer, as a matrix `(rows, columns)`."""
    down, up = (file.read(f"{PREFIX}{layer}{part}").astype(np.float32) for part in (DOWN, UP))
    added: npt.NDArray[np.float32] = up.reshape(len(up), -1) @ down.reshape(len(down), -1)
    return added


def fuse(unet: Any, file: SafeFile) -> None:
    """Add a LoRA file to the weights of a torch module, for good.

    Raises:
        BrokenModelFile: the module has no such layer, or one of another shape.
        Unsupported: see `layers_of`.
    """
    weights = dict(unet.named_parameters())
    for layer in layers_of(file):
        weight, added = weights.get(f"{layer}.weight"), product(file, layer)
        if weight is None or tuple(weight.flatten(1).shape) != added.shape:
            raise BrokenModelFile(f"{file.path} adds to {layer!r}, which this network does not have in that shape.")
        weight.data += weight.new_tensor(added).view_as(weight)


def graph_of(delta: str, ending: str = ".onnx") -> str:
    """Return where the graph of a UNet with this LoRA file lies: `unet/few/….safetensors` -> `unet/few.onnx`."""
    return f"{PurePosixPath(delta).parent}{ending}"
