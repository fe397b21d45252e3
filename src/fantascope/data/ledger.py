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
from fantascope.errors import BrokenModelFile


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
        row = {key: value for key, value in asdict(sprite).items() if key != "svg"}
        lines.append(json.dumps(row, sort_keys=True))
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
    root = root_hash(lines)
    path.with_suffix(path.suffix + ".root").write_text(f"{root}\n", "utf-8")
    return root


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Read a ledger and check it against its root hash.

    Raises:
        BrokenModelFile: The rows do not have the hash that stands beside them.
    """
    lines = path.read_text("utf-8").splitlines()
    root = path.with_suffix(path.suffix + ".root").read_text("utf-8").strip()
    if root_hash(lines) != root:
        raise BrokenModelFile(f"{path} does not have its root hash {root}: a row was changed.", param="ledger")
    return [json.loads(line) for line in lines]
