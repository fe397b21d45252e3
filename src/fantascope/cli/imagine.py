"""Commands made from requests: their options are the fields of the request, so a new field is a new option."""

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

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "imagine": ("prompt",),
    "tile": ("prompt",),
    "blend": ("pictures",),
    "edit": ("picture", "instruction"),
}
"""Task -> fields that are words without a flag; of all other tasks that is the picture."""

OWN = ("task", "width", "height", "turns")
"""Fields the command line builds itself (`--size WxH` gives both sides), or that only resolving fills."""

SIZED = ("imagine", "tile", "blend", "cutout")
"""Tasks that take a size; of all others it follows from the picture."""

COMMANDS: dict[str, str] = {
    "imagine": "Paint pictures from a prompt.",
    "edit": "Change a picture as an instruction says: change X to Y, add Z, remove X, make it night.",
    "vary": "Paint pictures like a given one.",
    "fill": "Paint a masked region of a picture anew.",
    "erase": "Take something out of a picture, and paint what is behind it.",
    "expand": "Paint a picture on beyond its edges, or zoom out.",
    "blend": "Paint one picture out of two to five.",
    "upscale": "Enlarge a picture 1.5 to 4 times.",
    "cutout": "Put the thing in a picture, or in a prompt, on transparency.",
    "tile": "Paint a picture whose edges meet without a seam.",
}
"""Task -> what its command says it does."""

SIZE_HELP = "size of the file, WIDTHxHEIGHT or one number for a square"
OUT_HELP = "also write the pictures here: a file for one, a folder for several"
MASK_HELP = "write the mask of what may have changed here: white on black, PNG"
UNMASKED = ("imagine", "tile", "blend", "cutout", "vary", "upscale")
"""Tasks that leave no pixel alone, so there is no mask to write."""

JSON_HELP = "print one JSON object a line"


def parameters(request: type[Request]) -> Iterator[inspect.Parameter]:
    """Yield one command line parameter per field of a request class, those without a flag first."""
    task = request.model_fields["task"].default
    arguments = ARGUMENTS.get(task, ("picture",))
    order = [*arguments, *(name for name in request.model_fields if name not in arguments)]
    for name in order:
        field = request.model_fields[name]
        if name in OWN or (name == "upscale" and task not in SIZED):
            continue
        kind, default = _plain(field.annotation), field.default
        if name in arguments:
            hint: Any = typer.Argument(help=field.description, show_default=False)
            default = inspect.Parameter.empty if field.is_required() else None
        else:
            flags = OPTIONS.get(name, ("--" + name.replace("_", "-"),))
            hint = typer.Option(*flags, help=field.description, show_default=False)
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])


def _plain(annotation: Any) -> Any:
    """Reduce `Text | None`, `Literal[…] | None` to what a command line parses: str, int, float, bool or a list.

    Names are checked by the request, which offers the nearest ones.
    """
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return type(inner[0])
    if get_origin(annotation) is tuple:
        return list[_plain(inner[0])]  # type: ignore[misc]
    if get_origin(annotation) is Annotated:
        return _plain(inner[0])
    if inner:
        return _plain(inner[0]) | None
    return annotation


def command(request: type[Request] = Imagine) -> Callable[..., None]:
    """Return the function of a task's command, with a signature made from its request class."""
    task = request.model_fields["task"].default

    def run(**options: Any) -> None:
        from fantascope.cli.show import show

        out, as_json, mask_out = options.pop("out"), options.pop("json"), options.pop("mask_out", None)
        if "size" in options:
            options["width"], options["height"] = parse_size(options.pop("size"))
        show(request(**options), out=out, as_json=as_json, mask_out=mask_out)

    own = [
        ("size", str | None, typer.Option("--size", help=SIZE_HELP, show_default=False), None),
        ("out", Path | None, typer.Option("--out", "-o", help=OUT_HELP, show_default=False), None),
        ("mask_out", Path | None, typer.Option("--mask-out", help=MASK_HELP, show_default=False), None),
        ("json", bool, typer.Option("--json", help=JSON_HELP), False),
    ]
    left_out = {"mask_out"} if task in UNMASKED else set()
    left_out |= set() if task in SIZED else {"size"}
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])
        for name, kind, hint, default in own
        if name not in left_out
    ]
    run.__name__ = task
    run.__signature__ = inspect.Signature([*parameters(request), *extra])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*parameters(request), *extra]}
    return run


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
