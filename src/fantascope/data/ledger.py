"""The licence ledger: one row for every drawing a checkpoint was trained on, and one hash over all rows.

`ledger.jsonl` ships inside the checkpoint and needs nothing to be read (see `fantascope.provenance.training`); the
same rows are written as Parquet for whoever asks questions of them. Both carry the same root hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from fantascope.data.backdrop import PLAIN, SCENERIES, backdrop
from fantascope.data.figure import draw_figure, plan_figure
from fantascope.data.licence import check_licence
from fantascope.data.sources import Sprite
from fantascope.errors import BrokenModelFile, MissingExtra, ModelNotFound
from fantascope.provenance.training import Row, pack, read_rows, root_hash
from fantascope.spec import EMBEDDED

PARQUET = ".parquet"
PEOPLE = 64
"""Figures whose pixels are hashed for the row of drawn people."""

META = b"fantascope.root"
"""Where a Parquet ledger keeps its root hash."""


def own_work() -> list[Sprite]:
    """Return the rows of what the project draws itself, backdrops and people; a hash is over their pixels at 128 px."""
    grounds, people = hashlib.sha256(), hashlib.sha256()
    for name in (*PLAIN, *SCENERIES):
        grounds.update(np.asarray(backdrop(name, 0, 128)).tobytes())
    for seed in range(PEOPLE):
        people.update(np.asarray(draw_figure(plan_figure(np.random.default_rng(seed)), 128)).tobytes())
    return [_own("backdrops", grounds.hexdigest()), _own("people", people.hexdigest())]


def _own(name: str, sha256: str) -> Sprite:
    licence = (EMBEDDED / "LICENSE").read_bytes()
    return Sprite(
        source="backdrop",
        name=name,
        svg="",
        sha256=sha256,
        package="fantascope",
        version="1",
        author="the Fantascope authors",
        url="",
        licence="Apache-2.0",
        licence_sha256=hashlib.sha256(licence).hexdigest(),
        attribution=f"Fantascope: {name}, by the Fantascope authors, Apache-2.0",
        consent="the project's own work",
        opt_out="",
        trains="generator",
    )


def ledger_rows(sprites: Iterable[Sprite]) -> list[Row]:
    """Return the rows of the drawings used and of the project's own, sorted by source and name.

    Raises:
        LicenceMissing: A drawing's licence is not on the allow list.
    """
    used = sorted([*sprites, *own_work()], key=lambda sprite: (sprite.source, sprite.name))
    for sprite in used:
        check_licence(sprite.licence, f"sprite {sprite.name}")
    return [_row(sprite) for sprite in used]


def write_ledger(rows: list[Row], path: Path) -> str:
    """Write rows as Parquet if the file is named so, else as JSON lines; the root hash goes to `path` + `.root`, too.

    Returns:
        The root hash.

    Raises:
        MissingExtra: Parquet needs pyarrow.
    """
    root = root_hash(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    if path.suffix == PARQUET:
        arrow, parquet = _arrow()
        table = arrow.Table.from_pylist(rows).replace_schema_metadata({META: root.encode()})
        parquet.write_table(table, new, compression="zstd")
    else:
        new.write_text("".join(f"{line}\n" for line in pack(rows)), "utf-8")
    new.replace(path)
    path.with_name(f"{path.name}.root").write_text(f"{root}\n", "utf-8")
    return root


def read_ledger(path: Path) -> list[Row]:
    """Read a ledger and check it against its root hash and every row's licence against the allow list.

    Raises:
        ModelNotFound: There is no ledger, or no root hash beside it.
        BrokenModelFile: The rows do not have the hash that stands beside them.
        LicenceMissing: A row's licence is not on the allow list.
    """
    rows = _read_parquet(path) if path.suffix == PARQUET else read_rows(path)
    for row in rows:
        check_licence(row.get("licence"), f"sprite {row.get('name')}")
    return rows


def check_ledger(rows: Iterable[Row], sprites: Iterable[Sprite]) -> list[str]:
    """Compare the rows of a ledger with the drawings themselves; return what is wrong, a sentence each.

    Args:
        rows: As `read_ledger` returns them.
        sprites: What is drawn from; each must have a row, and nothing but these and the project's own may have one.
    """
    return compare_ledgers(rows, ledger_rows(sprites), "is used")


def compare_ledgers(rows: Iterable[Row], others: Iterable[Row], other: str = "is in the other ledger") -> list[str]:
    """Compare rows with those of another ledger; return what differs, a sentence each."""
    wrong = []
    known = {(row["source"], row["name"]): row for row in others}
    for row in rows:
        here = known.pop((row.get("source", ""), row["name"]), None)
        if here is None:
            wrong.append(f"{row['name']}: the ledger has a row, no such drawing of {row['package']} {other}")
            continue
        differ = [key for key in sorted(here | row) if here.get(key) != row.get(key)]
        wrong += [f"{row['name']}: {key} is {here.get(key)!r}, the ledger says {row.get(key)!r}" for key in differ]
    missing = [f"{name}: {other} ({row['package']}), and the ledger has no row" for (_, name), row in known.items()]
    return wrong + missing


def _row(sprite: Sprite) -> Row:
    return {key: value for key, value in asdict(sprite).items() if key != "svg"}


def _read_parquet(path: Path) -> list[Row]:
    beside = path.with_name(f"{path.name}.root")
    for file in (path, beside):
        if not file.is_file():
            raise ModelNotFound(f"There is no {file}.", param="ledger", hint="fantascope data build")
    _, parquet = _arrow()
    try:
        table = parquet.read_table(path)
    except (OSError, ValueError) as error:  # what is no Parquet file is a ValueError of pyarrow's
        raise BrokenModelFile(f"{path} is not Parquet: {error}.", param="ledger") from error
    rows: list[Row] = table.to_pylist()
    inside = (table.schema.metadata or {}).get(META, b"").decode()
    root = beside.read_text("utf-8").strip()
    if not root_hash(rows) == root == inside:
        raise BrokenModelFile(f"{path} does not have its root hash {root}: a row was changed.", param="ledger")
    return rows


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra("Parquet", "train") from error
    return pyarrow, parquet
