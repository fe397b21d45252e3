"""`fantascope attribute` and `fantascope data index`, on a few drawings and a stub that sees, and the shipped index."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import VOCABULARY, root  # noqa: F401
from tests.provenance.conftest import sealed

from fantascope import spec
from fantascope.cli.app import run
from fantascope.data.compose import raster_of
from fantascope.data.gather import gather
from fantascope.data.ledger import read_ledger
from fantascope.data.vocabulary import read_vocabulary
from fantascope.engines.detector import Detector, Found, read_labels
from fantascope.provenance.attribution import INDEX, MEANING, read_index
from fantascope.provenance.training import LEDGER, root_hash
from fantascope.reports.likeness import VERSIONS, version, views

pytest.importorskip("pyvips")
EMBEDDED = spec.EMBEDDED

Say = Callable[..., list[dict[str, Any]]]


class Stub:
    """Sees a picture at 8 x 8 px, and one thing: whatever differs from the corner."""

    id = "5" * 64
    labels = SimpleNamespace(feature=64, threshold=0.3)

    def embed(self, pictures: list[np.ndarray]) -> np.ndarray:
        small = [Image.fromarray(picture).resize((8, 8), Image.Resampling.BOX) for picture in pictures]
        seen = np.stack([np.asarray(picture, np.float32).ravel() - 128 for picture in small])
        return seen / np.maximum(np.linalg.norm(seen, axis=1, keepdims=True), 1)

    def look(self, pictures: list[np.ndarray]) -> list[list[Found]]:
        return [self._one(picture) for picture in pictures]

    def _one(self, picture: np.ndarray) -> list[Found]:
        rows, columns = np.nonzero(np.abs(picture.astype(int) - picture[0, 0]).max(-1) > 20)
        if not len(rows):
            return []
        scale = 128 / picture.shape[0]
        box = tuple(float(v) * scale for v in (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
        return [Found("thing", 0.9, (("thing", 1.0),), box, "red", {}, np.zeros(1, np.float32))]  # type: ignore[arg-type]


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Say:
    """Run one command line with the stub and a checkpoint folder of the test's own; return its JSON lines."""
    monkeypatch.setattr(Detector, "load", lambda *_: Stub())
    monkeypatch.setattr(spec, "EMBEDDED", tmp_path / "ck")
    monkeypatch.setenv("FANTASCOPE_HOME", str(tmp_path / "home"))

    def call(*words: object, code: int = 0) -> list[dict[str, Any]]:
        capsys.readouterr()
        found = run([*map(str, words), "--json"])
        said = capsys.readouterr()
        assert found == code, said.out + said.err
        return [json.loads(line) for line in said.out.splitlines()]

    return call


@pytest.fixture
def words(root: Path, tmp_path: Path) -> Path:  # noqa: F811
    """A vocabulary whose discs have a drawing that only the detector is trained on."""
    shutil.copytree(root / "node_modules" / "@t" / "icons", root / "node_modules" / "@t" / "others")
    rows = (root / "sources.toml").read_text("utf-8")
    other = rows.partition("[clipart]")[0].replace("flat", "other").replace("@t/icons", "@t/others")
    (root / "sources.toml").write_text(rows + other.replace('"generator"', '"detector"'), "utf-8")
    path = tmp_path / "words.toml"
    path.write_text(VOCABULARY.replace('flat = "box"', 'flat = "box", other = "leaf"'), "utf-8")
    return path


