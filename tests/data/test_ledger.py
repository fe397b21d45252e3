"""The ledger: the same rows in two containers under one root hash, and nothing else passes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.data.conftest import CONCEPTS

from fantascope.data.gather import gather
from fantascope.data.ledger import check_ledger, compare_ledgers, ledger_rows, own_work, read_ledger, write_ledger
from fantascope.data.sources import Sprite
from fantascope.errors import BrokenModelFile, LicenceMissing, ModelNotFound
from fantascope.provenance.training import pack, root_hash, unpack

pytest.importorskip("pyvips")
FIELDS = {"source", "name", "sha256", "package", "version", "author", "url", "licence", "licence_sha256"}
FIELDS |= {"attribution", "consent", "opt_out", "trains"}


@pytest.fixture
def sprites(root: Path) -> list[Sprite]:
    return gather(root, CONCEPTS, print)[0]


@pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.parquet"])
def test_every_drawing_has_a_row_with_every_field(sprites: list[Sprite], tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path = tmp_path / name
    root = write_ledger(ledger_rows(sprites), path)
    rows = read_ledger(path)
    assert all(set(row) == FIELDS for row in rows)
    assert [row["name"] for row in rows] == ["backdrops", "people", "discs/disc_ann.svg", "box", "disc", "leaf"]
    for row, own in zip(rows, own_work(), strict=False):
        assert row == {key: value for key, value in own.__dict__.items() if key != "svg"}
    assert root == (tmp_path / f"{name}.root").read_text("utf-8").strip() == root_hash(rows)
    assert root == write_ledger(ledger_rows(reversed(sprites)), path), "the root does not depend on the order read"


def test_the_root_hash_can_be_computed_from_its_description(sprites: list[Sprite]) -> None:
    rows = ledger_rows(sprites)
    digests = [hashlib.sha256(json.dumps(row, sort_keys=True).encode()).digest() for row in rows]
    assert root_hash(rows) == hashlib.sha256(b"".join(digests)).hexdigest()


def test_both_forms_hold_the_same_rows(sprites: list[Sprite], tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = ledger_rows(sprites)
    lines, table = tmp_path / "ledger.jsonl", tmp_path / "ledger.parquet"
    root = write_ledger(rows, lines)
    assert write_ledger(rows, table) == root
    assert read_ledger(table) == read_ledger(lines) == rows
    assert parquet.read_schema(table).metadata[b"fantascope.root"].decode() == root
    write_ledger([{**rows[0], "author": "Bo"}, *rows[1:]], table)
    (wrong,) = compare_ledgers(read_ledger(lines), read_ledger(table))
    assert wrong.startswith("backdrops: author is 'Bo', the ledger says")


@pytest.mark.parametrize("name", ["ledger.jsonl", "ledger.parquet"])
def test_a_changed_row_is_noticed(sprites: list[Sprite], tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    path, other = tmp_path / name, tmp_path / f"other-{name}"
    rows = ledger_rows(sprites)
    write_ledger(rows, path)
    write_ledger([*rows[:-1], {**rows[-1], "author": "Bob"}], other)
    path.write_bytes(other.read_bytes())
    with pytest.raises(BrokenModelFile, match="root hash"):
        read_ledger(path)
    path.write_bytes(b"{")
    with pytest.raises(BrokenModelFile):
        read_ledger(path)
    path.unlink()
    with pytest.raises(ModelNotFound):
        read_ledger(path)


def test_no_row_under_a_licence_that_is_not_allowed(sprites: list[Sprite], tmp_path: Path) -> None:
    with pytest.raises(LicenceMissing, match="copyleft"):
        ledger_rows([replace(sprites[0], licence="GPL-3.0-only")])
    rows = ledger_rows(sprites)
    write_ledger([{**row, "licence": "CC-BY-SA-4.0"} for row in rows], tmp_path / "ledger.jsonl")
    with pytest.raises(LicenceMissing, match="share-alike"):
        read_ledger(tmp_path / "ledger.jsonl")


def test_check_says_what_differs(sprites: list[Sprite]) -> None:
    rows = ledger_rows(sprites)
    assert check_ledger(rows, sprites) == []
    assert "the ledger has no row" in check_ledger(rows[:-1], sprites)[0]
    assert "no such drawing" in check_ledger(rows, sprites[1:])[0]
    changed = [replace(sprites[0], sha256="0" * 64), *sprites[1:]]
    (wrong,) = check_ledger(rows, changed)
    assert wrong.startswith("disc: sha256 is '0000")


words = st.text(max_size=12)
row = st.fixed_dictionaries(
    {"source": st.sampled_from(["flat", "clipart", ""]), "name": words, "sha256": words, "author": words},
    optional={"attribution": words, "licence": st.sampled_from(["MIT", "PDM-1.0"]), "url": words},
)


@given(st.lists(row, max_size=6))
@settings(deadline=None)
def test_whatever_the_rows_they_come_back(rows: list[dict[str, str]]) -> None:
    for entry in rows:
        if "attribution" not in entry:
            entry["attribution"] = f"X: {entry['name']}, by {entry['author']}"
    assert unpack(pack(rows)) == rows


def test_what_rows_share_is_written_once(sprites: list[Sprite]) -> None:
    lines = pack(ledger_rows(sprites))
    assert "Ann" in lines[0] and not any("MIT" in line for line in lines[1:])
    assert json.loads(lines[-1]) == {"name": "leaf", "sha256": sprites[2].sha256, "source": "flat"}
