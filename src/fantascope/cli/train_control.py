"""`fantascope data control` and `fantascope train control`: maps to train on, and the network that follows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli import train
from fantascope.cli.data import Cache, Checkpoint, Json, Sources, Words, composed, needs_train, say
from fantascope.cli.train import app, data, follow
from fantascope.errors import InvalidValue, UnknownName

if TYPE_CHECKING:
    from fantascope.train.control import ControlPool
    from fantascope.train.control_watch import Agreement

__all__ = ["app", "circles", "control", "encode"]

ControlPoolFolder = Annotated[Path, typer.Option("--pool", help="folder for the encoded scenes with their maps")]


@data.command("control")
def encode(
    sources: Sources,
    checkpoint: Checkpoint,
    pool: ControlPoolFolder,
    scenes: Annotated[int, typer.Option(min=1, help="how many scenes")] = 12000,
    first: Annotated[int, typer.Option(min=0, help="number of the first scene")] = 4 * train.UNSEEN,
    each: Annotated[int, typer.Option(min=1, max=6, help="maps a scene, of different kinds")] = 3,
    shard: Annotated[int, typer.Option(min=1, help="scenes a file")] = 1000,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Encode scenes, captions and control maps; what is there already, of the same, is kept."""
    import numpy as np

    from fantascope.data.batches import fingerprint
    from fantascope.data.maps import SHARES, colours, mapped

    with needs_train():
        from fantascope.train.control import KINDS
        from fantascope.train.latents import write_pool
    composer, concepts = composed(sources, vocabulary, cache)
    told = json.dumps([fingerprint(composer, concepts), SHARES, each, first])

    def draw(start: int, end: int) -> Iterator[tuple[Any, str, dict[str, Any]]]:
        for scene in mapped(composer, concepts, first + start, first + end, each):
            kind = np.array([KINDS.index(name) for name in scene.kinds], np.uint8)
            yield scene.picture, scene.caption, {"map": scene.maps, "kind": kind}

    stored = write_pool(
        draw,
        scenes,
        checkpoint,
        pool,
        data=hashlib.sha256(told.encode()).hexdigest(),
        shard=shard,
        told={"kinds": list(KINDS)},
        also={"colours": colours()},
    )
    for done in stored:
        say(as_json, "encoded", f"{pool}: {done} of {scenes} scenes", stored=done, scenes=scenes)


@data.command("circles")
def circles(
    out: Annotated[Path, typer.Option(help="folder for prompt.json, source/ and target/")],
    count: Annotated[int, typer.Option(min=1, help="how many circles")] = 2000,
    size: Annotated[int, typer.Option(min=32, max=1024, help="side of a picture, px")] = 128,
    first: Annotated[int, typer.Option(min=0, help="number of the first circle")] = 0,
    as_json: Json = False,
) -> None:
    """Write circles to teach a control network on, in the layout of ControlNet's Fill50K."""
    from fantascope.data.circles import write_circles

    for done in write_circles(out, count, size, first):
        if done % 500 == 0 or done == count:
            say(as_json, "drawn", f"{out}: {done} of {count} circles", drawn=done, circles=count)


