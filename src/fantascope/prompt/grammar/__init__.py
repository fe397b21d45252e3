"""Grammars of prompts: A1111's, whose marks the loop obeys; Midjourney's and dynamic prompts, which become requests.

Example:
    >>> from fantascope.prompt.grammar import parse, states
    >>> [state.plain for (state,) in states(parse("a [cat|dog]"), 2)]
    ['a cat', 'a dog']
"""

from __future__ import annotations

from fantascope.prompt.grammar.a1111 import is_explicit, parse
from fantascope.prompt.grammar.speech import State, readings, states
from fantascope.prompt.grammar.tree import Prompt, show

__all__ = ["Prompt", "State", "is_explicit", "parse", "readings", "show", "states"]
