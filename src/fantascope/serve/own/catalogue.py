"""What there is to paint with: models, adapters and annotators, each with its licence."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

from fantascope.adapter import FILES, Adapter, collection
from fantascope.errors import NotFound
from fantascope.lineage import public_facts
from fantascope.reports.weights import bytes_of
from fantascope.serve.kit import caller_of, off, server_of
from fantascope.serve.own.document import PICTURES, replies
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.shapes import (
    Adapters,
    AdapterShape,
    Annotators,
    AnnotatorShape,
    Models,
    ModelShape,
    ParameterShape,
)
from fantascope.serve.own.wire import PREFIX, checked_id
from fantascope.serve.people import Caller
from fantascope.settings import Settings
from fantascope.spec import Spec

router = APIRouter(prefix=PREFIX, route_class=PackedRoute)

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@router.get("/models", response_model=Models, responses=replies(), operation_id="list_models")
async def models(http: Http, caller: Caller = Depends(caller_of)) -> Models:
    """List the models of the catalogue."""
    studio = server_of(http).studio
    return Models(data=await off(lambda: [_model(spec, studio.settings) for spec in studio.specs.values()]))


@router.get("/models/{name}", response_model=ModelShape, responses=replies(404), operation_id="get_model")
async def model(http: Http, name: str, caller: Caller = Depends(caller_of)) -> ModelShape:
    """Return a model: licence, sizes, defaults, and the hashes of its weights."""
    studio = server_of(http).studio
    found = (await off(lambda: studio.specs)).get(checked_id(name, NAME, "model"))
    if found is None:
        raise NotFound(f"There is no model {name!r}.", param="name", hint="GET /v1/fantascope/models")
    return await off(lambda: _model(found, studio.settings))


def _model(spec: Spec, settings: Settings) -> ModelShape:
    facts = public_facts(spec)
    told: dict[str, Any] = {name: facts[name] for name in ModelShape.model_fields if name in facts}
    more = {"default": spec.name == settings.model, "bytes": bytes_of(spec, settings)}
    return ModelShape(**told, **more, commercial=spec.licence.commercial)


@router.get("/adapters", response_model=Adapters, responses=replies(), operation_id="list_adapters")
async def adapters(http: Http, caller: Caller = Depends(caller_of)) -> Adapters:
    """List the adapters of the collection: those that everybody has, and yours."""
    told = server_of(http).studio_of(caller).settings
    found = await off(lambda: collection(told.adapters, told.sees))
    return Adapters(data=[adapter_shape(one, told) for one in found.values()])


@router.get("/adapters/{name}", response_model=AdapterShape, responses=replies(404), operation_id="get_adapter")
async def adapter(http: Http, name: str, caller: Caller = Depends(caller_of)) -> AdapterShape:
    """Return an adapter: what it changes, its licence and what contradicts it."""
    return adapter_shape(await _adapter(http, caller, name), server_of(http).studio.settings)


@router.get(
    "/adapters/{name}/samples",
    response_class=Response,
    responses=replies(404, media=PICTURES),
    operation_id="get_adapter_samples",
)
async def samples(http: Http, name: str, caller: Caller = Depends(caller_of)) -> Response:
    """Return the grid of sample pictures of an adapter, for everybody who may use it: it is a part of its record."""
    found = await _adapter(http, caller, name)
    if found.samples is None:
        raise NotFound(f"The adapter {name!r} has no sample pictures.", param="name")
    gallery, id = server_of(http).studio.gallery, found.samples
    kept = await off(lambda: gallery.get(id))
    headers = {"ETag": f'"{kept.id[7:]}"', "Cache-Control": "private, no-cache"}
    return Response(kept.data, media_type=kept.media_type, headers=headers)


async def _adapter(http: Http, caller: Caller, name: str) -> Adapter:
    told = server_of(http).studio_of(caller).settings
    found = (await off(lambda: collection(told.adapters, told.sees))).get(checked_id(name, NAME, "adapter"))
    if found is None:
        raise NotFound(f"There is no adapter {name!r}.", param="name", hint="GET /v1/fantascope/adapters")
    return found


def adapter_shape(one: Adapter, told: Settings) -> AdapterShape:
    """Return an adapter as the wire tells it."""
    facts = one.model_dump(mode="json")
    named: dict[str, Any] = {key: facts[key] for key in AdapterShape.model_fields if key in facts}
    file = told.adapters / FILES / one.file
    named["size"] = file.stat().st_size if file.is_file() else None
    named["samples"] = None if one.samples is None else f"{PREFIX}/adapters/{one.name}/samples"
    return AdapterShape(**named, kind=one.kind)


@router.get("/annotators", response_model=Annotators, responses=replies(501), operation_id="list_annotators")
async def annotators(caller: Caller = Depends(caller_of)) -> Annotators:
    """List the kinds of control maps, with their parameters."""
    from fantascope.annotate.table import ANNOTATORS

    rows = await off(lambda: list(ANNOTATORS.values()))
    return Annotators(
        data=[
            AnnotatorShape(
                kind=one.kind,
                about=one.about,
                licence=one.licence,
                network=one.needs_weights,
                document=one.draw is not None,
                parameters=[_parameter(param) for param in one.params],
            )
            for one in rows
        ]
    )


def _parameter(param: Any) -> ParameterShape:
    ranged = not param.choices
    return ParameterShape(
        name=param.name,
        default=param.default,
        allowed=param.allowed(),
        low=param.low if ranged else None,
        high=param.high if ranged else None,
        choices=list(param.choices),
        about=param.about,
    )
