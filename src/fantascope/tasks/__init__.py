"""Tasks: functions from a resolved request and a loaded engine to steps and outputs. `TASKS` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module

from fantascope.artifact import Output, Step

Task = Callable[..., Iterator[Step | Output]]

TASKS: dict[str, str] = {
    "imagine": "image:imagine",
    "vary": "edit:vary",
    "fill": "edit:fill",
    "erase": "instruct:erase",
    "expand": "edit:expand",
    "blend": "edit:blend",
    "upscale": "enlarge:upscale",
    "cutout": "cutout:cutout",
    "tile": "edit:tile",
    "edit": "instruct:edit",
    "annotate": "image:annotate",
}
"""Task -> the module here and the function in it: one task does not load what the others need."""


def task_of(name: str) -> Task:
    """Return the function of a task."""
    module, _, function = TASKS[name].partition(":")
    task: Task = getattr(import_module(f"fantascope.tasks.{module}"), function)
    return task


__all__ = ["TASKS", "Task", "task_of"]
