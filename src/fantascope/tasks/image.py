"""Text to image, and maps of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fantascope.artifact import Artifact, Output, Step
from fantascope.engines.base import Engine, Inputs
from fantascope.errors import InvalidValue
from fantascope.tasks.control import steering
from fantascope.tasks.pixels import opaque, open_pixels
from fantascope.tasks.speech import said_of


def imagine(request: Any, engine: Engine, open_: Callable[[str], Artifact]) -> Iterator[Step | Output]:
    """Paint `request.n` pictures from noise.

    Args:
        request: A resolved `Imagine`.
        engine: Loaded weights; what differs between engines is theirs.
        open_: Gives the artifact of an id: the maps that steer.
    """
    size = request.width // request.upscale, request.height // request.upscale
    inputs = Inputs(steers=steering(request, open_)(size, None, None), said=said_of(request))
    yield from engine.render(request, inputs)


def annotate(request: Any, engine: Engine, open_: Callable[[str], Artifact]) -> Iterator[Step | Output]:
    """Draw the map of a picture, or render a document.

    Raises:
        InvalidValue: neither a picture nor a document is given, or both.
    """
    if (request.picture is None) == (request.document is None):
        raise InvalidValue("Give a picture, or a document of joints or strokes: one of them.", param="picture")
    if request.picture is None:
        yield from engine.render(request, Inputs())
        return
    yield from engine.render(request, Inputs(pictures=opaque(open_pixels(open_(request.picture)))[None]))
