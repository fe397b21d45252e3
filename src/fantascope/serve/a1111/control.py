"""Routes of the ControlNet extension: what there is, and maps of pictures without a picture made by them."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

import fantascope.serve.a1111.pictures as pictures
import fantascope.serve.a1111.units as units
from fantascope.annotate import ALIASES, ANNOTATORS, Annotator, read_pose
from fantascope.artifact import Artifact
from fantascope.errors import InvalidValue
from fantascope.request import Annotate
from fantascope.serve.a1111.bodies import Detect, read
from fantascope.serve.a1111.lists import spec_of
from fantascope.serve.a1111.replies import encoded, reply
from fantascope.serve.a1111.runs import board_of, body_of, made
from fantascope.serve.kit import Server, caller_of, off, server_of
from fantascope.serve.people import Caller
from fantascope.spec import Spec

router = APIRouter(prefix="/controlnet")

VERSION = 2
"""Of the extension's API."""

MOST = 32
"""Pictures or documents of one request."""


@router.get("/version")
async def version(caller: Caller = Depends(caller_of)) -> Response:
    """Return the version of the extension's API that is spoken here."""
    return reply({"version": VERSION})


@router.get("/settings")
async def settings(caller: Caller = Depends(caller_of)) -> Response:
    """Return how many units there may be."""
    return reply({"control_net_unit_count": units.MOST})


