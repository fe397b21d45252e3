"""Reads an adapter file of any known layout into one normal form: what is added to which layer of a base.

Nothing is believed: every key has to name a layer that the base has, every factor has to fit it, and every number has
to be one. What does not fit is refused by name, and no part of such a file is applied.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from fantascope.adapter import Method
from fantascope.engines.adapters.delta import Delta, Floats, Misfit, kind_of
from fantascope.engines.adapters.names import Names
from fantascope.engines.adapters.tree import PARTS, Tree
from fantascope.engines.safefile import CONVERT, SafeFile
from fantascope.engines.weights import PICKLES, read_config
from fantascope.errors import BrokenModelFile, InvalidValue, UnsafeModelFile

log = logging.getLogger(__name__)

PEFT = "lora_adapter_metadata"
"""Entry of the metadata in which diffusers keeps peft's configurations."""

CONFIG = "adapter_config.json"
"""File beside a file of peft's own that holds its configuration."""

INVERSIONS = {"emb_params": None, "clip_l": "text_encoder", "clip_g": "text_encoder_2"}
"""Keys of textual inversions -> the text encoder meant; None is the one whose width fits."""

Scaling = Mapping[str, Mapping[str, Any]]
"""Part, or "" for every part -> `lora_alpha`, `use_rslora` and `alpha_pattern` of a peft configuration."""


@dataclass(frozen=True)
class Parsed:
    """An adapter in normal form.

    Attributes:
        file: The checked file.
        deltas: What it adds, layer by layer, in the order of the file.
        vectors: Text encoder -> `(K, width)`, what stands for the word of a textual inversion.
        word: The word that the file itself names for them, if it does.
    """

    file: SafeFile
    deltas: tuple[Delta, ...] = ()
    vectors: Mapping[str, Floats] = field(default_factory=dict)
    word: str | None = None

    @property
    def method(self) -> Method:
        """How it changes weights, in one word."""
        if self.vectors:
            return "textual-inversion"
        kinds = {delta.kind for delta in self.deltas}
        if kinds != {"lora"}:
            return "mixed" if len(kinds) > 1 else kinds.pop()  # type: ignore[return-value]
        if any(delta.decomposed for delta in self.deltas):
            return "dora"
        wide = any(prod(delta.layer.weight[2:]) > 1 for delta in self.deltas)
        return "locon" if wide else "lora"

    @property
    def ranks(self) -> tuple[int, ...]:
        """Every rank in it, rising."""
        return tuple(sorted({delta.rank for delta in self.deltas if delta.rank is not None}))

    @property
    def alpha(self) -> float | None:
        """The alpha of all its layers, None where they differ or state none."""
        found = {delta.alpha for delta in self.deltas if delta.rank is not None}
        return found.pop() if len(found) == 1 else None

    @property
    def parts(self) -> tuple[str, ...]:
        """The networks it changes."""
        touched = {delta.part for delta in self.deltas} | set(self.vectors)
        return tuple(part for part in PARTS if part in touched)


def open_file(path: Path) -> SafeFile:
    """Check an adapter file's header and form.

    Raises:
        UnsafeModelFile: it is a pickle, by its name or by what is in it.
        BrokenModelFile: it is truncated, lies about itself, or holds nothing.
        ModelNotFound: there is no such file.
    """
    if path.suffix.lower() in PICKLES:
        raise UnsafeModelFile(f"{path} is a {path.suffix} file, and loading one can run any code.", hint=CONVERT)
    file = SafeFile.open(path)
    if not file.tensors:
        raise BrokenModelFile(f"{path} holds no weights.")
    for name, entry in file.tensors.items():
        if entry.dtype not in ("F16", "BF16", "F32", "F64"):
            raise BrokenModelFile(f"{path}: {name!r} is {entry.dtype}; F16, BF16, F32 and F64 are read.")
    return file


def parse(file: SafeFile, tree: Tree, scaling: Scaling | None = None) -> Parsed:
    """Read a checked file against the layers of a base.

    Args:
        scaling: What a peft configuration says; where None, what the file's metadata says.

    Raises:
        InvalidValue: a layer is not in the base, or has another shape there; it is named.
        BrokenModelFile: factors lack each other, or do not fit each other.
        Unsupported: a key is of a kind that is not read.
    """
    inversion = _inversion(file, tree)
    if inversion is not None:
        return inversion
    said = scaling if scaling is not None else scaling_of(file)
    names, found = Names(tree, _made_for(file.metadata)), dict[tuple[str, str], dict[str, str]]()
    for key in file.tensors:
        part, module, factor = names.place(key, file.path)
        factors = found.setdefault((part, module), {})
        if factor in factors:
            raise BrokenModelFile(f"{file.path} names one factor twice: {factors[factor]!r} and {key!r}.")
        factors[factor] = key
    deltas = [_delta(file, tree, where, factors, said) for where, factors in found.items()]
    return Parsed(file, tuple(deltas))


def _delta(file: SafeFile, tree: Tree, where: tuple[str, str], keys: dict[str, str], scaling: Scaling) -> Delta:
    (part, module), layer = where, tree.parts[where[0]][where[1]]
    stated = keys.pop("alpha", None)
    shapes = {factor: file.tensors[key].shape for factor, key in keys.items()}
    try:
        kind = kind_of(frozenset(shapes))
        alpha, rooted = _alpha(file, stated), False
        if stated is None:
            alpha, rooted = _configured(scaling, part, module)
        delta = Delta(
            part=part,
            module=module,
            kind=kind,
            layer=layer,
            shapes=shapes,
            read=lambda factor: file.read(keys[factor]),
            alpha=alpha,
            rooted=rooted,
        )
        delta.check()
    except Misfit as error:
        key = next(iter(keys.values()), stated)
        raise InvalidValue(
            f"{file.path} does not fit {tree.name!r}: {part} {module} ({key}) {error}.", param="base"
        ) from None
    return delta


