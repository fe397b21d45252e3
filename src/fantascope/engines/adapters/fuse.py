"""Adds adapters to the weights of a checkpoint folder for good; the result is a folder that can be added as a model."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.engines.adapters.apply import Item, share_of, tensors_of
from fantascope.engines.adapters.delta import Delta, Floats
from fantascope.engines.adapters.tree import NESTED
from fantascope.engines.folder import export_folder
from fantascope.engines.identify import MADE_FROM, OF_HUB
from fantascope.engines.safefile import SafeFile
from fantascope.engines.weights import Place, open_place
from fantascope.errors import InvalidValue, LicenceMissing, StorageError, Unsupported
from fantascope.settings import Settings
from fantascope.spec import Spec

Change = Callable[[Floats], Floats]


def base_weights(spec: Spec, settings: Settings) -> Callable[[str, str], Floats]:
    """Return a look-up of a base's weights by part and module, for adapters whose difference follows from them.

    Raises (when asked):
        Unsupported: the base is one file in the original layout, or the part is in the compact form.
    """
    place = open_place(spec.source, settings)
    known: dict[str, dict[str, SafeFile]] = {}

    def look(part: str, module: str) -> Floats:
        if part not in known:
            known[part] = _tensors(place, part, spec)
        name = f"{module}.weight"
        return known[part][name].read(_stored(known[part][name], name)).astype(np.float32)

    return look


def _tensors(place: Place, part: str, spec: Spec) -> dict[str, SafeFile]:
    if place.single or any(name.endswith(".int8.safetensors") for name in place.weights_of(part)):
        raise Unsupported(f"The weights of {spec.name!r} are not a folder of plain tensors.", param="base")
    files = [SafeFile.open(place.path(name)) for name in place.weights_of(part)]
    return {name.removeprefix(NESTED): file for file in files for name in file.tensors}


def _stored(file: SafeFile, name: str) -> str:
    return name if name in file.tensors else NESTED + name


def fuse_folder(
    spec: Spec,
    adapters: Sequence[Item],
    out: Path,
    settings: Settings,
    licence: str = "",
) -> Path:
    """Write a diffusers folder of a model with adapters added to its weights; every weight is rounded once.

    Args:
        licence: SPDX id of the result; needed where base and adapters do not all have the same.

    Returns:
        The folder. `adapters.json` in it says what it was made from, by hash.

    Raises:
        InvalidValue: the folder exists.
        LicenceMissing: it is not clear under what licence the result is.
        Unsupported: the model is no diffusers folder, or one with a delta; or an adapter changes no weights.
        StorageError: it cannot be written.
    """
    _check(spec, adapters, out)
    licences = {spec.licence.spdx, *(adapter.licence.spdx for _, adapter, _ in adapters)}
    if not licence and len(licences) > 1:
        raise LicenceMissing(
            f"Base and adapters are under {', '.join(sorted(licences))}: say under what licence the result is.",
            param="licence",
            hint="--licence SPDX-ID",
        )
    beside = out.with_name(f".{out.name}.{os.getpid()}.fuse")
    try:
        export_folder(spec, beside, settings)
        _add(Place(beside.resolve(), beside.resolve()), adapters)
        _papers(beside, spec, adapters, licence or licences.pop())
        beside.rename(out)
    except OSError as error:
        raise StorageError(f"{out} cannot be written: {error.strerror}.", param="out") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return out


def _check(spec: Spec, adapters: Sequence[Item], out: Path) -> None:
    if out.exists():
        raise InvalidValue(f"{out} exists; fusing makes a new folder.", param="out")
    if spec.delta is not None:
        raise Unsupported(f"{spec.name!r} is itself a difference from other weights; fuse into those.", param="base")
    for _, adapter, parsed in adapters:
        if parsed.vectors:
            raise Unsupported(f"{adapter.name!r} is a textual inversion and changes no weights.", param="names")


def _add(place: Place, adapters: Sequence[Item]) -> None:
    """Rewrite the weight files of a folder."""
    for part, changes in changes_of(adapters).items():
        for file in place.weights_of(part):
            rewrite(place.path(file), changes)


def changes_of(adapters: Sequence[Item]) -> dict[str, dict[str, Change]]:
    """Return part -> tensor -> what adapters make of it."""
    found: dict[str, dict[str, list[tuple[Delta, float]]]] = {}
    for applied, _, parsed in adapters:
        for delta in parsed.deltas:
            factor = applied.weight * share_of(delta, applied.blocks)
            for name, _ in tensors_of(delta) if factor != 0 else ():
                found.setdefault(delta.part, {}).setdefault(name, []).append((delta, factor))
    return {
        part: {name: _change(each, name.endswith(".bias")) for name, each in layers.items()}
        for part, layers in found.items()
    }


def _change(each: Sequence[tuple[Delta, float]], bias: bool) -> Change:
    """Return a function from a weight to its sum with what adapters add, in float32."""

    def change(weight: Floats) -> Floats:
        added = (delta.bias() if bias else delta.weight(lambda: weight) for delta, _ in each)
        total = weight.copy()
        for (_, factor), one in zip(each, added, strict=True):
            assert one is not None
            total += np.float32(factor) * one.reshape(weight.shape)
        return total

    return change


def rewrite(path: Path, changes: Mapping[str, Change]) -> None:
    """Change tensors of a safetensors file, each in its own number format; everything else keeps its bytes.

    Args:
        changes: Name, without a leading `text_model.`, -> what becomes of the tensor.
    """
    file, draft = SafeFile.open(path), path.with_name(f".{path.name}.new")
    first = min(entry.start for entry in file.tensors.values())
    with path.open("rb") as source, draft.open("wb") as target:
        target.write(source.read(first))
        for name, entry in sorted(file.tensors.items(), key=lambda item: item[1].start):
            change = changes.get(name.removeprefix(NESTED))
            if change is None:
                source.seek(entry.start)
                target.write(source.read(entry.length))
            else:
                target.write(_bytes(change(file.read(name).astype(np.float32)), entry.dtype))
    draft.replace(path)


def _bytes(array: Floats, dtype: str) -> bytes:
    if dtype == "BF16":  # to the nearest, ties to even
        bits = np.ascontiguousarray(array, np.float32).view(np.uint32)
        return ((bits + (0x7FFF + (bits >> 16 & 1))) >> 16).astype("<u2").tobytes()
    kinds: dict[str, npt.DTypeLike] = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}
    return array.astype(kinds[dtype]).tobytes()


def _papers(folder: Path, spec: Spec, adapters: Sequence[Item], licence: str) -> None:
    """Write what a fused folder was made from."""
    used: list[dict[str, Any]] = [
        {
            "name": one.name,
            "sha256": one.sha256,
            "weight": applied.weight,
            "licence": one.licence.spdx,
            "doubts": one.doubts,
        }
        for applied, one, _ in adapters
    ]
    facts = {
        "base": spec.name,
        "source": spec.source.split("/")[-1],
        "licence": spec.licence.spdx,
        "weights": spec.weights,
    }
    (folder / MADE_FROM).write_text(json.dumps({"base": facts, "adapters": used}, indent=2) + "\n", "utf-8")
    front = {spdx: name for name, spdx in OF_HUB.items()}.get(licence, "other")
    rows = [f"| {one['name']} | {one['weight']:g} | {one['licence']} | {one['sha256']} |" for one in used]
    table = "\n".join(["| adapter | weight | licence | sha256 |", "|---|---|---|---|", *rows])
    text = f"---\nlicense: {front}\n---\n\n# {spec.title}, with adapters\n\nLicence: {licence}\n\n{table}\n"
    (folder / "README.md").write_text(text, "utf-8")
