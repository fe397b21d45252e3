"""Control networks in one file: in the key layout of the original ControlNet code, or with diffusers' keys.

The configuration is read off the shapes; what shapes do not tell (heads, norms, embeddings of times) is that of the
network which is steered, of whose first half a control network is a copy. Every key is used exactly once.

Source: Zhang et al., "Adding conditional control to text-to-image diffusion models" (2023), section 3.2, and the
modules of its code: `input_hint_block`, `zero_convs`, `middle_block_out` beside latent diffusion's input blocks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from fantascope.engines.adapters.tree import RESIDUAL
from fantascope.engines.latent_ldm import Shapes
from fantascope.errors import BrokenModelFile, Unsupported

PREFIX = "control_model."
"""What keys begin with where the file was cut out of a training checkpoint, or still is one."""

BASE = ("model.", "model_ema.", "first_stage_model.", "cond_stage_model.", "conditioner.", "lvlb_weights", "logvar")
"""Beginnings of the keys of the base model in a whole training checkpoint; they are not read."""

SCHEDULE = re.compile(r"(?:betas|(?:log_one_minus_|sqrt_)?\w*alphas\w*|posterior_\w+)")
"""Keys of its noise schedule."""

OTHER = {
    "lora_controlnet": "a Control-LoRA, which needs another model's weights",
    "difference": "a set of differences to a base model's weights",
    "task_embedding": "a union network, which is told its kind by a number",
    "body.0.block1.weight": "a T2I-Adapter",
    "adapter.body.0.block1.weight": "a T2I-Adapter",
}
"""Keys that tell what else a file is."""

WIDTHS = {768: "sd1", 1024: "sd2", 2048: "sdxl"}
"""Family by the width of the text states."""

OUTER = {
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "label_emb.0.0": "add_embedding.linear_1",
    "label_emb.0.2": "add_embedding.linear_2",
    "input_blocks.0.0": "conv_in",
    "middle_block_out.0": "controlnet_mid_block",
    "middle_block.0": "mid_block.resnets.0",
    "middle_block.1": "mid_block.attentions.0",
    "middle_block.2": "mid_block.resnets.1",
    "input_hint_block.0": "controlnet_cond_embedding.conv_in",
}
"""Beginning of an original key -> of diffusers'."""

SAME = (
    "in_channels", "flip_sin_to_cos", "freq_shift", "act_fn", "norm_num_groups", "norm_eps", "downsample_padding",
    "mid_block_scale_factor", "only_cross_attention", "attention_head_dim", "num_attention_heads", "upcast_attention",
    "resnet_time_scale_shift", "addition_time_embed_dim", "addition_embed_type_num_heads",
)  # fmt: skip
"""Settings that a control network has from the network it steers."""


def names_of(keys: Collection[str], where: object) -> dict[str, str] | None:
    """Return key of the file -> key of a diffusers `ControlNetModel`; None where the file is no control network.

    Args:
        where: Named in messages.

    Raises:
        Unsupported: it is another kind of network that steers.
        BrokenModelFile: a key belongs to no control network.
    """
    what = next((told for key, told in OTHER.items() if key in keys), None)
    if what is not None:
        raise Unsupported(f"{where} is {what}; a whole ControlNet is read.", param="model")
    if "controlnet_cond_embedding.conv_in.weight" in keys:
        return {key: key for key in keys}
    prefix = next((one for one in (PREFIX, "") if f"{one}input_hint_block.0.weight" in keys), None)
    if prefix is None:
        return None
    own = [key.removeprefix(prefix) for key in keys if key.startswith(prefix)]
    strange = [key for key in keys if not key.startswith(prefix) and not _of_base(key)]
    names = _renamed(own)
    strange += [prefix + key for key in own if key not in names]
    if strange:
        raise BrokenModelFile(f"The control network {where} has keys of no known part: {_some(strange)}.")
    return {prefix + old: new for old, new in names.items()}


def _of_base(key: str) -> bool:
    return key.startswith(BASE) or SCHEDULE.fullmatch(key) is not None


def _renamed(keys: Iterable[str]) -> dict[str, str]:
    """Return original key -> diffusers' key, for those that are known."""
    keys = list(keys)
    ends = sorted(int(key.split(".")[1]) for key in keys if re.fullmatch(r"input_blocks\.\d+\.0\.op\.weight", key))
    last = max(int(key.split(".")[1]) for key in keys if key.startswith("input_hint_block."))
    named = {key: _name(key, ends, last) for key in keys}
    return {key: name for key, name in named.items() if name is not None}


