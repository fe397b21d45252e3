"""Which training drawings the things in a picture look most like, and whose they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fantascope.reports.likeness import Thing
    from fantascope.settings import Settings


@dataclass(frozen=True)
class Attribution:
    """The things that were found, each with its nearest drawings.

    Attributes:
        things: From the detector.
        known: Rows of the ledger of training drawings, by sha256.
        ledger: Its root hash.
        calibrated_on: How many drawings never trained on the likeness is calibrated with.
        origin: What the picture itself says of the checkpoint that made it, in a sentence.
    """

    things: list[Thing]
    known: Mapping[str, dict[str, Any]]
    ledger: str
    calibrated_on: int
    origin: str

    def rows(self) -> list[dict[str, Any]]:
        """Return the things as plain data."""
        return [
            {
                "kind": thing.kind,
                "score": thing.score,
                "box": thing.box,
                "near": [_facts(near, self.known[near.sha256]) for near in thing.near],
            }
            for thing in self.things
        ]


def attribution_of(file: Path | bytes, settings: Settings, top: int) -> Attribution:
    """Look at a picture and find the `top` drawings that each thing in it is most like.

    Raises:
        InvalidPicture: it is not a picture that can be read safely.
        BrokenModelFile: the index is of another detector or ledger.
    """
    from fantascope.engines.detector import Detector
    from fantascope.errors import BrokenModelFile
    from fantascope.provenance.attribution import INDEX, read_index
    from fantascope.provenance.training import LEDGER, read_rows, root_hash
    from fantascope.reports.likeness import read_pixels, things
    from fantascope.spec import EMBEDDED

    index, rows = read_index(EMBEDDED / INDEX), read_rows(EMBEDDED / LEDGER)
    pixels = read_pixels(file)
    detector = Detector.load(settings)
    if index.ledger != root_hash(rows) or index.detector != detector.id:
        other = "another detector" if index.detector != detector.id else "another ledger"
        raise BrokenModelFile(f"The index was made with {other}.", hint="fantascope data index SOURCES")
    known = {row["sha256"]: row for row in rows}
    found = things(detector, pixels, index, top)
    return Attribution(found, known, index.ledger, len(index.foreign), _origin(file, settings.keys, index.ledger))


def _facts(near: Any, row: dict[str, Any]) -> dict[str, Any]:
    return {"likeness": near.likeness, "distance": near.distance, "unusual": near.unusual} | row


def _origin(file: Path | bytes, keys: Path, ledger: str) -> str:
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
