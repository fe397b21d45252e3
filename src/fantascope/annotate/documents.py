"""Reading JSON documents that users edit: strokes and joints."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from fantascope.errors import InvalidValue

MAX_BYTES = 4_000_000
"""Of a document."""

Document = str | bytes | Mapping[str, Any]
"""JSON, or what it decodes to."""


class Part(BaseModel):
    """A part of a document: frozen, no unknown fields, finite numbers, no number from text."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


Whole = TypeVar("Whole", bound=Part)


def decode(document: Document, what: str) -> dict[str, Any]:
    """Return a document as plain data.

    Args:
        what: What it is called in errors: `strokes`, `pose`.

    Raises:
        InvalidValue: It is too long, no JSON, or not an object.
    """
    data: Any = document
    if isinstance(document, (str, bytes)):
        if len(document) > MAX_BYTES:
            raise InvalidValue(f"The {what} document has {len(document)} bytes; {MAX_BYTES} are allowed.", param=what)
        try:
            data = json.loads(document, parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise InvalidValue(f"The {what} document is no JSON: {error}.", param=what) from error
    if not isinstance(data, Mapping):
        raise InvalidValue(f"The {what} document is a JSON object, not {type(data).__name__}.", param=what)
    return dict(data)


def build(kind: type[Whole], data: Mapping[str, Any], what: str) -> Whole:
    """Check plain data and return the document.

    Raises:
        InvalidValue: `param` is the path of the first thing that is wrong, as `strokes.0.width`.
    """
    try:
        return kind.model_validate_json(json.dumps(data, allow_nan=True))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"])) or what
        said = first["msg"][0].lower() + first["msg"][1:]
        given = "" if first["type"] in ("missing", "value_error") else f" (given: {repr(first['input'])[:60]})"
        raise InvalidValue(f"{what}: {path}: {said}{given}.", param=path) from None
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(f"The {what} document holds what JSON cannot: {error}.", param=what) from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")
