"""What is said at each step of a run, as a network: texts with weights, several at once, changing on the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from fantascope.core.arrays import Array
from fantascope.core.denoise import Network, State
from fantascope.core.guidance import composed
from fantascope.engines.base import Conditions, LatentEngine, Said, Steer


class Clock:
    """Knows how many steps of a run are done."""

    def __init__(self) -> None:
        self.step = 0

    def told(self, states: Iterable[State]) -> Iterator[State]:
        """Pass states on; the clock is set before the next step begins."""
        for state in states:
            yield state
            self.step = state.step


def spoken(
    engine: LatentEngine, request: Any, said: Sequence[Said], count: int, steers: Sequence[Steer], clock: Clock
) -> Network:
    """Return the guided network of a run in which something else may be said at every step.

    All texts are encoded before the first step, each once, and get as many windows of tokens as the longest.

    Args:
        said: One a step.
        count: Pictures that go through it together, B: it takes `(B, C, h, w)`.
        steers: Maps that steer it.
        clock: Says which step it is.
    """
    different = list(dict.fromkeys(said))
    texts = list(dict.fromkeys(text for one in different for text in (one.against, *(part for part, _ in one.parts))))
    place = {text: k for k, text in enumerate(texts)}
    conditions = engine.encode_text(texts, request)

    def network(*rows: int) -> Network:
        told: Conditions = conditions.rows([row for row in rows for _ in range(count)])
        found: Network = engine.steered(request, told, steers) if steers else engine.network(request, told)
        return found

    def one(said: Said) -> Network:
        rows, weights = [place[text] for text, _ in said.parts], [weight for _, weight in said.parts]
        against = place[said.against]
        if request.guidance != 1:
            networks = [network(against, row) for row in rows]
        elif weights == [1]:
            return network(*rows)
        else:
            networks = [network(against), *(network(row) for row in rows)]
        return composed(networks, weights, request.guidance, request.guidance_rescale)

    networks = [one(each) for each in different]
    which = [different.index(each) for each in said]

    def run(x: Array, time: float) -> Array:
        return networks[which[clock.step]](x, time)

    return run
