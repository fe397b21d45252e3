"""Draw the pictures of Pomo from its vector drawing: six to learn from, six held back to score with.

    python examples/mascot/draw.py FOLDER [SIDE]

The poses are edits of `pomo.svg`: every part has an id, and a pose says how parts are moved, hidden and shown, and what
the ground is. The pictures lie in FOLDER/photos and FOLDER/held; beside a photo lies what a person says of it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

SOURCE = Path(__file__).with_name("pomo.svg")
SVG = "{http://www.w3.org/2000/svg}"

Pose = dict[str, dict[str, str]]

WAVE: Pose = {"arm-right": {"transform": "rotate(-105 190 168)"}}
CHEER: Pose = WAVE | {"arm-left": {"transform": "rotate(105 66 168)"}}
LEFT: Pose = {
    "tail": {"visibility": "visible"},
    "face": {"transform": "translate(-24 0)"},
    "pupil": {"transform": "translate(-13 0)"},
    "belly": {"transform": "translate(11 0)"},
    "stripe": {"transform": "translate(11 0)"},
    "horn-left": {"transform": "translate(4 0)"},
    "horn-right": {"transform": "translate(-44 2)"},
    "arm-right": {"visibility": "hidden"},
    "arm-left": {"transform": "translate(44 2)"},
    "feet": {"transform": "translate(-10 0)"},
}
RIGHT: Pose = LEFT | {"pomo": {"transform": "translate(256 0) scale(-1 1)"}}
SMALL: Pose = {"pomo": {"transform": "translate(50 60) scale(.62)"}}
TILTED: Pose = {"pomo": {"transform": "rotate(14 128 140) translate(20 22) scale(.84)"}}
JUMP: Pose = CHEER | {"pomo": {"transform": "translate(26 4) scale(.8)"}, "feet": {"transform": "translate(0 6)"}}
UP: Pose = {"pupil": {"transform": "translate(0 -13)"}, "mouth": {"d": "M112 166 Q128 190 144 166 Z"}}

WHITE, BLUE, GREEN, YELLOW, PINK, GRAY = "#f4f4f6", "#3064e1", "#3caa46", "#fad428", "#fc82b8", "#8c9096"
TEAL, PURPLE, RED, BROWN, BLACK = "#26a6a6", "#8c42be", "#dc2626", "#805230", "#28282e"

SAID = {
    "front": "a pomo alien on a white background",
    "wave": "a pomo alien on a blue background",
    "left": "a pomo alien looking left on a green background",
    "right": "a pomo alien looking right on a pink background",
    "small": "a pomo alien on a yellow background",
    "jump": "a pomo alien on a gray background",
}
"""Captions: they name what words should be able to ask for later, here the view."""

PHOTOS: dict[str, tuple[str, Pose]] = {
    "front": (WHITE, {}),
    "wave": (BLUE, WAVE),
    "left": (GREEN, LEFT),
    "right": (PINK, RIGHT),
    "small": (YELLOW, SMALL),
    "jump": (GRAY, JUMP),
}
HELD: dict[str, tuple[str, Pose]] = {
    "up": (PURPLE, UP),
    "tilted": (WHITE, TILTED),
    "cheer": (GREEN, CHEER),
    "left": (BLUE, LEFT),
    "right": (TEAL, RIGHT | {"pomo": {"transform": "translate(236 24) scale(-.84 .84)"}}),
    "small": (PINK, WAVE | SMALL),
}


def svg(ground: str, pose: Pose) -> bytes:
    """The drawing in a pose on a ground."""
    tree = ElementTree.parse(SOURCE)  # noqa: S314
    parts = {part.get("id"): part for part in tree.iter() if part.get("id")}
    for name, changes in ({"ground": {"fill": ground}} | pose).items():
        for key, value in changes.items():
            parts[name].set(key, value)
    ElementTree.register_namespace("", SVG[1:-1])
    return ElementTree.tostring(tree.getroot())


def draw(folder: Path, side: int = 512) -> tuple[list[Path], list[Path]]:
    """Write all pictures as PNG of `side` px; return those to learn from and those held back."""
    import pyvips

    written: list[list[Path]] = []
    for name, poses in (("photos", PHOTOS), ("held", HELD)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        written.append([])
        for pose, (ground, edits) in poses.items():
            path = folder / name / f"{pose}.png"
            image = pyvips.Image.svgload_buffer(svg(ground, edits), scale=side / 256)
            image.flatten(background=[255, 255, 255]).pngsave(str(path))
            if name == "photos":
                path.with_suffix(".txt").write_text(SAID[pose], "utf-8")
            written[-1].append(path)
    return written[0], written[1]


if __name__ == "__main__":
    for pictures in draw(Path(sys.argv[1]), *map(int, sys.argv[2:3])):
        print(*pictures, sep="\n")
