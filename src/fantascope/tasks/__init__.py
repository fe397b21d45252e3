"""Tasks: functions from a resolved request and a loaded engine to steps and outputs. `TASKS` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fantascope.artifact import Output, Step
from fantascope.tasks.cutout import cutout
from fantascope.tasks.edit import blend, expand, fill, tile, vary
from fantascope.tasks.enlarge import upscale
from fantascope.tasks.image import annotate, imagine
from fantascope.tasks.instruct import edit, erase

Task = Callable[..., Iterator[Step | Output]]

TASKS: dict[str, Task] = {
    "imagine": imagine,
    "vary": vary,
    "fill": fill,
    "erase": erase,
    "expand": expand,
    "blend": blend,
    "upscale": upscale,
    "cutout": cutout,
    "tile": tile,
    "edit": edit,
    "annotate": annotate,
}

__all__ = ["TASKS", "Task"]
