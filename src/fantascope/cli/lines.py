"""JSON lines: one object a line, for scripts."""

from __future__ import annotations

import json
from dataclasses import asdict, is_dataclass
from typing import Any


def emit(event: str, facts: Any) -> None:
    """Print one event. `facts` is a mapping or a dataclass; times and paths become text."""
    plain = asdict(facts) if is_dataclass(facts) and not isinstance(facts, type) else dict(facts)
    print(json.dumps({"event": event} | plain, ensure_ascii=False, default=str), flush=True)
