"""Writes adapters: in kohya's layout, which holds every kind as it is, or in that of diffusers and peft.

diffusers' layout holds products of two factors and no scales, so the scale goes into the second factor: exactly where
it is a power of two, else in float32, rounded once.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import frexp
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.adapter import Adapter
from fantascope.engines.adapters.delta import DECOMPOSED, Delta
from fantascope.engines.adapters.read import PEFT, Parsed
from fantascope.engines.adapters.tree import NESTED
from fantascope.engines.folder import write_safetensors
from fantascope.errors import InvalidValue, StorageError, UnknownName, Unsupported

Tensors = dict[str, npt.NDArray[Any]]

ENDS = {"down": "lora_down.weight", "up": "lora_up.weight", "mid": "lora_mid.weight", "magnitude": "dora_scale"}
"""Factors whose name in kohya's layout is another."""


def kohya(parsed: Parsed, family: str) -> Tensors:
    """Return an adapter's tensors in kohya's and LyCORIS's layout, which A1111, Forge and ComfyUI read."""
    if parsed.vectors:
        return _inversion(parsed)
    out: Tensors = {}
    for delta in parsed.deltas:
        head = _joined(delta, family)
        for factor in delta.shapes:
            array = delta.read(factor)
            if factor in DECOMPOSED and array.size == delta.layer.weight[0]:
                array = array.reshape(-1, *[1] * (len(delta.layer.weight) - 1))
            out[f"{head}.{ENDS.get(factor, factor)}"] = array
        if delta.rank is not None:
            out[f"{head}.alpha"] = np.array(delta.scale * delta.rank, np.float32)
    return out


def _joined(delta: Delta, family: str) -> str:
    """Return the name of a layer in kohya's layout."""
    name = delta.module.replace(".", "_")
    if delta.part == "unet":
        return f"lora_unet_{name}"
    number = "" if family != "sdxl" else "1" if delta.part == "text_encoder" else "2"
    return f"lora_te{number}_{'' if family == 'embedded' else 'text_model_'}{name}"


def diffusers(parsed: Parsed, family: str, word: str = "") -> Tensors:
    """Return an adapter's tensors in the layout that `load_lora_weights` (or `load_textual_inversion`) reads.

    Args:
        word: Of a textual inversion.

    Raises:
        Unsupported: a layer is no product of two factors; it is named.
    """
    if parsed.vectors:
        return _inversion(parsed, word)
    out: Tensors = {}
    for delta in parsed.deltas:
        nested = NESTED if delta.part != "unet" and family != "embedded" else ""
        head = f"{delta.part}.{nested}{delta.module}"
        by_rows = "magnitude" in delta.shapes or delta.shapes.get("dora_scale", (1,))[0] == delta.layer.weight[0]
        if delta.kind != "lora" or "diff_b" in delta.shapes or (delta.decomposed and not by_rows):
            raise Unsupported(
                f"{delta.part} {delta.module} is no plain product of two factors, and the layout of diffusers holds "
                "nothing else.",
                param="layout",
                hint="fantascope adapters merge NAME --method svd --rank 16 --name NEW, then export that; or kohya.",
            )
        up, down = delta.read("up"), delta.read("down")
        if "mid" in delta.shapes:
            flat = delta.get("down").reshape(len(down), -1)
            down = np.einsum("ij...,jr->ir...", delta.get("mid"), flat, optimize=True)
        out[f"{head}.lora_A.weight"] = down
        out[f"{head}.lora_B.weight"] = _scaled(up, delta.scale)
        for factor in DECOMPOSED:
            if factor in delta.shapes:
                shape = (-1,) if len(delta.layer.weight) == 2 else (1, -1, 1, 1)
                out[f"{head}.lora_magnitude_vector"] = delta.read(factor).reshape(shape)
    return out


def _scaled(factor: npt.NDArray[Any], scale: float) -> npt.NDArray[Any]:
    """Multiply, in the factor's own format where nothing is lost by it."""
    wide = factor.astype(np.float32) * np.float32(scale)
    own = wide.astype(factor.dtype)
    exact = abs(frexp(scale)[0]) == 0.5 and bool((own.astype(np.float32) == wide).all())
    return own if exact else wide


def _inversion(parsed: Parsed, word: str = "") -> Tensors:
    if len(parsed.vectors) == 1:
        return {word or "emb_params": next(iter(parsed.vectors.values()))}
    return {{"text_encoder": "clip_l"}.get(part, "clip_g"): vectors for part, vectors in parsed.vectors.items()}


LAYOUTS: dict[str, Callable[[Parsed, Adapter], Tensors]] = {
    "kohya": lambda parsed, adapter: kohya(parsed, adapter.family),
    "diffusers": lambda parsed, adapter: diffusers(
        parsed, adapter.family, adapter.trigger[0] if adapter.tokens else ""
    ),
}
"""Layout -> how an adapter is written in it."""


def export_adapter(parsed: Parsed, adapter: Adapter, layout: str, out: Path) -> Path:
    """Write an adapter of the collection to a new file; its metadata are kept, licence and words added if not there.

    Raises:
        UnknownName: no such layout.
        InvalidValue: the file exists, or its name does not end in `.safetensors`.
        Unsupported: the layout cannot hold this adapter.
        StorageError: it cannot be written.
    """
    if layout not in LAYOUTS:
        raise UnknownName("layout", layout, LAYOUTS, param="layout")
    if out.suffix != ".safetensors":
        raise InvalidValue(f"An adapter is a .safetensors file, not {out.name!r}.", param="out")
    if out.exists():
        raise InvalidValue(f"{out} exists; an export makes a new file.", param="out")
    more = {"modelspec.license": adapter.licence.spdx, "ss_output_name": adapter.name}
    if adapter.trigger:
        more["modelspec.trigger_phrase"] = ", ".join(adapter.trigger)
    if adapter.consent:
        more["fantascope.consent"] = adapter.consent
    metadata = {key: value for key, value in (more | adapter.metadata).items() if key != PEFT}
    write_whole(out, LAYOUTS[layout](parsed, adapter), metadata)
    return out


def write_whole(path: Path, tensors: Tensors, metadata: Mapping[str, str]) -> None:
    """Write a safetensors file that appears whole or not at all.

    Raises:
        StorageError: it cannot be written.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_safetensors(draft, tensors, dict(metadata))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror}.", param="out") from error
