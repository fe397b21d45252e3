"""A picture cites the model card and the ledger; `verify` holds both against the checkpoint that is here."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.provenance.conftest import sealed

from fantascope.data.ledger import write_ledger
from fantascope.provenance.cites import cited, cites_of
from fantascope.provenance.training import CARD, LEDGER, look, read_rows, root_hash
from fantascope.provenance.verify import verify
from fantascope.receipt import Weight
from fantascope.spec import SPECS

ROWS = [
    {"source": "flat", "name": "disc", "sha256": "a" * 64, "package": "@t/icons", "licence": "MIT"},
    {"source": "flat", "name": "leaf", "sha256": "b" * 64, "package": "@t/icons", "licence": "MIT"},
]
WEIGHTS = {"unet/model.safetensors": "c" * 64}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint folder with its card and its ledger."""
    place = tmp_path / "tiny"
    place.mkdir()
    (place / CARD).write_text("# Tiny checkpoint\n\nFor tests.\n", "utf-8")
    write_ledger(ROWS, place / LEDGER)
    return place


@pytest.fixture
def models(folder: Path, tmp_path: Path) -> Path:
    """A catalogue that has it."""
    place = tmp_path / "models"
    place.mkdir()
    facts = {
        "name": "tiny",
        "source": f"dir:{folder}",
        "weights": WEIGHTS,
        "training_ledger": root_hash(ROWS),
        "card": hashlib.sha256((folder / CARD).read_bytes()).hexdigest(),
    }
    (place / "tiny.json").write_text(SPECS["embedded"].model_copy(update=facts).model_dump_json(), "utf-8")
    return place


def record(models: Path, **changes: Any) -> dict[str, Any]:
    spec = json.loads((models / "tiny.json").read_text("utf-8"))
    weights = [{"part": "unet", "path": "unet/model.safetensors", "sha256": "c" * 64, "licence": "Apache-2.0"}]
    return {"spec": spec | changes, "ran": {"weights": weights}}


def test_what_is_cited_is_compared_with_what_is_here(models: Path, folder: Path) -> None:
    card, ledger = cited(record(models), True, models)
    assert card[1] == ledger[1] == "holds"
    assert "Tiny checkpoint, Apache-2.0" in card[2] and str(folder / CARD) in card[2]
    assert f"root {root_hash(ROWS)[:16]}… of 2 rows" in ledger[2] and str(folder / LEDGER) in ledger[2]


def test_a_ledger_that_was_changed_fails(models: Path, folder: Path) -> None:
    path = folder / LEDGER
    path.write_text(path.read_text("utf-8").replace("a" * 64, "d" * 64), "utf-8")
    _, ledger = cited(record(models), True, models)
    assert ledger[1] == "fails" and "a row was changed" in ledger[2]
    write_ledger(ROWS[:1], path)
    _, ledger = cited(record(models), True, models)
    assert ledger[1] == "fails" and "another root" in ledger[2]


def test_a_citation_of_another_ledger_for_the_same_weights_fails(models: Path) -> None:
    _, ledger = cited(record(models, training_ledger="e" * 64), True, models)
    assert ledger[1] == "fails" and "root eeeeeeeeeeeeeeee… is cited, but" in ledger[2]


def test_another_edition_of_the_card_is_said(models: Path, folder: Path) -> None:
    (folder / CARD).write_text("# Tiny checkpoint, corrected\n", "utf-8")
    card, ledger = cited(record(models), True, models)
    assert card[1] == "unknown" and "another edition" in card[2] and ledger[1] == "holds"


def test_another_version_of_the_checkpoint_is_not_compared(models: Path) -> None:
    told = record(models, training_ledger="e" * 64, card="f" * 64)
    told["ran"]["weights"][0]["sha256"] = "9" * 64
    card, ledger = cited(told, True, models)
    assert card[1] == ledger[1] == "holds" and "another version" in card[2] and "another version" in ledger[2]


def test_a_checkpoint_that_is_not_here_is_not_compared(models: Path, tmp_path: Path) -> None:
    for line in cited(record(models), True, tmp_path / "none"):
        assert line[1] == "holds" and "not on this machine" in line[2]


@pytest.mark.parametrize("spec", [None, [], {"card": 3}, {"card": "x\x1b[2J", "training_ledger": "y" * 64}, {}])
def test_whatever_a_record_holds(spec: object, models: Path) -> None:
    for line in cited({"spec": spec, "ran": 3}, True, models):
        assert line[1] == "absent"


def test_without_a_signature_nothing_is_confirmed(models: Path) -> None:
    assert [line[1] for line in cited(record(models), False, models)] == ["unknown", "unknown"]


@pytest.mark.parametrize("private", [False, True])
def test_a_sealed_picture_cites_both(models: Path, keys: Path, picture: np.ndarray, private: bool) -> None:
    spec = record(models)["spec"]
    weight = Weight(part="unet", path="unet/model.safetensors", sha256="c" * 64, licence="Apache-2.0")
    shown = {"spec": spec, "private": private}
    data, receipt = sealed(picture, keys, **shown)
    report = verify(data, trust=keys, models=models)
    assert report.ok and {check.name for check in report.checks} >= {"model card", "ledger"}
    texts = {check.name: check.text for check in report.checks}
    assert "Tiny checkpoint" in texts["model card"] and "2 rows" in texts["ledger"]
    assert weight.sha256 in spec["weights"].values() and receipt.private == private
    assert set(cites_of(spec)) == {"name", "training_ledger", "card"}


def test_the_shipped_checkpoint_fits_together(tmp_path: Path) -> None:
    here = look("embedded", tmp_path)
    assert here is not None and here.wrong == "" and here.rows == len(read_rows(here.folder / LEDGER)) > 50
    assert here.title.startswith("Fantascope") and here.licence == "Apache-2.0"
