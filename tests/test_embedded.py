"""The embedded checkpoint from prompt to file, and out of the house to plain diffusers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fantascope import Artifact, Imagine, Studio
from fantascope.cli.app import run
from fantascope.core.seeds import noise
from fantascope.engines.weights import sha256
from fantascope.provenance.verify import verify
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, SPECS

pytestmark = pytest.mark.usefixtures("warm")

PROMPT = "a pink elephant on a blue background"
BLUE, PINK = np.array([48, 100, 225]), np.array([252, 130, 184])


def paint(**fields: Any) -> Artifact:
    with Studio() as studio:
        for event in studio.run(Imagine(**({"prompt": PROMPT, "seed": 7} | fields))):
            if isinstance(event, Artifact):
                return event
    raise AssertionError("no picture")


def test_it_paints_what_was_asked_for(artefacts: Path) -> None:
    artifact = paint()
    pixels = np.asarray(artifact.image()).astype(int)
    artifact.image().save(artefacts / "pink-elephant.png")
    assert pixels.shape == (512, 512, 3)
    border = np.concatenate([pixels[:40].reshape(-1, 3), pixels[-40:].reshape(-1, 3)])
    assert np.abs(np.median(border, axis=0) - BLUE).max() < 40
    middle = pixels[176:336, 176:336].reshape(-1, 3)
    assert np.linalg.norm(np.median(middle, axis=0) - PINK) < np.linalg.norm(np.median(middle, axis=0) - BLUE)
    assert artifact.path is not None
    assert verify(artifact.path).ok


def test_every_weight_is_pinned_and_the_pins_hold() -> None:
    spec, settings = SPECS["embedded"], Settings.from_env()
    files = {path.relative_to(EMBEDDED).as_posix() for path in EMBEDDED.rglob("*.safetensors")}
    assert files <= set(spec.weights)
    for name, digest in spec.weights.items():
        assert sha256(EMBEDDED / name, settings) == digest
    assert spec.training_ledger
    assert sum(path.stat().st_size for path in EMBEDDED.rglob("*") if path.is_file()) < 60e6


@pytest.mark.parametrize("fields", [{"width": 128, "height": 128}, {"width": 384, "height": 512}, {"upscale": 1}])
def test_other_sizes(fields: dict[str, Any]) -> None:
    artifact = paint(steps=2, **fields)
    assert artifact.receipt is not None
    size = artifact.image().size
    assert size == (artifact.receipt.request["width"], artifact.receipt.request["height"])


@pytest.mark.parametrize("sampler", ["ddim", "euler", "euler_ancestral", "heun", "dpmpp_2m", "lcm"])
def test_every_sampler_paints(sampler: str) -> None:
    pixels = np.asarray(paint(sampler=sampler, width=128, height=128).image()).astype(int)
    assert np.abs(np.median(pixels[:8].reshape(-1, 3), axis=0) - BLUE).max() < 60


def test_long_prompts_are_read_to_the_end() -> None:
    long = "a small and very round and happy and friendly and quiet thing " * 4 + "on a red background"
    artifact = paint(prompt=long, width=128, height=128)
    other = paint(prompt=long.replace("red", "green"), width=128, height=128)
    difference = np.abs(np.asarray(artifact.image()).astype(int) - np.asarray(other.image()).astype(int))
    assert difference.mean() > 5


@pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")
def test_the_exported_folder_runs_in_plain_diffusers(tmp_path: Path, artefacts: Path) -> None:
    assert run(["models", "export", "embedded", str(tmp_path / "plain")]) == 0
    import torch
    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(tmp_path / "plain")
    pipe.set_progress_bar_config(disable=True)
    spec = SPECS["embedded"].defaults
    theirs = pipe(
        PROMPT,
        num_inference_steps=8,
        guidance_scale=spec.guidance,
        guidance_rescale=spec.guidance_rescale,
        latents=torch.from_numpy(noise([7], (pipe.unet.config.in_channels, 16, 16))),
    ).images[0]
    ours = paint(steps=8, sampler="ddim", width=128, height=128, precision="fp32", upscale=1)
    a, b = np.asarray(theirs).astype(int), np.asarray(ours.image()).astype(int)
    if np.abs(a - b).mean() > 1.5:
        Image.fromarray(np.concatenate([a, b], axis=1).astype(np.uint8)).save(artefacts / "diffusers-ours.png")
    assert np.abs(a - b).mean() < 1.5  # the mark moves a pixel by about one level
    assert np.abs(a - b).max() <= 12
    assert run(["models", "export", "embedded", str(tmp_path / "plain")]) == 2
    assert run(["models", "add", f"dir:{tmp_path / 'plain'}", "--name", "mine"]) == 0
    again = paint(steps=8, sampler="ddim", width=128, height=128, precision="fp32", upscale=1, model="mine")
    assert again.receipt is not None
    assert again.receipt.ran.engine == "latent"
    assert str(tmp_path) not in again.receipt.model_dump_json()
    assert np.abs(np.asarray(again.image()).astype(int) - b).max() <= 8
