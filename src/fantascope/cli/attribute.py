"""`fantascope attribute` and `fantascope data index`: which training drawings a picture looks like, and whose."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli.data import Cache, Json, Sources, Words, app, bar, gathered, say
from fantascope.cli.lines import emit, plain

if TYPE_CHECKING:
    from fantascope.cli.likeness import Thing

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
    from fantascope.cli.likeness import read_pixels, things
    from fantascope.engines.detector import Detector
    from fantascope.errors import BrokenModelFile
    from fantascope.provenance.attribution import INDEX, MEANING, read_index
    from fantascope.provenance.training import LEDGER, read_rows, root_hash
    from fantascope.settings import Settings
    from fantascope.spec import EMBEDDED

    settings, index, rows = Settings.from_env(), read_index(EMBEDDED / INDEX), read_rows(EMBEDDED / LEDGER)
    pixels = read_pixels(file)
    detector = Detector.load(settings)
    if index.ledger != root_hash(rows) or index.detector != detector.id:
        other = "another detector" if index.detector != detector.id else "another ledger"
        raise BrokenModelFile(f"The index was made with {other}.", hint="fantascope data index SOURCES")
    known = {row["sha256"]: row for row in rows}
    found = things(detector, pixels, index, top)
    origin = _origin(file, settings.keys, index.ledger)
    saved = _save(file, found, sources) if sources is not None else None
    if as_json:
        for thing in found:
            near = [_facts(n, known[n.sha256]) for n in thing.near]
            emit("thing", {"kind": thing.kind, "score": thing.score, "box": thing.box, "near": near})
        facts = {"file": file, "things": len(found), "ledger": index.ledger, "origin": origin, "means": MEANING}
        emit("attribute", facts | {"calibrated_on": len(index.foreign), "picture": saved})
        return
    for thing in found:
        left, upper, right, lower = (f"{v / 128:.0%}" for v in thing.box)
        print(f"{plain(thing.kind)}, {left} to {right} across, {upper} to {lower} down")
        for n in thing.near:
            row = known[n.sha256]
            print(f"  {n.distance:.3f}  {n.unusual:4.0%}  {plain(row['attribution'])}  ({plain(row['package'])})")
    columns = (
        f"First the distance (1 minus the cosine), then how many of {len(index.foreign)} drawings that were never "
        "trained on are farther from their own nearest training drawing."
    )
    for line in (columns, MEANING, origin):
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
    from fantascope.cli.likeness import VERSIONS, index_of
    from fantascope.data.ledger import ledger_rows
    from fantascope.engines.detector import Detector
    from fantascope.provenance.attribution import INDEX, write_index
    from fantascope.provenance.training import root_hash
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


def _facts(near: Any, row: dict[str, Any]) -> dict[str, Any]:
    return {"likeness": near.likeness, "distance": near.distance, "unusual": near.unusual} | row


def _origin(file: Path, keys: Path, ledger: str) -> str:
    """Say which checkpoint made a picture, if it says so itself, and whether its ledger is the one searched."""
    from fantascope.provenance.verify import shown, signed_record

    record = signed_record(file, keys)
    if record.receipt is None:
        return (
            "The picture carries no readable record of ours: the list says what it looks like, and nothing of what it "
            "was made from."
        )
    spec = record.receipt.spec
    name = shown(spec.get("title") or spec.get("name") or "an unnamed checkpoint")
    said = f"The record says that {name} made it"
    said += "" if record.valid else ", but its signature fails"
    root = spec.get("training_ledger")
    if root is None:
        return f"{said}, which cites no ledger: what it was trained on is not known here."
    if root == ledger:
        return f"{said}; what that was trained on is the ledger searched here (root {ledger[:16]}…)."
    return f"{said}, which cites another ledger (root {shown(root, 17)}) than the one searched here."


def _save(file: Path, found: Sequence[Thing], sources: Path) -> Path:
    from fantascope.cli.likeness import sheet

    path = file.with_name(f"{file.stem}-attribution.png")
    sheet(found, {sprite.sha256: sprite for sprite in gathered(sources, None)[0]}).save(path)
    return path