def _alpha(file: SafeFile, key: str | None) -> float | None:
    """Read an alpha; 0 means the rank, as it does for kohya's trainer."""
    if key is None:
        return None
    values = file.read(key).reshape(-1)
    if values.size != 1 or not np.isfinite(values[0]):
        raise BrokenModelFile(f"{file.path}: {key!r} is no number.")
    return float(values[0]) if values[0] != 0 else None


def _configured(scaling: Scaling, part: str, module: str) -> tuple[float | None, bool]:
    """Return alpha and whether the scale is rooted, as a peft configuration has them for a layer."""
    said = scaling.get(part, scaling.get("", {}))
    pattern: Mapping[str, Any] = said.get("alpha_pattern") or {}
    own = next((value for name, value in pattern.items() if module == name or module.endswith(f".{name}")), None)
    alpha = own if own is not None else said.get("lora_alpha")
    return (float(alpha) if alpha is not None else None), bool(said.get("use_rslora"))


def scaling_of(file: SafeFile, beside: Path | None = None) -> dict[str, dict[str, Any]]:
    """Return what the metadata, or a peft configuration in the folder `beside`, says of alpha.

    Raises:
        BrokenModelFile: it is there and no configuration.
    """
    if PEFT in file.metadata:
        try:
            packed = json.loads(file.metadata[PEFT])
        except (ValueError, RecursionError) as error:
            raise BrokenModelFile(f"{file.path}: its {PEFT} is no JSON: {error}") from None
        if not isinstance(packed, dict):
            raise BrokenModelFile(f"{file.path}: its {PEFT} is no object.")
        out: dict[str, dict[str, Any]] = {}
        for key, value in packed.items():
            part, _, name = str(key).partition(".")
            out.setdefault(part, {})[name] = value
        return {part: _kept(said, file.path) for part, said in out.items() if part in PARTS}
    path = beside / CONFIG if beside is not None else None
    if path is not None and path.is_file():
        return {"": _kept(read_config(path), path)}
    return {}


def _kept(said: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return what bears on scale, checked."""
    out: dict[str, Any] = {}
    alpha, pattern = said.get("lora_alpha"), said.get("alpha_pattern") or {}
    values = [*([alpha] if alpha is not None else []), *(pattern.values() if isinstance(pattern, dict) else [None])]
    if not all(type(value) in (int, float) and np.isfinite(value) for value in values):
        raise BrokenModelFile(f"{path}: the alphas of its peft configuration are no numbers.")
    if alpha is not None:
        out["lora_alpha"] = float(alpha)
    if said.get("use_rslora"):
        out["use_rslora"] = True
    if pattern:
        out["alpha_pattern"] = {str(name): float(value) for name, value in pattern.items()}
    return out


def check_numbers(file: SafeFile) -> None:
    """Read every tensor once.

    Raises:
        BrokenModelFile: one of them holds a NaN or an infinity.
    """
    for name in file.tensors:
        if not np.isfinite(file.read(name)).all():
            raise BrokenModelFile(f"{file.path}: {name!r} holds numbers that are not finite (NaN or infinity).")


def _made_for(metadata: Mapping[str, str]) -> str:
    """Return what a file says it was made for."""
    names = ("modelspec.architecture", "ss_base_model_version", "ss_sd_model_name")
    return next((metadata[name][:60] for name in names if metadata.get(name)), "")


def _inversion(file: SafeFile, tree: Tree) -> Parsed | None:
    """Read a textual inversion, or return None if this is none."""
    names = list(file.tensors)
    known = set(names) <= set(INVERSIONS)
    lone = len(names) == 1 and len(file.tensors[names[0]].shape) <= 2
    if not known and not (lone and ("." not in names[0] or names[0].startswith("<"))):
        return None
    vectors = {}
    for name in names:
        found = file.read(name).astype(np.float32)
        found = found.reshape(-1, found.shape[-1]) if found.ndim else found.reshape(1, 1)
        vectors[_encoder(file, tree, name, found.shape[1])] = found
    counts = {len(each) for each in vectors.values()}
    encoders = [part for part in PARTS[1:] if part in tree.parts]
    if len(vectors) != len(names) or len(counts) != 1 or 0 in counts:
        raise BrokenModelFile(f"{file.path} does not hold as many vectors for each of its text encoders.")
    if known and "emb_params" not in names and set(vectors) != set(encoders):
        lacking = next((part for part in encoders if part not in vectors), "")
        raise InvalidValue(f"{file.path} does not fit {tree.name!r}: it has no vectors for {lacking}.", param="base")
    return Parsed(file, vectors=vectors, word=None if known else names[0])


def _encoder(file: SafeFile, tree: Tree, name: str, width: int) -> str:
    """Return the text encoder that a vector is for."""
    meant = INVERSIONS.get(name)
    fits = [part for part in PARTS[1:] if tree.width(part) == width]
    if meant in fits:
        return str(meant)
    if meant is None and fits:
        return fits[0]
    widths = ", ".join(f"{part} {tree.width(part)}" for part in PARTS[1:] if tree.width(part) is not None)
    raise InvalidValue(
        f"{file.path} does not fit {tree.name!r}: {name!r} has {width} numbers a token, and the base has {widths}.",
        param="base",
    )