def _name(key: str, ends: list[int], last: int) -> str | None:
    """Return diffusers' name of an original key.

    Args:
        ends: Input blocks that halve the sides, each the last of its level.
        last: Number of the last layer of the hint block.
    """
    module, _, kind = key.rpartition(".")
    if kind not in ("weight", "bias"):
        return None
    if module in OUTER:
        return f"{OUTER[module]}.{kind}"
    if found := re.fullmatch(r"zero_convs\.(\d+)\.0", module):
        return f"controlnet_down_blocks.{found[1]}.{kind}"
    if found := re.fullmatch(r"input_hint_block\.(\d+)", module):
        at = int(found[1])
        if at % 2:
            return None
        return f"controlnet_cond_embedding.{'conv_out' if at == last else f'blocks.{at // 2 - 1}'}.{kind}"
    if found := re.match(r"(middle_block\.[012])\.(.+)", module):
        return _inside(OUTER[found[1]], found[2], kind)
    if found := re.match(r"input_blocks\.(\d+)\.([01])\.(.+)", module):
        at, level = int(found[1]), sum(end < int(found[1]) for end in ends)
        if found[3] == "op":
            return f"down_blocks.{level}.downsamplers.0.conv.{kind}"
        number = at - 1 - ([0, *(ends)][level])
        return _inside(f"down_blocks.{level}.{('resnets', 'attentions')[int(found[2])]}.{number}", found[3], kind)
    return None


def _inside(block: str, module: str, kind: str) -> str | None:
    """Return the name of a module in a residual block or a transformer; the latter's are called alike."""
    if ".attentions." in block:
        return f"{block}.{module}.{kind}"
    return f"{block}.{RESIDUAL[module]}.{kind}" if module in RESIDUAL else None


def config_of(shapes: Shapes, base: Mapping[str, Any], where: object) -> dict[str, Any]:
    """Return the arguments of `ControlNetModel` for tensors by diffusers' names.

    Args:
        base: Configuration of the UNet that it is to steer; of it comes what shapes do not tell.

    Raises:
        BrokenModelFile: the blocks are not those of a control network.
    """
    try:
        return _read_off(shapes, base)
    except (KeyError, IndexError) as error:
        raise BrokenModelFile(f"The control network {where} lacks {error.args[0]!r}.") from error


def _read_off(shapes: Shapes, base: Mapping[str, Any]) -> dict[str, Any]:
    levels = _numbers(shapes, "down_blocks.")
    depths = [_numbers(shapes, f"down_blocks.{k}.attentions.0.transformer_blocks.") for k in levels]
    middle = len(_numbers(shapes, "mid_block.attentions.0.transformer_blocks."))
    hints = _numbers(shapes, "controlnet_cond_embedding.blocks.")[1::2]
    projection = next((len(shape) for name, shape in shapes.items() if name.endswith("attentions.0.proj_in.weight")), 4)
    more = {}
    if "add_embedding.linear_1.weight" in shapes:
        width = shapes["add_embedding.linear_1.weight"][1]
        more = {"addition_embed_type": "text_time", "projection_class_embeddings_input_dim": width}
    return {
        **{name: base[name] for name in SAME if name in base},
        "in_channels": shapes["conv_in.weight"][1],
        "conditioning_channels": shapes["controlnet_cond_embedding.conv_in.weight"][1],
        "block_out_channels": tuple(shapes[f"down_blocks.{k}.resnets.0.conv1.weight"][0] for k in levels),
        "layers_per_block": len(_numbers(shapes, "down_blocks.0.resnets.")),
        "down_block_types": tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": tuple(len(depth) or middle or 1 for depth in depths),
        "cross_attention_dim": text_width(shapes) or base["cross_attention_dim"],
        "use_linear_projection": projection == 2,
        "conditioning_embedding_out_channels": (
            shapes["controlnet_cond_embedding.conv_in.weight"][0],
            *(shapes[f"controlnet_cond_embedding.blocks.{k}.weight"][0] for k in hints),
        ),
        **more,
    }


def text_width(shapes: Shapes) -> int | None:
    """Return the width of the text states that a network attends to, or None if it attends to none."""
    return next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), None)


def family_of(names: Mapping[str, str], shapes: Shapes) -> str | None:
    """Return `sd1`, `sd2` or `sdxl` for the tensors of a file, or None where the width is another's."""
    if "add_embedding.linear_1.weight" in names.values():
        return "sdxl"
    return WIDTHS.get(text_width(shapes) or 0)


def check_keys(names: Mapping[str, str], due: Collection[str], where: object) -> None:
    """Refuse a file that lacks a tensor of its network, or has one too many.

    Args:
        names: Key of the file -> key by diffusers' names.
        due: Keys of the network by diffusers' names.

    Raises:
        BrokenModelFile: with the names.
    """
    missing, left = set(due) - set(names.values()), {key for key in names if names[key] not in due}
    if missing:
        raise BrokenModelFile(f"The control network {where} lacks {_some(missing)}, as diffusers names them.")
    if left:
        raise BrokenModelFile(f"The control network {where} has keys that no part of it takes: {_some(left)}.")


def _numbers(shapes: Shapes, prefix: str) -> list[int]:
    """Return 0, 1, … up to the highest number behind a prefix; what is missing between is found out later."""
    numbers = [int(name[len(prefix) :].split(".")[0]) for name in shapes if name.startswith(prefix)]
    return list(range(max(numbers, default=-1) + 1))


def _some(keys: Collection[str]) -> str:
    first = ", ".join(repr(key) for key in sorted(keys)[:3])
    return first + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
