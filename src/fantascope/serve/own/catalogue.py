"""What there is to paint with: models, adapters and annotators, each with its licence."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http

from fantascope.adapter import Adapter, collection
from fantascope.errors import NotFound
from fantascope.lineage import public_facts
from fantascope.serve.kit import caller_of, off, server_of
from fantascope.serve.own.document import replies
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
from fantascope.spec import Spec

router = APIRouter(prefix=PREFIX)

NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


@router.get("/models", response_model=Models, responses=replies(), operation_id="list_models")
async def models(http: Http, caller: Caller = Depends(caller_of)) -> Models:
    """List the models of the catalogue."""
    studio = server_of(http).studio
    found = await off(lambda: studio.specs)
    return Models(data=[_model(spec, studio.settings.model) for spec in found.values()])


@router.get("/models/{name}", response_model=ModelShape, responses=replies(404), operation_id="get_model")
async def model(http: Http, name: str, caller: Caller = Depends(caller_of)) -> ModelShape:
    """Return a model: licence, sizes, defaults."""
    studio = server_of(http).studio
    found = (await off(lambda: studio.specs)).get(checked_id(name, NAME, "model"))
    if found is None:
        raise NotFound(f"There is no model {name!r}.", param="name", hint="GET /v1/fantascope/models")
    return _model(found, studio.settings.model)


def _model(spec: Spec, default: str) -> ModelShape:
    facts = public_facts(spec)
    told: dict[str, Any] = {name: facts[name] for name in ("name", "title", "source", "family", "licence", "sizes")}
    return ModelShape(
        **told, commercial=spec.licence.commercial, defaults=facts["defaults"], default=spec.name == default
    )


@router.get("/adapters", response_model=Adapters, responses=replies(), operation_id="list_adapters")
async def adapters(http: Http, caller: Caller = Depends(caller_of)) -> Adapters:
    """List the adapters of the collection."""
    folder = server_of(http).studio.settings.adapters
    found = await off(lambda: collection(folder))
    return Adapters(data=[_adapter(one) for one in found.values()])


@router.get("/adapters/{name}", response_model=AdapterShape, responses=replies(404), operation_id="get_adapter")
async def adapter(http: Http, name: str, caller: Caller = Depends(caller_of)) -> AdapterShape:
    """Return an adapter: what it changes, its licence and what contradicts it."""
    folder = server_of(http).studio.settings.adapters
    found = (await off(lambda: collection(folder))).get(checked_id(name, NAME, "adapter"))
    if found is None:
        raise NotFound(f"There is no adapter {name!r}.", param="name", hint="GET /v1/fantascope/adapters")
    return _adapter(found)


def _adapter(one: Adapter) -> AdapterShape:
    facts = one.model_dump(mode="json")
    told = {name: facts[name] for name in AdapterShape.model_fields if name != "kind"}
    return AdapterShape(**told, kind=one.kind)


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
