"""People's joints in a picture: BlazePose's detector and landmarks, on OpenVINO.

Source: Bazarevsky et al., "BlazePose: on-device real-time body pose tracking" (2020). The two files come from the wheel
of mediapipe 0.10.21 (`networks.fetch_pose`); anchors, crop and joints follow that package's published graphs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.annotate.edges import Values
from fantascope.annotate.joints import JOINTS, Person, Pose, draw_pose
from fantascope.annotate.networks import POSE_DETECTOR, POSE_LANDMARKS, Tools, open_network
from fantascope.annotate.pixels import Pixels, chance, opencv, resized

SEEN, CROP = 224, 256
"""Sides of what the detector and the landmarks' network look at, px."""

LAYERS = ((8, 2), (16, 2), (32, 6))
"""Stride of each layer of the detector, px, and its anchors in a cell."""

OVERLAP = 0.3
"""Intersection over union above which the weaker of two people is dropped."""

SURE = (0.5, 0.5)
"""Least score of a person by the detector, and by the landmarks' network, in a look at the whole picture."""

SURE_IN_PART = (0.6, 0.9)
"""The same in looks at parts of it, where cats and cups begin to look like people."""

ALIKE = 0.15
"""Median distance of landmarks, of a person's height, below which two are one person."""

MANY, MOST_WINDOWS = 16, 64
"""Finds in a square, and squares."""

MARGIN = 1.25
"""How much larger than the person the crop is."""

LANDMARKS = {
    "nose": 0,
    "right_shoulder": 12,
    "right_elbow": 14,
    "right_wrist": 16,
    "left_shoulder": 11,
    "left_elbow": 13,
    "left_wrist": 15,
    "right_hip": 24,
    "right_knee": 26,
    "right_ankle": 28,
    "left_hip": 23,
    "left_knee": 25,
    "left_ankle": 27,
    "right_eye": 5,
    "left_eye": 2,
    "right_ear": 8,
    "left_ear": 7,
}
"""Which of BlazePose's 33 landmarks is a joint; the neck is halfway between the shoulders."""

Floats = npt.NDArray[np.float32]
Run = Callable[[Floats], list[npt.NDArray[Any]]]


def pose(picture: Pixels, values: Values, tools: Tools) -> Pixels:
    """Draw the people of a picture. Raises as `find_pose`."""
    return draw_pose(find_pose(picture, values["people"], values["confidence"], tools))


def find_pose(picture: Pixels, people: int = 4, confidence: float = 0.5, tools: Tools | None = None) -> Pose:
    """Find the joints of people, the surest first.

    Args:
        picture: (H, W, 3) uint8, 8 … 8192 px a side.
        people: How many at most.
        confidence: How visible a joint must be, 0 … 1; others, and those outside the picture, are missing.

    Raises:
        ModelNotFound: The network's files are not there; the message says how to get them.
        BrokenModelFile: They are other files.
        MissingExtra: OpenCV is not installed.

    Example:
        >>> pose = find_pose(picture)            # doctest: +SKIP
        >>> again = draw_pose(read_pose(pose.as_dict()))  # doctest: +SKIP
    """
    kit = tools if tools is not None else Tools()
    detect, mark = open_network(POSE_DETECTOR, kit), open_network(POSE_LANDMARKS, kit)
    height, width = picture.shape[:2]
    seen: list[tuple[Any, Any]] = []
    for middle, end, least in find_people(picture, people, detect):
        points, visible, sure = landmarks(picture, middle, end, mark)
        if len(seen) < people and sure >= least and not any(_same(points, other) for other, _ in seen):
            seen.append((points, visible))
    return Pose(width=width, height=height, people=tuple(_person(p, v >= confidence, height, width) for p, v in seen))


def find_people(picture: Pixels, most: int, detect: Run) -> list[tuple[Floats, Floats, float]]:
    """Return the middle of each person's hips, a point half a person away from it, and how sure the landmarks must be.

    Both are x, y in px. The detector finds the one person that a square is about. Where more are wanted it looks at
    overlapping squares, too, and a person may come twice, with different points.
    """
    boxes: list[list[float]] = []
    scores: list[float] = []
    points: list[tuple[Floats, Floats, float]] = []
    for top, left, side in windows(picture.shape[0], picture.shape[1], most > 1):
        corners, chances, places = _look(picture[top : top + side, left : left + side], detect)
        whole = side >= max(picture.shape[:2])
        least, landmarks_least = SURE if whole else SURE_IN_PART
        sure = np.flatnonzero(chances >= least)
        for k in sure[np.argsort(-chances[sure], kind="stable")][:MANY]:
            shift = np.array([left, top], np.float32)
            boxes.append([*(corners[k, :2] + shift).tolist(), *corners[k, 2:].tolist()])
            scores.append(float(chances[k]) + whole)  # the whole picture's finds go first
            points.append((places[k, 0] + shift, places[k, 1] + shift, landmarks_least))
    if not boxes:
        return []
    kept = np.asarray(opencv().dnn.NMSBoxes(boxes, scores, 0.0, OVERLAP), int).reshape(-1)
    return [points[k] for k in kept]


