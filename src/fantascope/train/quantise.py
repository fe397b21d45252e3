"""An int8 form of the UNet's graph: the same weights file, rounded when the graph is compiled.

Weights are rounded to int8 with one scale an output channel, inputs of layers to uint8 with one scale and zero point a
layer; both stand in the graph as QuantizeLinear and DequantizeLinear, so no weight is stored twice. The ranges of the
inputs are those met while the model paints prompts. First and last convolution and the time embedding stay in float.

Source: Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference"
(2018), section 2; Shang et al., "Post-training quantization on diffusion models" (2023), section 3 (ranges taken along
the sampler's trajectory).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from fantascope.core.denoise import denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.schedules import levels, training_from_config
from fantascope.core.seeds import noise
from fantascope.engines.lora import fuse, graph_of
from fantascope.engines.safefile import SafeFile
from fantascope.spec import FEW
from fantascope.train.export import DIFFUSERS_WEIGHTS, unet_graph
from fantascope.train.onnxgraph import Graph, read_json

Ranges = Mapping[str, tuple[float, float]]
"""Layer -> least and greatest value of its input."""

FLOAT = ("conv_in", "conv_out", "time_embedding.", ".time_emb_proj", ".attn2.to_k", ".attn2.to_v")
"""Layers that stay in float: the ends, and what depends on time or text alone."""

MODEL, ENDING = "model.int8.onnx", ".int8.onnx"


class QuantisedGraph(Graph):
    """A `Graph` whose layers multiply int8 weights with uint8 inputs."""

    def __init__(self, file: SafeFile, ranges: Ranges, delta: SafeFile | None = None) -> None:
        super().__init__(file, delta=delta)
        self.ranges = ranges
        self.rounded: dict[tuple[str, str], str] = {}

    def operand(self, x: str, name: str) -> str:
        """`x` rounded to 256 levels over the range of this layer's input, 0 being one of them."""
        if any(part in name for part in FLOAT):
            return x
        if (x, name) not in self.rounded:
            low, high = min(self.ranges[name][0], 0.0), max(self.ranges[name][1], 0.0)
            step = (high - low) / 255
            scale, zero = self.constant(step), self.constant(round(-low / step), np.uint8)
            self.rounded[x, name] = self._round(x, scale, zero)
        return self.rounded[x, name]

    def factor(self, name: str) -> str:
        """The weight rounded to -127 … 127 steps, each output channel in steps of its own."""
        weight = super().factor(name)
        if any(part in name for part in FLOAT):
            return weight
        rows = self.numbers(name)
        steps = np.abs(rows.reshape(len(rows), -1)).max(axis=1) / 127
        steps[steps == 0] = 1
        return self._round(weight, self.constant(steps), self.constant(np.zeros(len(rows)), np.int8), axis=0)

    def _round(self, x: str, scale: str, zero: str, **axis: int) -> str:
        return self.add("DequantizeLinear", self.add("QuantizeLinear", x, scale, zero, **axis), scale, zero, **axis)


def export_int8(folder: Path, ranges: Ranges, *, few: bool = False) -> Path:
    """Write `unet/model.int8.onnx` beside the weights of a checkpoint folder.

    Args:
        ranges: See `input_ranges`.
        few: Write `unet/few.int8.onnx` instead, with the LoRA file for few steps added to the weights.

    Raises:
        Unsupported, BrokenModelFile, ModelNotFound: as `export_graphs`.
    """
    unet, delta = folder / "unet", SafeFile.open(folder / FEW) if few else None
    graph = QuantisedGraph(SafeFile.open(unet / DIFFUSERS_WEIGHTS), ranges, delta)
    return unet_graph(unet, graph, Path(graph_of(FEW, ENDING)).name if few else MODEL)


def input_ranges(
    folder: Path, prompts: Sequence[str], steps: int = 20, guidance: float = 4.0, *, few: bool = False
) -> Ranges:
    """Paint prompts in float32 and return the range of every layer's input along the way.

    With `few` it is the UNet with the LoRA file for few steps that paints; give its number of steps and guidance 1.

    The range is the mean over the sampler's steps and prompts of the least and of the greatest value, widened by a
    tenth: rare extremes are cut, for the sake of the resolution of all others.
    """
    import torch
    from diffusers import UNet2DConditionModel

    unet = UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32).eval()
    if few:
        fuse(unet, SafeFile.open(folder / FEW))
    training = training_from_config(read_json(folder / "scheduler" / "scheduler_config.json"))
    seen: dict[str, list[tuple[float, float]]] = {}
    with _watched(unet, seen), torch.no_grad():
        for k, prompt in enumerate(prompts):
            states = _states(folder, [prompt] if guidance == 1 else ["", prompt])

            def network(x: Any, time: float, states: Any = states) -> Any:
                return unet(x, torch.full((len(x),), time), states).sample

            start = torch.from_numpy(noise([k], (unet.config.in_channels, *[unet.config.sample_size] * 2)))
            run = levels(training, steps, sampler="ddim")
            for _ in denoise(predict(guided(network, guidance, 0.7), training), start, run, "ddim"):
                pass
    means = {name: np.mean(np.array(pairs), axis=0) * 1.1 for name, pairs in seen.items()}
    return {name: (float(low), float(high)) for name, (low, high) in means.items()}


@contextmanager
def _watched(model: Any, seen: dict[str, list[tuple[float, float]]]) -> Iterator[None]:
    """Write down least and greatest input of every convolution and linear layer while the block runs."""
    import torch

    def watch(name: str) -> Any:
        def hook(module: Any, inputs: tuple[Any, ...]) -> None:
            seen.setdefault(name, []).append((float(inputs[0].min()), float(inputs[0].max())))

        return hook

    layers = (torch.nn.Conv2d, torch.nn.Linear)
    hooks = [m.register_forward_pre_hook(watch(n)) for n, m in model.named_modules() if isinstance(m, layers)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _states(folder: Path, texts: Sequence[str]) -> Any:
    """Token states `(N, 32, D)` of short texts by the checkpoint's text encoder."""
    from tokenizers import Tokenizer

    from fantascope.train.text import encode_text, load_text_encoder

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
    return encode_text(load_text_encoder(folder), tokenizer, texts).float()
