"""Reading sprites with their provenance, and the ledger made of it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fantascope.data.ledger import read_ledger, write_ledger
from fantascope.data.sources import read_iconify
from fantascope.errors import BrokenModelFile, LicenceMissing, ModelNotFound, UnknownName


def test_a_sprite_carries_its_provenance(package: Path) -> None:
    (sprite,) = read_iconify(package, ["ball"])
    assert sprite.sha256 == hashlib.sha256(sprite.svg.encode()).hexdigest()
    assert (sprite.package, sprite.version, sprite.author, sprite.licence) == ("@t/icons", "1.0.0", "Ann", "MIT")
    assert sprite.attribution == "Test Icons: ball, by Ann, MIT"


def test_all_drawings_without_names(package: Path) -> None:
    assert [sprite.name for sprite in read_iconify(package)] == ["disc", "box", "leaf"]


def test_unknown_names_and_folders(package: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="disc"):
        list(read_iconify(package, ["disk"]))
    with pytest.raises(ModelNotFound, match=r"icons\.json"):
        list(read_iconify(tmp_path / "nothing"))


def test_a_package_under_share_alike_is_refused(package: Path) -> None:
    info = json.loads((package / "info.json").read_text("utf-8"))
    info["license"]["spdx"] = "CC-BY-SA-4.0"
    (package / "info.json").write_text(json.dumps(info), "utf-8")
    with pytest.raises(LicenceMissing, match="share-alike"):
        list(read_iconify(package))


def test_the_ledger_notices_a_changed_row(package: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    root = write_ledger(read_iconify(package), path)
    rows = read_ledger(path)
    assert [row["name"] for row in rows] == ["box", "disc", "leaf"]
    assert all("svg" not in row and row["licence"] == "MIT" for row in rows)
    assert root == write_ledger(reversed(list(read_iconify(package))), path)
    path.write_text(path.read_text("utf-8").replace("Ann", "Bob"), "utf-8")
    with pytest.raises(BrokenModelFile, match="root hash"):
        read_ledger(path)
