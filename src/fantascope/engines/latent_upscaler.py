"""The embedded checkpoint's upscaler in torch: convolutions at the small size, sub-pixels added to repeated pixels.

Source: Shi et al., "Real-time single image and video super-resolution using an efficient sub-pixel convolutional
neural network" (2016), section 3.
"""

from __future__ import annotations

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from fantascope.engines.weights import Place
from fantascope.errors import BrokenModelFile


class Upscaler(nn.Module):
    """`(B, 3, H, W)` in -1 … 1 -> `(B, 3, factor * H, factor * W)`, not clamped."""

    def __init__(self, features: int, layers: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        body: list[nn.Module] = []
        for k in range(layers + 1):
            body += [nn.Conv2d(3 if k == 0 else features, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*body, nn.Conv2d(features, 3 * factor * factor, 3, padding=1))

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        return next(self.parameters()).dtype

    def forward(self, pictures: Tensor) -> Tensor:
        """See the class."""
        repeated = functional.interpolate(pictures, scale_factor=self.factor)
        return functional.pixel_shuffle(self.body(pictures), self.factor) + repeated


def load_upscaler(place: Place) -> Upscaler:
    """Load `upscaler/` of a checked place, in float32.

    Raises:
        BrokenModelFile: its configuration is of another kind, or its weights do not fit.
    """
    config = place.config("upscaler/config.json")
    if config.get("kind") != "compact" or config.get("act") != "prelu":
        raise BrokenModelFile(f"{place.root}/upscaler is of the kind {config.get('kind')!r}; only 'compact' is known.")
    try:
        model = Upscaler(int(config["features"]), int(config["layers"]), int(config["scale"]))
        state = load_file(place.path(place.weights_of("upscaler")[0]))
        model.load_state_dict({name: tensor.float() for name, tensor in state.items()})
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BrokenModelFile(f"{place.root}/upscaler does not fit together: {str(error).splitlines()[0]}") from error
    return model.eval().requires_grad_(False)
