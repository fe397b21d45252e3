"""Single-file checkpoints in the key layout of the original latent diffusion code: SD 1.x, 2.x, SDXL and its refiner.

Configurations are read off the shapes of the tensors, so nothing is asked of a hub; the renaming of keys is diffusers'.
What shapes do not tell (attention heads, scaling factor, prediction type) follows from the family.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fantascope.engines.safefile import SafeFile
from fantascope.errors import BrokenModelFile

UNET, VAE = "model.diffusion_model.", "first_stage_model."
CLIP_1 = "cond_stage_model.transformer.text_model."
OPEN_CLIP_2 = "cond_stage_model.model."
CLIP_XL = "conditioner.embedders.0.transformer.text_model."
OPEN_CLIP_XL = "conditioner.embedders.1.model."
OPEN_CLIP_REFINER = "conditioner.embedders.0.model."

HEAD = 64
"""Channels of one attention head in SD 2.x, SDXL and in every CLIP text encoder of these families."""

Shapes = Mapping[str, tuple[int, ...]]


def shapes_of(file: SafeFile) -> dict[str, tuple[int, ...]]:
    """Return the shape of every tensor of a checked file."""
    return {name: entry.shape for name, entry in file.tensors.items()}


def family_of(shapes: Shapes) -> str | None:
    """Return `sd1`, `sd2`, `sdxl` or `refiner`, told from the text encoders, or None for another layout."""
    if f"{UNET}input_blocks.0.0.weight" not in shapes:
        return None
    marks = {
        "sdxl": f"{OPEN_CLIP_XL}positional_embedding",
        "refiner": f"{OPEN_CLIP_REFINER}positional_embedding",
        "sd2": f"{OPEN_CLIP_2}positional_embedding",
        "sd1": f"{CLIP_1}embeddings.position_embedding.weight",
    }
    return next((family for family, mark in marks.items() if mark in shapes), None)


def unet_config(shapes: Shapes, family: str, native: int) -> dict[str, Any]:
    """Return the arguments of `UNet2DConditionModel` for the network under `model.diffusion_model.`.

    Raises:
        BrokenModelFile: the blocks are not those of a Stable Diffusion network.
    """
    widths, depths, layers = _levels(shapes)
    cross = next((shape[1] for name, shape in shapes.items() if name.endswith("attn2.to_k.weight")), None)
    middle = _depth(shapes, f"{UNET}middle_block.1.")
    if cross is None or not middle:
        raise BrokenModelFile("The network has no cross-attention, so no text can steer it.")
    down = tuple("CrossAttnDownBlock2D" if depth else "DownBlock2D" for depth in depths)
    up = tuple("CrossAttnUpBlock2D" if depth else "UpBlock2D" for depth in reversed(depths))
    projection = next((len(shape) for name, shape in shapes.items() if name.endswith(".1.proj_in.weight")), 4)
    config: dict[str, Any] = {
        "sample_size": native // 8,
        "in_channels": shapes[f"{UNET}input_blocks.0.0.weight"][1],
        "out_channels": shapes[f"{UNET}out.2.weight"][0],
        "block_out_channels": widths,
        "layers_per_block": layers,
        "down_block_types": down,
        "up_block_types": up,
        "transformer_layers_per_block": tuple(depth or middle for depth in depths),
        "cross_attention_dim": cross,
        "attention_head_dim": 8 if family == "sd1" else tuple(max(1, width // HEAD) for width in widths),
        "use_linear_projection": projection == 2,
    }
    label = shapes.get(f"{UNET}label_emb.0.0.weight")
    if label is not None:
        prefix, ids = (OPEN_CLIP_XL, 6) if family == "sdxl" else (OPEN_CLIP_REFINER, 5)
        pooled = shapes[f"{prefix}text_projection"][1]
        config |= {
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": (label[1] - pooled) // ids,
            "projection_class_embeddings_input_dim": label[1],
        }
    return config


def _levels(shapes: Shapes) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """Walk the input blocks: width and transformer depth of every level, and residual blocks a level."""
    levels: list[list[tuple[int, int]]] = [[]]
    index = 1
    while True:
        block = f"{UNET}input_blocks.{index}."
        if f"{block}0.op.weight" in shapes:
            levels.append([])
        elif f"{block}0.out_layers.3.weight" in shapes:
            levels[-1].append((shapes[f"{block}0.out_layers.3.weight"][0], _depth(shapes, f"{block}1.")))
        else:
            break
        index += 1
    if not levels[0] or any(len(set(level)) != 1 or len(level) != len(levels[0]) for level in levels):
        raise BrokenModelFile("The network's blocks are not those of a Stable Diffusion checkpoint.")
    return tuple(level[0][0] for level in levels), tuple(level[0][1] for level in levels), len(levels[0])


def _depth(shapes: Shapes, prefix: str) -> int:
    """Count the transformer layers under a prefix."""
    depth = 0
    while f"{prefix}transformer_blocks.{depth}.attn2.to_k.weight" in shapes:
        depth += 1
    return depth


def vae_config(shapes: Shapes, family: str, native: int) -> dict[str, Any]:
    """Return the arguments of `AutoencoderKL` for the autoencoder under `first_stage_model.`."""
    widths: list[int] = []
    while (key := f"{VAE}encoder.down.{len(widths)}.block.0.conv2.weight") in shapes:
        widths.append(shapes[key][0])
    if not widths:
        raise BrokenModelFile("The checkpoint holds no autoencoder under first_stage_model.")
    layers = 0
    while f"{VAE}encoder.down.0.block.{layers}.conv2.weight" in shapes:
        layers += 1
    large = family in ("sdxl", "refiner")
    return {
        "in_channels": 3,
        "out_channels": 3,
        "down_block_types": ("DownEncoderBlock2D",) * len(widths),
        "up_block_types": ("UpDecoderBlock2D",) * len(widths),
        "block_out_channels": tuple(widths),
        "layers_per_block": layers,
        "latent_channels": shapes[f"{VAE}decoder.conv_in.weight"][1],
        "mid_block_add_attention": f"{VAE}encoder.mid.attn_1.q.weight" in shapes,
        "sample_size": native,
        "scaling_factor": 0.13025 if large else 0.18215,
        "force_upcast": large,
    }


def clip_config(shapes: Shapes, prefix: str) -> dict[str, Any]:
    """Return the arguments of `CLIPTextConfig` for a text encoder in CLIP's or OpenCLIP's key layout.

    SD 2.x stops before the last layer, so that layer is left out there, as in diffusers' folders.
    """
    open_clip = f"{prefix}positional_embedding" in shapes
    places = shapes[f"{prefix}positional_embedding" if open_clip else f"{prefix}embeddings.position_embedding.weight"]
    words = shapes[f"{prefix}token_embedding.weight" if open_clip else f"{prefix}embeddings.token_embedding.weight"]
    layer = prefix + ("transformer.resblocks.{}.mlp.c_fc.weight" if open_clip else "encoder.layers.{}.mlp.fc1.weight")
    layers = 0
    while layer.format(layers) in shapes:
        layers += 1
    projection = shapes.get(f"{prefix}text_projection")
    return {
        "vocab_size": words[0],
        "hidden_size": places[1],
        "max_position_embeddings": places[0],
        "intermediate_size": shapes[layer.format(0)][0],
        "num_hidden_layers": layers - (prefix == OPEN_CLIP_2),
        "num_attention_heads": max(1, places[1] // HEAD),
        "hidden_act": "gelu" if open_clip else "quick_gelu",
        "projection_dim": projection[1] if projection else places[1],
        "bos_token_id": words[0] - 2,
        "eos_token_id": 2,
        "pad_token_id": 1,
    }


def scheduler_config(file: SafeFile, family: str, native: int) -> dict[str, Any]:
    """Return the noise schedule of the family as a diffusers scheduler configuration.

    Velocity prediction is told from the marker key `v_pred`, the metadata `modelspec.prediction_type`, or, for SD 2.x,
    from a native size of 768; zero terminal SNR from the marker key `ztsnr`.
    """
    said = file.metadata.get("modelspec.prediction_type", "")
    velocity = "v_pred" in file.tensors or said.startswith("v") or (not said and family == "sd2" and native >= 768)
    return {
        "beta_schedule": "scaled_linear",
        "beta_start": 0.00085,
        "beta_end": 0.012,
        "num_train_timesteps": 1000,
        "prediction_type": "v_prediction" if velocity else "epsilon",
        "rescale_betas_zero_snr": "ztsnr" in file.tensors,
        "timestep_spacing": "leading",
        "steps_offset": 1,
        "set_alpha_to_one": False,
    }


def convert_unet(state: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Rename the network's keys to those of `UNet2DConditionModel`."""
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    if "addition_embed_type" not in config:
        state = {name: value for name, value in state.items() if not name.startswith(f"{UNET}label_emb")}
    return dict(convert_ldm_unet_checkpoint(state, config))


