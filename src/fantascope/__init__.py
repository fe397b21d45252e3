"""Fantascope: one open, local studio that makes pictures from a prompt and can prove where they came from.

    from fantascope import Studio, Imagine

    for event in Studio().run(Imagine(prompt="a pink elephant on a blue background")):
        print(event)

`import fantascope` loads neither torch nor an inference runtime: names are resolved when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "Artifact": "fantascope.artifact",
    "Output": "fantascope.artifact",
    "Step": "fantascope.artifact",
    "FantascopeError": "fantascope.errors",
    "PolicyRefused": "fantascope.errors",
    "Gallery": "fantascope.gallery",
    "Receipt": "fantascope.receipt",
    "Verdict": "fantascope.receipt",
    "Annotate": "fantascope.request",
    "Blend": "fantascope.request",
    "Cutout": "fantascope.request",
    "Edit": "fantascope.request",
    "Erase": "fantascope.request",
    "Expand": "fantascope.request",
    "Fill": "fantascope.request",
    "Imagine": "fantascope.request",
    "Tile": "fantascope.request",
    "Upscale": "fantascope.request",
    "Vary": "fantascope.request",
    "Request": "fantascope.request",
    "parse_request": "fantascope.request",
    "Settings": "fantascope.settings",
    "SPECS": "fantascope.spec",
    "Spec": "fantascope.spec",
    "Studio": "fantascope.studio",
    "imagine": "fantascope.studio",
    "verify": "fantascope.provenance.verify",
}

__all__ = sorted([*_PUBLIC, "__version__"])


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fantascope' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
