"""Art rendition: a subject learnt from six flat drawings, in other media."""

import runpy
from pathlib import Path

from fantascope import Studio

lesson = runpy.run_path(str(Path(__file__).parent / "mascot" / "lesson.py"))
MEDIA = ["a pomo alien, pencil sketch", "a pomo alien, outline", "a watercolor painting of a pomo alien"]
MEDIA += ["an oil painting of a pomo alien"]

with Studio() as studio:
    lesson["paint"](studio, MEDIA, "pomo-art.png")
