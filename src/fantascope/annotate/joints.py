"""Poses as documents: joints that can be written, edited, read back and drawn.

    {"width": 512, "height": 512, "people": [{"nose": [250, 80], "neck": [250, 140], "right_eye": null}]}

Joints are in px; a joint that is null or not named is missing. Right and left are the person's. OpenPose's own JSON
(`pose_keypoints_2d`, x, y and confidence of 18 joints in a row) is read, too. Joints, order, limbs and colours are
those of OpenPose's COCO model, on which pose ControlNets were trained; Cao et al., "OpenPose" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

import numpy as np
from pydantic import Field, model_validator

from fantascope.annotate.documents import Document, Part, build, decode
from fantascope.annotate.pixels import LEAST, MOST, Pixels, opencv
from fantascope.errors import InvalidValue

JOINTS = (
    "nose",
    "neck",
    "right_shoulder",
    "right_elbow",
    "right_wrist",
    "left_shoulder",
    "left_elbow",
    "left_wrist",
    "right_hip",
    "right_knee",
    "right_ankle",
    "left_hip",
    "left_knee",
    "left_ankle",
    "right_eye",
    "left_eye",
    "right_ear",
    "left_ear",
)
COLOURS = (
    (255, 0, 0),
    (255, 85, 0),
    (255, 170, 0),
    (255, 255, 0),
    (170, 255, 0),
    (85, 255, 0),
    (0, 255, 0),
    (0, 255, 85),
    (0, 255, 170),
    (0, 255, 255),
    (0, 170, 255),
    (0, 85, 255),
    (0, 0, 255),
    (85, 0, 255),
    (170, 0, 255),
    (255, 0, 255),
    (255, 0, 170),
    (255, 0, 85),
)
"""Of the joints, in their order; of the limbs, the first 17."""

LIMBS = (
    (1, 2),
    (1, 5),
    (2, 3),
    (3, 4),
    (5, 6),
    (6, 7),
    (1, 8),
    (8, 9),
    (9, 10),
    (1, 11),
    (11, 12),
    (12, 13),
    (1, 0),
    (0, 14),
    (14, 16),
    (0, 15),
    (15, 17),
)
"""Which joints each limb joins."""

DIM = 0.6
"""How bright limbs are; joints have their full colour."""

PEN = 4 / 512
"""Half a limb's width and a joint's radius, of the canvas's short side: 4 px of 512 as in the original."""

MAX_PEOPLE = 32

Point = tuple[float, float]
Side = Annotated[int, Field(ge=LEAST, le=MOST)]


class Person(Part):
    """Joints of one person, px; None where one is missing."""

    nose: Point | None = None
    neck: Point | None = None
    right_shoulder: Point | None = None
    right_elbow: Point | None = None
    right_wrist: Point | None = None
    left_shoulder: Point | None = None
    left_elbow: Point | None = None
    left_wrist: Point | None = None
    right_hip: Point | None = None
    right_knee: Point | None = None
    right_ankle: Point | None = None
    left_hip: Point | None = None
    left_knee: Point | None = None
    left_ankle: Point | None = None
    right_eye: Point | None = None
    left_eye: Point | None = None
    right_ear: Point | None = None
    left_ear: Point | None = None

    def joints(self) -> list[Point | None]:
        """Return the 18 joints in OpenPose's order."""
        return [getattr(self, name) for name in JOINTS]


class Pose(Part):
    """A canvas and the people on it. Every joint lies on the canvas."""

    width: Side
    height: Side
    people: Annotated[tuple[Person, ...], Field(max_length=MAX_PEOPLE)]

    @model_validator(mode="after")
    def _inside(self) -> Self:
        for k, person in enumerate(self.people):
            for name, joint in zip(JOINTS, person.joints(), strict=True):
                if joint is not None and not (0 <= joint[0] < self.width and 0 <= joint[1] < self.height):
                    raise ValueError(
                        f"{name} of person {k} is at {joint[0]:g}, {joint[1]:g}, outside the canvas of "
                        f"{self.width}x{self.height} px; null leaves a joint out"
                    )
        return self

    def as_dict(self) -> dict[str, Any]:
        """Return the document as plain data, missing joints as None; `read_pose` reads it back."""
        return self.model_dump(mode="json")

    def as_openpose(self) -> dict[str, Any]:
        """Return the document in OpenPose's form; missing joints are 0, 0, 0."""
        rows = [[(*joint, 1.0) if joint else (0.0, 0.0, 0.0) for joint in person.joints()] for person in self.people]
        people = [{"pose_keypoints_2d": [float(v) for joint in row for v in joint]} for row in rows]
        return {"canvas_width": self.width, "canvas_height": self.height, "people": people}


def read_pose(document: Document) -> Pose:
    """Read and check a document of joints, in the form above or OpenPose's.

    Raises:
        InvalidValue: What is wrong and where. A joint outside the canvas is named.
    """
    data = decode(document, "pose")
    if "canvas_width" in data or "canvas_height" in data:
        data = _from_openpose(data)
    return build(Pose, data, "pose")


def draw_pose(pose: Pose) -> Pixels:
    """Draw people in OpenPose's colours on black: (height, width, 3) uint8.

    Limbs are ellipses of 0.6 of their colour, joints are dots of the full colour, as ControlNets were shown them.
    """
    cv2 = opencv()
    canvas = np.zeros((pose.height, pose.width, 3), np.uint8)
    pen = max(1, round(PEN * min(pose.width, pose.height)))
    for person in pose.people:
        joints = person.joints()
        for (one, other), colour in zip(LIMBS, COLOURS, strict=False):
            a, b = joints[one], joints[other]
            if a is not None and b is not None:
                middle = (round((a[0] + b[0]) / 2), round((a[1] + b[1]) / 2))
                axes = (round(math.dist(a, b) / 2), pen)
                turn = round(math.degrees(math.atan2(b[1] - a[1], b[0] - a[0])))
                shape = cv2.ellipse2Poly(middle, axes, turn, 0, 360, 1)
                cv2.fillConvexPoly(canvas, shape, tuple(int(DIM * level) for level in colour))
    for person in pose.people:
        for joint, colour in zip(person.joints(), COLOURS, strict=True):
            if joint is not None:
                cv2.circle(canvas, (int(joint[0]), int(joint[1])), pen, colour, cv2.FILLED)
    return canvas


def _from_openpose(data: dict[str, Any]) -> dict[str, Any]:
    """Turn OpenPose's form into ours; hands and faces are left out, all else is checked later."""
    people = data.get("people")
    if not isinstance(people, (list, tuple)):
        raise InvalidValue("pose: people is a list.", param="people")
    ours = []
    for k, person in enumerate(people):
        row = person.get("pose_keypoints_2d") if isinstance(person, Mapping) else None
        path = f"people.{k}.pose_keypoints_2d"
        if not isinstance(row, (list, tuple)) or len(row) != 3 * len(JOINTS):
            raise InvalidValue(f"pose: {path}: x, y and confidence of 18 joints, 54 numbers.", param=path)
        if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and math.isfinite(v) for v in row):
            raise InvalidValue(f"pose: {path}: finite numbers only.", param=path)
        points = [list(row[3 * i : 3 * i + 2]) if row[3 * i + 2] > 0 else None for i in range(len(JOINTS))]
        ours.append(dict(zip(JOINTS, points, strict=True)))
    return {"width": data.get("canvas_width"), "height": data.get("canvas_height"), "people": ours}
