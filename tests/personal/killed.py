"""A lesson that is killed at a step: what `tests.forks` runs in a child."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from fantascope import Settings, Studio
from fantascope.personal.lesson import Lesson
from fantascope.personal.teach import Learning, teach


def teach_until(home: str, photos: str, asked: dict[str, Any], step: int) -> None:
    """Teach from a folder of photos; kill this process, as `kill -9` does, when a step is told."""
    lesson = Lesson(**(asked | {"photos": (Path(photos),)}))
    with Studio(Settings(home=Path(home))) as studio:
        for event in teach(lesson, studio):
            if isinstance(event, Learning) and event.step == step:
                os.kill(os.getpid(), signal.SIGKILL)