@pytest.fixture
def indexed(say: Say, root: Path, words: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The checkpoint folder with ledger and index; returns the folder of sources."""
    say("data", "ledger", root, "--vocabulary", words, "--out", tmp_path / "ck" / LEDGER)
    (told,) = say("data", "index", root, "--vocabulary", words)
    assert told["rows"] == 4 and told["foreign"] == 1 and told["bytes"] < 100_000
    return root


def picture_of(sources: Path, words: Path, name: str, ground: tuple[int, int, int]) -> np.ndarray:
    """A small drawing in the corner of a larger picture."""
    sprites, _ = gather(sources, read_vocabulary(words), print)
    drawing = raster_of(next(sprite for sprite in sprites if sprite.name == name), side=96)
    picture = Image.new("RGB", (384, 384), ground)
    picture.paste(Image.fromarray(drawing), (40, 200), Image.fromarray(drawing))
    return np.asarray(picture)


def test_the_drawing_in_a_picture_is_found_with_its_licence(
    say: Say, indexed: Path, words: Path, tmp_path: Path
) -> None:
    for name in ("box", "leaf", "discs/disc_ann.svg"):
        path = tmp_path / "foreign.png"
        Image.fromarray(picture_of(indexed, words, name, (250, 240, 240))).save(path)
        thing, told = say("attribute", path, "--top", 3)
        near = thing["near"]
        assert near[0]["name"] == name and len(near) == 3
        assert near[0]["licence"] in ("MIT", "PDM-1.0") and near[0]["author"] == "Ann" and near[0]["attribution"]
        assert near[0]["distance"] < near[1]["distance"] and 0 <= near[0]["unusual"] <= 1
        assert thing["box"] == pytest.approx([40 / 3, 200 / 3, 136 / 3, 296 / 3], abs=10)
        assert told["means"] == MEANING and "no readable record of ours" in told["origin"]


def test_what_a_record_says_of_the_ledger(
    say: Say, indexed: Path, words: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels, path = picture_of(indexed, words, "leaf", (255, 255, 255)), tmp_path / "ours.png"
    here = root_hash(read_ledger(tmp_path / "ck" / LEDGER))
    for ledger, said in (
        (here, "is the ledger searched here"),
        ("9" * 64, "cites another ledger (root 9999"),
        (None, "cites no ledger"),
    ):
        model = {"name": "embedded", "title": "The tiny one", "training_ledger": ledger}
        data, _ = sealed(pixels, tmp_path / "home" / "keys", spec=model)
        path.write_bytes(data)
        told = say("attribute", path)[-1]
        assert "The tiny one made it" in told["origin"] and said in told["origin"]
    assert run(["attribute", str(path)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Test Icons: leaf, by Ann, MIT" in shown and MEANING in shown and "cites no ledger" in shown


def test_a_picture_of_nothing_is_looked_at_whole(say: Say, indexed: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (300, 200), (10, 200, 10, 0)).save(tmp_path / "empty.png")
    thing, _ = say("attribute", tmp_path / "empty.png")
    assert thing["kind"].startswith("the whole picture") and thing["box"] == [0, 0, 128, 128]


def test_the_nearest_are_drawn_on_request(
    say: Say, indexed: Path, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(picture_of(indexed, words, "box", (255, 255, 255))).save(tmp_path / "p.png")
    monkeypatch.setattr("fantascope.data.vocabulary.read_vocabulary", lambda path=None: read_vocabulary(words))
    told = say("attribute", tmp_path / "p.png", "--top", 2, "--sources", indexed)[-1]
    with Image.open(told["picture"]) as sheet:
        assert sheet.size == (3 * 132 + 12, 132 + 4)
        assert np.asarray(sheet)[4:132, 148:276].std() > 20, "the nearest drawing is not there"


def test_an_index_of_other_drawings_or_another_detector_is_refused(
    say: Say, indexed: Path, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("RGB", (200, 200)).save(tmp_path / "p.png")
    monkeypatch.setattr(Stub, "id", "6" * 64)
    (refused,) = say("attribute", tmp_path / "p.png", code=1)
    assert refused["code"] == "broken_model_file" and "another detector" in refused["message"]
    monkeypatch.undo()
    monkeypatch.setattr(Detector, "load", lambda *_: Stub())
    monkeypatch.setattr(spec, "EMBEDDED", tmp_path / "ck")
    fewer = words.read_text("utf-8").partition("[leaf]")[0]
    words.write_text(fewer, "utf-8")
    say("data", "ledger", indexed, "--vocabulary", words, "--out", tmp_path / "ck" / LEDGER)
    (refused,) = say("attribute", tmp_path / "p.png", code=1)
    assert "another ledger" in refused["message"] and "data index" in str(refused["hint"])


def test_a_file_that_is_no_picture_is_named(say: Say, indexed: Path, tmp_path: Path) -> None:
    (tmp_path / "p.png").write_bytes(b"not a picture")
    (refused,) = say("attribute", tmp_path / "p.png", code=2)
    assert refused["code"] == "invalid_picture"


def test_versions_are_the_same_each_time_and_differ(indexed: Path, words: Path) -> None:
    sprites, _ = gather(indexed, read_vocabulary(words), print)
    drawing = raster_of(sprites[1])
    made = [version(drawing, 3, k) for k in range(VERSIONS)]
    assert all(picture.shape == (128, 128, 3) for picture in made)
    assert all(np.array_equal(picture, version(drawing, 3, k)) for k, picture in enumerate(made))
    assert len({picture.tobytes() for picture in made}) == VERSIONS
    assert views(Stub(), made).shape == (VERSIONS, 2 * 192)  # type: ignore[arg-type]


def test_the_shipped_index_fits_ledger_and_detector() -> None:
    index, rows = read_index(EMBEDDED / INDEX), read_ledger(EMBEDDED / LEDGER)
    assert index.ledger == root_hash(rows), "fantascope data index SOURCES"
    assert index.detector == read_labels().weights["model.safetensors"], "fantascope data index SOURCES"
    assert {name.tobytes().hex() for name in index.hashes} == {
        row["sha256"] for row in rows if row["trains"] == "generator" and row["source"] != "backdrop"
    }
    assert (EMBEDDED / INDEX).stat().st_size < 400_000
