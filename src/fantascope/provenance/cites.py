"""What a signed record cites of its model's training, the model card and the ledger, held against what is here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from fantascope.provenance.training import CARD, LEDGER, Local, look
from fantascope.spec import catalogue

HASH = re.compile(r"[0-9a-f]{64}")
Line = tuple[str, Literal["holds", "absent", "fails", "unknown"], str]
"""Name, verdict and sentence of one line of a report."""


def cites_of(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what a private record still says of its model: its name, and the hashes of ledger and card."""
    return {key: spec[key] for key in ("name", "training_ledger", "card") if spec.get(key) is not None}


def cited(record: dict[str, Any], vouched: bool, models: Path) -> tuple[Line, Line]:
    """Judge the model card and the ledger that a record cites.

    Args:
        record: The manifest's record; it comes from a file and may hold anything.
        vouched: A valid signature covers it.
        models: Folder of the models that were added, to find the checkpoint by its name.
    """
    found = record.get("spec")
    spec: dict[str, Any] = found if isinstance(found, dict) else {}
    card, root = _hash(spec.get("card")), _hash(spec.get("training_ledger"))
    here = look(str(spec.get("name")), models) if card or root else None
    same = here is not None and _same_weights(record, str(spec.get("name")), models)
    return _card(card, vouched, here, same), _ledger(root, vouched, here, same)


def _card(card: str, vouched: bool, here: Local | None, same: bool) -> Line:
    name, short = "model card", f"sha256 {card[:16]}…"
    if not card:
        return name, "absent", "The record cites no model card."
    if not vouched:
        return name, "unknown", f"{short}, it says, but the signature fails."
    if here is None or here.card is None:
        return name, "holds", f"{short}. The checkpoint is not on this machine, so the card was not compared."
    if here.card == card:
        return name, "holds", f"{here.title}, {here.licence}: {here.folder / CARD}, {short}"
    if same:
        return name, "unknown", f"{short} is cited; the card here is another edition: {here.folder / CARD}"
    return name, "holds", f"{short}. The checkpoint here is another version, so the card was not compared."


def _ledger(root: str, vouched: bool, here: Local | None, same: bool) -> Line:
    name, short = "ledger", f"root {root[:16]}…"
    if not root:
        return name, "absent", "The record cites no ledger of training pictures."
    if not vouched:
        return name, "unknown", f"{short}, it says, but the signature fails."
    if here is None:
        return name, "holds", f"{short}. The checkpoint is not on this machine, so the ledger was not compared."
    if here.wrong and (same or here.root in (None, root)):
        return name, "fails", f"{short} is cited; here {here.wrong}"
    if here.root == root:
        return name, "holds", f"{short} of {here.rows} rows, computed again from {here.folder / LEDGER}"
    if same:
        return name, "fails", f"{short} is cited, but {here.folder / LEDGER} has root {str(here.root)[:16]}…"
    return name, "holds", f"{short}. The checkpoint here is another version, so the ledger was not compared."


def _hash(value: object) -> str:
    return value if isinstance(value, str) and HASH.fullmatch(value) else ""


def _same_weights(record: dict[str, Any], name: str, models: Path) -> bool:
    """Whether the checkpoint here has the weights that the record names."""
    ran = record.get("ran")
    weights = ran.get("weights") if isinstance(ran, dict) else None
    used = {str(row.get("sha256")) for row in weights if isinstance(row, dict)} if isinstance(weights, list) else set()
    spec = catalogue(models).get(name)
    return spec is not None and bool(used) and used <= set(spec.weights.values())
