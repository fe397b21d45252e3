"""Training the autoencoder, and later its decoder alone on frozen, slightly noisy latents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
from torch import Tensor, nn

from fantascope.train.checkpoint import ENCODER, WEIGHTS, borrow, hash_tensors, read_module, write_module
from fantascope.train.fit import Batch, Batches, FitConfig, FitEvent, fit, load_weights
from fantascope.train.latents import centre_latents
from fantascope.train.parts import autocast, autoencoder, place


@dataclass(frozen=True)
class AutoencoderConfig:
    """What the autoencoder is trained for.

    Attributes:
        fit: The loop's settings.
        kl: Weight of the divergence from a standard normal, a mean over latent elements.
        edges: Weight of the difference of the picture's gradients.
        noise: Standard deviation of the noise added to latents, in units of each channel's own.
        halved: Share of steps that also decode the latents at half size and compare with the picture at half size.
        start: Folder of an autoencoder to start from; from nothing if not given.
    """

    fit: FitConfig
    kl: float = 5e-4
    edges: float = 1.0
    noise: float = 0.1
    halved: float = 0.25
    start: Path | None = None


def reconstruction(guess: Tensor, picture: Tensor, edges: float) -> Tensor:
    """L1 + L2 + `edges` times the L1 of horizontal and vertical gradients; (B, 3, H, W) in -1..1 to a scalar."""
    error = guess - picture
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + error.square().mean() + edges * (across + down)


def psnr(guess: Tensor, picture: Tensor) -> float:
    """Peak signal to noise ratio in dB of pictures in -1..1."""
    return float(-10 * ((guess.detach().float() - picture) / 2).clamp(-1, 1).square().mean().log10())


def train_autoencoder(config: AutoencoderConfig, run: Path, batches: Batches) -> Iterator[FitEvent]:
    """Train encoder and decoder together on `picture` batches, (B, 3, 128, 128) in -1..1."""
    torch.manual_seed(config.fit.seed)
    model = autoencoder()
    if config.start is not None:
        borrow(model, config.start)
    device = torch.device(config.fit.device)
    place(model, device)

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        picture = batch["picture"].contiguous(memory_format=torch.channels_last)
        with autocast(device.type):
            spread = model.encode(picture).latent_dist
            latent = spread.mean.float() + spread.std.float() * _normal(spread.mean, source)
            latent = latent + config.noise * _spread(latent) * _normal(latent, source)
            guess = model.decode(latent).sample.float()
            total = reconstruction(guess, picture, config.edges)
            if float(torch.rand((), generator=source)) < config.halved:
                small = model.decode(nn.functional.avg_pool2d(latent, 2)).sample.float()
                total = total + 0.5 * reconstruction(small, nn.functional.avg_pool2d(picture, 2), config.edges)
        mean, logvar = spread.mean.float(), spread.logvar.float()
        kl = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return total + config.kl * kl, {"psnr": psnr(guess, picture), "kl": float(kl.detach())}

    return fit(model, loss, batches, config.fit, run, _settings(config, "autoencoder"))


@torch.no_grad()
def freeze_autoencoder(run: Path, batches: Batches, folder: Path) -> float:
    """Write what a run of `train_autoencoder` learned as `folder/vae`, with latents made zero-mean and unit-variance.

    Args:
        run: Folder of the run.
        batches: `picture` batches; the first eight are measured, each at once.
        folder: The checkpoint folder.

    Returns:
        Peak signal to noise ratio of those pictures, in dB.
    """
    model = autoencoder()
    load_weights(model, run)
    source = batches(0)
    parts = [torch.as_tensor(next(source)["picture"]) for _ in range(8)]
    centre_latents(model, torch.cat(parts))
    write_module(model, folder / "vae")
    guesses = [model.decode(model.encode(part).latent_dist.mean).sample for part in parts]
    return psnr(torch.cat(guesses), torch.cat(parts))


def train_decoder(config: AutoencoderConfig, run: Path, batches: Batches, folder: Path) -> Iterator[FitEvent]:
    """Train the decoder of `folder/vae` alone on `picture` batches; the encoder is frozen, so latents stay as they are.

    The noise on each picture's latents is drawn from 0 to `config.noise` of their deviation: the decoder learns to mend
    the small errors that a denoiser leaves.
    """
    model = autoencoder()
    read_module(model, folder / "vae")
    device = torch.device(config.fit.device)
    place(model, device)
    model.encoder.requires_grad_(False)
    if model.quant_conv is not None:
        model.quant_conv.requires_grad_(False)

    def loss(batch: Batch, source: torch.Generator) -> tuple[Tensor, dict[str, float]]:
        picture = batch["picture"].contiguous(memory_format=torch.channels_last)
        with autocast(device.type):
            with torch.no_grad():
                latent = model.encode(picture).latent_dist.mean.float()
            level = config.noise * torch.rand(len(picture), 1, 1, 1, generator=source).to(device)
            noisy = latent + level * _spread(latent) * _normal(latent, source)
            guess = model.decode(noisy).sample.float()
        return reconstruction(guess, picture, config.edges), {"psnr": psnr(guess, picture)}

    also = _settings(config, "decoder") | {"encoder": hash_tensors(folder / "vae" / WEIGHTS, ENCODER)}
    return fit(model, loss, batches, config.fit, run, also)


def _settings(config: AutoencoderConfig, stage: str) -> dict[str, str | float]:
    """What a run is resumed with beside the loop's settings."""
    also = {part.name: getattr(config, part.name) for part in fields(config) if part.name not in ("fit", "start")}
    start: dict[str, str] = {} if config.start is None else {"start": hash_tensors(config.start / WEIGHTS)}
    return {"stage": stage} | also | start


def _spread(latent: Tensor) -> Tensor:
    """Standard deviation of each channel of a batch, (1, C, 1, 1), without gradient."""
    return latent.detach().std(dim=(0, 2, 3), keepdim=True)


def _normal(like: Tensor, source: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=source).to(like.device)
