"""Teaching a subject, measured: likeness, obedience and drift of the three methods, and the training step against peft.

    python bench/personal.py scores FOLDER [METHOD…]   FOLDER keeps pictures, adapters and what is measured
    python bench/personal.py step [ROUNDS] [BATCH]     needs peft, which nothing else here does

`scores` teaches the embedded checkpoint the mascot of examples/mascot by each method's defaults and paints with each.
Likeness is the cosine between the detector's features of pictures painted on plain grounds and of pictures of the
subject that were held back. Obedience is how often the ground has the colour asked for, and how often the detector sees
the companion. Drift is how far pictures of the bare class move, in levels of a pixel, and how alike they still look.

`step` runs the same LoRA step (same base, layers, rank, latents and texts) as a diffusers script does with peft
(`add_adapter(LoraConfig)`, AdamW, autocast or fp32) and as ours does, in turn: medians and paired ratios.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, SPECS

EXAMPLES = Path(__file__).parent.parent / "examples" / "mascot"
NAME, KIND = "pomo", "alien"
GROUNDS = ("white", "red", "blue", "green", "purple", "yellow")
COMPANIONS = ("cat", "tree", "car")
SEEDS = (0,)


def scores(folder: Path, *chosen: str) -> None:
    """Teach, paint and score by all methods, or those chosen; what is there already is kept."""
    sys.path.insert(0, str(EXAMPLES))
    from draw import draw  # type: ignore[import-not-found]

    from fantascope import Studio
    from fantascope.engines.detector import Detector
    from fantascope.personal.lesson import METHODS, Lesson
    from fantascope.personal.teach import Taught, teach

    photos, held = draw(folder)
    settings = Settings(home=folder / "home")
    detector = Detector.load(settings)
    due = detector.embed([_small(path) for path in held])
    with Studio(settings) as studio:
        before = _painted(studio, folder / "class", KIND, {})
        rows = [_row("the bare class", before, before, due, detector, "-")]
        for method in chosen if chosen else METHODS:
            name = NAME + {"lora": "", "dreambooth": "db", "textual-inversion": "ti"}[method]
            taught = folder / f"{method}.json"
            if not taught.is_file():
                said = {"licence": "CC0-1.0", "consent": "drawn for this"}
                lesson = Lesson(tuple(photos), name, KIND, method=method, **said)
                done = [event for event in teach(lesson, studio) if isinstance(event, Taught)][-1]
                taught.write_text(json.dumps({"bytes": done.bytes, "seconds": done.seconds}))
            facts = json.loads(taught.read_text())
            how: dict[str, Any] = {"model": name}
            if method != "dreambooth":
                from fantascope.request import Applied

                how = {"adapters": (Applied(name=name),)}
            after = _painted(studio, folder / method, f"{name} {KIND}", how)
            rows.append(_row(method, after, before, due, detector, f"{facts['bytes'] / 1000:,.0f}"))
    whole = sum(file.stat().st_size for file in EMBEDDED.rglob("*.safetensors"))
    print("| method | likeness | grounds seen | companions seen | class drift, levels | class likeness | kB |")
    print("|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print(f"\nThe checkpoint's weights have {whole / 1000:,.0f} kB.")


def _painted(studio: Any, folder: Path, who: str, how: dict[str, Any]) -> dict[str, list[Any]]:
    """Pictures of the subject on grounds and with companions, and of the bare class; kept in a folder."""
    from fantascope import Artifact, Imagine
    from fantascope.prompt.english import with_article

    said = with_article(who)
    asked = {f"ground {ground}": f"{said} on a {ground} background" for ground in GROUNDS}
    asked |= {f"with {other}": f"{said} and a {other}" for other in COMPANIONS}
    asked |= {f"class {ground}": f"{with_article(KIND)} on a {ground} background" for ground in GROUNDS[:3]}
    out: dict[str, list[Any]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for what, prompt in asked.items():
        for seed in SEEDS:
            # A word learnt by textual inversion works where a prompt has it, so the bare class is the base's.
            used = {} if folder.name == "textual-inversion" and what.startswith("class") else how
            path = folder / f"{what.replace(' ', '-')}-{seed}.png"
            if not path.is_file():
                request = Imagine(prompt=prompt, seed=seed, upscale=1, width=128, height=128, engine="latent", **used)
                made = next(event for event in studio.run(request) if isinstance(event, Artifact))
                path.write_bytes(made.data)
            out.setdefault(what, []).append(_small(path))
    return out


def _row(
    method: str, after: dict[str, list[Any]], before: dict[str, list[Any]], due: Any, detector: Any, kb: str
) -> str:
    own = [picture for what, found in after.items() if what.startswith("ground") for picture in found]
    like = float((detector.embed(own) @ due.T).mean())
    grounds = [
        _ground(picture) == what.split()[1]
        for what, found in after.items()
        if what.startswith("ground")
        for picture in found
    ]
    beside = [
        any(what.split()[1] in (kind for kind, _ in one.kinds[:3]) for one in detector.look([picture])[0])
        for what, found in after.items()
        if what.startswith("with")
        for picture in found
    ]
    pairs = [
        (new, old)
        for what, found in after.items()
        if what.startswith("class")
        for new, old in zip(found, before[what], strict=True)
    ]
    drift = float(np.mean([np.abs(new.astype(float) - old).mean() for new, old in pairs]))
    near = float(np.mean([(detector.embed([new]) @ detector.embed([old]).T)[0, 0] for new, old in pairs]))
    shares = f"{np.mean(grounds):.0%} | {np.mean(beside):.0%}"
    return f"| {method} | {like:.3f} | {shares} | {drift:.1f} | {near:.3f} | {kb} |"


def _ground(picture: Any) -> str:
    from fantascope.tasks.describe import background

    return background(picture)


def _small(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS))


def step(rounds: int = 12, batch: int = 8) -> None:
    """Time one LoRA step of each kind in turn in this process, and its peak memory in a process of its own."""
    kinds = ("ours", "peft bf16", "peft fp32")
    steps = {kind: stepper(kind, batch) for kind in kinds}
    took: dict[str, list[float]] = {kind: [] for kind in kinds}
    for one in steps.values():
        one()
    for _ in range(rounds):
        for kind, one in steps.items():
            start = time.process_time()
            one()
            took[kind].append(time.process_time() - start)
    for kind in kinds:
        ratios = [peer / mine for peer, mine in zip(took["peft bf16"], took[kind], strict=True)]
        peak = subprocess.run(
            [sys.executable, __file__, "peak", kind, str(batch)], capture_output=True, text=True, check=True
        ).stdout.strip()
        spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{kind:10} {statistics.median(took[kind]):.3f} CPU s a step, {spread} of peft bf16; peak {peak} MB")


def peak(kind: str, batch: int) -> None:
    """Print the peak memory of a process that takes three steps."""
    one = stepper(kind, batch)
    for _ in range(3):
        one()
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def stepper(kind: str, batch: int, rank: int = 16) -> Callable[[], None]:
    """One training step on random latents and texts: all linear layers and convolutions get factors of one rank."""
    import torch
    from diffusers import UNet2DConditionModel

    from fantascope.train.personal_base import open_base
    from fantascope.train.personal_lora import put_on, targets_of

    torch.manual_seed(0)
    settings = Settings()
    base = open_base(SPECS["embedded"], settings)
    unet = base.parts.unet
    if kind == "ours":
        put_on(unet, targets_of("all"), rank, rank)
    else:
        from peft import LoraConfig

        stock = UNet2DConditionModel.from_config(unet.config)
        stock.load_state_dict(unet.state_dict())
        unet = stock
        names = [name for name, layer in unet.named_modules() if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d))]
        unet.requires_grad_(False)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=names))
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    if kind == "ours":
        from fantascope.train.fit import FitConfig, _optimiser

        named = {name: p for name, p in unet.named_parameters() if p.requires_grad}
        optimiser: Any = _optimiser(named, FitConfig(1, batch, muon=False))
    else:
        optimiser = torch.optim.AdamW(trained, lr=1e-4)
    latent = torch.randn(batch, unet.config.in_channels, 16, 16)
    if kind == "ours":
        latent = latent.contiguous(memory_format=torch.channels_last)
    text, times, wanted = torch.randn(batch, 32, 384), torch.randint(0, 1000, (batch,)), torch.randn(latent.shape)

    def run() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=kind != "peft fp32"):
            guess = unet(latent, times, text).sample
        loss = torch.nn.functional.mse_loss(guess.float(), wanted)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimiser.step()

    return run


if __name__ == "__main__":
    if sys.argv[1:2] == ["step"]:
        step(*map(int, sys.argv[2:]))
    elif sys.argv[1:2] == ["peak"]:
        peak(sys.argv[2], int(sys.argv[3]))
    else:
        scores(Path(sys.argv[2]), *sys.argv[3:])
