"""Paint the pictures of README and docs with the embedded checkpoint; nothing is picked or retouched.

python docs/make_pictures.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fantascope import Annotate, Artifact, Edit, Imagine, Studio
from fantascope.annotate.joints import JOINTS
from fantascope.cli.history import draw
from fantascope.data.figure import plan_figure
from fantascope.reports.tree import tree
from fantascope.request import Control

FOLDER = Path(__file__).parent / "pictures"
PROMPTS = [
    "a pink elephant on a blue background",
    "an astronaut in a galaxy",
    "a cat and a rose",
    "three yellow ducks",
    "a purple car",
    "a castle on a green background",
    "a dog in a room",
    "two pandas",
    "a chef in the kitchen",
    "a penguin in the snow",
    "four strawberries",
    "a lion, pencil sketch",
    "a red house to the left of a blue tree",
    "a koala, 3d style",
    "a rocket at night",
    "an oil painting of an old man",
]
EDITS = [
    "make the rose yellow",
    "remove the cat",
    "change the cat to a dog",
    "put the rose to the top",
    "change the background to a desert",
]
POSED = [
    "a man waving",
    "a woman in a red dress dancing on the grass",
    "a boy in a green shirt on a yellow background",
    "a girl running on a blue background",
    "a chef on a teal background",
    "a woman in a purple shirt on a pink background",
    "a man in a blue shirt",
    "a chef on a red background",
]


def main() -> None:
    """Write all pictures but those of lessons, of the evaluation and of prompts."""
    FOLDER.mkdir(exist_ok=True)
    with Studio() as studio:
        fruit = _painted(studio, Imagine(prompt="four strawberries", seed=7))[0]
        (FOLDER / "strawberries.png").write_bytes(fruit.data)
        parade = _painted(studio, Imagine(prompt="pink elephants on parade", seed=7))[0]
        (FOLDER / "elephants.png").write_bytes(parade.data)
        four = _painted(studio, Imagine(prompt=PROMPTS[0], seed=7, n=4))
        (FOLDER / "elephant-sheet.png").write_bytes(studio.sheet(four).data)
        many = [_painted(studio, Imagine(prompt=prompt, seed=7))[0] for prompt in PROMPTS]
        (FOLDER / "vocabulary.png").write_bytes(studio.sheet(many).data)
        _conversation(studio)
        start = _painted(studio, Imagine(prompt="a cat and a rose on a blue background", seed=2))[0]
        edits = [start, *(_edited(studio, start, words) for words in EDITS)]
        (FOLDER / "edits.png").write_bytes(studio.sheet(edits).data)
        (FOLDER / "poses.png").write_bytes(studio.sheet(list(_posed(studio))).data)


def _conversation(studio: Studio) -> None:
    """Draw the tree of the conversation in docs/edit.md, and a branch from each of its first two pictures."""
    first = _painted(studio, Imagine(prompt="an astronaut walking through a galaxy of sunflowers", seed=3))[0]
    second = _edited(studio, first, "change the astronaut to a cat")
    third = _edited(studio, second, "change the sunflowers to roses")
    last = _edited(studio, third, "add a moon in the background")
    _edited(studio, first, "make it a watercolour")
    _edited(studio, second, "make the cat blue")
    draw(studio.gallery, list(tree(studio.gallery, first.id)), last.id).save(FOLDER / "conversation.png", "PNG")


def _posed(studio: Studio) -> Iterator[Artifact]:
    """Yield maps of joints, drawn by chance, each before the picture that it steers."""
    for number, prompt in enumerate(POSED):
        joints = plan_figure(np.random.default_rng(101 + number)).joints
        person = {name: [512 * x, 512 * y] for name, (x, y) in zip(JOINTS, joints, strict=True)}
        skeleton = json.dumps({"width": 512, "height": 512, "people": [person]})
        drawn = _painted(studio, Annotate(kind="pose", document=skeleton))[0]
        control = Control(kind="pose", picture=drawn.id, weight=1.4)
        yield drawn
        yield _painted(studio, Imagine(prompt=prompt, seed=3, controls=(control,)))[0]


def _edited(studio: Studio, picture: Artifact, words: str) -> Artifact:
    return _painted(studio, Edit(picture=picture.id, instruction=words, seed=3))[0]


def _painted(studio: Studio, request: Imagine | Edit | Annotate) -> list[Artifact]:
    return [event for event in studio.run(request) if isinstance(event, Artifact)]


if __name__ == "__main__":
    main()
