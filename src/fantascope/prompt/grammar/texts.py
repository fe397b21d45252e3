"""Texts between marks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any


def merged(parts: Iterable[Any]) -> list[Any]:
    """Return texts and marks in turn, from a text to a text: neighbouring texts are one, and missing ones are empty."""
    out: list[Any] = []
    run: list[str] = []
    for part in parts:
        if isinstance(part, str):
            run.append(part)
            continue
        out += ["".join(run), part]
        run = []
    out.append("".join(run))
    return out
