"""Training the base UNet on stored latents and token states, by v-prediction with zero terminal SNR.

Sources: Salimans & Ho, "Progressive distillation" (2022), section 4 (v); Lin et al., "Common diffusion noise schedules
and sample steps are flawed" (2023), sections 3.1-3.3 (zero terminal SNR, trailing steps).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor, nn

from fantascope.train.checkpoint import WEIGHTS, borrow, hash_tensors
from fantascope.train.fit import Batch, FitConfig, FitEvent, fit
from fantascope.train.latents import Pool
from fantascope.train.parts import autocast, denoiser, place, quiet, schedule


@dataclass(frozen=True)
class BaseConfig:
    """What the base UNet is trained for.

    Attributes:
        fit: The loop's settings.
        dropped: Share of captions replaced by the empty one, for guidance.
        lean: Exponent of the even draws that times come from; below 1 favours noisy times.
        start: Folder of a UNet to start from; from nothing if not given.
        compiled: Whether the network is compiled; worth it on a GPU.
    """

    fit: FitConfig
    dropped: float = 0.1
    lean: float = 0.75
    start: Path | None = None
    compiled: bool = False


def train_base(config: BaseConfig, run: Path, pool: Pool) -> Iterator[FitEvent]:
    """Train the UNet on the stored latents and token states of a pool."""
    torch.manual_seed(config.fit.seed)
    model = denoiser()
    quiet(model)
    if config.start is not None:
        borrow(model, config.start)
    device = torch.device(config.fit.device)
    place(model, device, config.compiled)
    empty = pool.empty.float().to(device)
    alphas = schedule().alphas_cumprod.sqrt().to(device)
    sigmas = (1 - schedule().alphas_cumprod).sqrt().to(device)

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        latent, text = batch["latent"].float(), batch["text"].float()
        size = len(latent)
        dropped = (torch.rand(size, generator=source) < config.dropped).to(device)
        text = torch.where(dropped[:, None, None], empty, text)
        # One draw in each of `size` equal parts of 0..1: the same mean as independent draws, less variance. The power
        # favours noisy times, where the caption and not the picture says what to draw.
        even = (torch.randperm(size, generator=source) + torch.rand(size, generator=source)) / size
        times = (even**config.lean * 1000).long().clamp_max(999).to(device)
        noise = torch.randn(latent.shape, generator=source).to(device)
        alpha, sigma = (table[times].view(-1, 1, 1, 1) for table in (alphas, sigmas))
        noisy = (alpha * latent + sigma * noise).contiguous(memory_format=torch.channels_last)
        wanted = alpha * noise - sigma * latent
        with autocast(device.type):
            guess = model(noisy, times, text).sample
        return nn.functional.mse_loss(guess.float(), wanted), {}

    also: dict[str, str | float] = {"stage": "base", "dropped": config.dropped, "lean": config.lean}
    if config.start is not None:
        also["start"] = hash_tensors(config.start / WEIGHTS)
    return fit(model, loss, partial(pool.batches, config.fit.batch), config.fit, run, also)


@torch.no_grad()
def sample(
    model: UNet2DConditionModel, text: Tensor, empty: Tensor, seeds: Sequence[int], steps: int = 20, guidance: float = 4
) -> Tensor:
    """Draw latents for captions with guidance rescaled by 0.7; one seed a picture.

    Args:
        model: The UNet.
        text: (B, 32, 384).
        empty: (32, 384).
        seeds: B numbers.
        steps, guidance: As usual; guidance 1 is off.

    Returns:
        (B, C, 16, 16), as the UNet's configuration says.
    """
    rule = schedule()
    rule.set_timesteps(steps)
    shape = (model.config.in_channels, *[model.config.sample_size] * 2)
    latent = torch.stack([torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds])
    both = torch.cat([empty.expand_as(text), text])
    for time in rule.timesteps:
        with autocast():
            free, bound = model(torch.cat([latent, latent]), time, both).sample.float().chunk(2)
        guess = free + guidance * (bound - free)
        level = bound.std(dim=(1, 2, 3), keepdim=True) / guess.std(dim=(1, 2, 3), keepdim=True)
        guess = guess * (0.7 * level + 0.3)
        latent = rule.step(guess, time, latent).prev_sample
    return latent
