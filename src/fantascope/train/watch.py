"""Pictures of fixed prompts while the base UNet trains: what the loss does not show."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from PIL import Image
from tokenizers import Tokenizer

from fantascope.train.base import sample
from fantascope.train.checkpoint import read_module
from fantascope.train.fit import FitEvent, load_weights
from fantascope.train.parts import autoencoder, denoiser, quicken
from fantascope.train.text import encode_text, load_text_encoder

PROMPTS = (
    "a pink elephant on a blue background",
    "an astronaut",
    "a cat and a rose",
    "three yellow ducks",
    "a purple car",
    "a castle on a green background",
    "a dog in a room",
    "two pandas",
    "a chef in the kitchen",
    "an old man",
    "pink elephants on parade",
    "four strawberries",
    "a red house to the left of a blue tree",
    "a hippo, 3d style",
    "a koala, pencil sketch",
    "a rocket at night",
)
"""Painted with seeds 0, 1, 2 …; four rows of four."""


def watched(
    events: Iterator[FitEvent], run: Path, folder: Path, every: int, prompts: tuple[str, ...] = PROMPTS
) -> Iterator[FitEvent]:
    """Pass a base training's events on; after a save, once `every` steps went by, paint the prompts.

    The pictures go to `run/pictures/STEP.png`, painted from the running mean of the weights with guidance 4.

    Args:
        events: Of `train_base`.
        run: Its run folder.
        folder: The checkpoint folder: its text encoder and its autoencoder.
        every: Steps between two sheets.
        prompts: What to paint.
    """
    painter: _Painter | None = None
    last = 0
    for event in events:
        yield event
        if event.saved and event.step - last >= every:
            painter = painter or _Painter(folder, prompts)
            place = run / "pictures" / f"{event.step:07d}.png"
            place.parent.mkdir(exist_ok=True)
            painter.paint(run).save(place)
            last = event.step


class _Painter:
    def __init__(self, folder: Path, prompts: tuple[str, ...]) -> None:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer" / "tokenizer.json"))
        states = encode_text(load_text_encoder(folder), tokenizer, ["", *prompts])
        self.empty, self.text = states[0], states[1:]
        self.decoder = autoencoder().eval()
        read_module(self.decoder, folder / "vae")
        self.model = denoiser().eval()
        quicken(self.model)

    @torch.no_grad()
    def paint(self, run: Path) -> Image.Image:
        """Four pictures a row, from the weights a run saved last."""
        load_weights(self.model, run)
        latent = sample(self.model, self.text, self.empty, range(len(self.text)), steps=16)
        pixels = (self.decoder.decode(latent).sample.clamp(-1, 1) + 1) * 127.5
        cells = pixels.round().byte().permute(0, 2, 3, 1)
        side = cells.shape[1]
        sheet = Image.new("RGB", (4 * side, -(-len(cells) // 4) * side))
        for k, cell in enumerate(cells):
            sheet.paste(Image.fromarray(cell.numpy()), (k % 4 * side, k // 4 * side))
        return sheet
