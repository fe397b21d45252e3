"""What is printed: JSON lines for scripts, and foreign text made harmless for terminals."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import asdict, is_dataclass
from typing import Any


def plain(text: str, limit: int = 400) -> str:
    """Return a text on one line without control characters and direction overrides, at most `limit` long."""
    shown = "".join(" " if c in "\n\r\t" else c for c in text)
    shown = "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cs") or c in _OVERRIDES else c for c in shown)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


_OVERRIDES = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def emit(event: str, facts: Any) -> None:
    """Print one event. `facts` is a mapping or a dataclass; times and paths become text."""
    plain = asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else dict(facts)
    print(json.dumps({"event": event} | plain, ensure_ascii=False, default=str), flush=True)
