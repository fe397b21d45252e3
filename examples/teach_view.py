"""View synthesis: the captions of the drawings name their view, so that a prompt can ask for one, on any ground."""

import runpy
from pathlib import Path

from fantascope import Studio

lesson = runpy.run_path(str(Path(__file__).parent / "mascot" / "lesson.py"))
VIEWS = ["a pomo alien looking left on a red background", "a pomo alien looking right on a red background"]
VIEWS += ["a pomo alien on a red background", "a pomo alien looking left on a purple background"]

with Studio() as studio:
    lesson["paint"](studio, VIEWS, "pomo-view.png")
