"""`fantascope eval`: paint a benchmark's prompts, score the pictures, and write a report."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli.data import Cache, Json, bar, say
from fantascope.cli.stages import Stages
from fantascope.errors import UnknownName

LISTS_HELP = "benchmark, free (the same in other words) or whole (every concept); all if not given"


def evaluate(
    model: Annotated[str | None, typer.Option(help="name of a model (fantascope models list)")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="sampler steps")] = None,
    guidance: Annotated[float | None, typer.Option(min=0, help="classifier-free guidance, 1 is off")] = None,
    precision: Annotated[str | None, typer.Option(help="fp32, bf16, fp16 or int8")] = None,
    prompts: Annotated[int | None, typer.Option(min=1, help="most prompts of a list, the parts in turn")] = None,
    samples: Annotated[int, typer.Option(min=1, max=64, help="pictures a prompt")] = 4,
    lists: Annotated[list[str] | None, typer.Option("--list", help=LISTS_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, help="start of the noise")] = 0,
    sources: Annotated[
        Path | None, typer.Option(help="folder of drawings: real pictures for the ceiling and for distances")
    ] = None,
    cache: Cache = None,
    out: Annotated[
        Path, typer.Option(help="folder for pictures and report; what is there is not painted again")
    ] = Path("evaluation"),
    as_json: Json = False,
) -> None:
    """Measure a model: a benchmark in its own vocabulary, scored by a detector that learned from other drawings."""
    from fantascope.data.vocabulary import read_vocabulary
    from fantascope.engines.detector import Detector
    from fantascope.engines.load import Engines
    from fantascope.evaluate import run
    from fantascope.request import Imagine
    from fantascope.resolve import resolve
    from fantascope.settings import Settings
    from fantascope.spec import catalogue

    unknown = [name for name in lists or () if name not in run.LISTS]
    if unknown:
        raise UnknownName("list", unknown[0], run.LISTS, param="list")
    settings, concepts = Settings.from_env(), read_vocabulary()
    how: Any = {"model": model, "steps": steps, "guidance": guidance, "precision": precision}
    job = resolve(Imagine(prompt="-", upscale=1, seed=seed, **how), catalogue(settings.models), settings)
    wanted = run.Wanted(tuple(lists or run.LISTS), prompts, samples, seed)
    detector = Detector.load(settings)
    truth = None if sources is None else _truth(sources, cache)
    pictures = run.lists_of(run.prompts_of(detector.labels, concepts, wanted), wanted)
    total, engines = sum(map(len, pictures.values())), Engines(settings)
    try:
        with engines.lease(job.spec, job.choice) as engine:
            with bar("painting", total, as_json) as done:
                read, words = _reads(job.spec, settings)
                facts = run.facts_of(job.request, job.spec, wanted) | {"words": words}
                for there in run.paint(engine, job.request, pictures, out, facts, read):
                    done(there)
            with Stages(as_json) as told:
                report = run.measure(engine, job.request, job.spec, detector, pictures, truth, out, wanted, told)
    finally:
        engines.close()
    _show(report, out, as_json)


def _reads(spec: Any, settings: Any) -> tuple[Callable[[str], str], str]:
    """Return how a user's prompt is read for a model, and what says so in a folder's facts.

    The embedded checkpoint's prompts are put in known words before they are painted: see `prompt.known`.
    """
    from fantascope.engines.words import shared_words
    from fantascope.prompt.known import THESAURUS, reword, vocabulary_of

    vocabulary = vocabulary_of(spec)
    if vocabulary is None:
        return str, "as written"
    embed = shared_words(settings).embed
    digest = hashlib.sha256(THESAURUS.read_bytes()).hexdigest()[:16]
    return lambda prompt: reword(prompt, vocabulary, embed).prompt, f"read by thesaurus {digest}"


def _truth(sources: Path, cache: Path | None) -> Any:
    from fantascope.data.vocabulary import read_vocabulary
    from fantascope.evaluate.truth import Truth

    return Truth.gather(sources, read_vocabulary(), lambda line: print(f"skipped: {line}", file=sys.stderr), cache)


def _show(report: dict[str, Any], out: Path, as_json: bool) -> None:
    if as_json:
        say(True, "evaluated", "", report=out / "report.json", **{k: v for k, v in report.items() if k != "marks"})
        return
    for name, part in report["lists"].items():
        for row in part["parts"]:
            due = f", ceiling {row['ceiling']['value']:.3f}" if row["ceiling"] else ""
            span = f"{row['low']:.3f}-{row['high']:.3f}, {row['n']} pictures"
            print(f"{name:10} {row['part']:20} {row['value']:.3f} ({span}){due}")
    print(out / "report.md")
