"""Art rendition: a subject learnt from six flat drawings, in other media."""

import runpy
from pathlib import Path

from fantascope import Studio

lesson = runpy.run_path(str(Path(__file__).parent / "mascot" / "lesson.py"))
MEDIA = ["a pomo alien, pencil sketch", "line art of a pomo alien", "a watercolor painting of a pomo alien"]
MEDIA += ["a minimalist icon of a pomo alien"]

with Studio() as studio:
    lesson["paint"](studio, MEDIA, "pomo-art.png", weight=0.8)
