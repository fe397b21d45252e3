"""The peer: a plain FastAPI script around diffusers, as people write it: one pipeline, one lock, no queue.

python bench/peer_server.py FOLDER PORT [fp32|bf16]
"""

from __future__ import annotations

import base64
import io
import sys
import threading
from typing import Any

import torch
import uvicorn
from diffusers import StableDiffusionPipeline
from fastapi import FastAPI

folder, port = sys.argv[1:3]
precision = sys.argv[3] if len(sys.argv) > 3 else "fp32"
pipe = StableDiffusionPipeline.from_pretrained(folder, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
pipe.set_progress_bar_config(disable=True)
lock = threading.Lock()
app = FastAPI()


@app.post("/v1/images/generations")
def generate(body: dict[str, Any]) -> dict[str, Any]:
    """Paint one picture of 128x128: the peer has no upscaler, so it does less."""
    with lock:
        picture = pipe(
            body["prompt"],
            num_inference_steps=20,
            guidance_scale=4.0,
            guidance_rescale=0.7,
            generator=torch.Generator().manual_seed(7),
        ).images[0]
    file = io.BytesIO()
    picture.save(file, "PNG")
    return {"data": [{"b64_json": base64.b64encode(file.getvalue()).decode()}]}


uvicorn.run(app, port=int(port), log_level="warning")
