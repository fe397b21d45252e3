"""Low-rank sums to the weights of a network: trained, and written as an ordinary LoRA file.

Every linear and convolutional layer gets `W + up @ down`, where a convolution's weight is taken as the matrix of one
row an output channel. `down` starts random and `up` at zero, so that training starts from the network as it was.

Source: Hu et al., "LoRA: low-rank adaptation of large language models" (2022), section 4.1; convolutions as in Yeh et
al., "Navigating text-to-image customization: from LyCORIS fine-tuning to model evaluation" (2024), section 3.
"""

from __future__ import annotations

import hashlib
from math import prod
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrize

from fantascope.engines.lora import BASE, DOWN, PREFIX, UP
from fantascope.engines.safefile import SafeFile
from fantascope.errors import InvalidValue

LAYERS = (nn.Linear, nn.Conv2d)


class LowRank(nn.Module):
    """`W + up @ down` in the shape of W; `down` is (rank, columns), `up` (rows, rank)."""

    def __init__(self, weight: Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.flatten(1).shape
        self.down = nn.Parameter(torch.randn(rank, columns) / columns**0.5)
        self.up = nn.Parameter(torch.zeros(rows, rank))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the sum."""
        return weight + (self.up @ self.down).view_as(weight)


def low_rank(model: nn.Module, numbers: int) -> int:
    """Give every layer of a model factors of one rank, the highest whose factors hold at most `numbers` numbers.

    A layer too small for that rank gets its own full one. Everything else of the model is fixed.

    Returns:
        The rank.

    Raises:
        InvalidValue: There is none.
    """
    layers = [module for module in model.modules() if isinstance(module, LAYERS)]
    shapes = [tuple(layer.weight.flatten(1).shape) for layer in layers]

    def size(rank: int) -> int:
        return sum(min(rank, *shape) * sum(shape) for shape in shapes)

    rank = 0
    while size(rank + 1) <= numbers and rank < max(map(min, shapes)):
        rank += 1
    if rank == 0:
        raise InvalidValue(f"{len(layers)} layers need {size(1)} numbers at rank 1, not {numbers}.", param="numbers")
    model.requires_grad_(False)
    for layer, shape in zip(layers, shapes, strict=True):
        parametrize.register_parametrization(layer, "weight", LowRank(layer.weight, min(rank, *shape)))
    return rank


@torch.no_grad()
def read_delta(model: nn.Module, path: Path) -> None:
    """Set the factors of a model to those of a file that `write_delta` wrote, for this network or one of its shapes.

    Args:
        model: A UNet after `low_rank`, changed in place.
        path: Of the file.

    Raises:
        InvalidValue: It lacks the factors of a layer, or has them of another rank.
        BrokenModelFile, UnsafeModelFile, ModelNotFound: It cannot be read.
    """
    file = SafeFile.open(path)
    for name, layer in model.named_modules():
        if not isinstance(layer, LAYERS):
            continue
        factors = layer.get_submodule("parametrizations.weight.0")
        assert isinstance(factors, LowRank)
        for factor, ending in ((factors.down, DOWN), (factors.up, UP)):
            entry = file.tensors.get(f"{PREFIX}{name}{ending}")
            if entry is None or entry.shape[0] != len(factor) or prod(entry.shape) != factor.numel():
                said = "no factors" if entry is None else f"factors of shape {tuple(entry.shape)}"
                raise InvalidValue(
                    f"{path} has {said} for {name}, where {tuple(factor.shape)} are to be trained.",
                    param="start",
                    hint="Give the --numbers that the file was made with, or no --start.",
                )
            factor.copy_(factor.new_tensor(file.read(f"{PREFIX}{name}{ending}")).view_as(factor))


def write_delta(model: nn.Module, base: Path, path: Path) -> None:
    """Write the factors of a model as a LoRA file in the layout of diffusers and peft: float16, alpha is the rank.

    Args:
        model: A UNet after `low_rank`.
        base: The weights file that the factors are added to; its sha256 goes into the metadata.
        path: Of the new file.
    """
    tensors = {}
    for name, layer in model.named_modules():
        if isinstance(layer, LAYERS) and parametrize.is_parametrized(layer, "weight"):
            factors = layer.get_submodule("parametrizations.weight.0")
            assert isinstance(factors, LowRank)
            (rank, _), (rows, *columns) = factors.down.shape, layer.weight.shape
            tensors[f"{PREFIX}{name}{DOWN}"] = factors.down.detach().view(rank, *columns).half()
            tensors[f"{PREFIX}{name}{UP}"] = factors.up.detach().view(rows, rank, *[1] * (len(columns) - 1)).half()
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    save_file(tensors, new, metadata={"format": "pt", BASE: hashlib.sha256(base.read_bytes()).hexdigest()})
    new.chmod(0o644)
    new.replace(path)