def windows(height: int, width: int, many: bool) -> list[tuple[int, int, int]]:
    """Return top, left and side of the squares to look at: the whole, then, with `many`, smaller ones that overlap.

    The whole is a square that sticks out of the picture; the others are of the short side and of 0.6 of it.
    """
    found = [(0, 0, max(height, width))]
    for side in (min(height, width), round(0.6 * min(height, width))) if many else ():
        rows, columns = (max(1, math.ceil((length - side) / (side / 2)) + 1) for length in (height, width))
        for top in np.linspace(0, height - side, rows).round().astype(int):
            found += [(int(top), int(left), side) for left in np.linspace(0, width - side, columns).round()]
    return [window for k, window in enumerate(found) if window not in found[:k]][:MOST_WINDOWS]


def _look(picture: Pixels, detect: Run) -> tuple[Floats, Floats, Floats]:
    """Return what the detector says of its 2254 anchors, in px of the picture.

    Returns:
        Boxes (2254, 4), x, y, width, height; chances (2254,); hips and end (2254, 2, 2).
    """
    height, width = picture.shape[:2]
    ratio = SEEN / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    left, top = (SEEN - size[0]) // 2, (SEEN - size[1]) // 2
    seen = np.zeros((SEEN, SEEN, 3), np.uint8)
    seen[top : top + size[1], left : left + size[0]] = resized(picture, size, "area" if ratio < 1 else "linear")
    moves, scores = detect(seen[None].astype(np.float32) / 127.5 - 1)
    places = moves[0].reshape(-1, 6, 2).astype(np.float32)
    middles = (places[:, [0, 2, 3]] + anchors()[:, None] - np.array([left, top], np.float32)) / np.float32(ratio)
    sizes = places[:, 1] / np.float32(ratio)
    return np.concatenate([middles[:, 0] - sizes / 2, sizes], 1), chance(scores[0, :, 0]), middles[:, 1:]


def _same(points: Any, other: Any) -> bool:
    """Whether two sets of landmarks are one person: the middle landmark is off by less than `ALIKE` of the height."""
    tall = max(np.ptp(other, axis=0).max(), 1.0)
    return bool(np.median(np.linalg.norm(points - other, axis=1)) < ALIKE * tall)


@lru_cache(maxsize=1)
def anchors() -> Floats:
    """Return the middles of the detector's 2254 anchors, (2254, 2): x, y in px of 224."""
    rows = []
    for stride, many in LAYERS:
        cells = (np.arange(SEEN // stride) + 0.5) * stride
        x, y = np.meshgrid(cells, cells)
        rows.append(np.repeat(np.stack([x.ravel(), y.ravel()], 1), many, 0))
    return np.concatenate(rows).astype(np.float32)


def landmarks(
    picture: Pixels, middle: Sequence[float] | Floats, end: Sequence[float] | Floats, mark: Run
) -> tuple[Any, Any, float]:
    """Find the landmarks of one person in a crop that stands upright on the line from the hips' middle to `end`.

    Returns:
        The 33 landmarks, (33, 2), x, y in px of the picture; how visible each is, (33,), 0 … 1; and how sure it is that
        there is a person, 0 … 1.
    """
    cv2 = opencv()
    dx, dy = float(end[0] - middle[0]), float(end[1] - middle[1])
    side = max(2 * math.hypot(dx, dy) * MARGIN, 1.0)
    turn = math.pi / 2 - math.atan2(-dy, dx)
    cos, sin = math.cos(turn) * side / CROP, math.sin(turn) * side / CROP
    turned = np.array([[cos, -sin], [sin, cos]])
    shift = np.asarray(middle, np.float64) - turned @ np.full(2, CROP / 2)
    place = np.concatenate([turned, shift[:, None]], 1)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    seen = cv2.warpAffine(picture, place, (CROP, CROP), flags=flags)
    outputs = mark(seen[None].astype(np.float32) / 255)
    rows = outputs[0].reshape(-1, 5)[:33].astype(np.float64)
    return rows[:, :2] @ turned.T + shift, chance(rows[:, 3]), float(outputs[1].reshape(-1)[0])


def _person(points: Any, seen: Any, height: int, width: int) -> Person:
    inside = (points >= 0).all(1) & (points[:, 0] < width) & (points[:, 1] < height) & seen
    joints: dict[str, tuple[float, float] | None] = {}
    for name, k in LANDMARKS.items():
        joints[name] = _point(points[k], height, width) if inside[k] else None
    right, left = LANDMARKS["right_shoulder"], LANDMARKS["left_shoulder"]
    if inside[right] and inside[left]:
        joints["neck"] = _point((points[right] + points[left]) / 2, height, width)
    assert set(joints) <= set(JOINTS)
    return Person(**joints)


def _point(place: Any, height: int, width: int) -> tuple[float, float]:
    """Round to tenths of a px, and stay inside."""
    return min(round(float(place[0]), 1), width - 1.0), min(round(float(place[1]), 1), height - 1.0)
