"""What a checkpoint was trained on, as it says itself: its licence ledger and its model card, read and hashed.

The ledger is JSON lines. The first line holds what all rows of a source have in common, so that 2,000 rows stay
readable; every other line is one drawing, sorted. The root hash is over the whole rows, not over the file: SHA-256 over
the SHA-256 digests of the rows as JSON with sorted keys. So the same rows have the same root in any container.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fantascope.errors import BrokenModelFile, ModelNotFound
from fantascope.spec import EMBEDDED, Spec, catalogue

LEDGER, CARD = "ledger.jsonl", "MODEL_CARD.md"
Row = dict[str, Any]


def root_hash(rows: Iterable[Row]) -> str:
    """Hash ledger rows, in their order, to one hex digest."""
    lines = (json.dumps(row, sort_keys=True).encode() for row in rows)
    return hashlib.sha256(b"".join(hashlib.sha256(line).digest() for line in lines)).hexdigest()


def pack(rows: Iterable[Row]) -> list[str]:
    """Write rows as lines: what is the same in all rows of a source once, in the first line, then one line a row."""
    rows = list(rows)
    shared: dict[str, Row] = {}
    for source in dict.fromkeys(row["source"] for row in rows):
        own = [row for row in rows if row["source"] == source]
        common = {key: own[0][key] for key in own[0] if all(row.get(key) == own[0][key] for row in own)}
        template = _template(own[0])
        if all(_credit(template, row) == row.get("attribution") for row in own):
            common["attribution"] = template
        else:
            common.pop("attribution", None)
        shared[source] = {key: value for key, value in common.items() if key not in ("name", "sha256")}
    lines = [json.dumps({"shared": shared}, sort_keys=True)]
    for row in rows:
        common = shared[row["source"]]
        kept = {key: value for key, value in row.items() if key not in common or key == "source"}
        assert _whole(kept, common) == row, f"{row} does not survive being written"
        lines.append(json.dumps(kept, sort_keys=True))
    return lines


def unpack(lines: Iterable[str]) -> list[Row]:
    """Read rows that `pack` wrote; rows that share nothing, without a first line that says so, are read as they are.

    Raises:
        BrokenModelFile: A line is not a row.
    """
    shared: dict[str, Row] = {}
    rows = []
    for number, line in enumerate(lines):
        try:
            row = json.loads(line)
            if number == 0 and set(row) == {"shared"}:
                shared = row["shared"]
            else:
                rows.append(_whole(row, shared.get(row.get("source"), {})))
        except (ValueError, TypeError, AttributeError, KeyError, IndexError) as error:
            raise BrokenModelFile(f"Line {number + 1} of the ledger is not a row: {error}.", param="ledger") from error
    return rows


def _template(row: Row) -> str:
    """A row's credit line with places for its name and author."""
    line = str(row.get("attribution", "")).replace("{", "{{").replace("}", "}}")
    for key in ("name", "author"):
        line = line.replace(str(row.get(key, "")), f"{{{key}}}", 1) if row.get(key) else line
    return line


def _credit(template: str, row: Row) -> str | None:
    try:
        return template.format(**row)
    except (KeyError, ValueError, IndexError, AttributeError):
        return None


def _whole(row: Row, common: Row) -> Row:
    whole = {**common, **row}
    if "attribution" in common:
        whole["attribution"] = common["attribution"].format(**whole)
    return whole


def read_rows(path: Path) -> list[Row]:
    """Read a ledger and hold it against the root hash beside it.

    Raises:
        ModelNotFound: There is no ledger, or no root hash beside it.
        BrokenModelFile: The rows do not have the hash that stands beside them, or are none.
    """
    beside = path.with_name(f"{path.name}.root")
    for file in (path, beside):
        if not file.is_file():
            raise ModelNotFound(f"There is no {file}.", param="ledger", hint="fantascope data ledger")
    rows = unpack(path.read_text("utf-8").splitlines())
    root = beside.read_text("utf-8").strip()
    if root_hash(rows) != root:
        raise BrokenModelFile(f"{path} does not have its root hash {root}: a row was changed.", param="ledger")
    return rows


@dataclass(frozen=True)
class Local:
    """What lies in a checkpoint's folder on this machine.

    Attributes:
        folder: Where.
        licence: SPDX id of its licence.
        title: First heading of its model card, or empty.
        card: SHA-256 of its model card, or `None`.
        root: Root hash of its ledger's rows, computed here, or `None`.
        rows: How many.
        wrong: What does not hold of its ledger, or empty.
    """

    folder: Path
    licence: str
    title: str = ""
    card: str | None = None
    root: str | None = None
    rows: int = 0
    wrong: str = ""


def folder_of(spec: Spec) -> Path | None:
    """Return the folder of a checkpoint if it is one on this machine."""
    folder = EMBEDDED.parent / spec.place if spec.kind == "embedded" else Path(spec.place)
    return folder if spec.kind in ("embedded", "dir") and folder.is_dir() else None


def look(name: str, models: Path) -> Local | None:
    """Read card and ledger of a model by its name in the catalogue; `None` where its folder is not on this machine."""
    spec = catalogue(models).get(name)
    folder = folder_of(spec) if spec is not None else None
    if spec is None or folder is None:
        return None
    card, ledger, facts = folder / CARD, folder / LEDGER, dict[str, Any]()
    if card.is_file():
        text = card.read_bytes()
        facts["card"] = hashlib.sha256(text).hexdigest()
        facts["title"] = text.decode("utf-8", "replace").partition("\n")[0].lstrip("# ").strip()
    if ledger.is_file():
        try:
            rows = read_rows(ledger)
        except (BrokenModelFile, ModelNotFound) as error:
            facts["wrong"] = error.message
        else:
            facts |= {"root": root_hash(rows), "rows": len(rows)}
            if spec.training_ledger not in (None, facts["root"]):
                facts["wrong"] = f"{LEDGER} has another root than fantascope.json names"
    return Local(folder, spec.licence.spdx, **facts)
