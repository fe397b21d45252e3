"""How maps given and maps found are compared, on maps and pictures made by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyvips")

from tests.data.conftest import CONCEPTS, root  # noqa: F401

from fantascope.data.compose import Composer
from fantascope.data.figure import WHO
from fantascope.data.gather import gather
from fantascope.data.maps import FREE, SHARES, colours, mapped
from fantascope.engines.detector import Found
from fantascope.errors import InvalidValue, UnknownName
from fantascope.evaluate.control import (
    SIDE,
    Case,
    agreement,
    as_table,
    cases,
    edge_f1,
    fidelity,
    labels_of,
    mean_overlap,
    widened,
)


def line(column: int, side: int = 32) -> Any:
    mask = np.zeros((side, side), bool)
    mask[:, column] = True
    return mask


@pytest.mark.parametrize(("off", "due"), [(0, 1.0), (2, 1.0), (3, 0.0)])
def test_an_edge_may_be_two_pixels_off(off: int, due: float) -> None:
    assert edge_f1(line(10), line(10 + off)) == due


def test_f1_counts_what_is_missing_and_what_is_too_much() -> None:
    assert edge_f1(line(10) | line(20), line(10)) == pytest.approx(2 / 3)
    assert edge_f1(line(10), line(10) | line(20)) == pytest.approx(2 / 3)
    assert edge_f1(line(10), np.zeros((32, 32), bool)) == 0
    with pytest.raises(InvalidValue, match="asks for nothing"):
        edge_f1(np.zeros((32, 32), bool), line(3))


def test_widening_reaches_as_far_as_said() -> None:
    dot = np.zeros((9, 9), bool)
    dot[4, 4] = True
    assert widened(dot, 2.0).sum() == 13 and widened(dot, 0).sum() == 1
    dot[:] = False
    dot[0, 0] = True
    assert widened(dot, 2.0).sum() == 6


def halves() -> Any:
    picture = np.full((SIDE, SIDE, 3), 240, np.uint8)
    picture[:, : SIDE // 2] = (200, 30, 30)
    return picture


def test_regions_are_compared_by_overlap() -> None:
    given = np.zeros((SIDE, SIDE, 3), np.uint8)
    given[:, : SIDE // 2] = (255, 0, 122)
    assert agreement("segmentation", given, halves()) > 0.95
    across = given.transpose(1, 0, 2)
    assert agreement("segmentation", across, halves()) < 0.5
    large = halves().repeat(4, 0).repeat(4, 1)
    assert agreement("segmentation", given, large) > 0.95


def test_depth_is_compared_by_its_layers() -> None:
    near = np.zeros((SIDE, SIDE, 3), np.uint8)
    near[:] = np.linspace(0, 100, SIDE)[:, None, None]
    near[:, : SIDE // 2] = 255
    near[:, SIDE // 2 - 1] = 150
    assert set(labels_of("depth", near).ravel()) == {0, 1}, "a soft border is no layer"
    assert agreement("depth", near, halves()) > 0.95
    assert mean_overlap(labels_of("depth", near), np.full((SIDE, SIDE, 3), 7, np.uint8)) == pytest.approx(0.25)


@pytest.fixture
def drawn(root: Path) -> Composer:  # noqa: F811
    sprites, _ = gather(root, CONCEPTS, lambda line: None)
    return Composer(sprites, CONCEPTS)


def test_maps_of_scenes_are_functions_of_their_numbers(drawn: Composer) -> None:
    whole, part = list(mapped(drawn, dict(CONCEPTS), 0, 12, 6)), list(mapped(drawn, dict(CONCEPTS), 7, 8, 6))
    assert all(one.maps.shape == (6, 128, 128) and len(set(one.kinds)) == 6 for one in whole)
    people = [one.kinds[0] == "pose" for one in whole]
    assert 2 < sum(people) < 10 and not any("pose" in one.kinds[1:] for one in whole)
    assert all(set(one.kinds) == set(SHARES) for one, some in zip(whole, people, strict=True) if not some)
    assert all(
        any(f" {who}" in f" {one.caption.lower()}" for who in WHO)
        for one, some in zip(whole, people, strict=True)
        if some
    )
    assert np.array_equal(whole[7].maps, part[0].maps) and whole[7].kinds == part[0].kinds
    assert colours().shape == (256, 3) and not colours()[0].any() and FREE == 151
    edges = np.stack([one.maps[one.kinds.index("canny")] for one in whole])
    assert 0 < (edges > 0).mean() < 0.2


Look = Callable[[Sequence[Any]], list[list[Found]]]


def test_pictures_that_follow_are_told_from_those_that_do_not(drawn: Composer) -> None:
    rows = cases(drawn, dict(CONCEPTS), ["canny", "softedge", "scribble", "segmentation"], 4, list(CONCEPTS), first=0)
    assert len(rows) == 16 and all(case.map.shape == (SIDE, SIDE, 3) and case.wants for case in rows)
    blank = np.full((SIDE, SIDE, 3), 255, np.uint8)
    asked: list[bool] = []

    def paint(some: Sequence[Case], controlled: bool) -> list[Any]:
        asked.append(controlled)
        return [case.picture if controlled else blank for case in some]

    def look(pictures: Sequence[Any]) -> list[list[Found]]:
        """Finds in the scenes what they show, and nothing in others."""
        known = {case.picture.tobytes(): case.wants for case in rows}
        box, none = (0.0, 0.0, 9.0, 9.0), np.zeros(4, np.float32)
        return [
            [Found(kind, 0.9, ((kind, 1.0),), box, "red", {"red": 1.0}, none) for kind in known.get(one.tobytes(), ())]
            for one in pictures
        ]

    measured = fidelity(rows, paint, look, 0.5)
    assert list(measured) == ["canny", "softedge", "scribble", "segmentation"] and set(asked) == {True, False}
    for kind, row in measured.items():
        assert row.agreement.value == row.real.value > row.without.value, kind
        assert row.obeyed.value == row.obeyed_real.value == 1 and row.obeyed_without.value == 0
        assert row.agreement.n == 4
    assert "| `canny` | 4 |" in as_table(measured)


def test_what_is_not_measured_is_refused(drawn: Composer) -> None:
    with pytest.raises(UnknownName, match="pose"):
        cases(drawn, dict(CONCEPTS), ["normal"], 1, list(CONCEPTS))
    with pytest.raises(UnknownName, match="pose"):
        agreement("pose", halves(), halves())
