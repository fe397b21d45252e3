"""Reading the fields of a body: JSON values, or the strings of a form. What is not known is left alone, as the original
does; what is known is never misread."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fantascope.serve.fetch import FieldError

_WHOLE = re.compile(r"[+-]?\d{1,12}")
LONGEST_SHOWN = 60


class Fields:
    """The fields of a body; null, and a field that is not there, are not given.

    Args:
        values: Field -> JSON value, or field -> values of a form.
        form: Whether it was a form, whose values are strings.

    Raises:
        FieldError: a field of a form is given twice.
    """

    def __init__(self, values: Mapping[str, Any], *, form: bool = False) -> None:
        self.form = form
        self._values = {name: _only(name, value) for name, value in values.items()} if form else dict(values)

    def given(self, name: str) -> bool:
        """Say whether a field is there; of a form also as `name[…]`."""
        if self._values.get(name) is not None:
            return True
        return self.form and any(key.startswith(f"{name}[") for key in self._values)

    def raw(self, name: str) -> Any:
        """Return a value as it came, or None."""
        return self._values.get(name)

    def text(self, name: str, longest: int | None = None) -> str | None:
        """Return a text of at most `longest` characters."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise _kind(name, "a string", value)
        if longest is not None and len(value) > longest:
            raise FieldError(
                f"'{name}' has {len(value)} characters; this model takes {longest}.", name, "string_above_max_length"
            )
        return value

    def choice(self, name: str, allowed: Sequence[str], who: str = "") -> str | None:
        """Return one of the allowed words."""
        value = self.text(name)
        if value is None or value in allowed:
            return value
        whose = f" of {who}" if who else ""
        raise FieldError(f"'{name}'{whose} is one of {', '.join(allowed)}, not {_shown(value)}.", name)

    def whole(self, name: str, low: int, high: int, usual: int) -> int:
        """Return a whole number from `low` to `high`; `usual` where it is not given."""
        value = self._values.get(name)
        if value is None:
            return usual
        if self.form and isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise _kind(name, "a whole number", value)
        if low <= value <= high:
            return value
        limit = "below_min" if value < low else "above_max"
        raise FieldError(
            f"'{name}' is {low} to {high}, not {value}." if low != high else f"'{name}' can only be {low} here.",
            name,
            f"integer_{limit}_value",
        )

    def flag(self, name: str) -> bool | None:
        """Return true or false."""
        value = self._values.get(name)
        if self.form and isinstance(value, str) and value.lower() in ("true", "false"):
            return value.lower() == "true"
        if value is None or isinstance(value, bool):
            return value
        raise _kind(name, "true or false", value)


def missing(name: str) -> FieldError:
    """Return the error of a field that has to be there."""
    return FieldError(f"Missing required parameter: '{name}'.", name, "missing_required_parameter")


def _only(name: str, values: Any) -> Any:
    if len(values) == 1:
        return values[0]
    raise FieldError(f"'{name}' is given {len(values)} times.", name, "duplicate_parameter")


def _kind(name: str, wanted: str, value: Any) -> FieldError:
    return FieldError(f"'{name}' is {wanted}, not {_shown(value)}.", name, "invalid_type")


def _shown(value: Any) -> str:
    said = repr(value)
    return said if len(said) <= LONGEST_SHOWN else said[:LONGEST_SHOWN] + "…"
