"""`fantascope control`: paint under a map, drawn from a picture or given; and maps for every other painting command."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from fantascope.cli.imagine import ADAPTER_HELP, CONTROL_HELP, OUT_HELP, SIZE_HELP, finish, pairs, parameters
from fantascope.errors import InvalidValue
from fantascope.request import Control, Imagine

Parameter = inspect.Parameter


def command() -> Callable[..., None]:
    """Return the function of `fantascope control`: a kind, a picture and a prompt, and all options of `imagine`."""

    def control(**options: Any) -> None:
        names = ("kind", "picture", "weight", "start", "end", "guess", "network")
        given = {name: options.pop(name) for name in names}
        given |= {"derive": not options.pop("map"), "parameters": dict(pairs(options.pop("set")))}
        first = Control(**{name: value for name, value in given.items() if value is not None})
        more = [parse_control(text) for text in options.pop("also") or []]
        finish(Imagine, {**options, "controls": (first, *more)})

    arguments = [
        ("kind", str, typer.Argument(help="canny, hough, softedge, scribble, pose …"), Parameter.empty),
        ("picture", str, typer.Argument(help="the picture that the map is drawn from, or the map"), Parameter.empty),
    ]
    extra: list[tuple[str, Any, Any, Any]] = [
        ("map", bool, typer.Option("--map", help="the picture is the map itself"), False),
        ("weight", float, typer.Option("--weight", help="how strongly, 0 to 2"), 1.0),
        ("start", float, typer.Option("--start", help="share of the run from which it works"), 0.0),
        ("end", float, typer.Option("--end", help="share of the run until which it works"), 1.0),
        ("guess", bool, typer.Option("--guess", help="let the map lead where the prompt says nothing"), False),
        ("network", str | None, typer.Option("--network", help="a control network of the catalogue"), None),
        ("set", list[str] | None, typer.Option("--set", help="of the annotator: low=100 …"), None),
        ("also", list[str] | None, typer.Option("--also", help=CONTROL_HELP), None),
        ("adapter", list[str] | None, typer.Option("--adapter", help=ADAPTER_HELP, show_default=False), None),
        ("size", str | None, typer.Option("--size", help=SIZE_HELP, show_default=False), None),
        ("out", str | None, typer.Option("--out", "-o", help=OUT_HELP, show_default=False), None),
        ("json", bool, typer.Option("--json", help="print one JSON object a line"), False),
    ]
    own = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])
        for name, kind, hint, default in [*arguments]
    ]
    painted = list(parameters(Imagine))
    rest = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])
        for name, kind, hint, default in extra
    ]
    every = [*own, *painted, *rest]
    control.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    control.__annotations__ = {p.name: p.annotation for p in every}
    return control


def parse_control(text: str) -> Control:
    """Read `canny=edges.png` or `canny=edges.png@0.8`.

    Raises:
        InvalidValue: it is neither.
    """
    kind, mark, rest = text.partition("=")
    file, _, weight = rest.rpartition("@") if "@" in rest else (rest, "", "1")
    try:
        strength = float(weight)
    except ValueError:
        file, strength = rest, 1.0
    if not mark or not kind.strip() or not file.strip():
        raise InvalidValue(f"--control is KIND=FILE or KIND=FILE@WEIGHT, not {text!r}.", param="controls")
    if not 0 <= strength <= 2:
        raise InvalidValue(f"The weight of a control is 0 to 2, not {weight}.", param="controls")
    return Control(kind=kind.strip(), picture=file.strip(), weight=strength)
