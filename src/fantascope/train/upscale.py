"""The x4 upscaler of the embedded checkpoint: a compact convolutional net that puts vector edges back.

All convolutions run at the small size, the last one makes 48 channels that become 4x4 pixels of three, and the small
picture with its pixels repeated is added; so the net only learns what repeating misses.

Source: the compact layout of Wang et al., "Real-ESRGAN" (2021), practical release notes; sub-pixel convolution of Shi
et al., "Real-time single image and video super-resolution" (2016), section 3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from fantascope.train.autoencode import psnr, reconstruction
from fantascope.train.checkpoint import WEIGHTS, hash_tensors, read_module
from fantascope.train.fit import Batch, Batches, FitConfig, FitEvent, fit
from fantascope.train.parts import autocast, autoencoder

SCALE = 4


class Upscaler(nn.Module):
    """(B, 3, H, W) in -1..1 -> (B, 3, 4H, 4W), not clamped.

    `body` is conv 3x3, PReLU, `layers` times (conv 3x3, PReLU), conv 3x3 to 48 channels; every PReLU has one slope a
    channel.
    """

    def __init__(self, features: int = 32, layers: int = 8) -> None:
        super().__init__()
        self.features, self.layers = features, layers
        parts: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(layers):
            parts += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        last = nn.Conv2d(features, 3 * SCALE * SCALE, 3, padding=1)
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(*parts, last)

    def forward(self, picture: Tensor) -> Tensor:
        """See the class."""
        return nn.functional.pixel_shuffle(self.body(picture), SCALE) + nn.functional.interpolate(
            picture, scale_factor=SCALE
        )


@dataclass(frozen=True)
class UpscalerConfig:
    """What the upscaler is trained for.

    Attributes:
        fit: The loop's settings.
        crop: Side in px of the pieces of the small pictures that are trained on.
        pieces: Pieces of each picture.
        blur: Largest standard deviation in px of the Gaussian blur put on small pictures.
        noise: Largest standard deviation of the noise put on them.
        latent_noise: Largest standard deviation of the noise put on latents.
    """

    fit: FitConfig
    crop: int = 48
    pieces: int = 4
    blur: float = 0.9
    noise: float = 0.04
    latent_noise: float = 0.25


def train_upscaler(config: UpscalerConfig, run: Path, batches: Batches, folder: Path) -> Iterator[FitEvent]:
    """Train on `small` (B, 3, 128, 128) and `large` (B, 3, 512, 512), both in -1..1.

    The first half of each batch goes through the autoencoder of the checkpoint folder, with noise on its latents, as
    generated pictures do; the rest is blurred and made noisy instead.
    """
    torch.manual_seed(config.fit.seed)
    model = Upscaler().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen = autoencoder().eval()
    read_module(frozen, folder / "vae")

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        small, large = batch["small"], batch["large"]
        half = len(small) // 2
        with torch.no_grad(), autocast():
            latent = frozen.encode(small[:half]).latent_dist.mean.float()
            level = config.latent_noise * torch.rand(half, 1, 1, 1, generator=source)
            latent = latent + level * torch.randn(latent.shape, generator=source)
            redone = frozen.decode(latent).sample.float().clamp(-1, 1)
            spoiled = torch.cat([redone, _spoil(small[half:], config, source)])
        low, high = _pieces(spoiled, large, config, source)
        low = low.contiguous(memory_format=torch.channels_last)
        with autocast():
            guess = model(low).float()
        return reconstruction(guess, high, 1.0), {"psnr": psnr(guess, high)}

    also: dict[str, str | float] = {"stage": "upscaler", "vae": hash_tensors(folder / "vae" / WEIGHTS)}
    also |= {part.name: getattr(config, part.name) for part in fields(config) if part.name != "fit"}
    return fit(model, loss, batches, config.fit, run, also)


def _spoil(small: Tensor, config: UpscalerConfig, source: torch.Generator) -> Tensor:
    """Blur by one random width and add noise of one random level a batch."""
    width = max(0.05, config.blur * float(torch.rand((), generator=source)))
    at = torch.arange(-3.0, 4.0)
    kernel = torch.exp(-at.square() / (2 * width * width))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, 7)
    padded = nn.functional.pad(small.float(), (3, 3, 3, 3), mode="replicate")
    blurred = nn.functional.conv2d(nn.functional.conv2d(padded, kernel, groups=3), kernel.mT, groups=3)
    level = config.noise * float(torch.rand((), generator=source))
    return (blurred.float() + level * torch.randn(small.shape, generator=source)).clamp(-1, 1)


def _pieces(small: Tensor, large: Tensor, config: UpscalerConfig, source: torch.Generator) -> tuple[Tensor, Tensor]:
    """Cut the same random squares out of small and large pictures, those with something on them first."""
    low, high, side = [], [], config.crop
    for k in range(len(small)):
        for _ in range(config.pieces):
            for _ in range(4):
                top, left = torch.randint(0, small.shape[-1] - side + 1, (2,), generator=source).tolist()
                piece = small[k, :, top : top + side, left : left + side]
                if float(piece.std(dim=(1, 2)).max()) > 0.05:
                    break
            low.append(piece)
            high.append(large[k, :, SCALE * top : SCALE * (top + side), SCALE * left : SCALE * (left + side)])
    return torch.stack(low), torch.stack(high)


def save_upscaler(model: Upscaler, folder: Path) -> None:
    """Write `config.json` and `model.safetensors` (float16)."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"kind": "compact", "features": model.features, "layers": model.layers, "scale": SCALE, "act": "prelu"}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    state = {name: value.half().contiguous() for name, value in model.state_dict().items()}
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "model.safetensors").chmod(0o644)


def load_upscaler(folder: Path) -> Upscaler:
    """Read what `save_upscaler` wrote."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    model = Upscaler(config["features"], config["layers"])
    model.load_state_dict({name: value.float() for name, value in load_file(folder / "model.safetensors").items()})
    return model.eval()
