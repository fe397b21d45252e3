"""Commands made from requests: their options are the fields of the request, so a new field is a new option."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer

from fantascope.cli.grammars import GRAMMARS, read_surface
from fantascope.errors import InvalidValue, StorageError
from fantascope.request import MAX_TEXT, STEERED, Imagine, Request

OPTIONS: dict[str, tuple[str, ...]] = {
    "n": ("-n", "--count"),
    "negative_prompt": ("--no",),
    "parameters": ("--set",),
}
"""Names on the command line that are not simply `--field`."""

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "imagine": ("prompt",),
    "tile": ("prompt",),
    "blend": ("pictures",),
    "edit": ("picture", "instruction"),
    "annotate": ("kind", "picture"),
}
"""Task -> fields that are words without a flag; of all other tasks that is the picture."""

OWN = ("task", "width", "height", "turns", "controls", "adapters", "anchor", "said")
"""Fields the command line builds itself (`--size WxH` gives both sides), or that only resolving fills."""

HIDDEN: dict[str, tuple[str, ...]] = {
    "edit": ("grammar",),
    "erase": ("grammar",),
    "cutout": ("grammar",),
    "annotate": ("n", "seed", "upscale", "model", "engine", "precision", "device", "preview", "document"),
}
"""Task -> fields that say nothing there, or that are read from a file."""

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
    "annotate": "Draw a control map of a picture: edges, lines, pose, regions, scribble.",
}
"""Task -> what its command says it does."""

SIZE_HELP = "size of the file, WIDTHxHEIGHT or one number for a square"
OUT_HELP = "also write the pictures here: a file for one, a folder for several"
MASK_HELP = "write the mask of what may have changed here: white on black, PNG"
UNMASKED = ("imagine", "tile", "blend", "vary", "upscale", "annotate")
"""Tasks that leave no pixel alone, so there is no mask to write."""

CONTROL_HELP = "a map that steers, KIND=FILE or KIND=FILE@WEIGHT; may be repeated"
ADAPTER_HELP = "an adapter, NAME[:WEIGHT][:start=0.2][:end=0.8][:blocks=mid=0.5,up_0=0]; may be repeated"
DOCUMENT_HELP = "joints (pose) or strokes (sketch) as JSON, instead of a picture"
FOUND_HELP = "write what was found here as JSON: joints, to edit and render again"
EXPAND_HELP = "add what the prompt does not say first: 0 nothing, 1 all that is missing (fantascope prompt expand)"
ALL_HELP = "with --grammar dynamic: every text the prompt stands for, not one drawn by the seed"
GRAMMAR_HELP = "how the prompt is read: plain, a1111, midjourney or dynamic"
DRY_HELP = "only say what it would cost: nothing is painted, held or charged"
JSON_HELP = "print one JSON object a line"


def parameters(request: type[Request]) -> Iterator[inspect.Parameter]:
    """Yield one command line parameter per field of a request class, those without a flag first."""
    task = request.model_fields["task"].default
    arguments = ARGUMENTS.get(task, ("picture",))
    order = [*arguments, *(name for name in request.model_fields if name not in arguments)]
    for name in order:
        field = request.model_fields[name]
        if name in (*OWN, *HIDDEN.get(task, ())) or (name == "upscale" and task not in SIZED):
            continue
        kind, default = _plain(field.annotation), field.default
        if name in arguments:
            hint: Any = typer.Argument(help=field.description, show_default=False)
            default = inspect.Parameter.empty if field.is_required() else None
        else:
            flags = OPTIONS.get(name, ("--" + name.replace("_", "-"),))
            told = GRAMMAR_HELP if (name, task) == ("grammar", "imagine") else field.description
            hint = typer.Option(*flags, help=told, show_default=False)
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])


def _plain(annotation: Any) -> Any:
    """Reduce `Text | None`, `Literal[…] | None` to what a command line parses: str, int, float, bool or a list.

    Names are checked by the request, which offers the nearest ones.
    """
    inner = [part for part in get_args(annotation) if part is not type(None)]
    if get_origin(annotation) is Literal:
        return type(inner[0])
    if get_origin(annotation) is dict:
        return list[str]
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
        finish(request, options)

    own = [
        ("size", str | None, typer.Option("--size", help=SIZE_HELP, show_default=False), None),
        ("out", Path | None, typer.Option("--out", "-o", help=OUT_HELP, show_default=False), None),
        ("mask_out", Path | None, typer.Option("--mask-out", help=MASK_HELP, show_default=False), None),
        ("document", Path | None, typer.Option("--document", help=DOCUMENT_HELP, show_default=False), None),
        ("found_out", Path | None, typer.Option("--found-out", help=FOUND_HELP, show_default=False), None),
        ("control", list[str] | None, typer.Option("--control", help=CONTROL_HELP, show_default=False), None),
        ("adapter", list[str] | None, typer.Option("--adapter", help=ADAPTER_HELP, show_default=False), None),
        ("expand", float | None, typer.Option("--expand", min=0, max=1, help=EXPAND_HELP, show_default=False), None),
        ("every", bool, typer.Option("--all", help=ALL_HELP), False),
        ("dry_run", bool, typer.Option("--dry-run", help=DRY_HELP), False),
        ("json", bool, typer.Option("--json", help=JSON_HELP), False),
    ]
    left_out = set() if task in STEERED else {"control"}
    left_out |= {"adapter"} if task == "annotate" else {"document", "found_out"}
    left_out |= {"mask_out"} if task in UNMASKED else set()
    left_out |= set() if task in SIZED else {"size"}
    left_out |= set() if task == "imagine" else {"every", "expand"}
    extra = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, hint])
        for name, kind, hint, default in own
        if name not in left_out
    ]
    run.__name__ = task
    run.__signature__ = inspect.Signature([*parameters(request), *extra])  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in [*parameters(request), *extra]}
    return run


def finish(request: type[Request], options: dict[str, Any]) -> None:
    """Turn what the command line gave into a request, run it and show it."""
    from fantascope.cli.quote import quote
    from fantascope.cli.show import show

    out, as_json, mask_out = options.pop("out"), options.pop("json"), options.pop("mask_out", None)
    found_out, document, steered = (options.pop(name, None) for name in ("found_out", "document", "control"))
    worn = options.pop("adapter", None)
    if worn:
        from fantascope.cli.adapter_words import parse_adapter

        options["adapters"] = tuple(map(parse_adapter, worn))
    if options.get("parameters") is not None:
        options["parameters"] = dict(pairs(options["parameters"]))
    if steered:
        from fantascope.cli.control import parse_control

        options["controls"] = tuple(map(parse_control, steered))
    if document is not None:
        options["document"] = _read(document)
    if "size" in options:
        options["width"], options["height"] = parse_size(options.pop("size"))
    where = Path(out) if out is not None else None
    every, strength = options.pop("every", False), options.pop("expand", None)
    dry = options.pop("dry_run", False)
    if options.get("grammar") in GRAMMARS and request is Imagine:
        asked_for = read_surface(options, every, strength)
        quote(*asked_for, as_json=as_json) if dry else show(*asked_for, out=where, as_json=as_json)
        return
    if every:
        raise InvalidValue("--all makes every text of a dynamic prompt.", param="every", hint="--grammar dynamic --all")
    asked = request(**options)
    if strength is not None:
        from fantascope.wording import expand_request

        asked = expand_request(asked, strength)
    if dry:
        quote(asked, as_json=as_json)
        return
    show(asked, out=where, as_json=as_json, mask_out=mask_out, found_out=found_out)


def pairs(texts: list[str] | None) -> list[tuple[str, int | float | str]]:
    """Read `name=value` texts; a number is a number."""
    return [_pair(text) for text in texts or []]


def _pair(text: str) -> tuple[str, int | float | str]:
    """Read `name=value`; a number is a number."""
    name, mark, value = text.partition("=")
    if not mark or not name.strip():
        raise InvalidValue(f"--set is NAME=VALUE such as low=100, not {text!r}.", param="parameters")
    for kind in (int, float):
        try:
            return name.strip(), kind(value)
        except ValueError:
            continue
    return name.strip(), value.strip()


def _read(path: Path) -> str:
    """Read a document.

    Raises:
        StorageError: it cannot be read.
        InvalidValue: it is no text, or larger than any document.
    """
    try:
        data = path.read_bytes() if path.stat().st_size <= MAX_TEXT else b""
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", param="document") from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if not text.strip():
        raise InvalidValue(f"{path} holds no JSON text of at most {MAX_TEXT} bytes.", param="document")
    return text


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
