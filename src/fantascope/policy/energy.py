"""Energy: an estimate in watt-hours of what a run draws, with the method it was made by. It is never charged.

    watt-hours = seconds * threads * watts of a core / 3600        on the CPU
    watt-hours = seconds * watts of the device / 3600              on another device

A core's watts are its share of the processor package's long-term power limit where Linux tells it (powercap, the
interface of RAPL: `constraint_0_power_limit_uw` of every package), else the figure of tariff.toml, where those of other
devices are. Before a run the seconds are those that pictures of the same model took on this machine, by pixels and
passes of the network; after it they are those that it took.
"""

from __future__ import annotations

import os
import statistics
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fantascope.errors import InvalidValue
from fantascope.policy.cost import TARIFF, passes
from fantascope.receipt import Cost, Ran
from fantascope.request import Painting
from fantascope.spec import Spec

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Energy:
    """An estimate: watt-hours and seconds, and how they were found."""

    watt_hours: float
    seconds: float
    method: str


@dataclass(frozen=True)
class Past:
    """What pictures that were made here together took: their work in pixels times passes, their seconds, how many."""

    work: float
    seconds: float
    pictures: int = 1


def work_of(request: Painting, spec: Spec) -> float:
    """Return pixels times passes of one picture of a resolved request, without what the upscaler adds."""
    width, height, factor = request.width, request.height, request.upscale
    assert width is not None and height is not None and factor is not None
    return width * height / factor**2 * passes(request, spec)


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


def drawn(threads: int, device: str, cores: int, folder: Path = POWERCAP) -> tuple[float, str] | None:
    """Return the watts that a run draws with so many threads on a device, and how they were found; None if unknown."""
    if device == "cpu":
        watts, source = core_watts(cores, folder)
        return watts * threads, f"{threads} threads, {source}"
    watts = _devices().get(device.split(":")[0], 0.0)
    return (watts, f"{watts:g} W of {device}, assumed (policy/tariff.toml)") if watts > 0 else None


def estimate(
    request: Painting,
    spec: Spec,
    past: Sequence[Past],
    *,
    threads: int,
    cores: int,
    device: str = "cpu",
    folder: Path = POWERCAP,
) -> Energy | None:
    """Return what a resolved request will draw, all its pictures together; None where nothing like it was made here."""
    known = [one for one in past if one.work > 0]
    power = drawn(threads, device, cores, folder)
    if not known or power is None:
        return None
    assert request.n is not None
    seconds = request.n * work_of(request, spec) * statistics.median(one.seconds / one.work for one in known)
    said = f"{seconds:.1f} s by {sum(one.pictures for one in known)} pictures made here, {power[1]}"
    return Energy(seconds * power[0] / 3600, seconds, said)


def spent(credits: float, seconds: float, ran: Ran, *, batch: int = 1, folder: Path = POWERCAP) -> Cost:
    """Return what a picture cost: its credits, the seconds it took, and an estimate of the energy with its method.

    Args:
        batch: How many pictures were painted together. The first of them took the seconds of all, the others those
            since the one before.
    """
    power = drawn(max(1, ran.threads), ran.device, os.cpu_count() or 1, folder)
    cost = Cost(credits=credits, seconds=round(seconds, 3))
    if power is None:
        return cost
    since = f" since the picture before it ({batch} were painted together)" if batch > 1 else ""
    said = f"{seconds:.2f} s{since}, {power[1]}"
    return cost.model_copy(update={"energy_wh": round(seconds * power[0] / 3600, 6), "energy_method": said})


@lru_cache(maxsize=1)
def _watts(path: Path = TARIFF) -> float:
    try:
        watts = float(tomllib.loads(path.read_text("utf-8"))["watts_a_core"])
    except (OSError, KeyError, ValueError) as error:
        raise InvalidValue(f"{path} names no watts_a_core: {error!r}.", param="tariff") from error
    return watts


@lru_cache(maxsize=1)
def _devices(path: Path = TARIFF) -> dict[str, float]:
    try:
        table = tomllib.loads(path.read_text("utf-8")).get("watts_a_device", {})
        return {str(name): float(watts) for name, watts in table.items()}
    except (OSError, AttributeError, TypeError, ValueError) as error:
        raise InvalidValue(f"{path} has no table watts_a_device of numbers: {error!r}.", param="tariff") from error
