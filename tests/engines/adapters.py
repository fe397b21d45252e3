"""Makes adapter files in every layout from one set of factors, so that what is read can be held to what was written."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from tests.engines import tiny, tiny_ldm

from fantascope.engines.adapters.tree import Tree, tree_of
from fantascope.engines.folder import write_safetensors
from fantascope.settings import Settings
from fantascope.spec import Spec

FAMILIES = {"sd1": tiny.sd, "sdxl": tiny.xl, "embedded": tiny.embedded}
Factors = dict[tuple[str, str], tuple[np.ndarray, np.ndarray]]


def spec(family: str) -> Spec:
    """Return the Spec of a tiny checkpoint, named after its family."""
    return tiny.spec_of(FAMILIES[family](), family, name=f"tiny-{family}")


def registered(family: str, settings: Settings) -> Spec:
    """Put the Spec of a tiny checkpoint in a studio's catalogue."""
    made = spec(family)
    settings.models.mkdir(parents=True, exist_ok=True)
    (settings.models / f"{made.name}.json").write_text(made.model_dump_json(), "utf-8")
    return made


@cache
def tree(family: str) -> Tree:
    """Return the layers of a tiny checkpoint."""
    return tree_of(spec(family), Settings(home=tiny.ROOT / "home"))


def factors(family: str, rank: int = 3, seed: int = 0, text: bool = True, wide: bool = True) -> Factors:
    """Return random factors (down, up) for projections, convolutions (`wide`), text encoders (`text`) of a family."""
    random, out = np.random.default_rng(seed), {}
    ends = ("to_q", "to_k", "to_v", "to_out.0", "proj_in", "net.0.proj", *(("conv1", "conv_shortcut") if wide else ()))
    words = ("q_proj", "out_proj", "fc1", "query", "value") if text else ()
    for part, layers in tree(family).parts.items():
        for name, layer in layers.items():
            if name.endswith(ends if part == "unet" else words) and len(layer.weight) in (2, 4):
                rows, *columns = layer.weight
                down = random.standard_normal((rank, *columns)).astype(np.float32)
                up = random.standard_normal((rows, rank, *[1] * (len(columns) - 1))).astype(np.float32) * 0.1
                out[part, name] = down, up
    return out


def product(down: np.ndarray, up: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return what two factors add."""
    return (up.reshape(len(up), -1) @ down.reshape(len(down), -1)).reshape(shape)


def diffusers(family: str, pairs: Factors, **_: Any) -> dict[str, np.ndarray]:
    """Name factors as diffusers does; there is no alpha in it."""
    nested = "" if family == "embedded" else "text_model."
    out = {}
    for (part, name), (down, up) in pairs.items():
        head = f"{part}.{name}" if part == "unet" else f"{part}.{nested}{name}"
        out |= {f"{head}.lora_A.weight": down, f"{head}.lora_B.weight": up}
    return out


def old(family: str, pairs: Factors, **_: Any) -> dict[str, np.ndarray]:
    """Name factors as diffusers once did: `processor.to_q_lora.down`, `to_out_lora`, `lora.down`."""
    out = {}
    theirs = {"q_proj": "to_q_lora", "out_proj": "to_out_lora", "fc1": "fc1.lora_linear_layer"}
    for (part, name), (down, up) in pairs.items():
        stem, last = name.rsplit(".", 1)
        if part == "unet" and last in ("to_q", "to_k", "to_v"):
            head = f"unet.{stem}.processor.{last}_lora"
        elif part == "unet" and name.endswith("to_out.0"):
            head = f"unet.{stem.removesuffix('.to_out')}.processor.to_out_lora"
        elif part != "unet" and last in theirs:
            head = f"{part}.text_model.{stem}.{theirs[last]}"
        else:
            head = f"{part}.{name}.lora"
        out |= {f"{head}.down.weight": down, f"{head}.up.weight": up}
    return out


def kohya(family: str, pairs: Factors, alpha: float | None = None) -> dict[str, np.ndarray]:
    """Name factors as kohya's trainer does for SD 1.x, after diffusers' modules."""
    out = {}
    nested = "" if family == "embedded" else "text_model_"
    numbers = {"text_encoder": "1", "text_encoder_2": "2"} if family == "sdxl" else {"text_encoder": ""}
    for (part, name), (down, up) in pairs.items():
        prefix = "lora_unet_" if part == "unet" else f"lora_te{numbers[part]}_{nested}"
        head = prefix + name.replace(".", "_")
        out |= {f"{head}.lora_down.weight": down, f"{head}.lora_up.weight": up}
        if alpha is not None:
            out[f"{head}.alpha"] = np.array(alpha, np.float32)
    return out


def original(family: str, pairs: Factors, alpha: float | None = None) -> dict[str, np.ndarray]:
    """Name factors as kohya's trainer does for SDXL, after the modules of the original UNet."""
    named = names_of_original(family)
    out = {}
    for (part, name), (down, up) in pairs.items():
        if part != "unet":
            out |= kohya(family, {(part, name): (down, up)}, alpha)
            continue
        head = f"lora_unet_{named[name].replace('.', '_')}"
        out |= {f"{head}.lora_down.weight": down, f"{head}.lora_up.weight": up}
        if alpha is not None:
            out[f"{head}.alpha"] = np.array(alpha, np.float32)
    return out


@cache
def names_of_original(family: str) -> dict[str, str]:
    """Return diffusers' module names -> those of the original UNet, by the renaming that is the tests' own."""
    model = (tiny.xl_parts() if family == "sdxl" else tiny.sd_parts(1))["unet"]
    theirs = [name.removeprefix("model.diffusion_model.") for name in tiny_ldm.unet(model)]
    pairs = zip(model.state_dict(), theirs, strict=True)
    return {ours.rsplit(".", 1)[0]: other.rsplit(".", 1)[0] for ours, other in pairs}


def comfy(family: str, pairs: Factors, **_: Any) -> dict[str, np.ndarray]:
    """Name factors after the original UNet with dots, as ComfyUI does; text encoders as diffusers."""
    named, out = names_of_original(family), {}
    for where, (down, up) in pairs.items():
        if where[0] == "unet":
            head = f"diffusion_model.{named[where[1]]}"
            out |= {f"{head}.lora_A.weight": down, f"{head}.lora_B.weight": up}
        else:
            out |= diffusers(family, {where: (down, up)})
    return out


LAYOUTS = {"comfy": comfy, "diffusers": diffusers, "old": old, "kohya": kohya, "original": original}


def written(path: Path, tensors: dict[str, np.ndarray], **metadata: str) -> Path:
    """Write tensors as a file."""
    write_safetensors(path, tensors, metadata)
    return path
