"""What the prompts of a request say at every step: the bridge from its grammar to what an engine paints by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from fantascope.core.weighting import Weighted
from fantascope.engines.base import Said


def said_of(request: Any) -> Callable[[int], Sequence[Said]] | None:
    """Return what gives the texts of each step of a run, or None where the prompts are plain.

    Raises:
        PromptError: a prompt breaks the rules of its grammar.
    """
    if request.grammar != "a1111":
        return None
    from fantascope.prompt.grammar.a1111 import parse
    from fantascope.prompt.grammar.speech import State, states

    prompt = parse(request.prompt)
    against = parse(request.negative_prompt or "", negative=True, param="negative_prompt")

    def text(state: State) -> str | Weighted:
        return state.plain if state.even else Weighted(state.sections)

    def said(steps: int) -> list[Said]:
        pairs = zip(states(prompt, steps), states(against, steps), strict=True)
        return [Said(tuple((text(one), one.weight) for one in parts), text(away)) for parts, (away,) in pairs]

    return said
