"""The data card: what is in the planned scenes, counted, and a sheet of the first of them to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from PIL import Image

from fantascope.data.compose import CANVAS, Composer, Scene

GAP = 4


def data_card(scenes: Sequence[Scene], credits: Iterable[str]) -> str:
    """Write the card as Markdown: credits, then counts of layouts, backgrounds, colours and concepts.

    Args:
        scenes: What is trained on.
        credits: Lines that say whose drawings these are.
    """
    things = [thing for scene in scenes for thing in scene.things]
    captions = len({scene.caption for scene in scenes})
    tables = (
        ("Layout", "scenes", Counter(scene.layout for scene in scenes)),
        ("Background", "scenes", Counter(scene.background for scene in scenes)),
        ("Colour", "things", Counter(thing.colour or "its own" for thing in things)),
        ("Concept", "things", Counter(thing.concept for thing in things)),
    )
    lines = ["# Data card", "", f"{len(scenes)} scenes of {len(things)} things, {captions} different captions.", ""]
    lines += [f"- {line}" for line in sorted(set(credits))]
    for title, unit, counts in tables:
        total = counts.total()
        lines += ["", f"| {title} | {unit} | share |", "|---|---:|---:|"]
        lines += [f"| {name} | {count} | {count / total:.1%} |" for name, count in counts.most_common()]
    return "\n".join(lines) + "\n"


def contact_sheet(composer: Composer, scenes: Sequence[Scene], columns: int = 8) -> Image.Image:
    """Draw scenes side by side, `columns` a row, each 128 px square."""
    columns = min(columns, len(scenes))
    rows, cell = -(-len(scenes) // columns), CANVAS + GAP
    sheet = Image.new("RGB", (columns * cell + GAP, rows * cell + GAP), (200, 200, 204))
    for k, scene in enumerate(scenes):
        sheet.paste(composer.render(scene), (GAP + k % columns * cell, GAP + k // columns * cell))
    return sheet
