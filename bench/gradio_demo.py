"""The peer of the studio: Gradio's plain text-to-image demo around a diffusers pipeline, as its documentation shows it.

python bench/gradio_demo.py FOLDER PORT
"""

from __future__ import annotations

import sys
from typing import Any

import gradio as gr
import torch
from diffusers import StableDiffusionPipeline

folder, port = sys.argv[1:3]
pipe = StableDiffusionPipeline.from_pretrained(folder)


def infer(prompt: str) -> Any:
    """Paint one picture of 128x128: the peer has no upscaler, so it does less."""
    generator = torch.Generator().manual_seed(7)
    return pipe(prompt, num_inference_steps=20, guidance_scale=4.0, guidance_rescale=0.7, generator=generator).images[0]


gr.Interface(fn=infer, inputs=gr.Textbox(label="Prompt"), outputs=gr.Image(label="Picture")).launch(
    server_name="127.0.0.1", server_port=int(port), quiet=True
)
