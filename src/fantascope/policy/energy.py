"""Energy: an estimate in watt-hours of what a run draws, with the method it was made by. It is never charged.

    watt-hours = seconds * threads * watts of a core / 3600

A core's watts are its share of the processor package's long-term power limit where Linux tells it (powercap, the
interface of RAPL: `constraint_0_power_limit_uw` of every package), else the figure of tariff.toml. Seconds are those
that pictures of the same model took on this machine, by pixels and steps.
"""

from __future__ import annotations

import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fantascope.errors import InvalidValue
from fantascope.policy.cost import TARIFF
from fantascope.request import Painting

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """An estimate: watt-hours and seconds, and how they were found."""

    watt_hours: float
    seconds: float
    method: str


@dataclass(frozen=True)
class Past:
    """What a picture that was made here took: its work in pixels times steps, and seconds."""

    work: float
    seconds: float


def work_of(request: Painting) -> float:
    """Return pixels times steps of one picture of a resolved request, without what the upscaler adds."""
    width, height, factor, steps = request.width, request.height, request.upscale, request.steps
    assert width is not None and height is not None and factor is not None and steps is not None
    return width * height / factor**2 * steps


def core_watts(cores: int, folder: Path = POWERCAP) -> tuple[float, str]:
    """Return the watts of one core at work, and where they are from."""
    limits = []
    for package in sorted(folder.glob("intel-rapl:*")):
        if package.name.count(":") == 1:  # what lies below is part of a package
            try:
                limits.append(int((package / "constraint_0_power_limit_uw").read_text("ascii")) / 1e6)
            except (OSError, ValueError):
                continue
    if limits:
        return sum(limits) / cores, f"package power limit of {sum(limits):g} W over {cores} cores (powercap)"
    watts = _watts()
    return watts, f"{watts:g} W a core, assumed (policy/tariff.toml)"


def estimate(
    request: Painting, past: Sequence[Past], *, threads: int, cores: int, folder: Path = POWERCAP
) -> Energy | None:
    """Return what a resolved request will draw, all its pictures together; None where nothing like it was made here."""
    rates = [one.seconds / one.work for one in past if one.work > 0]
    if not rates:
        return None
    assert request.n is not None
    seconds = request.n * work_of(request) * statistics.median(rates)
    watts, source = core_watts(cores, folder)
    said = f"{seconds:.1f} s by {len(rates)} pictures made here, {threads} threads, {source}"
    return Energy(seconds * watts * threads / 3600, seconds, said)


@lru_cache(maxsize=1)
def _watts(path: Path = TARIFF) -> float:
    try:
        watts = float(tomllib.loads(path.read_text("utf-8"))["watts_a_core"])
    except (OSError, KeyError, ValueError) as error:
        raise InvalidValue(f"{path} names no watts_a_core: {error!r}.", param="tariff") from error
    return watts
