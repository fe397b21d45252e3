"""`fantascope personalise`: teach a model a subject from a few photos."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli.data import Json, say
from fantascope.cli.stages import Stages


def _given(kind: Any, help_: str, *flags: str, default: Any = None, **limits: Any) -> tuple[Any, Any]:
    """The annotation and the default of an option; one that was not given is None."""
    plain = kind if default is not None else kind | None
    return Annotated[plain, typer.Option(*flags, help=help_, show_default=default not in (None, ""), **limits)], default


OPTIONS: dict[str, tuple[Any, Any]] = {
    "name": (
        Annotated[str, typer.Option("--name", help="the word that will stand for the subject; it means nothing yet")],
        inspect.Parameter.empty,
    ),
    "kind": (
        Annotated[str, typer.Option("--class", help="what the subject is: dog, mug, alien …")],
        inspect.Parameter.empty,
    ),
    "licence": _given(str, "SPDX id of what is made: that of your photos", default=""),
    "consent": _given(str, 'who says yes to this, in a sentence: "I took these photos"', default=""),
    "people": _given(str, 'who is shown and agrees, if photos show people: "It is me"', default=""),
    "method": _given(str, "lora, dreambooth or textual-inversion", default="lora"),
    "base": _given(str, "name of the model to teach (fantascope models list)"),
    "steps": _given(int, "training steps", min=1),
    "batch": _given(int, "pictures of the subject a step", min=1),
    "rate": _given(float, "highest learning rate", min=0),
    "targets": _given(str, "layers that LoRA changes: attention, all-linear or all"),
    "rank": _given(int, "rank of the LoRA factors", min=1, max=512),
    "alpha": _given(float, "scale of the LoRA factors; the rank if not given", min=0.001),
    "dropout": _given(float, "dropout before the LoRA factors", min=0, max=0.9),
    "text": _given(bool, "LoRA in the text encoders, too", "--text-encoder/--no-text-encoder"),
    "dora": _given(bool, "LoRA that learns a magnitude of every output, too", "--dora/--no-dora"),
    "tokens": _given(int, "vectors of a textual inversion", min=1, max=16),
    "prior": _given(float, "weight of pictures of the class; 0 uses none", min=0, max=10),
    "class_pictures": _given(int, "pictures of the class, painted once", min=0, max=2000),
    "class_batch": _given(int, "pictures of the class a step", min=1),
    "variants": _given(int, "pictures made of a photo on a plain ground, on other grounds", min=1, max=100),
    "companions": _given(int, "pictures made of the subject beside other things; 0 makes none", min=0, max=500),
    "ema": _given(float, "decay of a running mean of the weights; 0 keeps none", min=0, max=0.9999),
    "warmup": _given(int, "steps over which the rate rises from 0", min=0),
    "cooldown": _given(float, "share of the steps, at the end, over which it falls to 0", min=0, max=1),
    "decay": _given(float, "weight decay", min=0),
    "gamma": _given(float, "gamma of min-SNR weighting; 0 is off", "--min-snr", min=0),
    "dropped": _given(float, "share of captions left out", min=0, max=1),
    "lean": _given(float, "below 1, noisy times are learnt more often", min=0.1, max=10),
    "optimiser": _given(str, "adamw, muon, or adamw8bit (needs bitsandbytes)"),
    "precision": _given(str, "bf16 (autocast) or fp32"),
    "checkpointing": _given(bool, "less memory, more time", "--checkpointing", default=False),
    "device": _given(str, "cpu or cuda; a GPU where there is one if not given"),
    "seed": _given(int, "seeds weights, noise and grounds", default=0, min=0),
    "run": _given(Path, "folder of state, log and sheets; FANTASCOPE_HOME/lessons/NAME if not given"),
    "out": _given(Path, "folder for the checkpoint of dreambooth"),
    "pictures": _given(int, "steps between two sheets of fixed prompts", min=1),
    "save": _given(int, "steps between two saves", "--save-every", min=1),
    "report": _given(int, "steps between two lines", "--report-every", default=10, min=1),
    "samples": _given(int, "pictures of the sealed sample grid; 0 paints none", default=6, min=0, max=8),
    "skip_unreadable": _given(bool, "go on without broken photos", "--skip-unreadable", default=False),
    "restart": _given(bool, "begin anew where a run was stopped", "--restart", default=False),
}
"""Field of a lesson -> its option; what is not given has the default of the base and the method."""


def personalise(**told: Any) -> None:
    """Teach a model a subject from a few photos: an adapter to paint it anywhere. The same command resumes."""
    from fantascope.personal.lesson import Lesson
    from fantascope.personal.teach import teach
    from fantascope.studio import Studio

    as_json = told.pop("json")
    lesson = Lesson(**told | {"photos": tuple(told["photos"])})
    with Studio() as studio, _screen(as_json) as show:
        try:
            for event in teach(lesson, studio):
                show(event)
        except KeyboardInterrupt:
            print("What was saved last is kept; the same command goes on from there.", file=sys.stderr)
            raise


def _parameters() -> Iterator[inspect.Parameter]:
    photos = Annotated[list[Path], typer.Argument(help="photos of the subject, or folders of them")]
    rows = {"photos": (photos, inspect.Parameter.empty)} | OPTIONS | {"json": (Json, False)}
    for name, (kind, default) in rows.items():
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


personalise.__signature__ = inspect.Signature([*_parameters()])  # type: ignore[attr-defined]
personalise.__annotations__ = {each.name: each.annotation for each in _parameters()}


@contextmanager
def _screen(as_json: bool) -> Iterator[Callable[[Any], None]]:
    """Yield what shows an event: a bar a stage on a terminal, else lines or JSON objects."""
    from fantascope.personal.teach import Learning, Note, Progress, Sheet

    with Stages(as_json) as stages:

        def show(event: Any) -> None:
            if isinstance(event, Note):
                say(as_json, "note", event.text, told=event.text)
            elif isinstance(event, Progress):
                stages(event.stage, event.done, event.total)
                if as_json:
                    say(True, "progress", "", **asdict(event))
            elif isinstance(event, Sheet):
                say(as_json, "sheet", f"step {event.step}: {event.path}", step=event.step, path=event.path)
            elif isinstance(event, Learning):
                stages("learning", event.step, event.steps)
                if as_json or not sys.stderr.isatty():
                    say(as_json, "step", _line(event), **asdict(event))
            else:
                stages.bars.close()
                _ended(event, as_json)

        yield show


def _line(event: Any) -> str:
    figures = "".join(f", {name} {value:.3g}" for name, value in event.figures.items())
    saved = ", saved" if event.saved else ""
    return f"step {event.step}/{event.steps}: loss {event.loss:.4f}{figures}, {event.rate:.1f} pictures/s{saved}"


def _ended(event: Any, as_json: bool) -> None:
    if as_json:
        say(True, "taught", "", **asdict(event))
        return
    print(f"{event.kind} {event.name}: {event.bytes / 1000:,.0f} kB, {event.seconds:.0f} s, {event.path}")
    print(f"pictures: {event.sheet}" + (f", sealed grid {event.samples[:19]}" if event.samples else ""))
    print("try: " + "\n     ".join(event.advice))
