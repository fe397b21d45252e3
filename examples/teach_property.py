"""Property modification: the subject in other colours, and crossed with other creatures."""

import runpy
from pathlib import Path

from fantascope import Studio

lesson = runpy.run_path(str(Path(__file__).parent / "mascot" / "lesson.py"))
COLOURS = ["a blue pomo alien", "a pink pomo alien", "a green pomo alien", "a purple pomo alien"]
HYBRIDS = ["a pomo lion", "a pomo bear"]
LEAD = {"weight": 0.65, "guidance": 6.0}
"""At full weight all but the green one stay orange: less of the adapter, and more of the words."""

with Studio() as studio:
    lesson["paint"](studio, COLOURS + HYBRIDS, "pomo-property.png", **LEAD)
