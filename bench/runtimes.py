"""Runtimes and precisions of the embedded checkpoint, side by side: time, memory, and what they do to the pictures.

Every row is a warm process of its own; the rows are called in turn, round after round, so that a slow minute hits all
of them, and ratios are medians of paired rounds. Run it on an idle machine:

    python bench/runtimes.py                      # the table
    python bench/runtimes.py --peer               # with diffusers' fp32 pipeline (needs fantascope[torch]) as ratio 1
    python bench/runtimes.py --busy               # and once more beside a process that keeps one core busy
    python bench/runtimes.py --pictures 16        # PSNR to OpenVINO fp32 over 16 prompts, and out/runtimes.png
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from fantascope.engines.base import Inputs
from fantascope.spec import EMBEDDED

ROWS = [("openvino", "fp32"), ("openvino", "bf16"), ("openvino", "int8"), ("onnxruntime", "fp32")]
PEER = ("diffusers", "fp32")
PROMPTS = [
    "a pink elephant on a blue background",
    "a red cat",
    "three yellow ducks",
    "a castle on a green background",
    "a rocket on a black background",
    "an astronaut and a sunflower",
    "a penguin",
    "a purple automobile",
    "four strawberries",
    "a green dragon on a red background",
    "a lion",
    "a rainbow",
    "a snowman on a purple background",
    "a bear and a full moon",
    "a whale on a blue background",
    "two pandas",
]


def request(spec: Any, prompt: str, n: int, steps: int, side: int, upscale: int) -> Any:
    from fantascope.request import Imagine

    defaults = spec.defaults
    shown = {name: getattr(defaults, name) for name in ("guidance", "guidance_rescale", "sampler", "schedule")}
    return Imagine(prompt=prompt, n=n, width=side, height=side, upscale=upscale, steps=steps, seed=7, **shown)


class Graph:
    """Our engine with one runtime and precision."""

    def __init__(self, runtime: str, precision: str, threads: int, home: str, folder: Path) -> None:
        from fantascope.engines.base import Choice
        from fantascope.engines.graph import GraphEngine
        from fantascope.settings import Settings
        from fantascope.spec import SPECS

        choice = Choice("graph", "cpu", precision, (), runtime)
        spec = SPECS["embedded"].model_copy(update={"source": f"dir:{folder}", "weights": {}})
        self.engine = GraphEngine.load(spec, choice, Settings(home=Path(home), threads=threads))

    def paint(self, prompt: str, n: int, steps: int, upscale: int) -> tuple[list[Any], list[float]]:
        """Return the pictures, and the time of every sampler step in seconds."""
        from fantascope.artifact import Output, Step

        pixels, ticks = [], []
        for event in self.engine.render(request(self.engine.spec, prompt, n, steps, 128 * upscale, upscale), Inputs()):
            if isinstance(event, Output):
                pixels.append(event.pixels)
            elif isinstance(event, Step) and event.stage == "denoise":
                ticks.append(time.perf_counter())
        return pixels, [b - a for a, b in itertools.pairwise(ticks)]


class Diffusers:
    """The peer: diffusers' StableDiffusionPipeline as it comes, on the same weights, to 128 pixels."""

    def __init__(self, threads: int, folder: Path) -> None:
        import torch
        from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
        from transformers import BertConfig, BertModel, BertTokenizerFast

        from fantascope.engines.compact import NAME, expand

        if threads:
            torch.set_num_threads(threads)
        text = BertModel(BertConfig.from_pretrained(folder / "text_encoder"), add_pooling_layer=False)
        text.load_state_dict({k: torch.from_numpy(v) for k, v in expand(folder / "text_encoder" / NAME).items()})
        self.torch = torch
        self.pipeline = StableDiffusionPipeline(
            vae=AutoencoderKL.from_pretrained(folder / "vae", torch_dtype=torch.float32),
            text_encoder=text.eval(),
            tokenizer=BertTokenizerFast.from_pretrained(folder / "tokenizer"),
            unet=UNet2DConditionModel.from_pretrained(folder / "unet", torch_dtype=torch.float32),
            scheduler=DDIMScheduler.from_pretrained(folder / "scheduler"),
            safety_checker=None,
            feature_extractor=None,
            requires_safety_checker=False,
        )
        self.pipeline.set_progress_bar_config(disable=True)

    def paint(self, prompt: str, n: int, steps: int, upscale: int) -> tuple[list[Any], list[float]]:
        """See `Graph.paint`; nothing is upscaled."""
        ticks: list[float] = []

        def tick(pipeline: Any, step: int, timestep: Any, values: dict[str, Any]) -> dict[str, Any]:
            ticks.append(time.perf_counter())
            return values

        made = self.pipeline(
            prompt,
            num_images_per_prompt=n,
            num_inference_steps=steps,
            guidance_scale=4.0,
            guidance_rescale=0.7,
            height=128,
            width=128,
            output_type="np",
            generator=[self.torch.Generator().manual_seed(7 + k) for k in range(n)],
            callback_on_step_end=tick,
        )
        return [(image * 255).round().astype("uint8") for image in made.images], [
            b - a for a, b in itertools.pairwise(ticks)
        ]


def serve(runtime: str, precision: str, threads: int, home: str, folder: Path) -> None:
    """Be one row: answer each JSON line `{prompt, n, steps, upscale, keep}` with one line of figures."""
    peer = runtime == "diffusers"
    engine = Diffusers(threads, folder) if peer else Graph(runtime, precision, threads, home, folder)
    for line in sys.stdin:
        job = json.loads(line)
        started = time.perf_counter()
        pixels, steps = engine.paint(job["prompt"], job["n"], job["steps"], job["upscale"])
        took = time.perf_counter() - started
        if job.get("keep"):
            import numpy as np

            np.save(job["keep"], pixels[0])
        peak = Path("/proc/self/status").read_text("ascii").split("VmHWM:")[1].split()[0]
        print(json.dumps({"picture": took, "step": statistics.median(steps), "peak": int(peak) / 1024}), flush=True)


