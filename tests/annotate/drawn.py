"""Pictures drawn for the annotators' tests, and where their weights may lie."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from fantascope.annotate import Tools
from fantascope.annotate.networks import POSE_DETECTOR, POSE_LANDMARKS, File
from fantascope.settings import default_home

DOCS = Path(__file__).parent.parent.parent / "docs" / "pictures"
FOLDER = Path(os.environ.get("FANTASCOPE_TEST_ANNOTATORS", default_home() / "annotators"))

BODY = {
    "neck": (256, 150),
    "right_shoulder": (224, 150),
    "right_elbow": (196, 205),
    "right_wrist": (188, 262),
    "left_shoulder": (288, 150),
    "left_elbow": (316, 205),
    "left_wrist": (324, 262),
    "right_hip": (240, 270),
    "right_knee": (235, 350),
    "right_ankle": (232, 440),
    "left_hip": (272, 270),
    "left_knee": (277, 350),
    "left_ankle": (280, 440),
    "right_eye": (244, 95),
    "left_eye": (268, 95),
}
"""Where joints of `figure` are drawn, px of 512. It looks at us: its right is on the left."""


def need(*files: File) -> Tools:
    """Return the tools with these weights, or skip the test."""
    for file in files:
        if not (FOLDER / file.name).is_file():
            pytest.skip(f"no {file.name} in FANTASCOPE_TEST_ANNOTATORS or {FOLDER}:\n{file.get.format(folder=FOLDER)}")
    return Tools(weights=FOLDER, threads=1)


def need_pose() -> Tools:
    return need(POSE_DETECTOR, POSE_LANDMARKS)


def figure(side: int = 512) -> np.ndarray:
    """A drawn person, who stands and looks at us."""
    k = side * 2 / 512
    image = Image.new("RGB", (side * 2, side * 2), (200, 205, 210))
    draw = ImageDraw.Draw(image)

    def limb(width: float, colour: tuple[int, int, int], *names: str) -> None:
        points = [(BODY[name][0] * k, BODY[name][1] * k) for name in names]
        draw.line(points, fill=colour, width=round(width * k), joint="curve")
        for x, y in points:
            r = width * k / 2
            draw.ellipse((x - r, y - r, x + r, y + r), fill=colour)

    skin, shirt, trousers, hair = (224, 172, 140), (60, 90, 160), (50, 50, 60), (60, 40, 30)
    for side_of in ("right", "left"):
        limb(30, trousers, f"{side_of}_hip", f"{side_of}_knee", f"{side_of}_ankle")
    for heel, toe in ((232, 220), (280, 292)):
        draw.line([(heel * k, 448 * k), (toe * k, 455 * k)], fill=(30, 20, 20), width=round(16 * k))
    draw.polygon([(x * k, y * k) for x, y in ((222, 140), (290, 140), (284, 275), (228, 275))], fill=shirt)
    for side_of in ("right", "left"):
        limb(24, shirt, f"{side_of}_shoulder", f"{side_of}_elbow")
        limb(20, skin, f"{side_of}_elbow", f"{side_of}_wrist")
    draw.line([(256 * k, 120 * k), (256 * k, 140 * k)], fill=skin, width=round(22 * k))
    draw.ellipse((228 * k, 62 * k, 284 * k, 130 * k), fill=skin)
    draw.pieslice((226 * k, 56 * k, 286 * k, 116 * k), 180, 360, fill=hair)
    for name in ("right_eye", "left_eye"):
        x, y = BODY[name]
        draw.ellipse(((x - 4) * k, (y - 3) * k, (x + 4) * k, (y + 3) * k), fill=(30, 30, 30))
    draw.line([(248 * k, 116 * k), (264 * k, 116 * k)], fill=(150, 60, 60), width=round(3 * k))
    draw.line([(256 * k, 98 * k), (253 * k, 107 * k)], fill=(180, 130, 100), width=round(2 * k))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(2)).resize((side, side)))


def square(side: int = 256) -> np.ndarray:
    """A dark square with a bright one in its middle half."""
    picture = np.full((side, side, 3), 30, np.uint8)
    picture[side // 4 : side * 3 // 4, side // 4 : side * 3 // 4] = (230, 220, 60)
    return picture


def pen(paper: tuple[int, int, int] = (250, 248, 240), ink: tuple[int, int, int] = (20, 30, 120)) -> np.ndarray:
    """A ring and a line, drawn by hand."""
    image = Image.new("RGB", (320, 240), paper)
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 60, 140, 160), outline=ink, width=6)
    draw.line((180, 200, 300, 40), fill=ink, width=5)
    return np.asarray(image)


def embedded(name: str) -> np.ndarray:
    """A picture that the embedded checkpoint made."""
    return np.asarray(Image.open(DOCS / f"{name}.png").convert("RGB"))
