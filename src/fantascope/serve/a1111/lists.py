"""What the web UI lists (models, samplers, adapters, styles …), and what its operator does."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

import fantascope.serve.a1111.names as names
import fantascope.serve.a1111.styles as styles
import fantascope.serve.a1111.units as units
from fantascope.adapter import Adapter, collection
from fantascope.engines.memory import resident
from fantascope.errors import AccessDenied, Unsupported
from fantascope.provenance.infotext import SCHEDULES
from fantascope.request import Imagine
from fantascope.serve.a1111.replies import reply
from fantascope.serve.a1111.runs import board_of
from fantascope.serve.kit import caller_of, off, server_of
from fantascope.serve.operations import operator_of
from fantascope.serve.people import Caller
from fantascope.spec import Spec, find_spec

router = APIRouter(prefix="/sdapi/v1")

EMPTY = ("sd-vae", "hypernetworks", "face-restorers", "realesrgan-models", "extensions")
"""Lists of what there is none of here."""

REFRESH = ("refresh-checkpoints", "refresh-vae", "refresh-loras", "refresh-embeddings")
CLOSED = ("server-kill", "server-restart", "server-stop")
TAUGHT = ("create/embedding", "create/hypernetwork", "train/embedding", "train/hypernetwork")
INVERSION = "textual-inversion"


async def spec_of(http: Http, caller: Caller) -> tuple[Spec, dict[str, Spec]]:
    """Return the model that a caller's options name, and all models."""
    kept, studio = board_of(http).options.get(caller.account, {}), server_of(http).studio_of(caller)
    specs = await off(lambda: studio.specs)
    return find_spec(kept.get("sd_model_checkpoint", studio.settings.model), specs), specs


