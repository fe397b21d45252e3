"""`fantascope attribute` and `fantascope data index`: which training drawings a picture looks like, and whose."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fantascope.cli.data import Cache, Json, Sources, Words, app, bar, gathered, say
from fantascope.cli.lines import emit, plain

if TYPE_CHECKING:
    from fantascope.reports.likeness import Thing

FOREIGN = 1200
"""Drawings never trained on that the likeness is calibrated with, at most."""

Top = Annotated[int, typer.Option(min=1, help="drawings listed for each thing")]
Drawings = Annotated[Path | None, typer.Option("--sources", help="folder of the packages: also draw the nearest")]


def attribute(
    file: Annotated[Path, typer.Argument(help="any PNG, JPEG or WebP file")],
    top: Top = 8,
    sources: Drawings = None,
    as_json: Json = False,
) -> None:
    """List the training drawings that the things in a picture look most like, with author and licence.

    Likeness is no proof of use; for a picture of ours, the record says which checkpoint made it.
    """
    from fantascope.provenance.attribution import MEANING
    from fantascope.reports.attribute import attribution_of
    from fantascope.settings import Settings

    seen = attribution_of(file, Settings.from_env(), top)
    found = seen.things
    saved = _save(file, found, sources) if sources is not None else None
    if as_json:
        for row in seen.rows():
            emit("thing", row)
        facts = {"file": file, "things": len(found), "ledger": seen.ledger, "origin": seen.origin, "means": MEANING}
        emit("attribute", facts | {"calibrated_on": seen.calibrated_on, "picture": saved})
        return
    for thing in found:
        left, upper, right, lower = (f"{v / 128:.0%}" for v in thing.box)
        print(f"{plain(thing.kind)}, {left} to {right} across, {upper} to {lower} down")
        for n in thing.near:
            drawn = seen.known[n.sha256]
            print(f"  {n.distance:.3f}  {n.unusual:4.0%}  {plain(drawn['attribution'])}  ({plain(drawn['package'])})")
    columns = (
        f"First the distance (1 minus the cosine), then how many of {seen.calibrated_on} drawings that were never "
        "trained on are farther from their own nearest training drawing."
    )
    for line in (columns, MEANING, seen.origin):
        print(textwrap.fill(plain(line), 110))
    if saved is not None:
        print(saved)


@app.command("index")
def make(
    sources: Sources,
    out: Annotated[Path | None, typer.Option(help="the index to write; the embedded one if not given")] = None,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Look at every training drawing, for `fantascope attribute`; drawings never trained on calibrate it."""
    from fantascope.data.ledger import ledger_rows
    from fantascope.engines.detector import Detector
    from fantascope.provenance.attribution import INDEX, write_index
    from fantascope.provenance.training import root_hash
    from fantascope.reports.likeness import VERSIONS, index_of
    from fantascope.settings import Settings
    from fantascope.spec import EMBEDDED

    detector = Detector.load(Settings.from_env())
    every = gathered(sources, vocabulary, cache)[0]
    others = gathered(sources, vocabulary, cache, trains="detector")[0]
    others = others[:: max(1, -(-len(others) // FOREIGN))]
    root, sprites = root_hash(ledger_rows(every)), [sprite for sprite in every if sprite.trains == "generator"]
    with bar("drawings", VERSIONS * len(sprites) + len(others), as_json) as done:
        index = index_of(detector, sprites, others, root, cache, done)
    path = EMBEDDED / INDEX if out is None else out
    write_index(index, path)
    size = path.stat().st_size
    told = f"{path}: {len(sprites)} drawings, calibrated on {len(others)} never trained on, {size / 1e3:.0f} kB"
    say(as_json, "index", told, path=path, rows=len(sprites), foreign=len(others), root=root, bytes=size)


def _save(file: Path, found: Sequence[Thing], sources: Path) -> Path:
    from fantascope.reports.likeness import sheet

    path = file.with_name(f"{file.stem}-attribution.png")
    sheet(found, {sprite.sha256: sprite for sprite in gathered(sources, None)[0]}).save(path)
    return path
