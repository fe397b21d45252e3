"""Random prompts of every grammar: values in normal form, and texts that are full of marks."""

from __future__ import annotations

from random import Random
from typing import Any

from bench.grammar import MARKS, dynamic_of, midjourney_of, permuted_of, prompt_of
from hypothesis import strategies as st


def drawn(make: Any) -> Any:
    """Return a strategy of what a maker draws: from a seed, since a tree drawn node by node takes 50 ms."""
    return st.integers(0, 2**48).map(lambda seed: make(Random(seed)))


prompts, midjourneys, patterns, dynamics = map(drawn, (prompt_of, midjourney_of, permuted_of, dynamic_of))

messy = st.lists(st.sampled_from(MARKS), max_size=24).map("".join) | st.text(max_size=30)
"""Texts that are malformed in every way that a short text can be."""
