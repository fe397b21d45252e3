"""Writes the modules of `tiny` as one file in the key layout of the original latent diffusion code.

The renaming here is the inverse of what the engine does and was written on its own, from that code's module names.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from tests.engines import tiny

RESIDUAL = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}

OUTER = {
    "conv_in": "input_blocks.0.0",
    "conv_out": "out.2",
    "conv_norm_out": "out.0",
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
}


def unet(model: Any) -> dict[str, Any]:
    """Rename the keys of a UNet2DConditionModel."""
    return unet_keys(model.state_dict(), model.config)


def unet_keys(state: dict[str, Any], config: Any) -> dict[str, Any]:
    """Rename the keys of a UNet2DConditionModel, or of its first half."""
    rows, attended = int(config.layers_per_block) + 1, {}
    for name in state:
        if found := re.match(r"up_blocks\.(\d+)\.attentions", name):
            attended[int(found.group(1))] = True
    out = {}
    for name, value in state.items():
        head = next((key for key in OUTER if name.startswith(key + ".")), None)
        if head is not None:
            new = OUTER[head] + name.removeprefix(head)
        elif found := re.match(r"mid_block\.(resnets|attentions)\.(\d)\.(.*)", name):
            kind, number, rest = found.groups()
            new = f"middle_block.{int(number) * 2 if kind == 'resnets' else 1}.{_residual(kind, rest)}"
        else:
            found = re.match(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.*)", name)
            assert found is not None, name
            way, level, kind, number, rest = found[1], int(found[2]), found[3], int(found[4]), found[5]
            if kind == "downsamplers":
                new = f"input_blocks.{(level + 1) * rows}.0.op.{rest.removeprefix('conv.')}"
            elif kind == "upsamplers":
                new = f"output_blocks.{level * rows + rows - 1}.{2 if level in attended else 1}.{rest}"
            else:
                block = (
                    f"input_blocks.{level * rows + number + 1}"
                    if way == "down"
                    else f"output_blocks.{level * rows + number}"
                )
                new = f"{block}.{0 if kind == 'resnets' else 1}.{_residual(kind, rest)}"
        out[f"model.diffusion_model.{new}"] = value
    return out


def _residual(kind: str, rest: str) -> str:
    if kind != "resnets":
        return rest
    head, tail = rest.split(".", 1)
    return f"{RESIDUAL[head]}.{tail}"


def vae(model: Any) -> dict[str, Any]:
    """Rename the keys of an AutoencoderKL; its attention was convolutions of 1 by 1 there."""
    levels = len(model.config.block_out_channels)
    out = {}
    for name, value in model.state_dict().items():
        new = name.replace("conv_norm_out", "norm_out").replace("conv_shortcut", "nin_shortcut")
        new = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", new)
        new = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", new)
        new = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{levels - 1 - int(m[1])}.block.{m[2]}", new)
        new = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{levels - 1 - int(m[1])}.upsample", new)
        new = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", new)
        if "mid_block.attentions.0" in new:
            new = new.replace("mid_block.attentions.0", "mid.attn_1").replace("group_norm", "norm")
            new = new.replace("to_out.0", "proj_out").replace("to_q", "q").replace("to_k", "k").replace("to_v", "v")
            value = value[:, :, None, None] if value.ndim == 2 else value
        out[f"first_stage_model.{new}"] = value
    return out


def clip(model: Any, prefix: str) -> dict[str, Any]:
    """Rename the keys of a CLIP text model: CLIP's own layout had the same names under another prefix."""
    return {prefix + name.removeprefix("text_model."): value for name, value in model.state_dict().items()}


def open_clip(model: Any, prefix: str, spare: bool = False) -> dict[str, Any]:
    """Rename the keys of a CLIP text model to OpenCLIP's; `spare` adds the last layer, which SD 2.x does not use."""
    import torch

    state = {name.removeprefix("text_model."): value for name, value in model.state_dict().items()}
    out = {
        "positional_embedding": state["embeddings.position_embedding.weight"],
        "token_embedding.weight": state["embeddings.token_embedding.weight"],
        "ln_final.weight": state["final_layer_norm.weight"],
        "ln_final.bias": state["final_layer_norm.bias"],
        "text_projection": state["text_projection.weight"].T if "text_projection.weight" in state else torch.eye(32),
        "logit_scale": torch.tensor(4.6),
    }
    layers = model.config.num_hidden_layers
    for layer in range(layers + spare):
        ours, theirs = f"encoder.layers.{min(layer, layers - 1)}.", f"transformer.resblocks.{layer}."
        for kind in ("weight", "bias"):
            parts = [state[f"{ours}self_attn.{name}_proj.{kind}"] for name in "qkv"]
            out[f"{theirs}attn.in_proj_{kind}"] = torch.cat(parts)
            out[f"{theirs}attn.out_proj.{kind}"] = state[f"{ours}self_attn.out_proj.{kind}"]
            names = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
            for mine, other in names.items():
                out[f"{theirs}{other}.{kind}"] = state[f"{ours}{mine}.{kind}"]
    return {prefix + name: value for name, value in out.items()}


def modules(kind: str) -> dict[str, Any]:
    """Return the modules of a family; text encoders know CLIP's whole vocabulary, since files carry no tokenizer."""
    if kind == "sd1":
        return tiny.sd_parts(1) | {"text_encoder": tiny.clip(vocabulary=49408)}
    if kind == "sd2":
        return tiny.sd_parts(2) | {"text_encoder": tiny.clip(act="gelu", vocabulary=49408)}
    text = {"text_encoder_2": tiny.clip(projected=True, act="gelu", vocabulary=49408)}
    if kind == "refiner":
        return tiny.xl_parts() | text | {"unet": tiny.refiner_unet()}
    return tiny.xl_parts() | text | {"text_encoder": tiny.clip(vocabulary=49408)}


@cache
def file(kind: str, marks: tuple[str, ...] = ()) -> Path:
    """Write `sd1`, `sd2`, `sdxl` or `refiner` as one file; `marks` are names of empty marker tensors to add."""
    import torch
    from safetensors.torch import save_file

    parts = modules(kind)
    state = unet(parts["unet"]) | vae(parts["vae"]) | {mark: torch.zeros(0) for mark in marks}
    if kind == "sd1":
        state |= clip(parts["text_encoder"], "cond_stage_model.transformer.text_model.")
    elif kind == "sd2":
        state |= open_clip(parts["text_encoder"], "cond_stage_model.model.", spare=True)
    elif kind == "sdxl":
        state |= clip(parts["text_encoder"], "conditioner.embedders.0.transformer.text_model.")
        state |= open_clip(parts["text_encoder_2"], "conditioner.embedders.1.model.")
    else:
        state |= open_clip(parts["text_encoder_2"], "conditioner.embedders.0.model.")
    folder = tiny.ROOT / "files"
    folder.mkdir(exist_ok=True)
    path = folder / f"{kind}{''.join(marks)}.safetensors"
    save_file({name: value.clone(memory_format=torch.contiguous_format) for name, value in state.items()}, path)
    return path
