"""Writing trained networks as an ordinary diffusers folder, with the hashes of every weights file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, ControlNetModel, UNet2DConditionModel
from safetensors.numpy import load_file as read_arrays
from safetensors.torch import load_file, save_file
from torch import nn

from fantascope.engines.compact import PACKED, expand
from fantascope.train.parts import schedule

WEIGHTS = "diffusion_pytorch_model.safetensors"

ENCODER = ("encoder.", "quant_conv.")
"""What the tensors of an autoencoder's encoder start with."""

INDEX: dict[str, Any] = {
    "_class_name": "StableDiffusionPipeline",
    "_diffusers_version": "0.38.0",
    "feature_extractor": [None, None],
    "image_encoder": [None, None],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "BertModel"],
    "tokenizer": ["transformers", "BertTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}


def write_module(model: UNet2DConditionModel | AutoencoderKL | ControlNetModel, folder: Path) -> None:
    """Write `config.json` and the weights in float16."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {key: value for key, value in model.config.items() if key not in ("_name_or_path", "_use_default_values")}
    config = {"_class_name": type(model).__name__, **config}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")
    state = {name: value.detach().half().contiguous() for name, value in model.state_dict().items()}
    new = folder / f"{WEIGHTS}.new"
    save_file(state, new, metadata={"format": "pt"})
    new.chmod(0o644)
    new.replace(folder / WEIGHTS)


def read_module(model: nn.Module, folder: Path) -> None:
    """Load float16 weights that `write_module` wrote into a model of the same layout, as float32."""
    state = load_file(folder / WEIGHTS)
    model.load_state_dict({name: value.to(torch.float32) for name, value in state.items()})


@torch.no_grad()
def borrow(model: nn.Module, folder: Path) -> list[str]:
    """Start a model from the weights of a folder, as far as they fit; return the names of those that only fit in part.

    A tensor of another shape gives its overlap (the first channels), the rest stays as it is.
    """
    packed = folder / PACKED
    state = (
        {k: torch.from_numpy(v) for k, v in expand(packed).items()} if packed.is_file() else load_file(folder / WEIGHTS)
    )
    partly = []
    for name, parameter in model.named_parameters():
        value = state.get(name)
        if value is None or value.ndim != parameter.ndim:
            partly.append(name)
            continue
        part = tuple(slice(min(have, want)) for have, want in zip(value.shape, parameter.shape, strict=True))
        parameter[part] = value[part].to(parameter)
        if value.shape != parameter.shape:
            partly.append(name)
    return partly


def write_frame(folder: Path) -> None:
    """Write what a diffusers folder needs around its parts: `model_index.json` and the scheduler."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model_index.json").write_text(json.dumps(INDEX, indent=2) + "\n", "utf-8")
    place = folder / "scheduler"
    place.mkdir(exist_ok=True)
    config = {key: value for key, value in schedule().config.items() if not key.startswith("_")}
    config = {"_class_name": "DDIMScheduler", **config}
    (place / "scheduler_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", "utf-8")


def hash_weights(folder: Path) -> dict[str, str]:
    """SHA-256 of every safetensors and ONNX file of a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".safetensors", ".onnx"))
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def hash_tensors(path: Path, prefixes: tuple[str, ...] = ("",)) -> str:
    """SHA-256 over name, type, shape and bytes of the tensors of a safetensors file that start with one of `prefixes`.

    Half an autoencoder has a hash of its own this way: a new decoder leaves the encoder's as it was.
    """
    digest = hashlib.sha256()
    for name, array in sorted(read_arrays(path).items()):
        if name.startswith(prefixes):
            digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()