@app.command()
def control(
    checkpoint: Checkpoint,
    run: train.Run,
    pool: Annotated[Path | None, typer.Option(help="scenes with maps, from `fantascope data control`")] = None,
    triples: Annotated[
        Path | None, typer.Option(help="or a folder with prompt.json, source/ (maps) and target/ (pictures)")
    ] = None,
    kind: Annotated[str, typer.Option(help="name of the kind that triples teach")] = "own",
    agreement: Annotated[
        str, typer.Option(help="what is measured on the way: none, or circle (overlap of the discs)")
    ] = "none",
    out: Annotated[Path | None, typer.Option(help="folder for the network, written when the steps are done")] = None,
    name: Annotated[str, typer.Option(help="its name in the folder's record")] = "embedded-control",
    licence: Annotated[str, typer.Option(help="its licence, an SPDX identifier")] = "Apache-2.0",
    packed: Annotated[bool, typer.Option("--int8", help="write its weights in int8, half the size")] = False,
    start: train.Start = None,
    steps: train.Steps = 1500,
    batch: train.Batch = 32,
    rate: train.Rate = 3e-3,
    warmup: train.Warmup = 30,
    cooldown: train.Cooldown = 0.5,
    ema: train.Ema = 0.99,
    dropped: Annotated[float, typer.Option(min=0, max=1, help="share of captions left out")] = 0.5,
    blank: Annotated[float, typer.Option(min=0, max=1, help="share of maps made empty")] = 0.04,
    held: Annotated[int, typer.Option(min=0, help="scenes kept from training, to paint on the way")] = 12,
    seed: train.Seed = 0,
    device: train.Device = None,
    pictures: Annotated[int, typer.Option(min=1, help="steps between two sheets of maps and pictures")] = 250,
    report: train.Report = 20,
    save: train.Save = 50,
    as_json: Json = False,
) -> None:
    """Train a network that makes the checkpoint follow maps; with --out also write it, with its graphs."""
    if (pool is None) == (triples is None):
        raise InvalidValue("Give --pool or --triples, one of them.", param="pool")
    if agreement not in ("none", "circle"):
        raise UnknownName("agreement", agreement, ("none", "circle"), param="agreement")
    with needs_train():
        from fantascope.train.control import ControlConfig, ControlPool, train_control
        from fantascope.train.control_watch import Watch, watched
        from fantascope.train.fit import FitConfig, choose_device
    folder = pool if pool is not None else _encoded(triples, checkpoint, run, kind, as_json)
    place, scenes = choose_device(device), ControlPool(folder, seed, held)
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
    config = ControlConfig(fit, dropped, blank, start=start)
    events = train_control(config, run, checkpoint, scenes.to(place))
    watch = Watch(pictures, held, agreement=_agreement(agreement))
    if held > 0:
        events = watched(events, run, checkpoint, scenes, config.widths, watch)
    follow(events, "control", steps, run, as_json)
    if out is not None:
        _write(run, checkpoint, out, scenes, name=name, licence=licence, packed=packed, as_json=as_json)


def _agreement(name: str) -> Agreement | None:
    from fantascope.data.circles import agreement

    return agreement if name == "circle" else None


def _encoded(triples: Path | None, checkpoint: Path, run: Path, kind: str, as_json: bool) -> Path:
    """Encode a folder of triples into `run/pool`, or keep what is there of the same; return that folder."""
    from fantascope.data.triples import digest, load, read_triples

    with needs_train():
        from fantascope.train.latents import write_pool
        from fantascope.train.onnxgraph import read_json
    assert triples is not None
    rows = read_triples(triples)
    side = 8 * int(read_json(checkpoint / "unet" / "config.json")["sample_size"])
    stored = write_pool(
        lambda first, last: load(rows[first:last], side),
        len(rows),
        checkpoint,
        run / "pool",
        data=digest(rows),
        shard=1000,
        told={"kinds": [kind]},
    )
    for done in stored:
        say(as_json, "encoded", f"{run / 'pool'}: {done} of {len(rows)} triples", stored=done, scenes=len(rows))
    return run / "pool"


def _write(
    run: Path,
    checkpoint: Path,
    out: Path,
    scenes: ControlPool,
    *,
    name: str,
    licence: str,
    packed: bool,
    as_json: bool,
) -> None:
    from fantascope.data.ledger import read_ledger
    from fantascope.train.assemble import record
    from fantascope.train.control import ControlConfig, record_files, write_control
    from fantascope.train.export import export_control

    root = checkpoint / "ledger.jsonl.root"
    told = {"name": name, "title": name, "licence": {"spdx": licence}}
    if len(scenes.kinds) > 1 and root.is_file():
        told["training_ledger"] = root.read_text("utf-8").strip()
    step = write_control(run, checkpoint, out, scenes.kinds, ControlConfig.widths, packed=packed, **told)
    say(as_json, "written", f"{out}: the control network of step {step}", path=out, step=step)
    if not (checkpoint / "unet" / "model.onnx").is_file():
        say(as_json, "no graphs", f"{checkpoint} has no graphs, so none are written for {out}", path=out)
        return
    for part, path in export_control(checkpoint, out).items():
        say(as_json, "graph", f"{path}", part=part, path=path)
    record_files(out)
    if root.is_file():
        record(checkpoint, read_ledger)
