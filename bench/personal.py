"""Teaching a subject, measured: likeness, obedience and drift of the three methods, and the training step against peft.

    python bench/personal.py scores FOLDER [METHOD[:OPTION=NUMBER,…]…]   FOLDER keeps pictures, adapters and figures
    python bench/personal.py step [ROUNDS] [BATCH]     needs peft, which nothing else here does

`scores` teaches the embedded checkpoint the mascot of examples/mascot by each method's defaults and paints with each.
Likeness is the cosine between the detector's features of pictures painted on plain grounds and of pictures of the
subject that were held back. Obedience is how often the ground has the colour asked for, how often the detector sees the
companion, and how often it sees the companion and, elsewhere, something with the subject's features; the intervals know
that pictures of one prompt are alike. Drift is how far pictures of the bare class move, in levels of a pixel, and how
alike they still look. `lora:companions=0,steps=400` teaches with these options.

`step` runs the same LoRA step (same base, layers, rank, latents and texts) as a diffusers script does with peft
(`add_adapter(LoraConfig)`, AdamW, autocast or fp32) and as ours does, in turn: medians and paired ratios. A DoRA
step of each is timed in the same way.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fantascope.evaluate.statistics import clustered
from fantascope.settings import Settings
from fantascope.spec import EMBEDDED, SPECS

EXAMPLES = Path(__file__).parent.parent / "examples" / "mascot"
NAME, KIND = "pomo", "alien"
GROUNDS = ("white", "red", "blue", "green", "purple", "yellow")
COMPANIONS = ("cat", "tree", "car", "cake", "duck", "rocket")
"""Asked for beside the subject; `personal.beside.THINGS`, which lessons use, has none of them."""

SURE, LIKE = 0.3, 0.45
"""Least score of something found, and least cosine of its feature with the subject's, of which it is taken for it: the
finds in pictures held back have 0.5 to 0.8 among each other, and aliens and companions at most 0.3 with them."""
SEEDS = (0, 1, 2, 3)
"""Of the noise; every prompt is painted with each."""


def scores(folder: Path, *chosen: str) -> None:
    """Teach, paint and score by all methods, or those chosen; what is there already is kept."""
    sys.path.insert(0, str(EXAMPLES))
    from draw import draw  # type: ignore[import-not-found]

    from fantascope import Studio
    from fantascope.engines.detector import Detector
    from fantascope.personal.lesson import METHODS, Lesson
    from fantascope.personal.teach import Taught, teach
    from fantascope.request import Applied

    photos, held = draw(folder)
    chosen = chosen if chosen else METHODS
    methods, options = zip(*(_options(each) for each in chosen), strict=True)
    homes = {method: Settings(home=folder / "homes" / method) for method in chosen}  # one word, taught in each of them
    detector = Detector.load(homes[chosen[0]])
    due = _Due([_small(path) for path in held], detector)
    with Studio(homes[chosen[0]]) as studio:
        before = _painted(studio, folder / "class", KIND, {})
    rows = [_row("the bare class", before, before, due, "-")]
    for each, method, wanted in zip(chosen, methods, options, strict=True):
        taught = folder / f"{each}.json"
        with Studio(homes[each]) as studio:
            if not taught.is_file():
                said = {"licence": "CC0-1.0", "consent": "drawn for this"}
                lesson = Lesson(tuple(photos), NAME, KIND, method=method, **said, **wanted)
                done = [event for event in teach(lesson, studio) if isinstance(event, Taught)][-1]
                taught.write_text(json.dumps({"bytes": done.bytes, "seconds": done.seconds}))
            how: dict[str, Any] = {"model": NAME} if method == "dreambooth" else {"adapters": (Applied(name=NAME),)}
            after = _painted(studio, folder / each, f"{NAME} {KIND}", how, bare=method != "textual-inversion")
        size = json.loads(taught.read_text())["bytes"]
        name = " ".join((method, *(f"--{option} {value:g}" for option, value in wanted.items())))
        rows.append(_row(name, after, before, due, f"{size / 1000:,.0f}"))
    whole = sum(file.stat().st_size for file in EMBEDDED.rglob("*.safetensors"))
    print("| method | likeness | grounds | companion | both | class drift, levels | class likeness | kB |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(rows))
    print(f"\nThe checkpoint's weights have {whole / 1000:,.0f} kB.")


def _options(said: str) -> tuple[str, dict[str, Any]]:
    """A method and the options of its lesson, whole numbers as such."""
    method, _, rest = said.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    return method, {name: int(value) if value.isdigit() else float(value) for name, _, value in pairs}


def _painted(studio: Any, folder: Path, who: str, how: dict[str, Any], *, bare: bool = True) -> dict[str, list[Any]]:
    """Pictures of the subject on grounds and with companions, and of the class, with the adapter if `bare`; kept."""
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
            used = {} if not bare and what.startswith("class") else how
            path = folder / f"{what.replace(' ', '-')}-{seed}.png"
            if not path.is_file():
                request = Imagine(prompt=prompt, seed=seed, upscale=1, width=128, height=128, engine="latent", **used)
                made = next(event for event in studio.run(request) if isinstance(event, Artifact))
                path.write_bytes(made.data)
            out.setdefault(what, []).append(_small(path))
    return out


class _Due:
    """What the subject looks like to the detector: the pictures held back, whole, and the surest find in each."""

    def __init__(self, pictures: list[Any], detector: Any) -> None:
        self.detector, self.whole = detector, detector.embed(pictures)
        self.parts = np.stack([found[0].feature for found in detector.look(pictures)])

    def likeness(self, pictures: list[Any]) -> float:
        """Mean cosine of pictures with those held back."""
        return float((self.detector.embed(pictures) @ self.whole.T).mean())

    def beside(self, picture: Any, other: str) -> tuple[bool, bool]:
        """Whether a companion is seen, and whether the subject is, too, in something else."""
        found = [one for one in self.detector.look([picture])[0] if one.score >= SURE]
        own = [float((self.parts @ one.feature).mean()) >= LIKE for one in found]
        there = [other in (kind for kind, _ in one.kinds[:3]) for one in found]
        seen = [k for k, is_there in enumerate(there) if is_there]
        return bool(seen), any(own[j] for k in seen for j in range(len(found)) if j != k)


def _row(method: str, after: dict[str, list[Any]], before: dict[str, list[Any]], due: _Due, kb: str) -> str:
    own = [picture for what, found in after.items() if what.startswith("ground") for picture in found]
    grounds = [
        _ground(picture) == what.split()[1]
        for what, found in after.items()
        if what.startswith("ground")
        for picture in found
    ]
    pairs = [
        [due.beside(picture, what.split()[1]) for picture in found]
        for what, found in after.items()
        if what.startswith("with")
    ]
    classes = [
        (new, old)
        for what, found in after.items()
        if what.startswith("class")
        for new, old in zip(found, before[what], strict=True)
    ]
    drift = float(np.mean([np.abs(new.astype(float) - old).mean() for new, old in classes]))
    embed = due.detector.embed
    near = float(np.mean([(embed([new]) @ embed([old]).T)[0, 0] for new, old in classes]))
    seen, both = (_told(clustered([[pair[k] for pair in some] for some in pairs])) for k in (0, 1))
    shares = f"{np.mean(grounds):.0%} | {seen} | {'-' if method == 'the bare class' else both}"
    return f"| {method} | {due.likeness(own):.3f} | {shares} | {drift:.1f} | {near:.3f} | {kb} |"


def _told(figure: Any) -> str:
    return f"{figure.value:.0%} ({figure.low:.0%}–{figure.high:.0%})"


def _ground(picture: Any) -> str:
    from fantascope.tasks.describe import background

    return background(picture)


def _small(path: Path) -> Any:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS))


def step(rounds: int = 12, batch: int = 8) -> None:
    """Time one LoRA step of each kind in turn in this process, and its peak memory in a process of its own."""
    kinds = ("ours", "peft bf16", "peft fp32", "ours dora", "peft dora")
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
        other = "peft dora" if "dora" in kind else "peft bf16"
        ratios = [peer / mine for peer, mine in zip(took[other], took[kind], strict=True)]
        peak = subprocess.run(
            [sys.executable, __file__, "peak", kind, str(batch)], capture_output=True, text=True, check=True
        ).stdout.strip()
        spread = f"{statistics.median(ratios):.2f}x ({min(ratios):.2f}-{max(ratios):.2f})"
        print(f"{kind:10} {statistics.median(took[kind]):.3f} CPU s a step, {spread} of {other}; peak {peak} MB")


def peak(kind: str, batch: int) -> None:
    """Print the peak memory of a process that takes three steps, MB (Linux)."""
    one = stepper(kind, batch)
    for _ in range(3):
        one()
    # Not ru_maxrss: that of a process starts at what its parent had.
    rows = Path("/proc/self/status").read_text("utf-8").splitlines()
    print(next(int(row.split()[1]) // 1024 for row in rows if row.startswith("VmHWM:")))


def stepper(kind: str, batch: int, rank: int = 16) -> Callable[[], None]:
    """One training step on random latents and texts: all linear layers and convolutions get factors of one rank."""
    import torch
    from diffusers import UNet2DConditionModel

    from fantascope.train.personal.base import open_base
    from fantascope.train.personal.lora import put_on, targets_of

    torch.manual_seed(0)
    settings = Settings()
    base = open_base(SPECS["embedded"], settings)
    unet = base.parts.unet
    if kind.startswith("ours"):
        put_on(unet, targets_of("all"), rank, rank, dora="dora" in kind)
    else:
        from peft import LoraConfig

        stock = UNet2DConditionModel.from_config(unet.config)
        stock.load_state_dict(unet.state_dict())
        unet = stock
        names = [name for name, layer in unet.named_modules() if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d))]
        unet.requires_grad_(False)
        unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=names, use_dora="dora" in kind))
    trained = [parameter for parameter in unet.parameters() if parameter.requires_grad]
    if kind.startswith("ours"):
        from fantascope.train.fit import FitConfig, _optimiser

        named = {name: p for name, p in unet.named_parameters() if p.requires_grad}
        optimiser: Any = _optimiser(named, FitConfig(1, batch, muon=False))
    else:
        optimiser = torch.optim.AdamW(trained, lr=1e-4)
    latent = torch.randn(batch, unet.config.in_channels, 16, 16)
    if kind.startswith("ours"):
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
