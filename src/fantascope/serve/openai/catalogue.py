"""Routes of models: the names that scripts have, and our own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http

from fantascope.engines.weights import open_place
from fantascope.errors import ModelError, NotFound
from fantascope.serve.kit import Server, caller_of, off, server_of
from fantascope.serve.openai.moderations import MODELS
from fantascope.serve.openai.table import NOT_PAINTING, read_table
from fantascope.serve.people import Caller
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, Spec

router = APIRouter(prefix="/v1", include_in_schema=False)


@router.get("/models")
async def models(http: Http, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """List the names that can be asked for: those whose model is on this machine."""
    server = server_of(http)
    return {"object": "list", "data": await off(lambda: list(listed(server)))}


@router.get("/models/{name:path}")
async def model(http: Http, name: str, caller: Caller = Depends(caller_of)) -> dict[str, Any]:
    """Return one of them.

    Raises:
        NotFound: there is no such name, or its model is not on this machine.
    """
    server = server_of(http)
    found = await off(lambda: next((one for one in listed(server) if one["id"] == name), None))
    if found is None:
        raise NotFound(f"The model {name[:100]!r} does not exist here.", param="model", hint="GET /v1/models")
    return found


def listed(server: Server) -> Iterator[dict[str, Any]]:
    """Yield what is said of every name."""
    settings, specs = server.studio.settings, server.studio.specs
    here = {name: spec for name, spec in specs.items() if spec.family not in NOT_PAINTING and _here(spec, settings)}
    table = read_table(settings.home)
    for known in table.models.values():
        spec = here.get(known.spec if known.spec is not None else settings.model)
        if spec is not None:
            yield _told(known.name, known.created, spec, known.rules.name)
    for name, spec in here.items():
        if name not in table.models:
            yield _told(name, _since(spec, settings), spec, "own")
    for name, created in MODELS.items():
        yield {"id": name, "object": "model", "created": created, "owned_by": "fantascope"}


def _told(name: str, created: int, spec: Spec, rules: str) -> dict[str, Any]:
    more = {"spec": spec.name, "rules": rules, "licence": spec.licence.spdx}
    return {"id": name, "object": "model", "created": created, "owned_by": "fantascope", **more}


def _here(spec: Spec, settings: Settings) -> bool:
    """Say whether the weights are on this machine."""
    if spec.family == "echo":
        return True
    try:
        open_place(spec.source, replace(settings, offline=True))
    except ModelError:
        return False
    return True


def _since(spec: Spec, settings: Settings) -> int:
    """Return when the record of a model was written."""
    own = settings.models / f"{spec.name}.json"
    return int((own if own.is_file() else EMBEDDED / "fantascope.json").stat().st_mtime)
