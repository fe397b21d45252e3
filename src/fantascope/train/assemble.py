"""Putting the trained parts together into one checkpoint folder that says what it is made of."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fantascope.spec import FEW, SPECS, Spec, read_spec
from fantascope.train.checkpoint import WEIGHTS, hash_weights, read_module, write_frame, write_module
from fantascope.train.fit import load_weights
from fantascope.train.parts import autoencoder, denoiser
from fantascope.train.upscale import Upscaler, save_upscaler

UNET = f"unet/{WEIGHTS}"
LEDGER = "ledger.jsonl"
CARD = "MODEL_CARD.md"
RECORD = "fantascope.json"

ReadLedger = Callable[[Path], list[dict[str, Any]]]
"""Reads a licence ledger and raises unless root hash and licences hold (`fantascope.data.ledger.read_ledger`)."""


def assemble(
    folder: Path,
    read_ledger: ReadLedger,
    *,
    base: Path | None = None,
    decoder: Path | None = None,
    upscaler: Path | None = None,
) -> dict[str, int]:
    """Write the running means of trained weights into a checkpoint folder, and `fantascope.json` about all in it.

    Graphs of a part whose weights changed are removed, and so is a LoRA file for few steps: they no longer fit.

    Args:
        folder: Holds `ledger.jsonl`, `vae/`, `text_encoder/` and `tokenizer/` already.
        read_ledger: See `ReadLedger`.
        base: Run of `train_base`; as all others: what is in the folder stays if not given.
        decoder: Run of `train_decoder`.
        upscaler: Run of `train_upscaler`.

    Returns:
        Part -> the steps it was trained for.

    Raises:
        ModelNotFound, BrokenModelFile, LicenceMissing: The ledger is missing, changed or holds what is not allowed.
    """
    read_ledger(folder / LEDGER)
    write_frame(folder)
    before, steps = hash_weights(folder), dict[str, int]()
    if base is not None:
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
    after = hash_weights(folder)
    for part in {name.split("/")[0] for name in after if after[name] != before.get(name)}:
        for graph in (folder / part).glob("*.onnx"):
            graph.unlink()
    if after.get(UNET) != before.get(UNET):
        (folder / FEW).unlink(missing_ok=True)
    record(folder, read_ledger)
    return steps


def record(folder: Path, read_ledger: ReadLedger) -> Spec:
    """Write `fantascope.json` of a checkpoint folder: hashes of weights and graphs, root of the ledger, hash of the
    model card, credits.

    All else stays as it stands there, or is as in the embedded checkpoint where nothing stands.
    """
    rows, card = read_ledger(folder / LEDGER), folder / CARD
    spec = read_spec(folder / RECORD) if (folder / RECORD).is_file() else SPECS["embedded"]
    packages: dict[tuple[str, str], set[str]] = {}
    for row in rows:
        packages.setdefault((f"{row['package']} {row['version']}", row["licence"]), set()).add(row["author"])
    drawn = [
        f"{package} by {authors.pop() if len(authors) == 1 else f'{len(authors)} authors'} ({licence})"
        for (package, licence), authors in sorted(packages.items())
        if not package.startswith("fantascope ")
    ]
    facts = {
        "weights": hash_weights(folder),
        "training_ledger": (folder / f"{LEDGER}.root").read_text("utf-8").strip(),
        "card": hashlib.sha256(card.read_bytes()).hexdigest() if card.is_file() else None,
        "attribution": f"Drawings: {', '.join(drawn)}. Text encoder: all-MiniLM-L6-v2 (Apache-2.0).",
    }
    spec = spec.model_copy(update=facts)
    new = folder / f"{RECORD}.new"
    new.write_text(spec.model_dump_json(indent=2, exclude_unset=True) + "\n", "utf-8")
    new.replace(folder / RECORD)
    return spec
