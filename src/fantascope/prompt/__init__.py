"""Prompts and what people say about them: reading an edit instruction about a picture whose prompt is known.

Example:
    >>> read_instruction("change the dog to a cat", "a dog on the grass", embed).after
    'a cat on the grass'
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_PUBLIC = {
    "KINDS": "fantascope.prompt.instruct.reading",
    "LONGEST": "fantascope.prompt.instruct.read",
    "LONGEST_PROMPT": "fantascope.prompt.instruct.read",
    "PLACES": "fantascope.prompt.instruct.reading",
    "Embed": "fantascope.prompt.instruct.match",
    "LanguageModel": "fantascope.prompt.instruct.language",
    "Part": "fantascope.prompt.parse",
    "Reading": "fantascope.prompt.instruct.reading",
    "Scene": "fantascope.prompt.parse",
    "read_instruction": "fantascope.prompt.instruct.read",
    "read_instructions": "fantascope.prompt.instruct.read",
    "read_with_model": "fantascope.prompt.instruct.language",
}
"""Names and where they are; looked up when they are first asked for, since painting needs none of them."""

__all__ = sorted(_PUBLIC)


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        value = getattr(import_module(_PUBLIC[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'fantascope.prompt' has no attribute {name!r}")
