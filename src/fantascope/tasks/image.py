"""Text to image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fantascope.artifact import Artifact, Output, Step
from fantascope.engines.base import Engine, Inputs
from fantascope.request import Request


def imagine(request: Request, engine: Engine, open_: Callable[[str], Artifact]) -> Iterator[Step | Output]:
    """Paint `request.n` pictures from noise.

    Args:
        request: A resolved `Imagine`.
        engine: Loaded weights; what differs between engines is theirs.
        open_: Gives the artifact of an id; text to image needs none.
    """
    yield from engine.render(request, Inputs())
