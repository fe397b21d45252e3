"""Larger pictures, what a file says of itself, what a picture shows, and options."""

from __future__ import annotations

import html
from typing import Any

from fastapi import APIRouter, Depends
from fastapi import Request as Http
from starlette.responses import Response

import fantascope.serve.a1111.infotext as infotext
import fantascope.serve.a1111.names as names
import fantascope.serve.a1111.options as options
import fantascope.serve.a1111.pictures as pictures
from fantascope.artifact import Artifact
from fantascope.errors import InvalidPicture, InvalidValue, UnknownName
from fantascope.provenance.container import parameters_in
from fantascope.provenance.infotext import parameters_of
from fantascope.provenance.pictures import probe
from fantascope.request import Upscale
from fantascope.serve.a1111.bodies import ExtraBatch, Extras, ExtraSingle, Interrogate, PngInfo, read
from fantascope.serve.a1111.options import Wish
from fantascope.serve.a1111.replies import encoded, reply
from fantascope.serve.a1111.runs import board_of, body_of, made
from fantascope.serve.kit import Server, caller_of, off, server_of
from fantascope.serve.people import Caller

router = APIRouter(prefix="/sdapi/v1")

FACTOR = 2.0
SIDE = 512


@router.post("/extra-single-image")
async def extra_single_image(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Enlarge a picture."""
    body = read(ExtraSingle, await body_of(http))
    found, told = await _enlarged(http, caller, body, [body.image])
    return reply({"html_info": told, "image": encoded(found[0].data) if found else None})


@router.post("/extra-batch-images")
async def extra_batch_images(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Enlarge several pictures."""
    body = read(ExtraBatch, await body_of(http))
    found, told = await _enlarged(http, caller, body, [one.data for one in body.imageList])
    return reply({"html_info": told, "images": [encoded(one.data) for one in found]})


@router.post("/png-info")
async def png_info(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Say what a file says of how it was made. Nothing is decoded or kept."""
    body = read(PngInfo, await body_of(http))
    return reply(await off(lambda: _told(body.image)))


@router.post("/interrogate")
async def interrogate(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Say in a prompt what a picture shows, as far as the detector of this server knows it.

    Raises:
        UnknownName: another model is wanted than the one there is, which goes by the name `clip`.
        InvalidValue: nothing in the picture is known.
    """
    body = read(Interrogate, await body_of(http))
    if body.model not in (None, "clip"):
        raise UnknownName("model", str(body.model)[:100], ["clip"], param="model")
    server = server_of(http)

    def work() -> str:
        given = pictures.opened(body.image, "image")
        return server.studio_of(caller).describe(server.take(caller, given.data))

    return reply({"caption": await off(work)})


@router.get("/options")
async def get_options(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Return the caller's options."""
    kept, studio = board_of(http).options.get(caller.account, {}), server_of(http).studio_of(caller)
    return reply(await off(lambda: options.shown(kept, studio.specs, studio.settings.model)))


@router.post("/options")
async def set_options(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Set options of the caller's, as long as this server runs; all of them, or none where one is wrong."""
    data, studio = await body_of(http), server_of(http).studio_of(caller)
    told = await off(lambda: options.check(data, studio.specs))
    board_of(http).options.setdefault(caller.account, {}).update(told)
    return reply(None)


async def _enlarged(http: Http, caller: Caller, body: Extras, texts: list[str]) -> tuple[list[Artifact], str]:
    """Have pictures enlarged, and return them with what is said of them."""
    server, board = server_of(http), board_of(http)
    kept, studio = board.options.get(caller.account, {}), server.studio_of(caller)
    wish = await off(lambda: options.wish_of(kept, {}, studio.specs, studio.settings.model))
    requests = await off(lambda: [_upscale(server, caller, body, text, wish) for text in texts])
    found: list[Artifact] = []
    with board.run(caller, "extras", 1, len(requests) - 1) as run:
        for request in requests:
            found += (await made(server, http, caller, run, request))[1]
    lines = [parameters_of(one.receipt).text() for one in found if one.receipt is not None]
    return found, "".join(f"<p>{html.escape(line)}</p>" for line in lines)


def _upscale(server: Server, caller: Caller, body: Extras, text: str, wish: Wish) -> Upscale:
    """Return the request for one picture.

    Raises:
        InvalidValue: something is asked for that cannot be given.
    """
    for name in ("gfpgan_visibility", "codeformer_visibility"):
        if getattr(body, name):
            raise InvalidValue(f"Faces are not restored here: {name} is 0.", param=name)
    if body.extras_upscaler_2_visibility and names.find_upscaler(body.upscaler_2, wish.spec, "upscaler_2"):
        raise InvalidValue("One upscaler a picture: upscaler_2 is None.", param="upscaler_2")
    wanted = names.find_upscaler(body.upscaler_1, wish.spec, "upscaler_1")
    given = pictures.opened(text, "image")
    data, factor = given.data, 1.0
    if wanted and body.resize_mode == 1:
        size = body.upscaling_resize_w or SIDE, body.upscaling_resize_h or SIDE
        pixels = given.pixels
        if body.upscaling_crop is not False:
            pixels = pictures.cut_to(pixels, size)
            data = given.data if pixels.shape == given.pixels.shape else pictures.png(pixels)
        factor = min(size[0] / pixels.shape[1], size[1] / pixels.shape[0])
    elif wanted:
        factor = body.upscaling_resize or FACTOR
    if not 1 <= factor <= 4:
        told = f"A picture of {given.size[0]}x{given.size[1]} is made 1 to 4 times as large, not {factor:.3g} times."
        raise InvalidValue(told, param="upscaling_resize")
    picture = server.take(caller, data)
    return Upscale(
        picture=picture, factor=factor, detail=0, model=wish.spec.name, format=wish.format, quality=wish.quality, seed=0
    )


def _told(text: str) -> dict[str, Any]:
    try:
        found = probe(pictures.decoded(text.strip(), "image"))
    except InvalidPicture as error:
        raise InvalidPicture(error.message, param="image", hint=error.hint) from None
    told = parameters_in(found) or ""
    items = {name: value for name, value in found.texts.items() if name != "parameters"}
    return {"info": told, "items": items, "parameters": infotext.said(told)}
