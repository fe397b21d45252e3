"""Make the pictures of docs/personalise.md from a folder of `bench/personal.py scores FOLDER`; nothing is picked.

python docs/make_lessons.py FOLDER
"""

from __future__ import annotations

import os
import runpy
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
EXAMPLES = HERE.parent / "examples"
POSES = ("front", "jump", "left", "right", "small", "wave")
METHODS = ("lora", "dreambooth", "textual-inversion")
APPLICATIONS = ("art", "view", "property", "outfit")
WIDEST, GAP = 760, 8


def main(folder: Path) -> None:
    """Write pomo-photos.png, pomo-methods.jpg, and one picture of each application."""
    pictures = HERE / "pictures"
    photos = [Image.open(folder / "photos" / f"{pose}.png").convert("RGB").resize((128, 128)) for pose in POSES]
    _joined(photos, across=len(photos), gap=0).save(pictures / "pomo-photos.png")
    lessons = [folder / "homes" / method / "lessons" / "pomo" for method in METHODS]
    sheets = [Image.open(lesson / "samples.png").convert("RGB") for lesson in lessons]
    _kept(_joined(sheets, across=1, gap=GAP), pictures / "pomo-methods.jpg")
    with tempfile.TemporaryDirectory() as out:
        os.environ["FANTASCOPE_HOME"] = str(folder / "homes" / "lora")
        tempfile.tempdir, sys.argv = out, ["teach"]
        for name in APPLICATIONS:
            runpy.run_path(str(EXAMPLES / f"teach_{name}.py"))
            with Image.open(Path(out) / f"pomo-{name}.png") as sheet:
                _kept(sheet.convert("RGB"), pictures / f"pomo-{name}.jpg")


def _joined(pictures: Sequence[Image.Image], *, across: int, gap: int) -> Image.Image:
    wide, high = pictures[0].size
    down = -(-len(pictures) // across)
    whole = Image.new("RGB", (across * (wide + gap) - gap, down * (high + gap) - gap), "white")
    for k, picture in enumerate(pictures):
        whole.paste(picture, (k % across * (wide + gap), k // across * (high + gap)))
    return whole


def _kept(picture: Image.Image, path: Path) -> None:
    picture.thumbnail((WIDEST, 2 * WIDEST), Image.Resampling.LANCZOS)
    picture.save(path, "JPEG", quality=88)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
