"""Colour maps: checked, and made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.annotate.drawn import embedded, figure, square

from fantascope.annotate import Tools, annotate, find_regions, palette
from fantascope.annotate.segments import class_of
from fantascope.engines.detector import Detector, read_labels
from fantascope.errors import InvalidPicture
from fantascope.settings import Settings

pytest.importorskip("cv2")


@dataclass(frozen=True)
class Thing:
    """What the detector's finds have that matters here."""

    score: float
    kinds: tuple[tuple[str, float], ...]
    box: tuple[float, float, float, float]


MIDDLE = (31.0, 31.0, 97.0, 97.0)


def test_the_palette() -> None:
    colours = palette()
    assert len(colours) == 150
    assert list(colours)[:3] == ["wall", "building", "sky"] and list(colours)[149] == "flag"
    assert colours["sky"] == (6, 230, 230) and colours["person"] == (150, 5, 61) and colours["animal"] == (255, 0, 122)
    assert len(set(colours.values())) == 149, "road and skyscraper share a grey"


def test_kinds_of_the_detector_have_classes() -> None:
    from fantascope.annotate.segments import _table

    kinds = _table()[1]
    assert set(kinds) <= set(read_labels().kinds)
    assert set(kinds.values()) <= set(palette())
    assert class_of("elephant") == "animal" and class_of("sky") == "sky" and class_of("ghost") is None


def test_a_map_passes() -> None:
    given = np.zeros((60, 80, 3), np.uint8)
    given[:30], given[30:, :40] = palette()["sky"], palette()["grass"]
    assert (annotate("segmentation", given) == given).all()
    off = np.clip(given.astype(int) + 3, 0, 255).astype(np.uint8)
    assert (annotate("seg_ofade20k", off) == given).all()
    with pytest.raises(InvalidPicture, match="nearest is 'sky'"):
        annotate("segmentation", off, {"tolerance": 2})


def test_a_photo_is_no_map() -> None:
    with pytest.raises(InvalidPicture, match="not a segmentation map") as caught:
        annotate("segmentation", figure())
    assert "regions" in str(caught.value.hint)


def test_an_unknown_colour_is_named() -> None:
    given = np.full((40, 40, 3), palette()["sky"], np.uint8)
    given[:5, :5] = (90, 20, 200)
    with pytest.raises(InvalidPicture, match=r"#5a14c8 \(25 px\)"):
        annotate("segmentation", given)


def test_regions_without_names() -> None:
    labels, found = find_regions(square(512))
    assert len(found) == 2 and sum(region.area for region in found) == 512 * 512
    assert {region.kind for region in found} == {None}
    assert len(set(labels[140:370, 140:370].ravel())) == 1
    known = np.array(list(palette().values()), int)
    for region in found:
        assert np.abs(known - region.colour).max(1).min() > 8, "an unknown region has no class's colour"


@pytest.mark.parametrize(
    ("score", "kinds", "expected"),
    [
        (0.9, (("cat", 0.4), ("dog", 0.3)), "animal"),
        (0.9, (("cat", 0.4), ("house", 0.3)), None),
        (0.4, (("cat", 0.9),), None),
        (0.9, (("ghost", 0.9),), None),
    ],
)
def test_regions_get_names_only_where_one_is_sure(
    score: float, kinds: tuple[tuple[str, float], ...], expected: str | None
) -> None:
    tools = Tools(weights=Path(), look=lambda picture: [Thing(score, kinds, MIDDLE)])
    found = annotate("regions", square(), tools=tools)
    assert (tuple(found[128, 128]) == palette()["animal"]) == (expected == "animal")
    assert tuple(found[5, 5]) not in palette().values()


def test_every_pixel_is_in_a_region() -> None:
    for picture in (embedded("strawberries"), figure(256)):
        labels, found = find_regions(picture)
        assert labels.min() == 1 and labels.max() == len(found) > 3
        assert [region.area for region in found] == np.bincount(labels.ravel())[1:].tolist()
        assert len({region.colour for region in found if region.kind is None}) == len(found)


def test_with_the_embedded_detector(warm: Path) -> None:
    detector = Detector.load(Settings(home=warm, threads=1))
    tools = Tools(weights=warm, look=lambda picture: detector.look([picture])[0])
    picture = embedded("strawberries")
    found = annotate("regions", picture, tools=tools)
    assert found.shape == picture.shape
    assert Image.fromarray(found).getcolors(256) is not None
