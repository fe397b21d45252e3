"""What a request costs: a quote that anybody can work out from tariff.toml with pencil and paper."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path

from fantascope.errors import InvalidValue
from fantascope.request import Making, Painting
from fantascope.spec import Spec

TARIFF = Path(__file__).with_name("tariff.toml")
THOUSANDTH = Decimal("0.001")
LOOPED = frozenset({"embedded", "sd1", "sd2", "sdxl"})
"""Families whose network our own loop asks, so that its passes are known; of others only steps are."""


@dataclass(frozen=True)
class Tariff:
    """Prices in credits: of a picture of default size and steps, the least of any, and of doubling its sides."""

    version: str
    picture: Decimal
    least: Decimal
    upscale: Decimal


@lru_cache(maxsize=4)
def read_tariff(path: Path = TARIFF) -> Tariff:
    """Read the tariff.

    Raises:
        InvalidValue: the file is missing or malformed.
    """
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        prices = {name: Decimal(table[name]) for name in ("picture", "least", "upscale")}
        if not all(price.is_finite() and price >= 0 for price in prices.values()):
            raise ValueError("a price is a number from 0 on")
        return Tariff(version=str(table["version"]), **prices)
    except (OSError, KeyError, TypeError, ValueError, InvalidOperation) as error:
        raise InvalidValue(f"{path} is not a tariff: {error!r}.", param="tariff") from error


def quote(request: Making, spec: Spec, tariff: Tariff | None = None) -> Decimal:
    """Return the credits that a resolved request costs, all its pictures together, rounded up to thousandths.

    `n * max(least, picture * pixels / default pixels * passes / default passes + upscale * doublings)`, where `passes`
    are those that `passes` counts, and `doublings` those of the sides that the upscaler does beyond the default.

    Example:
        >>> from fantascope.spec import SPECS
        >>> spec = SPECS["sd15"]
        >>> quote(Imagine(prompt="a cat", n=2, width=512, height=512, upscale=1, steps=15), spec)
        Decimal('1.000')
        >>> both = {"prompt": "a cat AND a dog", "grammar": "a1111"}
        >>> quote(Imagine(**both, n=2, width=512, height=512, upscale=1, steps=15), spec)
        Decimal('2.000')
    """
    prices = read_tariff() if tariff is None else tariff
    if not isinstance(request, Painting):
        return prices.least * (request.n or 1)
    n, width, height, factor, steps = request.n, request.width, request.height, request.upscale, request.steps
    assert n is not None and width is not None and height is not None, "a quote needs a resolved request"
    assert factor is not None and steps is not None, "a quote needs a resolved request"
    usual = spec.defaults
    pixels = Decimal(width * height) / (factor * factor)
    usual_pixels = Decimal(usual.width * usual.height) / (usual.upscale * usual.upscale)
    share = pixels / usual_pixels * passes(request, spec) / usual_passes(spec)
    doublings = (factor.bit_length() - 1) - (usual.upscale.bit_length() - 1)
    one = max(prices.least, prices.picture * share + prices.upscale * max(0, doublings))
    return (n * one).quantize(THOUSANDTH, rounding=ROUND_CEILING)


def passes(request: Painting, spec: Spec) -> int:
    """Return how often one picture of a resolved request goes through the network, in all its steps.

    In a step it goes through once with the prompt, and with guidance (other than 1) once more without. Every text that
    `AND` puts together does so by itself: k texts are 2k passes, or k + 1 without guidance. What a prompt says may
    change on the way, but the number of its texts never does. Heun's sampler asks twice a step, once in the last. The
    steps are those asked for, also where an edit begins later or `stop` ends sooner. Of a model that our own loop does
    not drive it is its steps.
    """
    assert request.steps is not None, "passes are those of a resolved request"
    if spec.family not in LOOPED:
        return request.steps
    guidance = request.guidance if request.guidance is not None else spec.defaults.guidance
    sampler = request.sampler if request.sampler is not None else spec.defaults.sampler
    return _passes(request.steps, sampler, guidance, texts_of(request))


def texts_of(request: Painting) -> int:
    """Return how many texts guide a resolved request at once: those that `AND` puts together.

    Raises:
        PromptError: the prompt breaks the rules of its grammar.
    """
    if request.grammar != "a1111" or request.prompt is None:
        return 1
    from fantascope.prompt.grammar.a1111 import parse

    return len(parse(request.prompt).parts)


def usual_passes(spec: Spec) -> int:
    """Return the passes of a plain picture with a model's defaults: what one credit pays for."""
    usual = spec.defaults
    return _passes(usual.steps, usual.sampler, usual.guidance, 1) if spec.family in LOOPED else usual.steps


def _passes(steps: int, sampler: str, guidance: float, texts: int) -> int:
    turns = 2 * steps - 1 if sampler == "heun" else steps
    if guidance != 1:
        return turns * 2 * texts
    return turns * (texts + 1 if texts > 1 else 1)
