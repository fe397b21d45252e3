"""Where people are in pictures, against the joints they were asked to have; figures drawn by code are the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cv2")
pytest.importorskip("pyvips")

from tests.data.conftest import CONCEPTS

from fantascope.annotate import Person, Pose
from fantascope.data.compose import Composer
from fantascope.data.figure import plan_figure
from fantascope.data.maps import pose_of
from fantascope.data.scene import CANVAS, Posed, Scene
from fantascope.evaluate.control import SIDE, Case, Fidelity, as_table, cases, standing
from fantascope.evaluate.poses import limbs_on, moved_into, person_of, shared, silhouette
from fantascope.evaluate.statistics import Figure

GROUNDS = ("white", "teal", "gradient:pink:white")
COMPOSER = Composer([], CONCEPTS)


def scene(seed: int, ground: str = "white", side: int = 104) -> Scene:
    figure = plan_figure(np.random.default_rng([seed, 5]), ground)
    place = (CANVAS - side) // 2
    return Scene(seed, "figure", ground, "flat", (), "a person", figures=(Posed(figure, place, place, side),))


def dressed(count: int, ground: str) -> list[Scene]:
    """Scenes whose people can be told from the ground; a cook in white on white cannot."""
    some = (scene(seed, ground) for seed in range(100))
    return [one for one in some if one.figures[0].figure.who != "chef"][:count]


def drawn(one: Scene) -> tuple[Any, Any, Pose]:
    """A scene's picture, where its people are, and their joints."""
    return np.asarray(COMPOSER.render(one, SIDE)), COMPOSER.shapes(one, SIDE)[0] > 127, pose_of(one, 512)


@pytest.mark.parametrize("ground", GROUNDS)
def test_people_are_found_on_plain_grounds(ground: str) -> None:
    scores = [shared(person_of(picture), person) for picture, person, _ in map(drawn, dressed(8, ground))]
    assert min(scores) > 0.75 and np.mean(scores) > 0.92, scores


def test_an_even_ground_shows_nobody_and_specks_are_nobody() -> None:
    rng = np.random.default_rng(0)
    ground = np.full((SIDE, SIDE, 3), (40, 130, 200), np.uint8) + rng.integers(0, 8, (SIDE, SIDE, 3), np.uint8)
    assert not person_of(ground).any()
    ground[90:94, 90:94] = 255
    assert not person_of(ground).any()
    ground[40:80, 0:60] = 255
    ground[50:54, 30:34] = (40, 130, 200)
    found = person_of(ground)
    assert found[40:80, 0:60].all() and found.sum() == 40 * 60, (
        "what touches the border is seen, small holes are filled"
    )


def test_the_silhouette_of_joints_is_that_of_whom_they_are_of() -> None:
    people = [drawn(one) for one in dressed(24, "white") if one.figures[0].figure.wear == "shirt"]
    own = [shared(silhouette(pose, SIDE), person) for _, person, pose in people]
    others = [
        shared(silhouette(moved_into(people[k - 1][2], pose), SIDE), person)
        for k, (_, person, pose) in enumerate(people)
    ]
    assert len(people) > 12 and min(own) > 0.75 and np.mean(own) > 0.88, own
    assert np.mean(others) < 0.6, others


def test_limbs_are_met_where_they_are_and_not_where_they_point_elsewhere() -> None:
    down, up = [Person(**joints(turn)) for turn in (1, -1)]
    poses = [Pose(width=128, height=128, people=(person,)) for person in (down, up)]
    masks = [silhouette(pose, SIDE) for pose in poses]
    assert limbs_on(poses[0], masks[0]) == limbs_on(poses[1], masks[1]) == 1
    assert limbs_on(poses[0], masks[1]) == limbs_on(poses[1], masks[0]) == 0.5, "the legs are met, the arms are not"
    assert limbs_on(poses[0], np.zeros((SIDE, SIDE), bool)) == 0
    one = Pose(width=128, height=128, people=(Person(nose=(64, 20), right_knee=(50, 90)),))
    assert limbs_on(one, masks[0]) == 1 and silhouette(one, SIDE).any(), "a half of a limb is none"


def joints(turn: int) -> dict[str, tuple[float, float]]:
    """Somebody whose arms hang down, or with -1 stand up."""
    at: dict[str, tuple[float, float]] = {"nose": (64, 22), "neck": (64, 38)}
    for side, sign in (("right", -1), ("left", 1)):
        at |= {f"{side}_shoulder": (64 + 10 * sign, 40), f"{side}_elbow": (64 + 24 * sign, 40 + 12 * turn)}
        at |= {f"{side}_wrist": (64 + 36 * sign, 40 + 26 * turn), f"{side}_hip": (64 + 6 * sign, 72)}
        at |= {f"{side}_knee": (64 + 9 * sign, 92), f"{side}_ankle": (64 + 11 * sign, 114)}
        at |= {f"{side}_ear": (64 + 11 * sign, 20)}
    return at


def test_a_pose_moves_into_the_place_of_another() -> None:
    one, other = Person(**joints(-1)), Person(**{k: (x / 2, y / 2 + 50) for k, (x, y) in joints(1).items()})
    moved = moved_into(*(Pose(width=128, height=128, people=(who,)) for who in (one, other))).people[0]
    points, place = (np.array([at for at in who.joints() if at]) for who in (moved, other))
    assert (points.min(0) >= place.min(0) - 1e-6).all() and (points.max(0) <= place.max(0) + 1e-6).all()
    assert np.isclose(np.ptp(points, 0), np.ptp(place, 0)).any(), "as large as it fits"


def test_standing_tells_pictures_that_follow_from_those_that_do_not() -> None:
    rows = []
    for one in dressed(10, "white"):
        picture, person, pose = drawn(one)
        rows.append(Case("pose", one.caption, np.zeros((SIDE, SIDE, 3), np.uint8), one.seed, (), picture, pose, person))
    real = [case.picture for case in rows]
    turned: Sequence[Any] = [*real[1:], real[0]]
    found = standing([*rows, replace(rows[0], person=None)], [*real, real[0]], [*turned, real[0]], [*real, real[0]])
    assert found is not None and found.overlap.under.n == 10, "what has no plain ground is left out"
    for how in (found.overlap, found.limbs):
        assert how.under == how.real and how.under.low > max(how.other.high, how.without.high)
    assert found.overlap.under.value > 0.8 and found.limbs.under.value > 0.85 and found.sighted.value > 0.92
    nan = Figure(float("nan"), float("nan"), float("nan"), 0)
    table = as_table({"pose": Fidelity(*[found.sighted] * 3, *[nan] * 3, standing=found)})
    assert "| silhouette, IoU | 10 |" in table and "| limbs met | 10 |" in table
    assert standing(rows[:1], real[:1], real[:1], real[:1]) is None, "there is no other pose to compare with"


def test_cases_of_poses_know_where_people_are_on_plain_grounds() -> None:
    rows = cases(COMPOSER, dict(CONCEPTS), ["pose"], 8, [])
    plain = [case for case in rows if case.person is not None]
    assert 2 < len(plain) <= 8 and all(case.pose is not None for case in rows)
    assert all(0.02 < person.mean() < 0.6 for case in plain if (person := case.person) is not None)
