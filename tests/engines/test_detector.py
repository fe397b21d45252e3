"""The detector without torch: its files, its finds, and what it refuses."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from tests.homes import lend

from fantascope.core.colour import COLOURS
from fantascope.engines.detector import (
    CLOSER,
    DETECTOR,
    DYES,
    LABELS,
    WEIGHTS,
    Detector,
    Found,
    Labels,
    _sized,
    overlap,
    read_labels,
)
from fantascope.engines.dyes import Dyes
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound
from fantascope.settings import Settings

SETTINGS = Settings(threads=1)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return Detector.load(Settings(home=lend(tmp_path_factory.mktemp("home")), threads=1))


def disc(box: tuple[int, int, int, int], side: int = 128) -> Any:
    picture = Image.new("RGB", (side, side), "white")
    ImageDraw.Draw(picture).ellipse(box, fill=(220, 38, 38))
    return np.asarray(picture)


def test_what_ships_is_small_pinned_and_says_its_ceiling() -> None:
    labels = read_labels()
    assert sum(path.stat().st_size for path in DETECTOR.iterdir()) < 2.6e6
    assert (DETECTOR / WEIGHTS).stat().st_size <= 2.5e6
    assert len(labels.kinds) > 600 and set(labels.objects) <= set(labels.kinds)
    assert len(labels.objects) >= 40
    assert {"benchmark", "free", "whole"} <= set(labels.ceiling)
    assert all(0 < row["value"] <= 1 and row["n"] > 0 for row in labels.ceiling["benchmark"].values())
    card = (DETECTOR / "MODEL_CARD.md").read_text("utf-8")
    assert "## Ceiling" in card and "## Wrong questions" in card


def test_what_ships_is_right_where_right_and_wrong_where_wrong() -> None:
    """Figures written when it was made; a worse eye must not ship unseen."""
    labels, wrong = read_labels(), json.loads((DETECTOR / LABELS).read_text("utf-8"))["wrong"]
    rows = labels.ceiling["benchmark"]
    assert rows["overall"]["value"] > 0.92
    assert rows["colours"]["value"] > 0.85 and rows["colour attribution"]["value"] > 0.78
    assert wrong["another colour"]["questions"]["value"] < 0.004
    assert wrong["another thing"]["pictures"]["value"] < 0.04
    assert wrong["colours exchanged"]["questions"]["value"] == 0


def test_a_find_is_where_the_thing_is(detector: Detector) -> None:
    (one, *others), none = detector.look([disc((20, 30, 84, 94)), np.full((128, 128, 3), 255, np.uint8)])
    assert all(found.score < 0.3 for found in [*others, *none])
    assert overlap(one.box, (20, 30, 84, 94)) > 0.6
    assert one.colour == "red" and one.score > 0.3
    assert one.kinds[0][0] == one.kind and len(one.kinds) == 5
    assert one.feature.shape == (96,) and np.linalg.norm(one.feature) == pytest.approx(1, abs=1e-4)
    assert sum(one.colours.values()) == pytest.approx(1, abs=1e-4)


def test_other_sizes_are_resized_and_batches_do_not_matter(detector: Detector) -> None:
    large = disc((40, 60, 168, 188), 256)
    small = _sized(large)
    many = detector.look([small] * 17 + [large])
    assert all(_same(found[0], many[0][0]) for found in many)
    assert detector.look([]) == []


@pytest.mark.parametrize("size", [(256, 256), (300, 200), (64, 64), (97, 128)])
def test_resizing_averages_areas(size: tuple[int, int]) -> None:
    """As Pillow's box filter does where it shrinks; what is enlarged is repeated."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    due = np.asarray(Image.fromarray(picture).resize((128, 128), Image.Resampling.BOX), int)
    ours = _sized(picture)
    assert ours.shape == (128, 128, 3) and ours.dtype == np.uint8
    if min(size) >= 128 and size[0] == size[1]:
        assert np.abs(due - ours).max() <= 1
    assert abs(float(ours.mean()) - float(picture.mean())) < 0.5


def _same(one: Found, other: Found) -> bool:
    return one.kind == other.kind and np.allclose(one.box, other.box, atol=1e-3)


def test_kinds_can_be_limited(detector: Detector) -> None:
    ((one,),) = [detector.look([disc((20, 30, 84, 94))], among=["cat", "dog"])]
    assert {kind for kind, _ in one[0].kinds} == {"cat", "dog"}
    with pytest.raises(InvalidValue, match="no kind 'no-such'"):
        detector.look([disc((20, 30, 84, 94))], among=["no-such"])