def convert_vae(state: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Rename the autoencoder's keys to those of `AutoencoderKL`."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    return dict(convert_ldm_vae_checkpoint(state, config))


def convert_clip(state: dict[str, Any], prefix: str, layers: int) -> dict[str, Any]:
    """Rename a text encoder's keys to those of transformers' CLIP, without the leading `text_model.`.

    Args:
        layers: Layers the model keeps; what lies above is left out.
    """
    if prefix in (CLIP_1, CLIP_XL):
        found = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        return {name: value for name, value in found.items() if not name.endswith("position_ids")}
    out: dict[str, Any] = {
        "embeddings.position_embedding.weight": state[f"{prefix}positional_embedding"],
        "embeddings.token_embedding.weight": state[f"{prefix}token_embedding.weight"],
        "final_layer_norm.weight": state[f"{prefix}ln_final.weight"],
        "final_layer_norm.bias": state[f"{prefix}ln_final.bias"],
    }
    if prefix != OPEN_CLIP_2:
        out["text_projection.weight"] = state[f"{prefix}text_projection"].T.contiguous()
    names = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}
    for layer in range(layers):
        theirs, ours = f"{prefix}transformer.resblocks.{layer}.", f"encoder.layers.{layer}."
        for kind in ("weight", "bias"):
            for old, new in names.items():
                out[f"{ours}{new}.{kind}"] = state[f"{theirs}{old}.{kind}"]
            out[f"{ours}self_attn.out_proj.{kind}"] = state[f"{theirs}attn.out_proj.{kind}"]
            query, key, value = state[f"{theirs}attn.in_proj_{kind}"].chunk(3)
            for name, part in (("q", query), ("k", key), ("v", value)):
                out[f"{ours}self_attn.{name}_proj.{kind}"] = part.contiguous()
    return out
