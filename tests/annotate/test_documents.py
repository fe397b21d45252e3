"""Strokes and joints as JSON: read, refused, drawn."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fantascope.annotate import JOINTS, Pose, annotate, draw_pose, draw_sketch, read_pose, read_sketch
from fantascope.annotate.documents import MAX_BYTES
from fantascope.annotate.joints import COLOURS, DIM, LIMBS
from fantascope.errors import FantascopeError, InvalidValue

pytest.importorskip("cv2")
KEYS = ["width", "height", "strokes", "points", "colour", "people", "nose", "neck", "canvas_width", "pose_keypoints_2d"]
NUMBERS = st.integers(-9000, 9000) | st.floats(allow_nan=True, allow_infinity=True)
JUNK = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)
SIDES = st.integers(64, 300)
PLACES = st.tuples(st.floats(-8192, 8192), st.floats(-8192, 8192))
STROKE = st.fixed_dictionaries(
    {"points": st.lists(PLACES, min_size=1, max_size=6)},
    optional={"width": st.floats(1, 256), "colour": st.tuples(*[st.integers(0, 255)] * 3)},
)


@settings(max_examples=60, deadline=None)
@given(SIDES, SIDES, st.lists(STROKE, max_size=4))
def test_any_strokes_are_drawn(width: int, height: int, strokes: list[dict[str, Any]]) -> None:
    sketch = read_sketch(json.dumps({"width": width, "height": height, "strokes": strokes}))
    assert read_sketch(sketch.model_dump(mode="json")) == sketch
    drawn = draw_sketch(sketch)
    assert drawn.shape == (height, width, 3) and drawn.dtype == np.uint8


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([read_sketch, read_pose]), JUNK | st.dictionaries(st.sampled_from(KEYS), JUNK))
def test_junk_is_refused_by_our_errors_only(read: Any, junk: Any) -> None:
    for document in (junk, json.dumps(junk)):
        try:
            read(document)
        except FantascopeError as error:
            assert isinstance(error, InvalidValue) and error.param


@given(st.sampled_from([read_sketch, read_pose]), st.text(max_size=40) | st.binary(max_size=40))
def test_no_json_is_refused(read: Any, text: str | bytes) -> None:
    with pytest.raises(InvalidValue):
        read(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"width": NaN}', '{"a": ' * 9000, " " * (MAX_BYTES + 1)])
def test_hostile_json(text: str) -> None:
    for read in (read_sketch, read_pose):
        with pytest.raises(InvalidValue):
            read(text)


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"width": 63}, "width"),
        ({"height": 4000}, "height"),
        ({"width": "512"}, "width"),
        ({"strokes": [{"points": []}]}, "strokes.0.points"),
        ({"strokes": [{"points": [[1, 2]], "width": 0}]}, "strokes.0.width"),
        ({"strokes": [{"points": [[1, 1e9]]}]}, "strokes.0.points.0.1"),
        ({"strokes": [{"points": [[1, 2]], "colour": [0, 0, 256]}]}, "strokes.0.colour.2"),
        ({"strokes": [{"points": [[1, 2]], "pen": 3}]}, "strokes.0.pen"),
        ({"strokes": [{"points": [[1, 2]] * 60_000}] * 2}, "strokes"),
    ],
)
def test_strokes_that_are_wrong(change: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        read_sketch({"width": 256, "height": 256, "strokes": []} | change)
    assert caught.value.param == param


def test_where_strokes_are() -> None:
    red = {"points": [[20, 30], [220, 30]], "width": 10, "colour": [255, 0, 0]}
    drawn = annotate("sketch", {"width": 256, "height": 128, "strokes": [red, {"points": [[128, 90]], "width": 40}]})
    assert (drawn[26:35, 30:210] == (255, 0, 0)).all()
    assert not drawn[40:60].any() and not drawn[:20].any()
    assert (drawn[80:100, 118:138] == 255).all()
    assert abs(int((drawn[60:] > 127).all(2).sum()) - 1257) < 100, "a disc of radius 20"


def whole(**joints: Any) -> dict[str, Any]:
    return {"width": 256, "height": 256, "people": [joints]}


PERSON = st.dictionaries(
    st.sampled_from(JOINTS), st.none() | st.tuples(st.floats(0, 127.9), st.floats(0, 95.9)), max_size=18
)


@settings(max_examples=60, deadline=None)
@given(st.lists(PERSON, max_size=3))
def test_poses_go_out_and_come_back(people: list[dict[str, Any]]) -> None:
    pose = read_pose({"width": 128, "height": 96, "people": people})
    assert read_pose(json.dumps(pose.as_dict())) == pose
    assert read_pose(json.dumps(pose.as_openpose())) == pose
    drawn = draw_pose(pose)
    assert drawn.shape == (96, 128, 3)
    assert (annotate("pose", json.dumps(pose.as_dict())) == drawn).all()


@pytest.mark.parametrize("place", [[256, 10], [10, 256], [-1, 3], [3, -0.5]])
def test_a_joint_outside_is_named(place: list[float]) -> None:
    with pytest.raises(InvalidValue, match=r"left_knee of person 0.*outside the canvas of 256x256"):
        read_pose(whole(left_knee=place))


@pytest.mark.parametrize("place", [[1], [1, 2, 3], "12", [None, 1], [float("nan"), 1], {"x": 1}])
def test_joints_that_are_wrong(place: Any) -> None:
    with pytest.raises(InvalidValue, match="nose"):
        read_pose(whole(nose=place))


def test_poses_that_are_wrong() -> None:
    for document, said in (
        (whole(tail=[1, 2]), "tail"),
        ({"width": 256, "height": 256, "people": [{}] * 33}, "people"),
        ({"canvas_width": 64, "canvas_height": 64, "people": [{"pose_keypoints_2d": [0] * 53}]}, "54 numbers"),
        ({"canvas_width": 64, "canvas_height": 64, "people": [{"pose_keypoints_2d": ["1"] * 54}]}, "finite"),
        ({"canvas_width": 64, "canvas_height": 64, "people": {}}, "people"),
    ):
        with pytest.raises(InvalidValue, match=said):
            read_pose(document)


def test_a_joint_is_edited() -> None:
    pose = read_pose(whole(nose=[50, 50], neck=[50, 90], left_eye=None))
    data = pose.as_dict()
    data["people"][0]["nose"] = [200, 50]
    moved = draw_pose(read_pose(data))
    assert tuple(moved[50, 200]) == COLOURS[0] and not moved[48:53, 45:55].any()


def test_colours_of_openpose() -> None:
    """Eighteen joints far apart: each dot has its colour, each limb 0.6 of its own, in its middle."""
    places = {name: [40 + 90 * (k % 5), 40 + 110 * (k // 5)] for k, name in enumerate(JOINTS)}
    pose = read_pose({"width": 512, "height": 512, "people": [places]})
    drawn = draw_pose(pose)
    for name, colour in zip(JOINTS, COLOURS, strict=True):
        x, y = places[name]
        assert tuple(drawn[y, x]) == colour, name
        assert tuple(drawn[y + 3, x]) == colour
    for (a, b), colour in zip(LIMBS, COLOURS, strict=False):
        alone = draw_pose(
            read_pose({"width": 512, "height": 512, "people": [{JOINTS[k]: places[JOINTS[k]] for k in (a, b)}]})
        )
        x, y = (round((places[JOINTS[a]][i] + places[JOINTS[b]][i]) / 2) for i in (0, 1))
        assert tuple(alone[y, x]) == tuple(int(DIM * level) for level in colour), (JOINTS[a], JOINTS[b])
    assert len(LIMBS) == 17 and len(set(LIMBS)) == 17


def test_missing_joints_and_their_limbs_are_not_drawn() -> None:
    lone = draw_pose(read_pose(whole(right_wrist=[100, 100], right_shoulder=[30, 30])))
    assert {tuple(c) for c in lone.reshape(-1, 3)} == {(0, 0, 0), COLOURS[2], COLOURS[4]}
    assert not draw_pose(Pose(width=64, height=64, people=())).any()
