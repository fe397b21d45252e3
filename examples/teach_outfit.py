"""Accessorization: the subject is painted, and things that none of its drawings has are added by words."""

import runpy
import tempfile
from pathlib import Path

from fantascope import Artifact, Edit, Imagine, Studio

lesson = runpy.run_path(str(Path(__file__).parent / "mascot" / "lesson.py"))
ADDED = ["add a top hat", "add a crown"]
small = {"steps": 1, "upscale": 1, "width": 128, "height": 128} if lesson["QUICK"] else {}

with Studio() as studio:
    applied = lesson["pomo"](studio)
    asked = Imagine(prompt="a pomo alien on a white background", seed=1, adapters=(applied,), **small)
    (plain,) = (event for event in studio.run(asked) if isinstance(event, Artifact))
    pictures = [plain]
    for words in ADDED[:1] if lesson["QUICK"] else ADDED:
        wish = Edit(picture=plain.id, instruction=words, seed=2, **({"steps": 1} if lesson["QUICK"] else {}))
        pictures += [event for event in studio.run(wish) if isinstance(event, Artifact)]
    path = Path(tempfile.gettempdir()) / "pomo-outfit.png"
    path.write_bytes(studio.sheet(pictures).data)
    print(path)
