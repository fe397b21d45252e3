"""The peer: plain diffusers on the exported folder, as its documentation shows it.

python bench/peer.py FOLDER OUT.png [fp32|bf16] [STEPS]     one picture and out
python bench/peer.py FOLDER --serve [fp32|bf16] [STEPS]     a warm worker
"""

from __future__ import annotations

import sys

import torch
from diffusers import StableDiffusionPipeline

from tools import PROMPT, serve

folder, out = sys.argv[1:3]
precision = sys.argv[3] if len(sys.argv) > 3 else "fp32"
steps = int(sys.argv[4]) if len(sys.argv) > 4 else 20
pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
pipe.set_progress_bar_config(disable=True)


def paint(n: int = 1, seed: int = 7, save: str = "") -> dict[str, object]:
    """Paint n pictures in one call."""
    generator = [torch.Generator().manual_seed(seed + k) for k in range(n)]
    pictures = pipe(
        [PROMPT] * n, num_inference_steps=steps, guidance_scale=4.0, guidance_rescale=0.7, generator=generator
    ).images
    if save:
        pictures[0].save(save)
    return {"pictures": len(pictures)}


if out == "--serve":
    serve(paint)
else:
    paint(save=out)
