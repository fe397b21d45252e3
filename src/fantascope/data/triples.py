"""Pictures with maps and captions in a folder, in the layout of ControlNet's Fill50K.

`prompt.json` has a JSON object a line, `{"source": "source/0.png", "target": "target/0.png", "prompt": "…"}`: the map,
the picture and the caption. Paths are from the folder, and may not leave it.

Source: lllyasviel/ControlNet, tutorial_dataset.py and docs/train.md.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fantascope.errors import InvalidPicture, InvalidValue, NotFound

INDEX = "prompt.json"
FIELDS = ("source", "target", "prompt")


@dataclass(frozen=True)
class Triple:
    """A map's file, a picture's file, and the caption."""

    source: Path
    target: Path
    prompt: str


def read_triples(folder: Path) -> list[Triple]:
    """Read the index of a folder of triples; the pictures are not opened yet.

    Raises:
        NotFound: There is no `prompt.json`, or a file that it names is not there.
        InvalidValue: A line is no JSON object with the three texts, names a path outside the folder, or there is none.
    """
    path = folder / INDEX
    if not path.is_file():
        raise NotFound(f"{folder} holds no triples: there is no {INDEX}.", param="triples")
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip():
            found.append(_triple(folder, line, f"{path}, line {number}"))
    if not found:
        raise InvalidValue(f"{path} names no picture.", param="triples")
    return found


def _triple(folder: Path, line: str, where: str) -> Triple:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise InvalidValue(f"{where} is not JSON: {error}.", param="triples") from error
    if not isinstance(row, dict) or not all(isinstance(row.get(name), str) for name in FIELDS):
        raise InvalidValue(f"{where} is not an object with the texts {', '.join(FIELDS)}.", param="triples")
    files = []
    for name in FIELDS[:2]:
        file = folder / row[name]
        if folder.resolve() not in file.resolve().parents:
            raise InvalidValue(f"{where}: {row[name]!r} lies outside of {folder}.", param="triples")
        if not file.is_file():
            raise NotFound(f"{where}: there is no {file}.", param="triples")
        files.append(file)
    return Triple(files[0], files[1], row["prompt"])


def load(
    triples: Sequence[Triple], side: int
) -> Iterator[tuple[NDArray[np.float32], str, dict[str, NDArray[np.uint8]]]]:
    """Read pictures (3, side, side) in -1..1, captions, and `map` (1, 3, side, side) with `kind` (1,) zero.

    Pictures are cut to their middle square. One is made smaller by areas, so that thin lines stay, greyer.

    Raises:
        InvalidPicture: A file is no picture, or picture and map are not of one shape.
    """
    for triple in triples:
        sizes, squares = [], []
        for file in (triple.target, triple.source):
            try:
                with Image.open(file) as image:
                    sizes.append(image.size)
                    squares.append(_square(image.convert("RGB"), side))
            except (OSError, ValueError, Image.DecompressionBombError) as error:
                raise InvalidPicture(f"{file} is no picture that can be read: {error}.", param="triples") from error
        if abs(sizes[0][0] * sizes[1][1] - sizes[0][1] * sizes[1][0]) > 0.02 * sizes[0][0] * sizes[1][1]:
            raise InvalidPicture(
                f"{triple.target} has {sizes[0][0]}x{sizes[0][1]} px and its map {sizes[1][0]}x{sizes[1][1]}.",
                param="triples",
            )
        picture, drawn = (np.ascontiguousarray(square.transpose(2, 0, 1)) for square in squares)
        yield (
            picture.astype(np.float32) / 127.5 - 1,
            triple.prompt,
            {"map": drawn[None], "kind": np.zeros(1, np.uint8)},
        )


def _square(image: Image.Image, side: int) -> NDArray[np.uint8]:
    short = min(image.size)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    cut = image.crop((left, top, left + short, top + short))
    how = Image.Resampling.BOX if short > side else Image.Resampling.BICUBIC
    return np.asarray(cut.resize((side, side), how))


def digest(triples: Sequence[Triple]) -> str:
    """A hash over captions and the bytes of all files, in their order."""
    whole = hashlib.sha256()
    for triple in triples:
        whole.update(json.dumps(triple.prompt).encode())
        for file in (triple.source, triple.target):
            whole.update(hashlib.sha256(file.read_bytes()).digest())
    return whole.hexdigest()
