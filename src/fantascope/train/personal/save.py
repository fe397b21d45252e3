"""What a lesson leaves: an adapter file, or a checkpoint folder of its own."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from fantascope.engines.lora import BASE
from fantascope.errors import ModelError, StorageError, Unsupported
from fantascope.spec import FEW, Licence, Spec
from fantascope.train.checkpoint import hash_weights, write_module
from fantascope.train.personal.base import Base
from fantascope.train.personal.learn import Pupil
from fantascope.train.personal.lora import factors

RECORD = "fantascope.json"
LESSON = "lesson.json"

INVERSIONS = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}
"""Component -> key of its vectors, where a base has two text encoders."""


def write_adapter(learner: Pupil, base: Base, path: Path, facts: dict[str, Any]) -> Path:
    """Write what was learnt as a safetensors file in the layout of diffusers and peft; alpha is in the factors.

    Args:
        facts: What its metadata say beside the base's hash; values that are no text are written as JSON.

    Raises:
        StorageError: The disk is full.
    """
    if learner.word is not None:
        own = {part: value.detach().float().cpu().contiguous() for part, value in learner.word.own.items()}
        keys = INVERSIONS if len(own) > 1 else dict.fromkeys(own, learner.word.name)
        tensors = {keys[part]: value for part, value in own.items()}
    else:
        tensors = {}
        for part, layers in learner.layers.items():
            tensors |= factors(layers, f"{part}.")
    _finite(tensors)
    told = {"format": "pt", BASE: base.unet_hash, "modelspec.title": str(facts["trigger"])}
    told |= {"modelspec.trigger_phrase": str(facts["trigger"]), "modelspec.license": str(facts["licence"])}
    told |= {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
    new = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(_ordered(save(tensors, metadata=told)))
        new.replace(path)
    except OSError as error:
        new.unlink(missing_ok=True)
        raise StorageError(f"{path} cannot be written: {error}; the training itself is saved.") from error
    return path


def _ordered(data: bytes) -> bytes:
    """A safetensors file with its metadata in order: the library writes them in another order every time."""
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]


def _finite(tensors: dict[str, Tensor]) -> None:
    for name, value in tensors.items():
        if not torch.isfinite(value).all():
            raise ModelError(f"What was learnt for {name} is no number any more; lower the rate.", param="rate")


def write_checkpoint(base: Base, folder: Path, name: str, licence: str, facts: dict[str, Any]) -> Spec:
    """Write the base with its taught UNet as a folder of its own, and return its Spec, which is also in the folder.

    Graphs that run without torch are written where the base had them; a LoRA file for few steps was made for the base's
    weights and is left out.

    Raises:
        Unsupported: The base is one file: a folder is needed.
        StorageError: The disk is full; nothing is left of the new folder.
    """
    source = Path(base.folder)
    if not source.is_dir():
        raise Unsupported(
            f"{base.spec.name!r} is a single file, and DreamBooth writes a folder from a folder.",
            param="method",
            hint="--method lora, or a base that is a folder (fantascope models add dir:… or hub:…)",
        )
    new = folder.with_name(f".{folder.name}.new")
    try:
        shutil.rmtree(new, ignore_errors=True)
        left = shutil.ignore_patterns("*.onnx", "few", "control", "*.new", RECORD, "attribution.npz")
        shutil.copytree(source, new, ignore=lambda at, names: {*left(at, names), *_weights_in(source, at, names)})
        write_module(base.parts.unet, new / "unet")
        graphs = any((source / "unet").glob("*.onnx"))
        if graphs:
            _export(new)
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
        consent = consent_of(facts["consent"], facts.get("people", ""))
        notes = f"{base.spec.name}, taught {facts['trigger']!r}. Consent: {consent}. Lesson: {digest[:16]}."
        spec = base.spec.model_copy(
            update={
                "name": name,
                "title": f"{base.spec.title}, taught {name}",
                "source": f"dir:{folder}",
                "licence": Licence(spdx=licence, conditions=_conditions(base.spec, licence)),
                "weights": hash_weights(new),
                "delta": None,
                "refiner": None,
                "card": None,
                "notes": notes,
            }
        )
        (new / RECORD).write_text(spec.model_dump_json(indent=2) + "\n", "utf-8")
        (new / LESSON).write_text(json.dumps(facts, indent=2, sort_keys=True) + "\n", "utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        new.replace(folder)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(new, ignore_errors=True)
        raise StorageError(f"{folder} cannot be written: {error}; the training itself is saved.") from error
    return spec


def consent_of(consent: str, people: str) -> str:
    """What the record says of consent: the sentence given, and who is shown and agrees, if that was said."""
    return f"{consent.strip().rstrip('.')}. People: {people.strip()}" if people.strip() else consent


def _weights_in(source: Path, at: str, names: list[str]) -> set[str]:
    """The weights of the UNet's folder: they are written anew."""
    return {name for name in names if Path(at) == source / "unet" and name != "config.json"}


def _export(folder: Path) -> None:
    """Write the graphs, if what writes them is installed; without them the folder runs on torch."""
    try:
        from fantascope.train.export import export_graphs
    except ImportError:
        return
    assert not (folder / FEW).exists()
    export_graphs(folder)


def _conditions(spec: Spec, licence: str) -> str | None:
    if spec.licence.spdx == licence:
        return spec.licence.conditions
    told = f"; {spec.licence.conditions}" if spec.licence.conditions else ""
    return f"Fine-tuned from {spec.title}, whose licence {spec.licence.spdx} also holds{told}"