@router.get("/model_list")
async def model_list(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the control networks: those of the caller's model by the maps they take, and those of the catalogue."""
    spec, specs = await spec_of(http, caller)
    return reply({"model_list": await off(lambda: models(spec, specs))})


@router.get("/module_list")
async def module_list(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List the modules that can run here, with their sliders."""
    server = server_of(http)
    found = await off(lambda: modules(server))
    details = {name: {"model_free": False, "sliders": sliders(kind)} for name, kind in found.items()}
    return reply({"module_list": list(found), "module_detail": details})


@router.get("/control_types")
async def control_types(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """List modules and models by what their maps show."""
    server, (spec, specs) = server_of(http), await spec_of(http, caller)
    found, known = await off(lambda: (modules(server), models(spec, specs)))
    own = await off(lambda: units.own_kinds(spec))
    rows = {"All": _type(list(found), known, units.NONE)}
    for name, kinds in units.TYPES.items():
        listed = [module for module, kind in found.items() if kind in (*kinds, units.NONE)]
        takes = [model for model in known if own.get(model) in kinds or _network(model, kinds)]
        rows[name] = _type(listed, takes, next((kind for kind in kinds if kind in found), units.NONE))
    return reply({"control_types": rows})


@router.post("/detect")
async def detect(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Draw the maps of pictures.

    Raises:
        UnknownName: there is no such module.
        InvalidValue: there is no picture, or more than may be.
    """
    body = read(Detect, await body_of(http))
    server, board = server_of(http), board_of(http)
    kind = units.find_module(body.controlnet_module)
    texts = body.controlnet_input_images or body.controlnet_images or []
    if not 1 <= len(texts) <= MOST:
        told = "No image selected" if not texts else f"{len(texts)} pictures are sent; {MOST} may be."
        raise InvalidValue(told, param="controlnet_input_images")
    if kind in (units.NONE, units.INVERT):
        return reply({"images": await off(lambda: [_plain(text, kind) for text in texts]), "info": "Success"})
    requests = await off(lambda: [_request(server, caller, kind, body, text) for text in texts])
    found: list[Artifact] = []
    with board.run(caller, "controlnet_detect", 1, len(requests) - 1) as run:
        for request in requests:
            found += (await made(server, http, caller, run, request))[1]
    answer: dict[str, Any] = {"images": [encoded(one.data) for one in found], "info": "Success"}
    if kind == "pose":
        answer["poses"] = [_openpose(one) for one in found]
    return reply(answer)


@router.post("/render_openpose_json")
async def render_openpose_json(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Draw people from documents of their joints; hands and faces are left out.

    Raises:
        InvalidValue: a document is not one of joints.
    """
    documents = await _documents(http)
    if not documents:
        return reply({"info": "No pose data detected."})
    server, board = server_of(http), board_of(http)
    requests = [Annotate(kind="pose", document=json.dumps(document)) for document in documents]
    found: list[Artifact] = []
    with board.run(caller, "controlnet_render", 1, len(requests) - 1) as run:
        for request in requests:
            found += (await made(server, http, caller, run, request))[1]
    return reply({"images": [encoded(one.data) for one in found], "info": "Success"})


def models(spec: Spec, specs: dict[str, Spec]) -> list[str]:
    """Return the control networks that steer a model, by name."""
    family = {"sd1": "sd15", "sd2": "sd21"}.get(spec.family, spec.family)
    listed = [name for name in units.networks(specs) if name.startswith(family) or specs[name].kind != "hub"]
    return [*units.own_kinds(spec), *listed]


def modules(server: Server) -> dict[str, str]:
    """Return the modules that can run here -> the kind of map: those whose networks' files are there."""
    folder = server.studio.settings.home / "annotators"
    able = [one.kind for one in ANNOTATORS.values() if all((folder / file.name).is_file() for file in one.files)]
    rows = {units.NONE: units.NONE, units.INVERT: units.NONE} | {kind: kind for kind in able}
    return rows | {alias: kind for alias, kind in ALIASES.items() if kind in able}


def sliders(kind: str) -> list[dict[str, Any]]:
    """Return the sliders of a kind of map: the resolution, then `threshold_a` and `threshold_b` where it has them."""
    annotator: Annotator | None = ANNOTATORS.get(kind)
    if annotator is None:
        return []
    params = {param.name: param for param in annotator.params}
    shown = [params[name] for name in ("resolution", *units.SLIDERS.get(kind, ())) if name in params]
    return [{"name": one.name, "value": one.default, "min": one.low, "max": one.high} for one in shown]


def _network(model: str, kinds: tuple[str, ...]) -> bool:
    words = {"pose": "openpose", "segmentation": "seg", "hough": "mlsd"}
    return any(kind in model or words.get(kind, kind) in model for kind in kinds)


def _type(listed: list[str], known: list[str], usual: str) -> dict[str, Any]:
    default = known[0] if known else "None"
    return {"module_list": listed, "model_list": ["None", *known], "default_option": usual, "default_model": default}


def _plain(text: str, kind: str) -> str:
    given = pictures.opened(text, "controlnet_input_images")
    if kind == units.NONE:
        return encoded(given.data)
    return encoded(pictures.png(255 - given.pixels[..., :3]))


def _request(server: Server, caller: Caller, kind: str, body: Detect, text: str) -> Annotate:
    given = pictures.opened(text, "controlnet_input_images")
    sliders_ = body.controlnet_processor_res, body.controlnet_threshold_a, body.controlnet_threshold_b
    told = units.parameters_of(ANNOTATORS[kind], *sliders_)
    return Annotate(kind=kind, picture=server.take(caller, given.data), parameters=told or None)


def _openpose(one: Artifact) -> dict[str, Any]:
    found = one.receipt.found if one.receipt is not None else None
    return read_pose(found).as_openpose() if found else {"people": []}


async def _documents(http: Http) -> list[Any]:
    """Return the documents of a body: a list of them, or an object that holds it.

    Raises:
        InvalidValue: it is neither, or there are too many.
    """
    body = await http.body()
    try:
        data = json.loads(body) if body.strip() else []
    except (ValueError, RecursionError):
        raise InvalidValue("The body is no JSON, or nested too deeply.") from None
    found = data.get("pose_data", []) if isinstance(data, dict) else data
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidValue("The body is a list of documents of joints.", param="pose_data")
    if len(found) > MOST:
        raise InvalidValue(f"{len(found)} documents are sent; {MOST} may be.", param="pose_data")
    return found
