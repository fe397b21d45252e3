"""The OpenAPI document of our own wire, made of its routes and of the request schemas."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from fantascope.personal.asked import Personalise
from fantascope.request import PICTURE, REQUESTS, Request
from fantascope.serve.own.asked import BODIES
from fantascope.serve.own.schema import REF, kinds, schema_of
from fantascope.serve.own.shapes import Error

COMPONENTS = "#/components/schemas/"
ABOUT = """Pictures from prompts, and proof of where they came from.

Every request needs a token: `Authorization: Bearer TOKEN`. A field or query parameter that is not known is refused.
Every reply with a status from 400 on has the same body, `{"error": {code, status, message, param, hint, …}}`.
"""

SAID: dict[int, str] = {
    400: "The request is wrong: `param` names the field.",
    401: "No token, or one that is unknown, expired or revoked.",
    402: "The account cannot pay the quote.",
    403: "A rule refuses it, or the token does not allow it.",
    404: "It is not there, or is somebody else's.",
    408: "The body did not come.",
    409: "It does not go with what is so by now.",
    413: "The body is too large.",
    422: "An instruction can be read in two ways, or in none.",
    429: "Too many requests, or too many jobs that wait: `Retry-After` says when to come back.",
    501: "What is loaded here cannot do this, or lacks an optional part.",
    502: "A language model behind this server did not answer.",
    503: "The server is about to stop.",
    507: "The disk is full or read-only.",
}
ALWAYS = (400, 401, 429, 503)
TAKES = (408, 413)
"""Of what has a body."""

BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURES = dict.fromkeys(("image/png", "image/jpeg", "image/webp"), BINARY)

JOB_HEADERS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("Idempotency-Key", {"type": "string", "minLength": 1, "maxLength": 255}, "the same key gives the same job again"),
    ("X-Priority", {"type": "string", "enum": ["low", "normal", "high"], "default": "normal"}, "among what waits"),
    ("X-On-Disconnect", {"type": "string", "enum": ["cancel", "continue"]}, "`cancel`: whoever hangs up ends the job"),
    ("Prefer", {"type": "string"}, "`wait`: answer when the job is done; `wait=30`: or after so many seconds"),
)


def replies(*statuses: int, media: dict[str, dict[str, Any]] | None = None, **more: Any) -> dict[int | str, Any]:
    """Return the replies of a route with an error body, and with `media` what a good one holds."""
    told: dict[int | str, Any] = {
        status: {"model": Error, "description": SAID[status]} for status in sorted({*ALWAYS, *statuses})
    }
    if media is not None:
        told[200] = {"content": media, "description": more.get("about", "The bytes.")}
    return told


def header(name: str, schema: dict[str, Any], about: str) -> dict[str, Any]:
    """Return the parameter object of a header."""
    return {"in": "header", "name": name, "required": False, "schema": schema, "description": about}


def job_extra(body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what a route that makes a job says beside its replies."""
    extra: dict[str, Any] = {"parameters": [header(*one) for one in JOB_HEADERS]}
    return extra if body is None else extra | {"requestBody": {"required": True, "content": body}}


def takes(shape: type[BaseModel]) -> dict[str, Any]:
    """Return what a route that takes a JSON body says of it."""
    told = {"application/json": {"schema": {"$ref": COMPONENTS + shape.__name__}}}
    return {"requestBody": {"required": True, "content": told}}


def takes_file() -> dict[str, Any]:
    """Return what a route that takes one file says of it."""
    binary = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {"file": binary}, "required": ["file"], "additionalProperties": False}
    content = {kind: {"schema": binary} for kind in ("image/png", "image/jpeg", "image/webp")}
    return {"requestBody": {"required": True, "content": {**content, "multipart/form-data": {"schema": form}}}}


def task_body(cls: type[Request]) -> dict[str, Any]:
    """Return the media types of a task's request: JSON, and where it has pictures a form."""
    told: dict[str, Any] = {"application/json": {"schema": {"$ref": COMPONENTS + cls.__name__}}}
    if cls.fields_of(PICTURE):
        told["multipart/form-data"] = {"schema": _form(cls)}
    return told


def _form(cls: type[Request]) -> dict[str, Any]:
    """Return the schema of a request in a form: its pictures are files."""
    whole = _moved(copy.deepcopy(schema_of(cls)))
    for part in whole["properties"].values():  # nothing in a form is null: what is not there is not given
        if "anyOf" in part:
            part["anyOf"] = [one for one in part["anyOf"] if one.get("type") != "null"]
            part.pop("default", None)
    for name in cls.fields_of(PICTURE):
        part = whole["properties"][name]
        allowed = kinds(schema_of(cls), schema_of(cls)["properties"][name])
        file = {"type": "string", "format": "binary"}
        about = {"description": part.get("description", "")}
        if "string" in allowed:
            whole["properties"][name] = file | about
        elif name in ("pictures", "photos"):
            whole["properties"][name] = {**part, "items": file}
    return {key: value for key, value in whole.items() if key != "$defs"}


def _moved(part: Any) -> Any:
    """Return a schema whose references point to the document's components."""
    if isinstance(part, dict):
        found = {key: _moved(value) for key, value in part.items()}
        if isinstance(part.get("$ref"), str):
            found["$ref"] = part["$ref"].replace(REF, COMPONENTS)
        return found
    return [_moved(one) for one in part] if isinstance(part, list) else part


def document(router: APIRouter, version: str) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the routes."""
    told = get_openapi(title="Fantascope", version=version, description=ABOUT, routes=router.routes)
    schemas = told["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, bodies = models_json_schema([(shape, "validation") for shape in BODIES], ref_template=COMPONENTS + "{model}")
    schemas |= bodies["$defs"]
    asked: list[type[Request]] = [*REQUESTS.values(), Personalise]
    for cls in asked:
        whole = _moved(copy.deepcopy(schema_of(cls)))
        schemas |= whole.pop("$defs", {})
        schemas[cls.__name__] = whole
    schemas["AnyRequest"] = {"oneOf": [_named(cls) for cls in REQUESTS.values()]}
    for operation in _operations(told):
        found = operation["responses"].get("422", {})
        if "HTTPValidationError" in str(found):
            del operation["responses"]["422"]
        if "requestBody" in operation:
            for status in TAKES:
                body = {"application/json": {"schema": {"$ref": COMPONENTS + "Error"}}}
                operation["responses"][str(status)] = {"description": SAID[status], "content": body}
    told["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
    told["security"] = [{"bearer": []}]
    return told


def _named(cls: type[Request]) -> dict[str, Any]:
    """Return the schema of a request that says its task."""
    return {"allOf": [{"$ref": COMPONENTS + cls.__name__}], "required": ["task"]}


def _operations(told: dict[str, Any]) -> Iterable[dict[str, Any]]:
    return (operation for path in told["paths"].values() for operation in path.values())
