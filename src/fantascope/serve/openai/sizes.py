"""How a size that was asked for is reached: painted as it is, or painted near the model's own size and enlarged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from fantascope.serve.fetch import FieldError
from fantascope.serve.openai.rules import Rules, Size
from fantascope.spec import Spec

ROOM = 2.0
"""How many times a model's own area a picture may have, or be smaller, and still be painted in one go: beyond that a
model repeats what it was asked for."""

MOST = 4.0
"""Factor by which a finished picture is enlarged at most."""


@dataclass(frozen=True)
class Fit:
    """How a size is reached: the size painted, upscaler included, the upscaler's factor, and what is enlarged then."""

    width: int
    height: int
    upscale: int
    factor: float = 1.0

    @property
    def size(self) -> Size:
        """Width and height of the result."""
        return round(self.width * self.factor), round(self.height * self.factor)


def fit(size: Size, spec: Spec, rules: Rules) -> Fit:
    """Return how a model reaches a size exactly.

    Raises:
        FieldError: it cannot; the message names sizes that it can.
    """
    native = spec.sizes.native**2
    ways = list(_ways(size, spec))
    if not ways:
        near = ", ".join(f"{wide}x{high}" for wide, high in works(size, spec, rules))
        raise FieldError(f"{spec.name} cannot make {size[0]}x{size[1]}; sizes that work: {near or 'auto'}.", "size")

    def away(way: Fit) -> float:
        return abs(math.log(way.width * way.height / way.upscale**2 / native))

    direct = [way for way in ways if way.factor == 1 and away(way) <= math.log(ROOM) + 1e-9]
    return min(direct or ways, key=lambda way: (away(way), way.factor, way.upscale))


def works(size: Size, spec: Spec, rules: Rules, most: int = 4) -> list[Size]:
    """Return sizes that a model reaches and its rules allow, those nearest to `size` first."""
    if rules.sizes is not None:
        found = [one for one in rules.sizes if any(_ways(one, spec))]
    else:
        found = [
            (round(wide * step / 8), round(high * step / 8))
            for wide, high, _ in _painted(spec)
            for step in (range(8, int(8 * MOST) + 1) if _enlarges(spec) else (8,))
            if wide * step % 8 == 0 and high * step % 8 == 0
        ]
        found = [one for one in found if _allowed(one, rules)]
    return sorted(set(found), key=lambda one: (abs(one[0] - size[0]) + abs(one[1] - size[1]), one))[:most]


def _ways(size: Size, spec: Spec) -> Iterator[Fit]:
    """Yield every way to reach a size exactly."""
    for wide, high, factor in _painted(spec, size):
        if size[0] * high == size[1] * wide and size[0] >= wide:
            larger = size[0] / wide
            if larger == 1 or (larger <= MOST and _enlarges(spec)):
                yield Fit(wide, high, factor, larger)


def _painted(spec: Spec, ratio: Size | None = None) -> Iterator[tuple[int, int, int]]:
    """Yield the sizes a model paints, upscaler included, with its factor; of one ratio, if given."""
    sizes = spec.sizes
    steps = range(-(-sizes.min // sizes.multiple) * sizes.multiple, sizes.max + 1, sizes.multiple)
    for wide in steps:
        if ratio is not None:
            highs = [wide * ratio[1] // ratio[0]] if wide * ratio[1] % ratio[0] == 0 else []
        else:
            highs = list(steps) if sizes.multiple >= 32 else [wide]
        for high in highs:
            if high in steps:
                for factor in (1, spec.upscaler) if spec.upscaler else (1,):
                    yield wide * factor, high * factor, factor


def _enlarges(spec: Spec) -> bool:
    """Say whether a finished picture can be enlarged with this model: a foreign pipeline does nothing but paint."""
    return spec.family != "pipeline"


def _allowed(size: Size, rules: Rules) -> bool:
    wide, high = size
    fine = wide % rules.step == 0 and high % rules.step == 0 and max(wide / high, high / wide) <= rules.ratio
    return fine and max(size) <= rules.side and wide * high <= rules.pixels
