"""Figures drawn from joints: joints lie on the body, captions say who it is, and poses become maps of joints."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.annotate.joints import JOINTS
from fantascope.core.colour import COLOURS
from fantascope.data.figure import POSES, WHO, Figure, draw_figure, plan_figure, words
from fantascope.data.scene import CANVAS, GRID, Scene, plan
from fantascope.data.vocabulary import read_vocabulary

VOCABULARY = read_vocabulary()
SCENES = [scene for seed in range(2500) if (scene := plan(seed, VOCABULARY)).figures]


def planned(seed: int) -> Figure:
    return plan_figure(np.random.default_rng(seed))


@given(st.integers(0, 10_000))
def test_every_joint_lies_on_the_body(seed: int) -> None:
    figure = planned(seed)
    alpha = np.asarray(draw_figure(figure, 128).getchannel("A"))
    assert len(figure.joints) == len(JOINTS) == 18
    for name, (x, y) in zip(JOINTS, figure.joints, strict=True):
        assert 0 <= x < 1 and 0 <= y < 1, name
        row, column = int(y * 128), int(x * 128)
        assert alpha[max(0, row - 2) : row + 3, max(0, column - 2) : column + 3].max() > 127, (seed, name)


@given(st.integers(0, 10_000))
def test_right_is_the_persons_right_and_the_head_is_above_the_neck(seed: int) -> None:
    at = dict(zip(JOINTS, planned(seed).joints, strict=True))
    assert at["right_shoulder"][0] < at["left_shoulder"][0] and at["right_hip"][0] < at["left_hip"][0]
    assert at["nose"][1] < at["neck"][1] < at["right_hip"][1]


def test_poses_are_what_their_names_say() -> None:
    found: dict[str, list[dict[str, tuple[float, float]]]] = {}
    for seed in range(600):
        figure = planned(seed)
        found.setdefault(figure.pose, []).append(dict(zip(JOINTS, figure.joints, strict=True)))
    assert set(found) == set(POSES)
    for at in found["cheering"]:
        assert max(at["right_wrist"][1], at["left_wrist"][1]) < at["neck"][1]
    for at in found["waving"]:
        up = [at[f"{side}_wrist"][1] < at[f"{side}_shoulder"][1] for side in ("right", "left")]
        assert sorted(up) == [False, True]
    for at in found["standing"]:
        assert min(at["right_ankle"][1], at["left_ankle"][1]) > at["right_hip"][1]
        assert min(at["right_wrist"][1], at["left_wrist"][1]) > at["right_elbow"][1] - 0.02


def test_the_same_seed_gives_the_same_figure_and_others_differ() -> None:
    assert planned(3) == planned(3)
    assert len({planned(seed).joints for seed in range(50)}) == 50
    assert {planned(seed).who for seed in range(200)} == set(WHO)


@pytest.mark.parametrize("colour", ["red", "blue", "yellow"])
def test_clothes_keep_clear_of_the_backdrop(colour: str) -> None:
    worn = [plan_figure(np.random.default_rng(seed), colour) for seed in range(100)]
    assert all(colour not in (figure.colour, figure.trousers) for figure in worn)


def test_a_shirt_has_the_colour_that_the_caption_says() -> None:
    figure = next(f for seed in range(99) if (f := planned(seed)).wear == "shirt" and f.who == "man")
    pixels = np.asarray(draw_figure(figure, 128))
    chest = np.mean([figure.joints[JOINTS.index(name)] for name in ("right_shoulder", "left_hip")], axis=0)
    assert tuple(pixels[int(chest[1] * 128), int(chest[0] * 128), :3]) == COLOURS[figure.colour]


def test_captions_name_who_is_there() -> None:
    assert 60 < len(SCENES) < 200
    for scene in SCENES:
        assert scene.layout == "figure" and not scene.things
        for posed in scene.figures:
            assert f"a {posed.figure.who}" in scene.caption.lower()
            assert posed.left >= 0 and posed.left + posed.side <= CANVAS and posed.side % GRID in (0, 4)
    assert {len(scene.figures) for scene in SCENES} == {1, 2}
    rng = np.random.default_rng(0)
    said = {words(rng, planned(5)) for _ in range(40)}
    assert len(said) > 2


def test_a_pose_becomes_a_map_of_openposes_colours() -> None:
    pytest.importorskip("cv2")
    from fantascope.annotate import draw_pose
    from fantascope.data.maps import BONES, colours, pose_of, posed

    scene: Scene = next(scene for scene in SCENES if len(scene.figures) == 1 and scene.figures[0].side == 120)
    pose = pose_of(scene, 512)
    one = scene.figures[0]
    nose = one.figure.joints[0]
    assert pose.people[0].nose == pytest.approx(((one.left + 120 * nose[0]) * 4, (one.top + 120 * nose[1]) * 4))
    plane = posed(scene, np.random.default_rng(1))
    assert plane.shape == (CANVAS, CANVAS) and set(np.unique(plane)) <= {0, *range(BONES, 256)}
    shown, due = colours()[plane].any(2), draw_pose(pose)[::4, ::4].any(2)
    assert 0.6 < (shown & due).sum() / due.sum() <= 1
    again = posed(scene, np.random.default_rng(1))
    assert np.array_equal(plane, again)
