"""A checkpoint opened to teach it a subject: the very modules that the engine `latent` runs, and what is asked of them.

Loading goes through the engine's own reader, so that what is trained is what will run: the embedded checkpoint, Stable
Diffusion 1.x, 2.x and SDXL, folders and single files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fantascope.core.denoise import denoise, predict
from fantascope.core.guidance import guided
from fantascope.core.schedules import Training, levels, training_from_config
from fantascope.core.seeds import noise
from fantascope.engines.latent_encode import Encoder, encode
from fantascope.engines.latent_parts import Parts, files_of, load_parts
from fantascope.engines.weights import open_place, weigh
from fantascope.errors import Unsupported
from fantascope.settings import Settings
from fantascope.spec import Spec
from fantascope.train.parts import place, quicken

TAUGHT = ("embedded", "sd1", "sd2", "sdxl")
"""Families that can be taught."""


@dataclass
class Base:
    """A checkpoint to be taught.

    Attributes:
        spec: Whose it is.
        parts: Its modules, float32, frozen.
        training: The noise it was trained with.
        device: Where they are.
        weights: File -> sha256 of everything that was loaded.
        folder: The opened folder or file.
    """

    spec: Spec
    parts: Parts
    training: Training
    device: torch.device
    weights: dict[str, str]
    folder: Any
    tables: tuple[Tensor, Tensor] = field(init=False)

    def __post_init__(self) -> None:
        found = (torch.from_numpy(table).float() for table in (self.training.alphas, self.training.sigmas))
        alphas, sigmas = (table.to(self.device) for table in found)
        self.tables = (alphas, sigmas)

    @property
    def unet_hash(self) -> str:
        """sha256 of the file that holds the UNet (the first shard, where there are several)."""
        names = sorted(name for name in self.weights if name.startswith("unet/"))
        return self.weights[names[0]] if names else next(iter(self.weights.values()))

    @property
    def factor(self) -> int:
        """Pixels a latent cell, one side."""
        return int(2 ** (len(self.parts.vae.config.block_out_channels) - 1))


def open_base(spec: Spec, settings: Settings, device: str = "cpu") -> Base:
    """Open, check, hash and load a checkpoint to be taught.

    Raises:
        Unsupported: Its family cannot be taught, it has a delta, or it predicts a flow.
        ModelError: See `engines.latent_parts.load_parts`.
    """
    if spec.family not in TAUGHT or spec.delta is not None:
        raise Unsupported(
            f"{spec.name!r} cannot be taught a subject; the families {', '.join(TAUGHT)} can, without a delta.",
            param="base",
            hint="fantascope models list",
        )
    where = open_place(spec.source, settings)
    weights = {one.path: one.sha256 for one in weigh(spec, where, files_of(where), settings)}
    parts = load_parts(spec, where, torch.float32)
    training = training_from_config(parts.scheduler)
    if training.prediction == "flow":
        raise Unsupported(f"{spec.name!r} predicts a flow; only noise, velocity and picture are taught.", param="base")
    target = torch.device(device)
    place(parts.unet, target)
    if target.type == "cpu":
        if not parts.vae.config.get("mid_block_add_attention", True):
            quicken(parts.vae)
    else:
        for module in parts.modules():
            module.to(target)
    return Base(spec, parts, training, target, weights, where.root)


@torch.no_grad()
def latents_of(base: Base, pixels: Any) -> Tensor:
    """Mean latents (B, C, h, w) float32 of unit variance of pictures (B, H, W, 3) uint8."""
    vae = base.parts.vae
    x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
    raw: Tensor = vae.encode(x.to(base.device, vae.dtype)).latent_dist.mode().float()
    mean, scale = _scaling(base, raw)
    return torch.as_tensor((raw - mean) * scale)


def text_of(base: Base, texts: Sequence[str], encoders: Sequence[Encoder] | None = None) -> dict[str, Tensor]:
    """What the UNet is told for texts: `text` (N, T, D) and, for SDXL, `pooled` (N, P); float32, with gradients where
    the encoders have any. All texts of one call get the same number of windows."""
    large, states, pooled = base.spec.family == "sdxl", [], None
    for encoder in base.parts.encoders if encoders is None else encoders:
        found, projected = encode(encoder, texts, 0, last=not large, device=base.device)
        states.append(found.float())
        pooled = projected.float() if projected is not None else pooled
    if not large:
        return {"text": states[0]}
    longest = max(state.shape[1] for state in states)
    joined = torch.cat([nn.functional.pad(state, (0, 0, 0, longest - state.shape[1])) for state in states], -1)
    assert pooled is not None
    if base.parts.zero_empty:
        said = torch.tensor([bool(text) for text in texts], device=joined.device)
        joined, pooled = joined * said[:, None, None], pooled * said[:, None]
    return {"text": joined, "pooled": pooled}


def windows_of(base: Base, text: str) -> int:
    """How many windows of tokens a text needs: more than one is more than a training reads."""
    return max(int(encoder.windows([text])[0].shape[1]) for encoder in base.parts.encoders)


def noised(base: Base, latent: Tensor, drawn: Tensor, times: Tensor) -> tuple[Tensor, Tensor]:
    """The noisy latents and what the base should answer: noise, picture or velocity, as it was trained to."""
    alpha, sigma = (table[times].view(-1, 1, 1, 1) for table in base.tables)
    wanted = {"epsilon": drawn, "sample": latent}.get(base.training.prediction, alpha * drawn - sigma * latent)
    return alpha * latent + sigma * drawn, wanted


def weight_of(base: Base, times: Tensor, gamma: float) -> Tensor:
    """Weights (B,) of min-SNR; ones where gamma is 0. Source: Hang et al., "Efficient diffusion training via min-SNR
    weighting strategy" (2023), section 3.4, for noise and velocity alike."""
    if gamma <= 0:
        return torch.ones(len(times), device=times.device)
    alpha, sigma = (table[times] for table in base.tables)
    ratio = alpha**2 / sigma.clamp_min(1e-6) ** 2
    least = ratio.clamp_max(gamma)
    if base.training.prediction == "epsilon":
        return least / ratio.clamp_min(1e-6)
    return least if base.training.prediction == "sample" else least / (ratio + 1)


