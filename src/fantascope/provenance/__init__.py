"""Where a picture comes from: an invisible mark, plain metadata, a signed manifest; written, read and verified.

`sealing` writes them in this order; `verify` judges what any PNG, JPEG or WebP file says of itself.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {"mark_pixels": "sealing", "pixels_hash": "sealing", "seal": "sealing", "signed_record": "verify"}

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    globals()[name] = value
    return value
