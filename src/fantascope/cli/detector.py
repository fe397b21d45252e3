"""`fantascope train detector`: the net that scores pictures, trained apart from the checkpoint it scores."""

from __future__ import annotations

import sys
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
OUT_HELP = "folder of the detector to write; nothing is written if not given"


def detector(
    sources: Annotated[Path, typer.Option("--sources", help=SOURCES_HELP)],
    run: Run,
    out: Annotated[Path | None, typer.Option("--out", help=OUT_HELP)] = None,
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
    events = train_detector(DetectorConfig(fit), run, pictures.batches(batch), pictures.kinds, NAMES)
    follow(events, "detector", steps, run, as_json)
    if out is None:
        return
    _write(run, pictures, batch, out)
    with Stages(as_json) as told:
        facts = _measure(out, sources, concepts, samples, cache, told)
    _card(out, facts | {"pictures": steps * batch, "seed": seed}, sprites)
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
    write_labels(out, **told, weights=weights, threshold=0.3, objects=[], ceiling={}, data=pictures.fingerprint)


def _measure(
    out: Path, sources: Path, concepts: Mapping[str, Concept], samples: int, cache: Path | None, told: Stages
) -> dict[str, Any]:
    """Find the objects, the threshold and the ceiling on real pictures in the generator's styles, and write them."""
    from fantascope.engines.detector import Detector, write_labels
    from fantascope.evaluate import calibrate
    from fantascope.evaluate.truth import Truth
    from fantascope.settings import Settings

    truth = Truth.gather(sources, concepts, _skipped, cache)
    detector = Detector.load(Settings.from_env(), out)
    objects, shares = calibrate.objects(detector, truth, concepts, _styles(), told)
    line, rates = calibrate.threshold(detector, truth, concepts, objects, told)
    calibrate.with_labels(detector, objects=tuple(objects), threshold=line)
    ceiling = calibrate.ceilings(detector, truth, concepts, samples, told)
    facts: dict[str, Any] = {"objects": objects, "threshold": line, "ceiling": ceiling}
    tried = {f"{share:.2f}": rate for share, rate in rates.items()}
    write_labels(out, **facts, found={key: round(share, 4) for key, share in shares.items()}, thresholds=tried)
    return facts | {"found": shares, "samples": samples}


def _card(out: Path, facts: dict[str, Any], sprites: list[Sprite]) -> None:
    from fantascope.evaluate.card import detector_card

    credits = {(s.package, s.version, s.author, s.licence): 0 for s in sprites}
    for sprite in sprites:
        credits[sprite.package, sprite.version, sprite.author, sprite.licence] += 1
    (out / "MODEL_CARD.md").write_text(detector_card(facts, credits), "utf-8")
