"""Putting the trained parts together into one checkpoint folder that says what it is made of."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fantascope.train.checkpoint import hash_weights, read_module, write_frame, write_module
from fantascope.train.fit import load_weights
from fantascope.train.parts import autoencoder, denoiser
from fantascope.train.upscale import Upscaler, save_upscaler


def assemble(
    folder: Path, base: Path, decoder: Path | None = None, upscaler: Path | None = None, ledger_root: str | None = None
) -> dict[str, Any]:
    """Write the running means of trained weights into a checkpoint folder, and `spec.json` about them.

    Args:
        folder: Holds `vae/`, `text_encoder/` and `tokenizer/` already.
        base: Run of `train_base`.
        decoder: Run of `train_decoder`; the decoder in `folder/vae` stays if not given.
        upscaler: Run of `train_upscaler`; the one in `folder/upscaler` stays if not given.
        ledger_root: Root hash of the licence ledger of the drawings trained on.

    Returns:
        What `spec.json` holds: defaults, steps trained, hashes of the weights files.
    """
    write_frame(folder)
    steps = {}
    model = denoiser()
    steps["unet"] = load_weights(model, base)
    write_module(model, folder / "unet")
    if decoder is not None:
        coder = autoencoder()
        read_module(coder, folder / "vae")
        steps["decoder"] = load_weights(coder, decoder)
        write_module(coder, folder / "vae")
    if upscaler is not None:
        net = Upscaler()
        steps["upscaler"] = load_weights(net, upscaler)
        save_upscaler(net, folder / "upscaler")
    said = {
        "steps": 20,
        "guidance": 4.0,
        "guidance_rescale": 0.7,
        "native": 128,
        "output": 512,
        "upscale": 4,
        "tokens": 32,
        "trained_steps": steps,
        "ledger_root": ledger_root,
        "sha256": hash_weights(folder),
    }
    (folder / "spec.json").write_text(json.dumps(said, indent=2) + "\n", "utf-8")
    return said
