"""The table of model names: what a name in a script stands for here. It ships as `models.toml`; `serve.toml` in the
home of an installation goes before it, name by name."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fantascope.errors import NotFound, ServeError, UnknownName, nearest
from fantascope.serve.openai.rules import OWN, RULES, Rules
from fantascope.spec import Spec

SHIPPED = Path(__file__).parents[1] / "models.toml"
NAME = "serve.toml"
"""File of an installation, in its home."""

MODEL_KEYS = ("rules", "spec", "date")
NUMBERS: dict[str, tuple[tuple[str, ...], float, float]] = {
    "quality": (("few", "low", "medium", "standard", "auto", "high", "hd", "xhigh", "max"), 0.05, 1000),
    "style": (("vivid", "natural"), 0.0, 4.0),
    "fidelity": (("low", "high"), 0.0, 4.0),
}
"""Tables of numbers: their keys, and the least and most that each may be."""

NOT_PAINTING = ("annotator", "control")
"""Families that are no model of pictures."""


class BadTable(ServeError):
    """The table of an installation is wrong; the message names file and key."""

    code = "bad_table"


@dataclass(frozen=True)
class Known:
    """A model name: its rules, the Spec that paints (None for the installation's own), and when it came up."""

    name: str
    rules: Rules
    spec: str | None = None
    created: int = 0


@dataclass(frozen=True)
class Table:
    """What the two files say together."""

    models: Mapping[str, Known]
    quality: Mapping[str, float]
    style: Mapping[str, float]
    fidelity: Mapping[str, float]

    def find(self, name: str, specs: Mapping[str, Spec]) -> Known:
        """Return what a name stands for: one of the table, or a model of our own.

        Raises:
            NotFound: it is neither.
            BadTable: the table names a Spec that is not there.
        """
        known = self.models.get(name)
        if known is not None:
            if known.spec is not None and known.spec not in specs:
                wrong = UnknownName("model", known.spec, specs)
                raise BadTable(f"{NAME}: models.{name}.spec: {wrong.message}", hint="fantascope models list")
            return known
        if name in specs and specs[name].family not in NOT_PAINTING:
            return Known(name, RULES[OWN], name)
        near = nearest(name[:100], [*self.models, *specs])
        offered = f" Did you mean {' or '.join(near)}?" if near else ""
        raise NotFound(f"The model {name[:100]!r} does not exist here.{offered}", param="model", hint="GET /v1/models")

    def steps(self, quality: str, steps: int) -> int | None:
        """Return the steps of a quality for a model of so many; None where they are the model's own."""
        factor = self.quality[quality]
        return None if factor == 1 or steps <= self.quality["few"] else min(1000, max(1, round(steps * factor)))


def read_table(home: Path) -> Table:
    """Return the table of an installation; read once while its file stays as it is.

    Raises:
        BadTable: `serve.toml` is malformed; the message names the key and what is allowed.
    """
    own = home / NAME
    try:
        stat = own.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
    except OSError:
        stamp = None
    return _read(own, stamp)


@lru_cache(maxsize=8)
def _read(own: Path, stamp: tuple[int, int] | None) -> Table:
    parts: dict[str, dict[str, Any]] = {name: {} for name in ("models", *NUMBERS)}
    for path in (SHIPPED, own) if stamp is not None else (SHIPPED,):
        for name, rows in _parsed(path).items():
            if name not in parts or not isinstance(rows, dict):
                raise _wrong(path, name, f"is no table of this file; it has {', '.join(parts)}")
            for key, value in rows.items():
                checked = _model(path, key, value) if name == "models" else _number(path, name, key, value)
                parts[name][key] = checked
    return Table(parts["models"], parts["quality"], parts["style"], parts["fidelity"])


def _parsed(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise BadTable(f"{path.name} cannot be read: {error}.") from error


def _model(path: Path, name: str, row: Any) -> Known:
    where = f"models.{name}"
    if not isinstance(row, dict):
        raise _wrong(path, where, f"is a table with {', '.join(MODEL_KEYS)}")
    for key in row:
        if key not in MODEL_KEYS:
            raise _wrong(path, f"{where}.{key}", f"is unknown; known are {', '.join(MODEL_KEYS)}")
    rules, spec, came = row.get("rules", OWN), row.get("spec"), row.get("date")
    if not isinstance(rules, str) or rules not in RULES:
        raise _wrong(path, f"{where}.rules", f"is one of {', '.join(RULES)}, not {rules!r}")
    if spec is not None and (not isinstance(spec, str) or not spec):
        raise _wrong(path, f"{where}.spec", f"is the name of a model, not {spec!r}")
    if came is not None and (not isinstance(came, date) or isinstance(came, datetime)):
        raise _wrong(path, f"{where}.date", f"is a date like 2026-11-29, not {came!r}")
    created = 0 if came is None else int(datetime(came.year, came.month, came.day, tzinfo=UTC).timestamp())
    return Known(name, RULES[rules], spec, created)


def _number(path: Path, table: str, key: str, value: Any) -> float:
    keys, least, most = NUMBERS[table]
    if key not in keys:
        raise _wrong(path, f"{table}.{key}", f"is unknown; known are {', '.join(keys)}")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise _wrong(path, f"{table}.{key}", f"is a number from {least:g} to {most:g}, not {value!r}")
    return float(value)


def _wrong(path: Path, where: str, what: str) -> BadTable:
    return BadTable(f"{path.name}: {where} {what}.", hint="docs/openai.md shows the form of the file.")