def answer(base: Base, x: Tensor, times: Tensor, told: Mapping[str, Tensor], autocast: bool = True) -> Tensor:
    """What the UNet says, float32, computed under bfloat16 autocast where asked."""
    added = {"text_embeds": told["pooled"], "time_ids": told["sizes"]} if "pooled" in told else None
    with torch.autocast(base.device.type, torch.bfloat16, enabled=autocast):
        said: Tensor = base.parts.unet(
            x.contiguous(memory_format=torch.channels_last), times, told["text"], added_cond_kwargs=added
        ).sample
    return said.float()


@torch.no_grad()
def paint(
    base: Base,
    told: Mapping[str, Tensor],
    empty: Mapping[str, Tensor],
    seeds: Sequence[int],
    *,
    steps: int,
    guidance: float,
    rescale: float = 0.0,
) -> Any:
    """Paint pictures (B, H, W, 3) uint8 at the base's native size, as it is now, with DDIM.

    Args:
        told, empty: What `text_of` says of B texts, and of the empty one.
        seeds: B numbers.
        steps, guidance, rescale: As usual.
    """
    side = base.spec.sizes.native
    both = {name: torch.cat([empty[name].expand_as(value), value]) for name, value in told.items()}
    if guidance == 1:
        both = dict(told)
    count = len(next(iter(both.values())))
    both["sizes"] = torch.tensor([[side, side, 0.0, 0.0, side, side]] * count, device=base.device)

    def network(x: Any, time: float) -> Any:
        return answer(base, x, torch.full((len(x),), time, device=base.device), both)

    shape = (int(base.parts.unet.config.in_channels), side // base.factor, side // base.factor)
    x = torch.from_numpy(noise(list(seeds), shape)).to(base.device)
    run = levels(base.training, steps, sampler="ddim")
    for state in denoise(predict(guided(network, guidance, rescale), base.training), x, run, "ddim"):
        x = state.x
    mean, scale = _scaling(base, x)
    vae = base.parts.vae
    pixels = vae.decode((x / scale + mean).to(vae.dtype), return_dict=False)[0].float().clamp(-1, 1)
    return ((pixels + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def _scaling(base: Base, like: Tensor) -> tuple[Any, Any]:
    """What is taken off raw latents, then multiplied in, to bring them to unit variance."""
    config = base.parts.vae.config
    mean: Any = float(getattr(config, "shift_factor", None) or 0.0)
    scale: Any = float(config.scaling_factor)
    if getattr(config, "latents_mean", None) is not None and getattr(config, "latents_std", None) is not None:
        mean = torch.tensor(config.latents_mean, device=like.device).view(1, -1, 1, 1)
        scale = scale / torch.tensor(config.latents_std, device=like.device).view(1, -1, 1, 1)
    return mean, scale
