"""Pictures painted under maps that are kept from training, while a control network trains, and how well they agree."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fantascope.train.control import ControlPool, branch, conditioning, open_training, open_unet, paint
from fantascope.train.fit import FitEvent, load_weights
from fantascope.train.latents import decode, open_autoencoder
from fantascope.train.report import curve

Agreement = Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
"""From a picture and its map, both (H, W, 3), to how well they agree, 0..1."""

AGREEMENT = "agreement"
"""Folder of a run with the `log.jsonl` and the curve of the agreement."""


@dataclass(frozen=True)
class Watch:
    """What is painted on the way.

    Attributes:
        every: Steps between two sheets.
        count: How many of the pool's last scenes are painted.
        steps, guidance: Of each picture.
        agreement: Measures each picture against its map, where there is such a measure.
    """

    every: int = 200
    count: int = 12
    steps: int = 16
    guidance: float = 4.0
    agreement: Agreement | None = None


def watched(
    events: Iterator[FitEvent],
    run: Path,
    folder: Path,
    pool: ControlPool,
    widths: tuple[int, ...],
    watch: Watch = Watch(),
) -> Iterator[FitEvent]:
    """Pass a control training's events on; after a save, once `every` steps went by, paint under maps.

    Sheets go to `run/pictures/STEP.png`: pairs of a map and the picture made under it, three pairs a row. With a
    measure, its mean over the pictures is logged in `run/agreement`, and drawn there over the steps.

    Args:
        events: Of `train_control`.
        run, folder, pool, widths: As there.
        watch: See `Watch`.
    """
    painter: _Painter | None = None
    last = 0
    for event in events:
        if event.saved and event.step - last >= watch.every:
            painter = painter or _Painter(folder, pool, widths, watch)
            maps, pictures = painter.paint(run)
            place = run / "pictures" / f"{event.step:07d}.png"
            place.parent.mkdir(exist_ok=True)
            sheet(maps, pictures).save(place)
            if watch.agreement is not None:
                means = [watch.agreement(picture, drawn) for picture, drawn in zip(pictures, maps, strict=True)]
                event.figures[AGREEMENT] = float(np.mean(means))
                note(run / AGREEMENT, event.step, event.figures[AGREEMENT])
            last = event.step
        yield event


def note(folder: Path, step: int, value: float) -> None:
    """Add a measurement to a folder's log and draw all of them over the steps."""
    folder.mkdir(exist_ok=True)
    with (folder / "log.jsonl").open("a") as file:
        file.write(json.dumps({"step": step, AGREEMENT: value, "time": time.time()}) + "\n")
    curve(folder, AGREEMENT, log=False).save(folder / "curve.png")


def sheet(maps: NDArray[np.uint8], pictures: NDArray[np.uint8], columns: int = 3) -> Image.Image:
    """Maps and pictures (N, S, S, 3) side by side, `columns` pairs a row."""
    pairs = np.concatenate([maps, pictures], axis=2)
    side = pairs.shape[1]
    canvas = Image.new("RGB", (min(columns, len(pairs)) * 2 * side, -(-len(pairs) // columns) * side))
    for k, pair in enumerate(pairs):
        canvas.paste(Image.fromarray(pair), (k % columns * 2 * side, k // columns * side))
    return canvas


class _Painter:
    def __init__(self, folder: Path, pool: ControlPool, widths: tuple[int, ...], watch: Watch) -> None:
        self.watch, self.training = watch, open_training(folder)
        self.unet, self.decoder = open_unet(folder), open_autoencoder(folder)
        self.model = branch(self.unet, pool.kinds, widths).eval()
        shown: dict[str, Any] = {name: part.cpu() for name, part in pool.last(watch.count).items()}
        self.text, self.empty = shown["text"].float(), pool.empty.float()
        self.maps = shown["map"].permute(0, 2, 3, 1).numpy()
        self.given = conditioning(shown["map"], shown["kind"], len(pool.kinds))

    @torch.no_grad()
    def paint(self, run: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Maps and pictures (N, S, S, 3), from the weights a run saved last."""
        load_weights(self.model, run)
        latents = paint(
            self.unet,
            self.model,
            self.training,
            self.text,
            self.empty,
            self.given,
            range(len(self.text)),
            steps=self.watch.steps,
            guidance=self.watch.guidance,
        )
        return self.maps, decode(self.decoder, latents).numpy()
