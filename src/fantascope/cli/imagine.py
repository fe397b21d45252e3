"""`fantascope imagine`: its options are the fields of the request, so a new field is a new option."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from fantascope.errors import InvalidValue
from fantascope.request import Imagine, Request

OPTIONS: dict[str, tuple[str, ...]] = {"n": ("-n", "--count"), "negative_prompt": ("--no",)}
"""Names on the command line that are not simply `--field`."""

ARGUMENTS = ("prompt",)
OWN = ("task", "width", "height")
"""Fields the command line builds itself: `--size WxH` gives both sides."""

SIZE_HELP = "size of the file, WIDTHxHEIGHT or one number for a square"
OUT_HELP = "also write the pictures here: a file for one, a folder for several"
JSON_HELP = "print one JSON object a line"


def parameters(request: type[Request]) -> Iterator[inspect.Parameter]:
    """Yield one command line parameter per field of a request class."""
    for name, field in request.model_fields.items():
        if name in OWN:
            continue
        kind, default = _plain(field.annotation), field.default
        if name in ARGUMENTS:
            hint: Any = typer.Argument(help=field.description, show_default=False)
            default = inspect.Parameter.empty
        else:
            flags = OPTIONS.get(name, ("--" + name.replace("_", "-"),))
            hint = typer.Option(*flags, help=field.description, show_default=False)
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])


def _plain(annotation: Any) -> Any:
    """Reduce `Text | None`, `Literal[…] | None` to what a command line parses: str, int, float or bool.

    Names are checked by the request, which offers the nearest ones.
    """
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return type(inner[0])
    if get_origin(annotation) is Annotated:
        return _plain(inner[0])
    if inner:
        return _plain(inner[0]) | None
    return annotation


def command() -> Callable[..., None]:
    """Return the function of `fantascope imagine`, with a signature made from `Imagine`."""

    def imagine(**options: Any) -> None:
        from fantascope.cli.show import show

        size, out, as_json = options.pop("size"), options.pop("out"), options.pop("json")
        width, height = parse_size(size)
        show(Imagine(width=width, height=height, **options), out=out, as_json=as_json)

    own = [
        ("size", str | None, typer.Option("--size", help=SIZE_HELP, show_default=False), None),
        ("out", Path | None, typer.Option("--out", "-o", help=OUT_HELP, show_default=False), None),
        ("json", bool, typer.Option("--json", help=JSON_HELP), False),
    ]
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])
        for name, kind, hint, default in own
    ]
    imagine.__signature__ = inspect.Signature([*parameters(Imagine), *extra])  # type: ignore[attr-defined]
    imagine.__annotations__ = {p.name: p.annotation for p in [*parameters(Imagine), *extra]}
    return imagine


def parse_size(text: str | None) -> tuple[int | None, int | None]:
    """Read `512`, `512x384` or `512X384`.

    Raises:
        InvalidValue: it is none of these.
    """
    if text is None:
        return None, None
    found = re.fullmatch(r"\s*(-?\d{1,12})(?:\s*[xX×]\s*(-?\d{1,12}))?\s*", text)
    if found is None:
        raise InvalidValue(f"--size is WIDTHxHEIGHT in pixels such as 512x512, not {text!r}.", param="size")
    width = int(found[1])
    return width, int(found[2]) if found[2] is not None else width
