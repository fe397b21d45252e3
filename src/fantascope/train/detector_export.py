"""Writing a trained detector as an ONNX graph over a safetensors file, its norms folded into its convolutions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from onnx import TensorProto
from safetensors.torch import save_file
from torch import Tensor, nn

from fantascope.engines.safefile import SafeFile
from fantascope.train.detector import FEATURE, SHARP, SIDE, Block, DetectorNet, Step
from fantascope.train.onnxgraph import Graph

WEIGHTS, GRAPH = "model.safetensors", "model.onnx"


def export_detector(net: DetectorNet, folder: Path) -> dict[str, str]:
    """Write weights (float16) and graph; return file -> sha256. The net's norms must be settled."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {f"net.{name}": value for name, value in folded(net).items()}
    tensors["kinds"] = nn.functional.normalize(net.conv_out_kinds.detach(), dim=1)
    save_file({name: value.half().contiguous() for name, value in tensors.items()}, folder / WEIGHTS)
    (folder / WEIGHTS).chmod(0o644)
    _graph(net, folder)
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in (GRAPH, WEIGHTS)}


def facts(kinds: Sequence[str], colours: Sequence[str], net: DetectorNet) -> dict[str, object]:
    """What an engine must know to read the net's maps."""
    whole = net.mix8.first.out_channels
    return {"kinds": list(kinds), "colours": list(colours), "sharp": SHARP, "feature": FEATURE, "whole": whole}


def folded(net: DetectorNet) -> dict[str, Tensor]:
    """Weight and bias of every convolution, the norm after it folded in."""
    out: dict[str, Tensor] = {}
    for name, part in net.named_children():
        if isinstance(part, Step):
            _fold(out, name, part.conv, part.norm)
        elif isinstance(part, Block):
            _fold(out, f"{name}.first", part.first, part.norm)
            if part.second is not None and part.last is not None:
                _fold(out, f"{name}.second", part.second, part.last)
    bias = net.conv_out.bias
    assert bias is not None
    out["conv_out.weight"], out["conv_out.bias"] = net.conv_out.weight.detach(), bias.detach()
    return out


@torch.no_grad()
def _fold(out: dict[str, Tensor], name: str, conv: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    out[f"{name}.weight"] = conv.weight * scale[:, None, None, None]
    out[f"{name}.bias"] = norm.bias - norm.running_mean * scale


def _graph(net: DetectorNet, folder: Path) -> None:
    g = Graph(SafeFile.open(folder / WEIGHTS), "net.")

    def step(x: str, name: str) -> str:
        conv: nn.Conv2d = getattr(net, name).conv
        assert isinstance(conv.padding, tuple)
        return g.add("Relu", g.conv(x, f"net.{name}", conv.stride[0], (conv.padding[0],) * 4))

    def block(x: str, name: str) -> str:
        y = g.conv(x, f"net.{name}.first")
        if getattr(net, name).second is not None:
            y = g.conv(g.add("Relu", y), f"net.{name}.second")
        return g.add("Relu", g.add("Add", x, y))

    fine = step("pictures", "conv_in")
    for size in ("32", "16"):
        fine = block(step(fine, f"to{size}"), f"at{size}")
    middle = block(step(fine, "to8"), "at8")
    coarse = block(step(middle, "to4"), "at4")
    middle = block(g.add("Add", middle, g.enlarge(step(coarse, "back8"), 2)), "mix8")
    fine = g.add("Add", step(fine, "side16"), g.enlarge(step(middle, "back16"), 2))
    maps = g.conv(step(fine, "mix16"), "net.conv_out")
    whole = g.add("ReduceMean", middle, g.whole(2, 3), keepdims=1)
    side = SIDE // 8
    spread = g.add("Mul", whole, g.constant(np.ones((1, 1, side, side))))
    joined = g.add("Concat", maps, spread, axis=1)
    channels = net.conv_out.out_channels + net.mix8.first.out_channels
    g.write(
        folder / GRAPH,
        {"pictures": (TensorProto.FLOAT, ["batch", 3, SIDE, SIDE])},
        {"maps": (joined, ["batch", channels, side, side])},
    )
