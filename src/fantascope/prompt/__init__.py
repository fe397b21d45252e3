"""Prompts and what people say about them: reading an edit instruction about a picture whose prompt is known.

Example:
    >>> read_instruction("change the dog to a cat", "a dog on the grass", embed).after
    'a cat on the grass'
"""

from __future__ import annotations

from fantascope.prompt.instruct.language import LanguageModel, read_with_model
from fantascope.prompt.instruct.match import Embed
from fantascope.prompt.instruct.read import LONGEST, LONGEST_PROMPT, read_instruction, read_instructions
from fantascope.prompt.instruct.reading import KINDS, PLACES, Reading
from fantascope.prompt.parse import Part, Scene, parse

__all__ = [
    "KINDS",
    "LONGEST",
    "LONGEST_PROMPT",
    "PLACES",
    "Embed",
    "LanguageModel",
    "Part",
    "Reading",
    "Scene",
    "parse",
    "read_instruction",
    "read_instructions",
    "read_with_model",
]
