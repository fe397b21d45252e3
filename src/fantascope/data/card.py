"""The data card: what is in the planned scenes, counted, whose drawings they are, and a sheet of them to look at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from PIL import Image

from fantascope.data.compose import Composer
from fantascope.data.licence import ALLOWED, RULES
from fantascope.data.scene import CANVAS, Scene
from fantascope.provenance.training import Row, root_hash

GAP = 4
ENDS = 20
"""How many of the most and of the least drawn concepts the card names."""


@dataclass
class Tally:
    """Scenes counted one by one.

    Attributes:
        scenes: How many, `things` placed in them, and their different `captions`.
        counts: Title -> what was counted -> how often. Concepts and colours count things, all else scenes.
    """

    scenes: int = 0
    things: int = 0
    captions: set[str] = field(default_factory=set)
    counts: dict[str, Counter[str]] = field(default_factory=dict)

    def add(self, scene: Scene) -> None:
        """Count one scene."""
        self.scenes += 1
        self.things += len(scene.things)
        self.captions.add(scene.caption)
        self._add("Layout", scene.layout)
        self._add("Style", scene.style)
        self._add("Backdrop", scene.backdrop.partition(":")[0])
        self._add("Things in a scene", str(len(scene.things)))
        self._add("Light or finish", scene.light or scene.finish or "none")
        for thing in scene.things:
            self._add("Colour", thing.colour or "its own")
            self._add("Drawn from", thing.source)
            self._add("Concept", thing.concept)

    def _add(self, title: str, what: str) -> None:
        self.counts.setdefault(title, Counter())[what] += 1


def data_card(tally: Tally, rows: Iterable[Row], skipped: Sequence[str] = (), opted_out: Mapping[str, str] = {}) -> str:
    """Write the card as Markdown: sources, counts, and what was left out and why.

    Args:
        tally: What is trained on.
        rows: Ledger rows of the drawings.
        skipped: A sentence for every drawing that was left out.
        opted_out: Who asked to be left out -> the reason given.
    """
    rows = list(rows)
    lines = ["# Data card", ""]
    lines += [f"{tally.scenes} scenes of {tally.things} things, {len(tally.captions)} different captions."]
    lines += [f"Ledger of {len(rows)} rows, root `{root_hash(rows)}`.", "", *_sources(rows)]
    for title, counts in tally.counts.items():
        if title != "Concept":
            lines += ["", *_table(title, counts.most_common(), counts.total())]
    concepts = tally.counts.get("Concept", Counter())
    ranked = concepts.most_common()
    lines += ["", f"{len(ranked)} concepts, drawn {_range(ranked)} times each."]
    if len(ranked) > 2 * ENDS:
        lines += ["", *_table(f"Most drawn {ENDS}", ranked[:ENDS], concepts.total())]
        lines += ["", *_table(f"Least drawn {ENDS}", ranked[-ENDS:], concepts.total())]
    else:
        lines += ["", *_table("Concept", ranked, concepts.total())]
    return "\n".join([*lines, "", *_left_out(skipped, opted_out)]) + "\n"


def _sources(rows: Sequence[Row]) -> list[str]:
    lines = ["| Source | package | author | licence | drawings |", "|---|---|---|---|---:|"]
    for source in dict.fromkeys(row["source"] for row in rows):
        own = [row for row in rows if row["source"] == source]
        authors = sorted({row["author"] for row in own})
        who = authors[0] if len(authors) == 1 else f"{len(authors)} authors, named in the ledger"
        for package, licence in sorted({(f"{row['package']} {row['version']}", row["licence"]) for row in own}):
            lines.append(f"| {source} | {package} | {who} | {licence} | {len(own)} |")
    return lines


def _table(title: str, ranked: Sequence[tuple[str, int]], total: int) -> list[str]:
    return [f"| {title} | number | share |", "|---|---:|---:|"] + [
        f"| {name} | {count} | {count / total:.1%} |" for name, count in ranked
    ]


def _range(ranked: Sequence[tuple[str, int]]) -> str:
    return f"{ranked[-1][1]} to {ranked[0][1]}" if ranked else "0"


def _left_out(skipped: Sequence[str], opted_out: Mapping[str, str]) -> list[str]:
    lines = ["## Left out", "", f"{len(skipped)} drawings that the vocabulary asks for:" if skipped else "No drawing."]
    lines += ["", *(f"- {line}" for line in skipped)] if skipped else []
    asked = [f"- {who}: {why}" for who, why in opted_out.items()]
    lines += ["", "Opt-outs honoured:" if asked else "Nobody has asked to be left out yet.", *asked, ""]
    allowed = ", ".join(ALLOWED)
    refused = "; ".join(reason.partition(":")[0] for _, reason in RULES)
    return [*lines, f"Allowed licences: {allowed}. All others are refused: {refused}; unknown; not stated."]


def contact_sheet(composer: Composer, scenes: Sequence[Scene], columns: int = 8) -> Image.Image:
    """Draw scenes side by side, `columns` a row, each 128 px square."""
    columns = min(columns, len(scenes))
    rows, cell = -(-len(scenes) // columns), CANVAS + GAP
    sheet = Image.new("RGB", (columns * cell + GAP, rows * cell + GAP), (200, 200, 204))
    for k, scene in enumerate(scenes):
        sheet.paste(composer.render(scene), (GAP + k % columns * cell, GAP + k // columns * cell))
    return sheet
