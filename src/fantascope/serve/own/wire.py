"""From HTTP to requests of ours: bodies read exactly, pictures taken in, queries known."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request as Http

from fantascope.errors import InvalidPicture, InvalidValue, NotFound, UnknownName
from fantascope.explain import explain
from fantascope.request import PICTURE, Request
from fantascope.serve.kit import Server, off, read_form, read_json, server_of
from fantascope.serve.own.schema import item_kinds, kinds, misfit, schema_of
from fantascope.serve.people import Caller

PREFIX = "/v1/fantascope"
MULTIPART = "multipart/form-data"
DATA = re.compile(r"data:(image/[a-z0-9.+-]{1,40});base64,", re.ASCII)
ID = re.compile(r"(sha256:)?[0-9a-fA-F]{6,64}", re.ASCII)
"""What names a picture: its id, the first digits of it, or its receipt's id."""
SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
LONGEST_PART = 200

M = TypeVar("M", bound=BaseModel)


def known_query(http: Http) -> None:
    """Refuse query parameters that the route does not have: the dependency of every route.

    Raises:
        UnknownName: names the first one.
    """
    known: list[str] = []
    for field in http.scope["route"].dependant.query_params:
        shape = field.field_info.annotation
        known += shape.model_fields if isinstance(shape, type) and issubclass(shape, BaseModel) else [field.alias]
    for name in http.query_params:
        if name not in known:
            raise UnknownName("query parameter", name[:80], known, param=name[:80])


def whole_text(found: Any) -> None:
    """Refuse text that is none: half a surrogate pair cannot be written, sent or stored.

    Raises:
        InvalidValue: names the field.
    """
    for name, value in found.items() if isinstance(found, dict) else enumerate(found):
        for text in (name, value):
            if isinstance(text, str):
                try:
                    text.encode()
                except UnicodeEncodeError:
                    said = str(name).encode("ascii", "backslashreplace").decode()[:80]
                    raise InvalidValue(f"{said} holds half a surrogate pair, which is no text.", param=said) from None
        if isinstance(value, (dict, list)):
            whole_text(value)


async def read_object(http: Http) -> dict[str, Any]:
    """Return the JSON object of a body. Raises as `read_json`, and for text that is none."""
    found = await read_json(http)
    if SURROGATE.search(await http.body()):
        try:
            whole_text(found)
        except RecursionError:
            raise InvalidValue("The body is nested too deeply.") from None
    return found


async def read_body(http: Http, shape: type[M]) -> M:
    """Return the body as an object of this shape, nothing in it taken for another type.

    Raises:
        RequestError: names the field.
    """
    found = await read_object(http)
    try:
        return shape.model_validate(found, strict=True)
    except ValidationError as error:
        raise explain(error, shape) from None


async def read_request(http: Http, caller: Caller, cls: type[Request]) -> Request:
    """Return the request of a task in a body, JSON or multipart; pictures that came with it are in the gallery then.

    Raises:
        RequestError: names the field; nothing was kept.
        InvalidPicture: a picture cannot be read safely.
    """
    if content_type(http) == MULTIPART:
        fields, files = await read_form(http)
        data, sent = form_data(cls, fields, files)
    else:
        data, sent = await read_object(http), {}
    return await build(http, caller, cls, data, sent)


async def build(
    http: Http, caller: Caller, cls: type[Request], data: dict[str, Any], sent: Mapping[str, bytes] | None = None
) -> Request:
    """Return a request of plain data, whose inline pictures are taken in."""
    task = cls.model_fields["task"].default
    if data.get("task", task) != task:
        raise InvalidValue(f"task is {task!r} at this address.", param="task")
    wrong = misfit(schema_of(cls), data)
    if wrong is not None:
        name, why = wrong
        raise InvalidValue(f"{name or 'The body'}: {why}.", param=name.partition(".")[0] or None)
    request = cls(**data)
    server = server_of(http)

    def take(field: str, value: str) -> str:
        found = (sent or {}).get(value)
        return picture_id(server, caller, field, value, found)

    return await off(lambda: with_pictures(request, take))


def with_pictures(request: Request, take: Callable[[str, str], str]) -> Request:
    """Return the request with every picture of it, wherever it stands, as `take(field, value)` says."""
    changes: dict[str, Any] = {}
    for name in request.fields_of(PICTURE):
        value = getattr(request, name)
        if isinstance(value, str):
            changes[name] = take(name, value)
        elif value is not None:
            changes[name] = tuple(take(name, one) if isinstance(one, str) else _inner(one, name, take) for one in value)
    changed = {name: value for name, value in changes.items() if value != getattr(request, name)}
    return request.replace(**changed) if changed else request


def _inner(model: Any, name: str, take: Callable[[str, str], str]) -> Any:
    marked = [inner for inner, field in type(model).model_fields.items() if any(m is PICTURE for m in field.metadata)]
    given = {inner: getattr(model, inner) for inner in marked}
    return model.model_copy(update={i: take(f"{name}.{i}", v) for i, v in given.items() if v is not None})


