"""The licence ledger: one row for every sprite a checkpoint was trained on, and one hash over all rows.

Rows are JSON lines sorted by name, so the ledger can be read with nothing but a text editor, and its root hash can be
computed again by anybody: SHA-256 over the SHA-256 digests of the lines.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fantascope.data.licence import check_licence
from fantascope.data.sources import Sprite
from fantascope.errors import BrokenModelFile, ModelNotFound


def root_hash(lines: Iterable[str]) -> str:
    """Hash ledger lines, without their line ends, to one hex digest."""
    digests = b"".join(hashlib.sha256(line.encode()).digest() for line in lines)
    return hashlib.sha256(digests).hexdigest()


def write_ledger(sprites: Iterable[Sprite], path: Path) -> str:
    """Write the ledger of the sprites used and return its root hash, which also goes to `path` + `.root`.

    Raises:
        LicenceMissing: A sprite's licence is not on the allow list.
    """
    lines = []
    for sprite in sorted(sprites, key=lambda sprite: (sprite.package, sprite.name)):
        check_licence(sprite.licence, f"sprite {sprite.name}")
        lines.append(json.dumps(_row(sprite), sort_keys=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    root = root_hash(lines)
    path.with_suffix(path.suffix + ".root").write_text(f"{root}\n", "utf-8")
    return root


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Read a ledger and check it against its root hash and every row's licence against the allow list.

    Raises:
        ModelNotFound: There is no ledger, or no root hash beside it.
        BrokenModelFile: The rows do not have the hash that stands beside them.
        LicenceMissing: A row's licence is not on the allow list.
    """
    beside = path.with_suffix(path.suffix + ".root")
    for file in (path, beside):
        if not file.is_file():
            raise ModelNotFound(f"There is no {file}.", param="ledger", hint="fantascope data ledger")
    lines = path.read_text("utf-8").splitlines()
    root = beside.read_text("utf-8").strip()
    if root_hash(lines) != root:
        raise BrokenModelFile(f"{path} does not have its root hash {root}: a row was changed.", param="ledger")
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    for row in rows:
        check_licence(row.get("licence"), f"sprite {row.get('name')}")
    return rows


def check_ledger(rows: Iterable[dict[str, Any]], sprites: Iterable[Sprite]) -> list[str]:
    """Compare the rows of a ledger with the drawings themselves; return what is wrong, a sentence each.

    Args:
        rows: As `read_ledger` returns them.
        sprites: What is drawn from; each must have a row, and nothing but these may have one.
    """
    wrong = []
    known = {(sprite.package, sprite.name): _row(sprite) for sprite in sprites}
    for row in rows:
        here = known.pop((row["package"], row["name"]), None)
        if here is None:
            wrong.append(f"{row['name']}: the ledger has a row, {row['package']} has no drawing that is used")
            continue
        differ = [key for key in sorted(here | row) if here.get(key) != row.get(key)]
        wrong += [f"{row['name']}: {key} is {here.get(key)!r}, the ledger says {row.get(key)!r}" for key in differ]
    return wrong + [f"{name}: is drawn from {package}, and the ledger has no row" for package, name in known]


def _row(sprite: Sprite) -> dict[str, Any]:
    return {key: value for key, value in asdict(sprite).items() if key != "svg"}
