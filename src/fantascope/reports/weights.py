"""Where the weights of a model are on this machine, and how many bytes they take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from fantascope.settings import Settings
from fantascope.spec import Spec


def files_of(spec: Spec, settings: Settings) -> dict[str, Path] | None:
    """Return the weights files of a model by name, or None when it is not on this machine. Nothing is downloaded."""
    from fantascope.engines.weights import open_place
    from fantascope.errors import ModelError

    if spec.family in ("echo", "annotator"):
        return {}
    try:
        place = open_place(spec.source, replace(settings, offline=True))
    except ModelError:
        return None
    if place.single:
        return {place.root.name: place.root}
    files = [path for kind in ("*.safetensors", "*.onnx") for path in sorted(place.root.rglob(kind))]
    return {path.relative_to(place.root).as_posix(): path for path in files}


def bytes_of(spec: Spec, settings: Settings) -> int | None:
    """Return the bytes of the weights of a model; None when it is not on this machine."""
    files = files_of(spec, settings)
    return None if files is None else sum(file.stat().st_size for file in files.values())
