"""What pydantic reports about a request, as one error of ours that names the first field that is wrong."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from fantascope.errors import InvalidValue, RequestError, UnknownName


def explain(error: ValidationError, cls: type[BaseModel]) -> RequestError:
    """Turn pydantic's report into one error that names the first field that is wrong."""
    first = error.errors(include_url=False)[0]
    param = str(first["loc"][0]) if first["loc"] else None
    if first["type"] == "extra_forbidden":
        known = [name for name in cls.model_fields if name != "task"]
        return UnknownName("field", str(param), known, param=param)
    value = first.get("input")
    if first["type"] == "literal_error":
        allowed = [part.strip("' ") for part in first["ctx"]["expected"].replace(" or ", ", ").split(",")]
        return UnknownName(str(param), str(value), allowed, param=param)
    if first["type"] == "missing":
        return InvalidValue(f"{param} is missing.", param=param)
    said = first["msg"][0].lower() + first["msg"][1:]
    shown = "" if isinstance(value, str) and first["type"] in ("too_long", "empty") else f" (given: {_short(value)})"
    return InvalidValue(f"{param}: {said}{shown}.", param=param)


def _short(value: Any, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
