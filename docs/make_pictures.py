"""Paint the pictures of README and docs with the embedded checkpoint; nothing is picked or retouched.

python docs/make_pictures.py
"""

from __future__ import annotations

from pathlib import Path

from fantascope import Artifact, Imagine, Studio

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


def main() -> None:
    """Write strawberries.png, elephants.png, elephant-sheet.png and vocabulary.png."""
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


def _painted(studio: Studio, request: Imagine) -> list[Artifact]:
    return [event for event in studio.run(request) if isinstance(event, Artifact)]


if __name__ == "__main__":
    main()
