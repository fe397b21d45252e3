"""JSON schemas of requests, as they are on the wire, and whether plain data has the types that a schema says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

from fantascope.request import MAX_TEXT, PICTURE, TEXT, Request

TEXTS: dict[str, Any] = {"maxLength": MAX_TEXT, "pattern": r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"}
PICTURES: dict[str, Any] = {
    "pattern": r"^((sha256:)?[0-9a-fA-F]{6,64}|data:image/[a-z0-9.+-]{1,40};base64,[A-Za-z0-9+/]+={0,2}|https?://.+)$",
    "examples": ["sha256:…", "data:image/png;base64,…"],
}
WIDGET = "x-widget"
"""What a form is told of a field beside its type: `picture`, `mask` or `slider`."""
NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
REF = "#/$defs/"


@cache
def schema_of(cls: type[Request]) -> dict[str, Any]:
    """Return the JSON schema of a request, with what our types check beside pydantic's: texts and pictures."""
    schema = cls.model_json_schema()
    defs = schema.get("$defs", {})
    for model in _models(cls):
        told = schema if model is cls else defs.get(model.__name__, {})
        for name, field in model.model_fields.items():
            for kind, more in ((TEXT, TEXTS), (PICTURE, PICTURES)):
                if _marked(field, kind) and name in told.get("properties", {}):
                    for leaf in _strings(told["properties"][name]):
                        leaf |= more
                    if kind is PICTURE:
                        told["properties"][name].setdefault(WIDGET, "mask" if name == "mask" else "picture")
        for part in told.get("properties", {}).values():
            if part.get("type") == "number" and {"minimum", "maximum"} <= part.keys():
                part.setdefault(WIDGET, "slider")
    for name in ("prompt", "instruction"):
        if name in schema.get("required", ()):
            schema["properties"][name] |= {"minLength": 1}
    return schema


def kinds(schema: dict[str, Any], part: dict[str, Any]) -> set[str]:
    """Return the JSON types that a part of a schema allows; none where it does not say."""
    if "$ref" in part:
        return kinds(schema, schema["$defs"][part["$ref"].removeprefix(REF)])
    if "anyOf" in part:
        return set().union(*(kinds(schema, one) for one in part["anyOf"]))
    told = part.get("type", [])
    return {told} if isinstance(told, str) else set(told)


def item_kinds(schema: dict[str, Any], part: dict[str, Any]) -> set[str]:
    """Return the JSON types that the items of an array may have; none where a part of a schema is no array."""
    arrays = [one for one in (part, *part.get("anyOf", ())) if one.get("type") == "array"]
    return set[str]().union(*(kinds(schema, one.get("items", {})) for one in arrays))


def misfit(
    schema: dict[str, Any], value: Any, part: dict[str, Any] | None = None, at: str = ""
) -> tuple[str, str] | None:
    """Return where a value has another JSON type than its schema says, and what is wrong; None where all fits.

    What a schema says beside types is left to the request's class, whose messages say more.
    """
    part = schema if part is None else part
    if "$ref" in part:
        part = schema["$defs"][part["$ref"].removeprefix(REF)]
    if "anyOf" in part:
        tried = [misfit(schema, value, one, at) for one in part["anyOf"]]
        wrong = [one for one in tried if one is not None]
        if len(wrong) < len(tried):
            return None
        deep = [one for one in wrong if one[0] != at]
        return deep[0] if deep else (at, _other(value, kinds(schema, part) - {"null"}))
    meant = kinds(schema, part)
    if meant and not _fits(value, meant):
        return at, _other(value, meant)
    if isinstance(value, dict):
        inner = part.get("properties", {})
        other = part.get("additionalProperties")
        for name, one in value.items():
            told = inner.get(name, other if isinstance(other, dict) else None)
            found = None if told is None else misfit(schema, one, told, f"{at}.{name}" if at else name)
            if found is not None:
                return found
    if isinstance(value, list) and isinstance(part.get("items"), dict):
        for k, one in enumerate(value):
            found = misfit(schema, one, part["items"], f"{at}.{k}")
            if found is not None:
                return found
    return None


def _other(value: Any, meant: set[str]) -> str:
    return f"is of the type {_kind(value)}; {' or '.join(sorted(meant))} is meant"


def _fits(value: Any, meant: set[str]) -> bool:
    kind = _kind(value)
    if kind == "integer" and "number" in meant:
        return True
    if kind == "number" and "integer" in meant and value == value and abs(value) < 2**53 and value == int(value):
        return True
    return kind in meant


def _kind(value: Any) -> str:
    return "null" if value is None else NAMES.get(type(value), "something else")


def _models(cls: type[BaseModel]) -> Iterator[type[BaseModel]]:
    seen: list[type[BaseModel]] = [cls]
    for model in seen:
        yield model
        for field in model.model_fields.values():
            seen += [inner for inner in _inside(field.annotation) if inner not in seen]


def _inside(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in getattr(annotation, "__args__", ()):
        yield from _inside(inner)


def _marked(field: Any, kind: Any) -> bool:
    return any(mark is kind for mark in field.metadata) or _holds(field.annotation, kind)


def _holds(annotation: Any, kind: Any) -> bool:
    if any(mark is kind for mark in getattr(annotation, "__metadata__", ())):
        return True
    return any(_holds(inner, kind) for inner in getattr(annotation, "__args__", ()))


def _strings(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the parts of a schema that are strings."""
    if part.get("type") == "string":
        yield part
    for one in part.get("anyOf", ()):
        yield from _strings(one)
    if isinstance(part.get("items"), dict):
        yield from _strings(part["items"])
