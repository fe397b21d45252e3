"""Show a run in the terminal: a progress bar, previews, where the files are, or JSON lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, Protocol

from fantascope.artifact import Artifact, Step
from fantascope.cli.lines import emit
from fantascope.errors import InvalidValue, StorageError


class Screen(Protocol):
    """Something that shows the steps of a run."""

    def step(self, event: Step) -> None: ...


def show(request: Any, *, out: Path | None, as_json: bool) -> None:
    """Run a request and show it. What was finished when the user stops is kept."""
    from fantascope.studio import Studio

    check_out(out)
    made: list[Artifact] = []
    with Studio() as studio, closing(studio.run(request)) as events:  # type: ignore[type-var]
        try:
            for event in _watched(events, as_json, out):
                made.append(event)
                event = _placed(event, out, request.n, len(made))
                _line(event, as_json)
        finally:
            if len(made) > 1:
                _sheet(studio, made, out, as_json)


def _watched(events: Iterator[Any], as_json: bool, out: Path | None) -> Iterator[Artifact]:
    """Pass on artifacts; draw steps."""
    screen: AbstractContextManager[Screen] = nullcontext(_Silent())
    if as_json:
        screen = nullcontext(_Json())
    elif sys.stderr.isatty():
        from fantascope.cli.progress import Bar

        screen = Bar()
    with screen as drawn:
        previews = _Previews(out)
        for event in events:
            if isinstance(event, Step):
                drawn.step(event)
                if event.preview is not None and not hasattr(drawn, "picture"):
                    previews.write(event)
            else:
                yield event


class _Silent:
    def step(self, event: Step) -> None:
        """Nobody looks: a file or a pipe gets only the results."""


class _Json:
    def step(self, event: Step) -> None:
        fields = {"step": event.step, "steps": event.steps, "stage": event.stage, "index": event.index}
        emit("step", fields | {"count": event.count, "total": event.total})


class _Previews:
    """Writes step previews as small PNG files where the terminal cannot show them."""

    def __init__(self, out: Path | None) -> None:
        from fantascope.settings import Settings

        folder = out if out is not None and not out.suffix else Settings.from_env().cache
        self.folder = folder / "previews"

    def write(self, event: Step) -> None:
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        self.folder.mkdir(parents=True, exist_ok=True)
        note = PngInfo()
        note.add_text("Comment", "AI-generated preview of an unfinished picture")
        for k, pixels in enumerate(event.preview):
            path = self.folder / f"picture-{event.index + k:02d}-step-{event.step:03d}.png"
            Image.fromarray(pixels).save(path, pnginfo=note)
            print(path, file=sys.stderr)


def check_out(out: Path | None) -> None:
    """Refuse a place that cannot be written before any work is done."""
    if out is None:
        return
    parent = out.parent if out.suffix else out
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise InvalidValue(f"{parent} is not a folder.", param="out")
    if not os.access(parent, os.W_OK):
        raise StorageError(f"{parent} cannot be written.", param="out", hint="Choose another place with --out.")


def _placed(artifact: Artifact, out: Path | None, n: int | None, number: int) -> Artifact:
    """Copy an artifact to where the user wants it."""
    if out is None:
        return artifact
    one = n is None or n == 1
    if out.suffix and one:
        path = out
    elif out.suffix:
        path = out.with_stem(f"{out.stem}-{number}")
    else:
        seed = artifact.receipt.request.get("seed", 0) if artifact.receipt is not None else 0
        path = out / f"{_slug(artifact)}-{seed}{artifact.suffix}"
    return export(artifact, path)


def export(artifact: Artifact, path: Path) -> Artifact:
    """Write an artifact's bytes to `path`, whole or not at all.

    Raises:
        StorageError: the place cannot be written or is full.
    """
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_bytes(artifact.data)
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise StorageError(
            f"{path} cannot be written: {error.strerror}. The picture is kept in the gallery.",
            hint=f"fantascope gallery export {artifact.id[7:19]} PATH",
        ) from error
    return Artifact(artifact.data, artifact.media_type, artifact.receipt, path, artifact.id)


def _slug(artifact: Artifact) -> str:
    """Make a file name of the prompt: ASCII letters, digits and '-', at most 48 characters."""
    import re
    import unicodedata

    prompt = artifact.receipt.request.get("prompt", "") if artifact.receipt is not None else ""
    if artifact.receipt is not None and artifact.receipt.private:
        prompt = ""
    plain = unicodedata.normalize("NFKD", prompt).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:48].strip("-") or "picture"


def _sheet(studio: Any, made: list[Artifact], out: Path | None, as_json: bool) -> None:
    """Make the contact sheet of several pictures and say where it is."""
    sheet = studio.sheet(made)
    if out is not None:
        name = (
            out.with_stem(f"{out.stem}-sheet").with_suffix(".png")
            if out.suffix
            else out / f"{_slug(made[0])}-sheet.png"
        )
        sheet = export(sheet, name)
    _line(sheet, as_json, kind="sheet")


def _line(artifact: Artifact, as_json: bool, kind: str = "artifact") -> None:
    receipt = artifact.receipt
    assert receipt is not None
    if as_json:
        facts = {"id": artifact.id, "path": str(artifact.path), "receipt": receipt.id, "credits": receipt.cost.credits}
        if kind == "artifact":
            facts |= {"seed": receipt.request["seed"], "seconds": receipt.cost.seconds}
        emit(kind, facts)
    elif kind == "sheet":
        print(f"{artifact.path}  contact sheet", flush=True)
    else:
        print(f"{artifact.path}  seed {receipt.request['seed']}  {receipt.cost.seconds:.1f} s", flush=True)
