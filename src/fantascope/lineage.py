"""What a picture takes over from those it was made from, and what of a model may stand in a file."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from fantascope.artifact import Artifact
from fantascope.receipt import Batch, Cost, Receipt
from fantascope.spec import Spec


def inherited(parents: Sequence[Artifact]) -> list[str]:
    """Return the credits of the pictures that another was made from."""
    return [credit for one in parents if one.receipt is not None for credit in one.receipt.attribution]


def is_composite(parent: Artifact) -> bool:
    """Say whether a picture was handed in, or holds pixels of one that was."""
    return parent.receipt is None or parent.receipt.composite


def is_private(request: Any, pictures: Iterable[Artifact]) -> bool:
    """Say whether what a request makes is private: it says so, or a picture that goes in is."""
    receipts = (picture.receipt for picture in pictures)
    return bool(request.private) or any(receipt is not None and receipt.private for receipt in receipts)


def public_facts(spec: Spec) -> dict[str, Any]:
    """Return a Spec for the receipt: of a place on this machine only the last part of its name goes into a file."""
    facts: dict[str, Any] = spec.model_dump(mode="json")
    if spec.kind in ("dir", "file"):
        facts["source"] = f"{spec.kind}:{Path(spec.place).name}"
    return facts


def sheet_draft(artifacts: Sequence[Artifact], receipts: Sequence[Receipt]) -> Receipt:
    """Return the open receipt of a contact sheet of these pictures: they are its parents, and it costs nothing."""
    private = any(receipt.private for receipt in receipts)
    parents = tuple(artifact.id for artifact in artifacts)
    weights = dict.fromkeys(weight for receipt in receipts for weight in receipt.ran.weights)
    return receipts[0].model_copy(
        update={
            "request": {"task": "sheet", "pictures": list(parents), "private": private},
            "ran": receipts[0].ran.model_copy(update={"weights": tuple(weights)}),
            "parents": parents,
            "verdicts": tuple(dict.fromkeys(v for receipt in receipts for v in receipt.verdicts)),
            "attribution": tuple(dict.fromkeys(a for receipt in receipts for a in receipt.attribution)),
            "cost": Cost(),
            "batch": Batch(),
            "composite": any(receipt.composite for receipt in receipts),
            "private": private,
        }
    )
