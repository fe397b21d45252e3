"""LoRA layers that are put around the layers of a network, trained, and taken off again.

Unlike `train.lowrank`, which adds the product of the factors to a weight, these layers run beside the frozen one: the
gradient of a whole weight is never formed, which is most of what a backward pass costs when the rank is small.

Sources: Hu et al., "LoRA: low-rank adaptation of large language models" (2022), sections 4.1 and 4.2; names and scale
as in peft: the sum is `W x + alpha / rank · B A x`. Liu et al., "DoRA: weight-decomposed low-rank adaptation" (2024),
equation 5 and section 4.3: `m / ‖W + ΔW‖ · (W + ΔW) x`, the norm of each output's row taken as a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from fantascope.errors import UnknownName

TARGETS: dict[str, Callable[[str, nn.Module], bool]] = {
    "attention": lambda name, layer: name.endswith((".to_q", ".to_k", ".to_v", ".to_out.0")),
    "all-linear": lambda name, layer: isinstance(layer, nn.Linear) and ".attentions." in f".{name}",
    "all": lambda name, layer: isinstance(layer, (nn.Linear, nn.Conv2d)),
}
"""Name -> which layers of a UNet get factors: the projections of attention; all linear layers of the transformer
blocks; every linear layer and convolution."""

WORDS = ("q_proj", "k_proj", "v_proj", "out_proj", "query", "key", "value", "attention.output.dense")
"""Endings of the layers of a text encoder that get factors, of CLIP and of BERT."""


class Lora(nn.Module):
    """A frozen linear layer or convolution and its factors.

    Attributes:
        layer: What it stands around.
        down, up: The factors, of `rank` channels between them; `up` starts at zero.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int, alpha: float, dropout: float) -> None:
        super().__init__()
        self.layer, self.scale, self.dropout = layer, alpha / rank, dropout
        self.down: nn.Linear | nn.Conv2d
        self.up: nn.Linear | nn.Conv2d
        if isinstance(layer, nn.Linear):
            self.down = nn.Linear(layer.in_features, rank, bias=False)
            self.up = nn.Linear(rank, layer.out_features, bias=False)
        else:
            assert layer.groups == 1
            how: Any = {"stride": layer.stride, "padding": layer.padding, "dilation": layer.dilation, "bias": False}
            self.down = nn.Conv2d(layer.in_channels, rank, layer.kernel_size, **how)  # type: ignore[arg-type]
            self.up = nn.Conv2d(rank, layer.out_channels, 1, bias=False)
        nn.init.kaiming_uniform_(self.down.weight, a=5**0.5)
        nn.init.zeros_(self.up.weight)
        for part in (self.down, self.up):
            part.to(layer.weight.device)

    def forward(self, x: Tensor, *rest: Any, **more: Any) -> Tensor:
        """Return what the layer says and what the factors add."""
        said: Tensor = self.layer(x, *rest, **more)
        seen = nn.functional.dropout(x, self.dropout, self.training) if self.dropout > 0 else x
        added: Tensor = self.up(self.down(seen))
        return said + (added * self.scale).to(said.dtype)


class Dora(Lora):
    """A frozen layer, its factors, and a magnitude for each of its outputs.

    Attributes:
        magnitude: Length of every row (rows,) of the weight that it stands for; it starts as the frozen weight's own,
            so that nothing is changed at first.
    """

    squares: Tensor

    def __init__(self, layer: nn.Linear | nn.Conv2d, rank: int, alpha: float, dropout: float) -> None:
        super().__init__(layer, rank, alpha, dropout)
        squares = layer.weight.detach().float().flatten(1).square().sum(1)
        self.register_buffer("squares", squares, persistent=False)
        self.magnitude = nn.Parameter(self.lengths())

    @torch.no_grad()
    def lengths(self) -> Tensor:
        """Lengths (rows,) of the rows of `W + ΔW`, float32, without forming `ΔW`: with a row w of W and b of `s B`,
        |w + b A|² = |w|² + 2 b A w + b A Aᵀ b."""
        with torch.autocast(self.squares.device.type, enabled=False):
            down, up = self.down.weight.float().flatten(1), self.up.weight.float().flatten(1) * self.scale
            cross = (self.layer.weight.float().flatten(1) @ down.mT * up).sum(1)
            own = (up @ (down @ down.mT) * up).sum(1)
            return (self.squares + 2 * cross + own).clamp_min(1e-12).sqrt()

    def forward(self, x: Tensor, *rest: Any, **more: Any) -> Tensor:
        """Return what the layer says with its rows turned by the factors and brought to their magnitudes."""
        said: Tensor = self.layer(x, *rest, **more)
        dropped = self.dropout > 0 and self.training
        seen = nn.functional.dropout(x, self.dropout) if dropped else x
        added: Tensor = self.up(self.down(seen))
        across = (-1, 1, 1) if isinstance(self.layer, nn.Conv2d) else (-1,)
        ratio = (self.magnitude / self.lengths()).view(across)
        bias = self.layer.bias
        plain: Tensor = self.layer(seen, *rest, **more) if dropped else said
        plain = plain.float() if bias is None else plain.float() - bias.view(across)
        return said + ((ratio - 1) * plain + ratio * self.scale * added.float()).to(said.dtype)


def put_on(
    model: nn.Module,
    wanted: Callable[[str, nn.Module], bool],
    rank: int,
    alpha: float,
    dropout: float = 0.0,
    dora: bool = False,
) -> dict[str, Lora]:
    """Put factors around the layers wanted, and magnitudes if asked; all else of the model is fixed. Return them by the
    layers' names."""
    model.requires_grad_(False)
    layers = [
        (name, layer)
        for name, layer in model.named_modules()
        if isinstance(layer, (nn.Linear, nn.Conv2d)) and wanted(name, layer)
    ]
    made = {}
    for name, layer in layers:
        shape = layer.weight.flatten(1).shape
        made[name] = (Dora if dora else Lora)(layer, min(rank, *shape), alpha * min(rank, *shape) / rank, dropout)
        _replace(model, name, made[name])
    return made


def take_off(model: nn.Module, layers: dict[str, Lora]) -> None:
    """Take the factors off again: the model is what it was."""
    for name, layer in layers.items():
        _replace(model, name, layer.layer)


def _replace(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, layer)


def targets_of(name: str) -> Callable[[str, nn.Module], bool]:
    """Look a rule of `TARGETS` up.

    Raises:
        UnknownName: There is none of this name.
    """
    if name not in TARGETS:
        raise UnknownName("targets", name, TARGETS, param="targets")
    return TARGETS[name]


def factors(layers: dict[str, Lora], prefix: str) -> dict[str, Tensor]:
    """The factors as diffusers and peft name them, scale included, so that alpha equals the rank; float16. Magnitudes
    are float32: they are weights themselves, and rounding them would round the weights."""
    tensors = {}
    for name, layer in layers.items():
        tensors[f"{prefix}{name}.lora_A.weight"] = layer.down.weight.detach().cpu().half().contiguous()
        tensors[f"{prefix}{name}.lora_B.weight"] = (layer.up.weight.detach() * layer.scale).cpu().half().contiguous()
        if isinstance(layer, Dora):
            shape = (1, -1, 1, 1) if isinstance(layer.layer, nn.Conv2d) else (-1,)
            tensors[f"{prefix}{name}.lora_magnitude_vector"] = (
                layer.magnitude.detach().cpu().float().view(shape).clone()
            )
    return tensors
