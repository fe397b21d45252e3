"""Tasks: functions from a resolved request and a loaded engine to steps and outputs. `TASKS` names them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fantascope.artifact import Output, Step
from fantascope.tasks.image import imagine

Task = Callable[..., Iterator[Step | Output]]

TASKS: dict[str, Task] = {"imagine": imagine}

__all__ = ["TASKS", "Task", "imagine"]
