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

    `n * max(least, picture * pixels / default pixels * steps / default steps + upscale * doublings)`, where `doublings`
    are those of the sides that the upscaler does beyond the model's default.

    Example:
        >>> from fantascope.spec import SPECS
        >>> spec = SPECS["sd15"]
        >>> quote(Imagine(prompt="a cat", n=2, width=512, height=512, upscale=1, steps=15), spec)
        Decimal('1.000')
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
    share = pixels / usual_pixels * Decimal(steps) / Decimal(usual.steps)
    doublings = (factor.bit_length() - 1) - (usual.upscale.bit_length() - 1)
    one = max(prices.least, prices.picture * share + prices.upscale * max(0, doublings))
    return (n * one).quantize(THOUSANDTH, rounding=ROUND_CEILING)