def picture_id(server: Server, caller: Caller, field: str, value: str, sent: bytes | None = None) -> str:
    """Return the id of a picture: of one that was sent with the request, of a data URL, or the id that is given.

    Raises:
        InvalidValue: it is an address that is not fetched, or no data URL of a picture.
        InvalidPicture: it cannot be read safely.
    """
    data = sent
    if data is None and value[:5].lower() == "data:":
        data = inline(value, field)
    elif data is None and "://" in value[:32]:
        data = _fetched(value, server, field)
    if data is None and ID.fullmatch(value) is None:
        shown = value[:60].encode("ascii", "backslashreplace").decode()
        raise InvalidValue(
            f"{field}: {shown!r} is no id of a picture.",
            param=field.partition(".")[0],
            hint="Send sha256:… of your gallery, data:image/png;base64,… or a file in a form.",
        )
    if data is None:
        return value
    try:
        return server.take(caller, data, task="mask" if field == "mask" else None)
    except InvalidPicture as error:
        raise InvalidPicture(f"{field}: {error.message}", param=field.partition(".")[0], hint=error.hint) from None


def _fetched(url: str, server: Server, field: str) -> bytes:
    from fantascope.serve.fetch import FieldError, fetched

    try:
        return fetched(url, server.options.fetch_hosts, server.options.most_bytes, field)
    except FieldError as error:
        raise InvalidValue(f"{field}: {error.message}", param=field, hint=error.hint) from None


def inline(value: str, field: str) -> bytes:
    """Return the bytes of a data URL.

    Raises:
        InvalidValue: it is none of a picture.
    """
    head = DATA.match(value[:80])
    if head is None:
        raise InvalidValue(f"{field}: a picture inside a request is data:image/png;base64,… .", param=field)
    try:
        return base64.b64decode(value[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue(f"{field}: this is no base64.", param=field) from None


def form_data(
    cls: type[Request], fields: Mapping[str, list[str]], files: Mapping[str, list[bytes]]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the data of a request in a form, and the files in it by what stands for them in the data.

    A file's part has the name of its field (`picture`, several `pictures`, `controls.0.picture`). What is no text in
    the request is JSON in the form: `4`, `true`, `[{"kind": "canny"}]`.

    Raises:
        InvalidValue: a field is there twice, is no JSON, or a file is where none can be.
    """
    schema = schema_of(cls)
    data: dict[str, Any] = {}
    for name, values in fields.items():
        part = schema["properties"].get(name, {})
        allowed = kinds(schema, part)
        if "array" in allowed and not (len(values) == 1 and values[0].lstrip().startswith("[")):
            texts = "string" in item_kinds(schema, part)
            data[name] = [value if texts else _parsed(name, value) for value in values]
            continue
        if len(values) > 1:
            raise InvalidValue(f"{name[:80]} is there {len(values)} times.", param=name[:80])
        data[name] = values[0] if "string" in allowed or not allowed else _parsed(name, values[0])
    sent: dict[str, bytes] = {}
    for name, parts in files.items():
        marks = [f"part:{name[:LONGEST_PART]}:{k}" for k in range(len(parts))]
        sent |= dict(zip(marks, parts, strict=True))
        _place(cls, data, name, marks)
    return data, sent


def _parsed(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidValue(f"{name[:80]}: this is no JSON.", param=name[:80]) from None


def _place(cls: type[Request], data: dict[str, Any], name: str, marks: list[str]) -> None:
    """Put what stands for files where they belong."""
    first, *rest = name.split(".")
    if first not in cls.fields_of(PICTURE):
        known = cls.fields_of(PICTURE)
        raise UnknownName("picture field", name[:80], known, param=name[:80])
    if not rest:
        many = "array" in kinds(schema_of(cls), schema_of(cls)["properties"][first])
        if not many and (len(marks) > 1 or first in data):
            raise InvalidValue(f"{first} is there more than once.", param=first)
        data[first] = [*data.get(first, []), *marks] if many else marks[0]
        return
    item = _item(data.get(first), rest[0]) if len(rest) == 2 and len(marks) == 1 else None
    if item is None:
        raise InvalidValue(f"There is no place {name[:80]} in the request.", param=first)
    item[rest[1]] = marks[0]


def _item(items: Any, at: str) -> dict[str, Any] | None:
    """Return the object at a place of a list, if there is one."""
    if not isinstance(items, list) or not (at.isascii() and at.isdigit() and len(at) < 4) or int(at) >= len(items):
        return None
    return items[int(at)] if isinstance(items[int(at)], dict) else None


async def read_file(http: Http) -> bytes:
    """Return the one file in a body: a part of a form, or the body itself.

    Raises:
        InvalidValue: there is none, or more than one.
    """
    if content_type(http) != MULTIPART:
        data = await http.body()
    else:
        fields, files = await read_form(http)
        sent = list(_all(files))
        if fields or len(sent) != 1:
            raise InvalidValue("Send one file and nothing else.", param="file")
        data = sent[0]
    if not data:
        raise InvalidValue("The file is empty.", param="file")
    return data


def _all(files: Mapping[str, list[bytes]]) -> Iterator[bytes]:
    for parts in files.values():
        yield from parts


def content_type(http: Http) -> str:
    """Return the media type of a body, without its parameters."""
    return http.headers.get("content-type", "").partition(";")[0].strip().lower()


def checked_id(text: str, form: re.Pattern[str], what: str) -> str:
    """Return an id of a path.

    Raises:
        NotFound: nothing can have this id.
    """
    if not form.fullmatch(text):
        raise NotFound(f"There is no {what} {text[:64]!r}.", param="id")
    return text