def test_embeddings_are_unit_vectors_that_tell_pictures_apart(detector: Detector) -> None:
    rows = detector.embed([disc((20, 30, 84, 94)), disc((20, 30, 84, 94)), disc((60, 70, 70, 80))])
    assert rows.shape == (3, 96 + 128) and rows.dtype == np.float32
    assert np.allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-4)
    finds, same = detector.study([disc((20, 30, 84, 94))])
    assert np.allclose(same[0], rows[0], atol=1e-5) and len(finds) == 1
    assert rows[0] @ rows[1] == pytest.approx(1, abs=1e-4) and rows[0] @ rows[2] < 0.999


def test_weaker_finds_of_one_thing_are_dropped() -> None:
    """A net of our own: two neighbouring peaks with the same box, and one far away."""
    labels = Labels(("a", "b"), (*COLOURS, "own"), 10.0, 2, 1, 0.3, (), {}, {WEIGHTS: "x"}, 1)
    maps = np.zeros((16, 2 + 1 + 4 + 13 + 1, 16, 16), np.float32)
    maps[:, 2] = -9
    maps[:, 3:7] = 3
    maps[0, 2, 4, 4], maps[0, 2, 4, 6], maps[0, 2, 12, 12] = 3, 2, 1
    maps[0, 3, 4, 6], maps[0, 5, 4, 6] = 5, 1  # the same box seen from two cells to the right
    maps[:, 0], maps[0, 1, 12, 12], maps[0, 0, 12, 12] = 1, 9, 0
    again = maps.copy()
    again[2:4, 0], again[2:4, 1] = 0, 1  # the further looks at the second thing
    shown = iter([maps, again])
    detector = Detector(labels, lambda **inputs: next(shown), np.eye(2, dtype=np.float32), Dyes.load(DETECTOR / DYES))
    found = detector.look(np.full((1, 128, 128, 3), COLOURS["blue"], np.uint8))[0]
    assert [one.kind for one in found] == ["a", "b"]
    assert found[0].box == (12.0, 12.0, 60.0, 60.0) and found[0].score == pytest.approx(1 / (1 + np.exp(-3)))
    assert found[1].box == (76.0, 76.0, 124.0, 124.0)
    assert found[0].colour == "blue", "read from the picture"
    assert sum(found[0].colours.values()) == pytest.approx(1, abs=1e-4)


def test_what_is_not_sure_is_not_looked_at_again(detector: Detector) -> None:
    pictures = [np.full((128, 128, 3), 255, np.uint8), disc((20, 30, 84, 94))]
    finds = detector.look(pictures)
    asked: list[int] = []

    def counted(**inputs: Any) -> Any:
        asked.append(len(inputs["pictures"]))
        return program(**inputs)

    program, detector._program = detector._program, counted
    try:
        again = detector.look(pictures)
    finally:
        detector._program = program
    assert [len(one) for one in again] == [len(one) for one in finds]
    sure = sum(one.score >= CLOSER for some in finds for one in some)
    assert 0 < sure < 5 and len(asked) == 2, "one batch for pictures, one for all further looks"


def test_overlap() -> None:
    assert overlap((0, 0, 10, 10), (0, 0, 10, 10)) == 1
    assert overlap((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 10, 10), (10, 0, 20, 10)) == 0


@pytest.mark.parametrize("changed", [WEIGHTS, DYES])
def test_a_changed_file_is_refused(tmp_path: Path, changed: str) -> None:
    folder = tmp_path / "detector"
    shutil.copytree(DETECTOR, folder)
    path = folder / changed
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(BrokenModelFile, match="not the file"):
        Detector.load(SETTINGS, folder)
    path.unlink()
    with pytest.raises(ModelNotFound, match=changed):
        Detector.load(SETTINGS, folder)


def test_labels_that_lack_something_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="no detector"):
        read_labels(tmp_path)
    (tmp_path / LABELS).write_text(json.dumps({"kinds": []}), "utf-8")
    with pytest.raises(BrokenModelFile, match="lacks"):
        read_labels(tmp_path)


def test_only_pictures_are_looked_at(detector: Detector) -> None:
    with pytest.raises(InvalidValue, match=r"\(H, W, 3\)"):
        detector.look([np.zeros((128, 128), np.uint8)])


def test_no_torch_is_loaded() -> None:
    code = (
        "import sys, numpy as np; from fantascope.engines.detector import Detector; "
        "from fantascope.settings import Settings; "
        "Detector.load(Settings.from_env()).look(np.zeros((1, 128, 128, 3), np.uint8)); "
        "assert 'torch' not in sys.modules and 'openvino.frontend' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
