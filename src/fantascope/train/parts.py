"""The networks that are trained, at the sizes of the embedded checkpoint, and how they are made fast on a CPU."""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, UNet2DConditionModel
from diffusers.models.attention_processor import Attention
from torch import Tensor, nn

from fantascope.train.optim import quick_in_bfloat16

SCHEDULE: dict[str, Any] = {
    "num_train_timesteps": 1000,
    "beta_schedule": "scaled_linear",
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "timestep_spacing": "trailing",
    "clip_sample": False,
    "set_alpha_to_one": True,
    "steps_offset": 1,
}


def schedule() -> DDIMScheduler:
    """The noise schedule that training and sampling share."""
    return DDIMScheduler(**SCHEDULE)


LATENT = 8
"""Channels of a latent: four hold 28.7 dB of these drawings, eight more than 30."""


def autoencoder(widths: tuple[int, ...] = (16, 32, 64, 128), groups: int = 2, channels: int = LATENT) -> AutoencoderKL:
    """An f8 autoencoder without attention: (B, 3, 128, 128) in -1..1 <-> (B, channels, 16, 16)."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * len(widths),
        up_block_types=("UpDecoderBlock2D",) * len(widths),
        block_out_channels=widths,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=groups,
        mid_block_add_attention=False,
        sample_size=128,
        scaling_factor=1.0,
    )


def denoiser(widths: tuple[int, ...] = (64, 128, 192), text: int = 384, channels: int = LATENT) -> UNet2DConditionModel:
    """A text-conditioned UNet on (B, channels, 16, 16) latents; cross-attention on all but the finest level."""
    crossed = len(widths) - 1
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=channels,
        out_channels=channels,
        down_block_types=("DownBlock2D",) + ("CrossAttnDownBlock2D",) * crossed,
        up_block_types=("CrossAttnUpBlock2D",) * crossed + ("UpBlock2D",),
        block_out_channels=widths,
        layers_per_block=1,
        cross_attention_dim=text,
        attention_head_dim=8,
        norm_num_groups=32,
    )


def autocast(kind: str = "cpu") -> torch.autocast:
    """bfloat16 autocast for a kind of device; on a CPU that is slow in bfloat16 it is float32."""
    return torch.autocast(kind, torch.bfloat16, enabled=quick_in_bfloat16(kind))


def quiet(model: UNet2DConditionModel) -> None:
    """Zero the last layer of every residual branch and of the whole, so that training starts from the identity."""
    for name, parameter in model.named_parameters():
        if any(part in name for part in ("resnets.", "conv_out", "attentions.")) and any(
            part in name for part in (".conv2.", "conv_out.", ".proj_out.")
        ):
            nn.init.zeros_(parameter)


def place(model: nn.Module, device: torch.device, compiled: bool = False) -> None:
    """Put a network where it is trained: on a CPU made quick for bfloat16, on a GPU channels last.

    With `compiled`, its forward and backward passes are compiled at the first step (minutes, once a run).
    """
    if device.type == "cpu":
        quicken(model)
    else:
        model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled:
        model.compile()


def quicken(model: nn.Module) -> None:
    """Prepare a network for `autocast` on a CPU: channels last, with group norms and attention in float32.

    Under autocast the backward pass of scaled-dot-product attention is about four times slower in bfloat16 than in
    float32 on CPUs without matrix tiles, and group norms are slow as well. Changes `forward` only, not the weights.
    """
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    for module in model.modules():
        if isinstance(module, nn.GroupNorm):
            module.forward = _norm_in_float32(module)  # type: ignore[method-assign]
        if isinstance(module, Attention):
            module.set_processor(_Float32Attention())


def _norm_in_float32(norm: nn.GroupNorm) -> Any:
    def forward(x: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return nn.functional.group_norm(x.float(), norm.num_groups, norm.weight, norm.bias, norm.eps)

    return forward


class _Float32Attention:
    """Plain attention whose product runs in float32 and whose projections run in whatever autocast says."""

    def __call__(
        self,
        attn: Attention,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor | None = None,
        attention_mask: Tensor | None = None,
        **unused: Any,
    ) -> Tensor:
        assert attention_mask is None and not attn.residual_connection
        context = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        parts = [attn.to_q(hidden_states), attn.to_k(context), attn.to_v(context)]
        q, k, v = (part.float().unflatten(-1, (attn.heads, -1)).transpose(1, 2) for part in parts)
        with torch.autocast("cpu", enabled=False):
            mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        return attn.to_out[1](attn.to_out[0](mixed.transpose(1, 2).flatten(2)))  # type: ignore[no-any-return]
