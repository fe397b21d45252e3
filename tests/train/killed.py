"""Trainings that are killed at a step, and command lines: what `tests.forks` runs in children."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from fantascope.train import base
from fantascope.train.fit import FitConfig, fit
from fantascope.train.latents import Pool
from fantascope.train.parts import denoiser


def follow(events: Iterator[Any], kill_at: int) -> None:
    """Go through a training; kill this process, as `kill -9` does, when a step is told."""
    for event in events:
        if event.step == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def small(run: str, kind: str, kill_at: int) -> None:
    """Train a net of two convolutions for 12 steps."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 3, 3))

    def batches(step: int) -> Iterator[dict[str, Any]]:
        while True:
            yield {"x": torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(step))}
            step += 1

    def loss(batch: dict[str, Any], source: torch.Generator) -> tuple[Any, dict[str, float]]:
        noise = torch.randn(batch["x"].shape, generator=source)
        return (model(batch["x"] + 0.1 * noise) - batch["x"][..., 2:-2, 2:-2]).square().mean(), {}

    config = FitConfig(steps=12, batch=2, warmup=3, report_every=1, save_every=4, muon=kind == "muon")
    follow(fit(model, loss, batches, config, Path(run)), kill_at)


def stage(run: str, pool: str, kill_at: int) -> None:
    """Train the base stage for 6 steps, with a small UNet."""
    base.denoiser = lambda: denoiser((32, 32), text=16)  # type: ignore[assignment]
    config = base.BaseConfig(FitConfig(steps=6, batch=2, warmup=2, report_every=1, save_every=2))
    follow(base.train_base(config, Path(run), Pool(Path(pool))), kill_at)


def command(out: str, *words: str) -> None:
    """Run one command line of the program; what it says goes to a file."""
    from fantascope.cli.app import run

    with Path(out).open("w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
        code = run(words)
    assert code == 0, f"{words} ended with {code}"