class Row:
    """One warm process."""

    def __init__(self, runtime: str, precision: str, options: argparse.Namespace, home: str, steps: int) -> None:
        self.name, self.steps = f"{runtime} {precision}", steps
        self.figures: dict[str, list[float]] = {}
        command = [sys.executable, __file__, "--serve", runtime, precision, "--home", home]
        command += ["--threads", str(options.threads), "--folder", str(options.folder)]
        started = time.perf_counter()
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        first = self.ask(PROMPTS[0], 1)
        self.ready = time.perf_counter() - started
        self.peak = first["peak"]

    def ask(self, prompt: str, n: int, upscale: int = 1, keep: str = "") -> dict[str, float]:
        assert self.process.stdin is not None and self.process.stdout is not None
        job = {"prompt": prompt, "n": n, "steps": self.steps, "upscale": upscale, "keep": keep}
        self.process.stdin.write(json.dumps(job) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended with {self.process.wait()}")
        figures: dict[str, float] = json.loads(line)
        return figures

    def close(self) -> None:
        self.process.communicate()


def measure(rows: list[Row], rounds: int, batch: int, suffix: str = "") -> None:
    """Call the rows in turn; the first round warms up and is not counted."""
    for round_ in range(rounds + 1):
        for row in rows:
            one, many = row.ask(PROMPTS[0], 1), row.ask(PROMPTS[0], batch)
            if round_:
                for name, value in (("step", one["step"]), ("one", one["picture"]), ("many", many["picture"])):
                    row.figures.setdefault(name + suffix, []).append(value)


def ratio(row: Row, base: Row, name: str) -> float:
    """Median of the paired ratios base / row."""
    return statistics.median(b / a for a, b in zip(row.figures[name], base.figures[name], strict=True))


def table(rows: list[Row], batch: int, busy: bool) -> None:
    base = rows[0]
    print(f"\nratios are to {base.name}; ms are medians; ready is process start to first picture, warm cache")
    heads = ["", "step ms", "x", "picture ms", "x", f"{batch} pictures ms", "x", "ready s", "peak MB"]
    print(" | ".join([*heads, "picture busy / alone"] if busy else heads))
    for row in rows:
        cells = [row.name]
        for name in ("step", "one", "many"):
            cells += [f"{statistics.median(row.figures[name]) * 1e3:.1f}", f"{ratio(row, base, name):.2f}"]
        cells += [f"{row.ready:.2f}", f"{row.peak:.0f}"]
        if busy:
            cells.append(f"{statistics.median(row.figures['one busy']) / statistics.median(row.figures['one']):.2f}")
        print(" | ".join(cells))


def compare(rows: list[Row], count: int, folder: Path, out: Path) -> None:
    """Print PSNR and mean difference to OpenVINO fp32 and write all pictures, one row of the sheet a runtime."""
    import numpy as np
    from PIL import Image

    made: dict[str, list[Any]] = {}
    for row in rows:
        for k, prompt in enumerate(PROMPTS[:count]):
            file = folder / f"{row.name}-{k}.npy"
            row.ask(prompt, 1, keep=str(file))
            made.setdefault(row.name, []).append(np.load(file))
    base = np.stack(made["openvino fp32"]).astype(float)
    print("\ndifference to openvino fp32 | PSNR dB median (worst) | mean |difference| of 255 | pictures equal")
    for name, pictures in made.items():
        error = np.stack(pictures).astype(float) - base
        mse = np.maximum(np.square(error).mean(axis=(1, 2, 3)), 1e-9)
        psnr = 10 * np.log10(255**2 / mse)
        equal = int((np.abs(error).max(axis=(1, 2, 3)) == 0).sum())
        print(f"{name} | {np.median(psnr):.1f} ({psnr.min():.1f}) | {np.abs(error).mean():.3f} | {equal}/{count}")
    sheet = np.concatenate([np.concatenate(list(pictures), axis=1) for pictures in made.values()], axis=0)
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet).save(out)
    print(f"rows {', '.join(made)}: {out}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--pictures", type=int, default=0)
    parser.add_argument("--rows", nargs="*", metavar="RUNTIME:PRECISION", help="default: all")
    parser.add_argument("--folder", type=Path, default=EMBEDDED, help="checkpoint; default: the embedded one")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--home", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        serve(*args.serve, args.threads, args.home, args.folder)
        return
    wanted = [tuple(row.split(":")) for row in args.rows] if args.rows else ROWS
    with tempfile.TemporaryDirectory() as folder:
        home = str(Path(folder) / "home")
        chosen = ([PEER] if args.peer else []) + list(wanted)
        for runtime, precision in wanted:  # once to fill the cache of compiled graphs
            Row(runtime, precision, args, home, 2).close()
        rows = [Row(runtime, precision, args, home, args.steps) for runtime, precision in chosen]
        measure(rows, args.rounds, args.batch)
        if args.busy:
            loop = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            try:
                measure(rows, max(2, args.rounds // 2), args.batch, " busy")
            finally:
                loop.kill()
        table(rows, args.batch, args.busy)
        if args.pictures:
            painters = [row for row in rows if not row.name.startswith("diffusers")]
            compare(painters, min(args.pictures, len(PROMPTS)), Path(folder), Path("out") / "runtimes.png")
        for row in rows:
            row.close()


if __name__ == "__main__":
    main()
