"""What the examples of teaching share: Pomo is drawn, and taught to the embedded checkpoint unless it knows it."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from fantascope import Artifact, Imagine, Studio
from fantascope.adapter import collection
from fantascope.personal.lesson import Lesson
from fantascope.personal.teach import Learning, teach
from fantascope.request import Applied

sys.path.insert(0, str(Path(__file__).parent))

QUICK = sys.argv[1:2] == ["quick"]
"""`python examples/teach_art.py quick` takes two steps only: everything runs, and nothing is learnt."""

SAID = {"licence": "CC0-1.0", "consent": "Drawn for this project and given away."}


def pomo(studio: Studio) -> Applied:
    """The adapter that paints Pomo; minutes the first time, nothing afterwards."""
    from draw import draw  # type: ignore[import-not-found]

    if "pomo" not in collection(studio.settings.adapters):
        with tempfile.TemporaryDirectory() as folder:
            photos, _ = draw(Path(folder))
            few = {"steps": 2, "class_pictures": 2, "batch": 1, "class_batch": 1, "samples": 0} if QUICK else {}
            few |= {"companions": 1} if QUICK else {}
            for event in teach(Lesson(tuple(photos), "pomo", "alien", **SAID, **few), studio):
                if isinstance(event, Learning):
                    print(f"learning {event.step}/{event.steps}")
    return Applied(name="pomo")


def paint(
    studio: Studio, prompts: list[str], out: str, *, weight: float = 1.0, guidance: float = 4.0, seed: int = 1
) -> None:
    """Paint one picture a prompt with Pomo, and write their contact sheet."""
    applied = pomo(studio).model_copy(update={"weight": weight})
    small = {"steps": 1, "upscale": 1, "width": 128, "height": 128} if QUICK else {}
    made = []
    for prompt in prompts:
        asked = Imagine(prompt=prompt, seed=seed, guidance=guidance, adapters=(applied,), **small)
        made += [event for event in studio.run(asked) if isinstance(event, Artifact)]
    path = Path(tempfile.gettempdir()) / out
    path.write_bytes(studio.sheet(made).data)
    print(path)