@router.get("/samplers")
async def samplers(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the samplers of the caller's model."""
    spec, _ = await spec_of(http, caller)
    return reply([_sampler(name, ours, how) for name, (ours, how) in names.samplers(spec).items()])


@router.get("/schedulers")
async def schedulers(caller: Caller = Depends(caller_of)) -> Response:
    """List the spacings of noise levels."""
    rows = [(label.lower(), label) for label in SCHEDULES.values()]
    more = {"aliases": None, "default_rho": -1.0, "need_inner_model": False}
    return reply([{"name": name, "label": label, **more} for name, label in rows])


@router.get("/upscalers")
async def upscalers(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the upscalers of the caller's model."""
    spec, _ = await spec_of(http, caller)
    more = {"model_name": None, "model_path": None, "model_url": None}
    found = names.upscalers(spec)
    return reply([{"name": name, **more, "scale": spec.upscaler if name != "None" else 4} for name in found])


@router.get("/latent-upscale-modes")
async def latent_upscale_modes(caller: Caller = Depends(caller_of)) -> Response:
    """List the ways of the second pass."""
    return reply([{"name": names.LATENT}])


@router.get("/sd-models")
async def sd_models(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the models that paint."""
    _, specs = await spec_of(http, caller)
    return reply([_model(spec) for spec in names.paints(specs).values()])


@router.get("/loras")
async def loras(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the adapters of the collection, those that are words apart."""
    found = await _adapters(http, caller)
    return reply([_lora(one) for one in found.values() if one.method != INVERSION])


@router.get("/embeddings")
async def embeddings(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the textual inversions of the collection: those that fit the caller's model, and the rest."""
    spec, specs = await spec_of(http, caller)
    words = [one for one in (await _adapters(http, caller)).values() if one.method == INVERSION]
    rows = [(one, _embedding(one, specs)) for one in words]
    fits = {one.name: row for one, row in rows if one.family == spec.family}
    return reply({"loaded": fits, "skipped": {one.name: row for one, row in rows if one.name not in fits}})


@router.get("/prompt-styles")
async def prompt_styles(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the operator's styles."""
    home = server_of(http).studio.settings.home
    found = await off(lambda: styles.styles_in(home))
    return reply([vars(style) for style in found.values()])


@router.get("/scripts")
async def scripts(caller: Caller = Depends(caller_of)) -> Response:
    """List the scripts: the ControlNet extension's alone."""
    return reply({"txt2img": list(units.LISTED), "img2img": list(units.LISTED)})


@router.get("/script-info")
async def script_info(caller: Caller = Depends(caller_of)) -> Response:
    """List the scripts with their arguments."""
    args = [{"label": f"ControlNet Unit {k}", "value": None} for k in range(units.MOST)]
    return reply(
        [{"name": units.SCRIPT, "is_alwayson": True, "is_img2img": edits, "args": args} for edits in (False, True)]
    )


@router.get("/cmd-flags")
async def cmd_flags(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Return how this server was started, without what is nobody's business."""
    told = server_of(http).options
    return reply({"api": True, "nowebui": True, "listen": not told.local, "api_server_stop": False, "api_auth": None})


@router.get("/memory")
async def memory(caller: Caller = Depends(caller_of)) -> Response:
    """Return the memory of this process, bytes."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    used = resident() or 0
    return reply({"ram": {"free": total - used, "used": used, "total": total}, "cuda": {"error": "unavailable"}})


@router.post("/unload-checkpoint")
async def unload_checkpoint(http: Http, caller: Caller = Depends(operator_of)) -> Response:
    """Give the memory of idle engines back."""
    await off(server_of(http).studio.engines.drop)
    return reply({})


@router.post("/reload-checkpoint")
async def reload_checkpoint(http: Http, caller: Caller = Depends(operator_of)) -> Response:
    """Begin to load the caller's model."""
    spec, _ = await spec_of(http, caller)
    studio = server_of(http).studio_of(caller)

    def work() -> None:
        job = studio.resolve(Imagine(prompt="a picture", model=spec.name), typed=False)
        studio.engines.prefetch(job.spec, job.choice, job.request)

    await off(work)
    return reply({})


async def nothing(caller: Caller = Depends(caller_of)) -> Response:
    """List nothing."""
    return reply([])


async def refresh(caller: Caller = Depends(caller_of)) -> Response:
    """Do nothing: lists are read when they are asked for."""
    return reply(None)


async def closed(caller: Caller = Depends(caller_of)) -> Response:
    """Refuse to stop the server.

    Raises:
        AccessDenied: always.
    """
    raise AccessDenied("This server is stopped where it runs, not through its API.")


async def taught(caller: Caller = Depends(caller_of)) -> Response:
    """Refuse to teach.

    Raises:
        Unsupported: always.
    """
    raise Unsupported("Nothing is taught through this API.", hint="fantascope personalise")


for name in EMPTY:
    router.add_api_route(f"/{name}", nothing, methods=["GET"])
for name in REFRESH:
    router.add_api_route(f"/{name}", refresh, methods=["POST"])
for name in CLOSED:
    router.add_api_route(f"/{name}", closed, methods=["POST"])
for name in TAUGHT:
    router.add_api_route(f"/{name}", taught, methods=["POST"])


async def _adapters(http: Http, caller: Caller) -> dict[str, Adapter]:
    told = server_of(http).studio_of(caller).settings
    return await off(lambda: collection(told.adapters, told.sees))


def _sampler(name: str, ours: str, how: str | None) -> dict[str, Any]:
    options = {} if how is None else {"scheduler": how}
    return {"name": name, "aliases": list(names.ALIASES.get(ours, ())) if how is None else [], "options": options}


def _model(spec: Spec) -> dict[str, Any]:
    digest = names.weights_hash(spec)
    short = None if digest is None else digest[:10]
    told = {"title": names.title(spec), "model_name": spec.name, "hash": short, "sha256": digest}
    return told | {"filename": f"{spec.name}.safetensors", "config": None}


def _lora(one: Adapter) -> dict[str, Any]:
    more = {"family": one.family, "base": one.base, "trigger": list(one.trigger), "licence": one.licence.spdx}
    return {"name": one.name, "alias": one.title, "path": one.file, "metadata": one.metadata, "fantascope": more}


def _embedding(one: Adapter, specs: Mapping[str, Spec]) -> dict[str, Any]:
    base = specs.get(one.base)
    digest = None if base is None else names.weights_hash(base)
    model = {"sd_checkpoint": None if digest is None else digest[:10], "sd_checkpoint_name": one.base}
    return {"step": None, **model, "shape": None, "vectors": one.tokens, "trigger": list(one.trigger)}
