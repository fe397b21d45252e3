"""`fantascope personalise`: teach a model a subject from a few photos."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from fantascope.cli.data import Json, say
from fantascope.cli.stages import Stages
from fantascope.personal.asked import NOT_OF_LESSONS, Personalise

FLAGS = {
    "kind": "--class",
    "text": "--text-encoder/--no-text-encoder",
    "dora": "--dora/--no-dora",
    "gamma": "--min-snr",
    "checkpointing": "--checkpointing",
    "save": "--save-every",
}
"""Fields of a lesson whose option has another name, or a word for no."""


def _option(name: str, field: Any) -> tuple[Any, Any]:
    """The annotation and the default of the option of a field; one that was not given is None."""
    kind = next((one for one in get_args(field.annotation) if one is not type(None)), field.annotation)
    kind = str if get_origin(kind) is Literal or isinstance(kind, str) else kind
    limits = {side: getattr(mark, how) for mark in field.metadata for side, how in BOUNDS if hasattr(mark, how)}
    required = field.is_required()
    default = inspect.Parameter.empty if required else field.default
    flag = FLAGS.get(name, f"--{name.replace('_', '-')}")
    if kind not in (int, float):
        limits = {}
    told = typer.Option(flag, help=field.description, show_default=default not in (None, ""), **limits)
    return Annotated[kind if default is not None or required else kind | None, told], default


def _local(kind: Any, help_: str, *flags: str, default: Any = None, **limits: Any) -> tuple[Any, Any]:
    plain = kind if default is not None else kind | None
    return Annotated[plain, typer.Option(*flags, help=help_, show_default=default is not None, **limits)], default


BOUNDS = (("min", "ge"), ("max", "le"))
OPTIONS: dict[str, tuple[Any, Any]] = {
    name: _option(name, field) for name, field in Personalise.model_fields.items() if name not in NOT_OF_LESSONS
}
"""Field of a lesson -> its option, as the request says; not given, it has the default of the base and the method."""

OPTIONS |= {
    "device": _local(str, "cpu or cuda; a GPU where there is one if not given"),
    "run": _local(Path, "folder of state, log and sheets; FANTASCOPE_HOME/lessons/NAME if not given"),
    "out": _local(Path, "folder for the checkpoint of dreambooth"),
    "report": _local(int, "steps between two lines", "--report-every", default=10, min=1),
    "skip_unreadable": _local(bool, "go on without broken photos", "--skip-unreadable", default=False),
    "restart": _local(bool, "begin anew where a run was stopped", "--restart", default=False),
}


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
