"""`fantascope train detector`: the net that scores pictures, trained apart from the checkpoint it scores."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli.data import Cache, Json, Words, needs_train, say
from fantascope.cli.stages import Stages
from fantascope.cli.train import Batch, Cooldown, Ema, Rate, Report, Run, Save, Seed, Steps, Warmup, follow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fantascope.data.detect import Pictures
    from fantascope.data.sources import Sprite
    from fantascope.data.vocabulary import Concept

SOURCES_HELP = "folder of the packages of drawings, the detector's and the generator's"
NET_HELP = "folder of a written detector whose net and objects are kept; only what comes after is made anew"
OUT_HELP = "folder of the detector to write; nothing is written if not given"
COLOURED_HELP = "pictures that the reader of colours learns from"

VERSION = 2
"""Of the instrument: it looks twice, and reads colours from pixels."""

UNSEEN = 20_000_000
"""First of the pictures that the reader of colours learns from: no net was trained on them."""


def detector(
    sources: Annotated[Path, typer.Option("--sources", help=SOURCES_HELP)],
    run: Run,
    out: Annotated[Path | None, typer.Option("--out", help=OUT_HELP)] = None,
    net: Annotated[Path | None, typer.Option("--net", help=NET_HELP)] = None,
    coloured: Annotated[int, typer.Option(min=10, help=COLOURED_HELP)] = 6000,
    steps: Steps = 4200,
    batch: Batch = 32,
    rate: Rate = 2e-3,
    warmup: Warmup = 100,
    cooldown: Cooldown = 0.35,
    decay: Annotated[float, typer.Option(min=0, help="weight decay")] = 0.05,
    ema: Ema = 0.998,
    seed: Seed = 0,
    report: Report = 20,
    save: Save = 100,
    samples: Annotated[int, typer.Option(min=1, help="real pictures a prompt that the ceiling is measured on")] = 2,
    vocabulary: Words = None,
    cache: Cache = None,
    as_json: Json = False,
) -> None:
    """Train the detector on drawings that the generator never saw, and write it with its graph and its ceiling."""
    with needs_train():
        from fantascope.train.detector import DetectorConfig, train_detector
        from fantascope.train.fit import FitConfig
    from fantascope.data.detect import NAMES

    pictures, concepts, sprites = _pictures(sources, vocabulary, cache)
    fit = FitConfig(
        steps,
        batch,
        rate,
        warmup,
        cooldown,
        decay,
        ema=ema,
        seed=seed,
        report_every=report,
        save_every=save,
        data=pictures.fingerprint,
    )
    if net is None:
        events = train_detector(DetectorConfig(fit), run, pictures.batches(batch), pictures.kinds, NAMES)
        follow(events, "detector", steps, run, as_json)
    if out is None:
        return
    with Stages(as_json) as told:
        if net is None:
            _write(run, pictures, batch, out)
        else:
            _keep(net, out)
        right = _dyes(pictures, coloured, out, seed, told)
        facts = _measure(out, sources, concepts, samples, cache, told, keep=net is not None)
    _card(out, facts | {"pictures": steps * batch, "seed": seed, "coloured": coloured, "read": right}, sprites)
    overall = facts["ceiling"]["benchmark"]["overall"]["value"]
    text = f"{out}: {len(facts['objects'])} objects, ceiling {overall:.3f}"
    say(as_json, "detector", text, path=out, objects=len(facts["objects"]), ceiling=facts["ceiling"]["benchmark"])


def _pictures(
    sources: Path, vocabulary: Path | None, cache: Path | None
) -> tuple[Pictures, Mapping[str, Concept], list[Sprite]]:
    from fantascope.data.compose import Composer
    from fantascope.data.detect import Pictures
    from fantascope.data.gather import gather
    from fantascope.data.vocabulary import read_vocabulary

    concepts = read_vocabulary(vocabulary)
    sprites, drawn = gather(sources, concepts, _skipped, trains="detector", cache=cache)
    return Pictures(Composer(sprites, drawn, cache), drawn, _styles()), concepts, sprites


def _styles() -> list[str]:
    from fantascope.data.sources import read_sources

    return [key for key, source in read_sources().items() if source.trains == "detector"]


def _skipped(line: str) -> None:
    print(f"skipped: {line}", file=sys.stderr)


def _write(run: Path, pictures: Pictures, batch: int, out: Path) -> None:
    """Write weights, graph and what an engine must know of them."""
    from fantascope.data.detect import NAMES
    from fantascope.engines.detector import write_labels
    from fantascope.train.detector import trained
    from fantascope.train.detector_export import export_detector, facts

    net = trained(run, pictures.batches(batch), len(pictures.kinds), len(NAMES))
    weights = export_detector(net, out)
    told = facts(pictures.kinds, NAMES, net)
    write_labels(
        out, **told, weights=weights, version=VERSION, threshold=0.3, objects=[], ceiling={}, data=pictures.fingerprint
    )


def _keep(net: Path, out: Path) -> None:
    """Take the net of another detector, and what is known of it."""
    from fantascope.engines.detector import GRAPH, LABELS, WEIGHTS, write_labels

    out.mkdir(parents=True, exist_ok=True)
    for name in (GRAPH, WEIGHTS, LABELS):
        shutil.copyfile(net / name, out / name)
    write_labels(out, version=VERSION)


def _dyes(pictures: Pictures, count: int, out: Path, seed: int, told: Stages) -> float:
    """Train the reader of colours on pictures that the net was not trained on; return how often it is right."""
    from fantascope.engines.detector import DYES, LABELS, write_labels
    from fantascope.engines.dyes import Seen, lessons
    from fantascope.engines.weights import read_config
    from fantascope.train.dyes import train_dyes

    def seen() -> Iterator[Seen]:
        for k in range(count):
            pixels, targets = pictures.picture(UNSEEN + k)
            yield pixels, [(target.colour, target.box) for target in targets]
            told("colours", k + 1, count)

    right = train_dyes(*lessons(seen(), seed), out / DYES, seed)
    weights = read_config(out / LABELS)["weights"] | {DYES: hashlib.sha256((out / DYES).read_bytes()).hexdigest()}
    write_labels(out, weights=weights)
    return right


def _measure(
    out: Path,
    sources: Path,
    concepts: Mapping[str, Concept],
    samples: int,
    cache: Path | None,
    told: Stages,
    *,
    keep: bool,
) -> dict[str, Any]:
    """Find the threshold, the ceiling and what is wrongly accepted on real pictures in the generator's styles, and the
    objects if they are not kept; write them."""
    from fantascope.engines.detector import LABELS, Detector, write_labels
    from fantascope.engines.weights import read_config
    from fantascope.evaluate import calibrate
    from fantascope.evaluate.truth import Truth
    from fantascope.settings import Settings

    truth = Truth.gather(sources, concepts, _skipped, cache)
    detector = Detector.load(Settings.from_env(), out)
    if keep:
        objects, shares = list(detector.labels.objects), read_config(out / LABELS)["found"]
    else:
        objects, shares = calibrate.objects(detector, truth, concepts, _styles(), told)
    line, rates = calibrate.threshold(detector, truth, concepts, objects, told)
    calibrate.with_labels(detector, objects=tuple(objects), threshold=line)
    ceiling = calibrate.ceilings(detector, truth, concepts, samples, told)
    yes = calibrate.wrongly(detector, truth, concepts, samples, told)
    facts: dict[str, Any] = {"objects": objects, "threshold": line, "ceiling": ceiling, "wrong": yes}
    tried = {f"{share:.2f}": rate for share, rate in rates.items()}
    write_labels(out, **facts, found={key: round(share, 4) for key, share in shares.items()}, thresholds=tried)
    return facts | {"found": shares, "samples": samples}


def _card(out: Path, facts: dict[str, Any], sprites: list[Sprite]) -> None:
    from fantascope.evaluate.card import detector_card

    credits = {(s.package, s.version, s.author, s.licence): 0 for s in sprites}
    for sprite in sprites:
        credits[sprite.package, sprite.version, sprite.author, sprite.licence] += 1
    (out / "MODEL_CARD.md").write_text(detector_card(facts, credits), "utf-8")
