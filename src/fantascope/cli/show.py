"""Show a run in the terminal: a progress bar, previews, where the files are, or JSON lines."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from typing import Any, Protocol

from fantascope.artifact import Artifact, Step
from fantascope.cli.lines import emit, plain
from fantascope.errors import InvalidValue, StorageError


class Screen(Protocol):
    """Something that shows the steps of a run."""

    def step(self, event: Step) -> None: ...


def show(
    *requests: Any, out: Path | None, as_json: bool, mask_out: Path | None = None, found_out: Path | None = None
) -> None:
    """Run requests one by one and show them. What was finished when the user stops is kept, with a sheet of it.

    Args:
        mask_out: Where to write the mask of an edit; numbered when there are several pictures.
        found_out: Where to write what an annotator found, as JSON.
    """
    from fantascope.studio import Studio

    requests = tuple(check_out(request, out) for request in requests)
    check_out(None, mask_out)
    made: list[Artifact] = []
    with Studio() as studio:
        try:
            for request in requests:
                with closing(studio.run(request)) as events:  # type: ignore[type-var]
                    for artifact in watched(events, as_json, previews=_Previews(request, out)):
                        made.append(artifact)
                        if found_out is not None and artifact.receipt is not None:
                            found_out.write_text((artifact.receipt.found or "{}") + "\n", "utf-8")
                        if mask_out is not None:
                            _write_mask(studio, artifact, mask_out, len(made))
                        many = len(requests) if len(requests) > 1 else request.n
                        _line(artifact, _placed(studio, artifact, out, many, len(made)), as_json)
        except KeyboardInterrupt:
            _sheet(studio, made, out, as_json)
            raise
        _sheet(studio, made, out, as_json)


def watched(events: Iterator[Any], as_json: bool, previews: _Previews | None = None) -> Iterator[Any]:
    """Draw steps; pass on everything else."""
    screen: AbstractContextManager[Screen] = nullcontext(_Silent())
    if as_json:
        screen = nullcontext(_Json())
    elif sys.stderr.isatty():
        from fantascope.cli.progress import Bar

        screen = Bar()
    with screen as drawn:
        for event in events:
            if not isinstance(event, Step):
                yield event
                continue
            drawn.step(event)
            if event.preview is not None and previews is not None and not getattr(drawn, "pictures", False):
                previews.write(event)


class _Silent:
    def step(self, event: Step) -> None:
        """Nobody looks: a file or a pipe gets only the results."""


class _Json:
    def step(self, event: Step) -> None:
        fields = {"step": event.step, "steps": event.steps, "stage": event.stage, "index": event.index}
        emit("step", fields | {"count": event.count, "total": event.total})


class _Previews:
    """Writes step previews as small PNG files where the terminal cannot show them, in a folder of this run's own."""

    def __init__(self, request: Any, out: Path | None) -> None:
        from fantascope.settings import Settings

        beside = out if out is not None and out.suffix not in FORMATS else None
        self.folder = (beside if beside is not None else Settings.from_env().cache) / "previews"
        self.told = False
        self.run = f"{os.getpid():d}"

    def write(self, event: Step) -> None:
        """Write the previews of one step and say where; of a private picture, or an edit of one, none are written."""
        if event.private:
            if not self.told:
                print("Previews of a private picture are not written to files.", file=sys.stderr)
            self.told = True
            return
        from PIL import Image
        from PIL.PngImagePlugin import PngInfo

        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            note = PngInfo()
            note.add_text("Comment", "AI-generated preview of an unfinished picture")
            for k, pixels in enumerate(event.preview):
                path = self.folder / f"run-{self.run}-picture-{event.index + k:02d}-step-{event.step:03d}.png"
                Image.fromarray(pixels).save(path, pnginfo=note)
                print(path, file=sys.stderr)
        except OSError as error:
            raise StorageError(f"{self.folder} cannot be written: {error.strerror}.", param="preview") from error


FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}
"""File endings that name a picture; any other `--out` is a folder."""


def check_out(request: Any, out: Path | None) -> Any:
    """Refuse a place that cannot be written before any work is done; the ending of a file names the format.

    Raises:
        InvalidValue: the ending and `--format` disagree, or a part of the path is a file.
        StorageError: the place cannot be written.
    """
    if out is None:
        return request
    named = FORMATS.get(out.suffix.lower()) if not out.is_dir() else None
    parent = out.parent if named is not None else out
    while not parent.exists() and parent != parent.parent:
        parent = parent.parent
    if not parent.is_dir():
        raise InvalidValue(f"{parent} is not a folder.", param="out")
    if not os.access(parent, os.W_OK):
        raise StorageError(f"{parent} cannot be written.", param="out", hint="Choose another place with --out.")
    if named is None or request is None or request.format == named:
        return request
    if request.format is not None:
        raise InvalidValue(f"--out {out.name} is a {named} file, but --format says {request.format}.", param="out")
    return request.replace(format=named)


def place(studio: Any, artifact: Artifact, path: Path) -> Path:
    """Copy an artifact out of the gallery to exactly `path`, whole or not at all, and return where it is.

    Raises:
        StorageError: the place cannot be written or is full; the picture stays in the gallery.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return studio.gallery.export(artifact.id, path, overwrite=True)  # type: ignore[no-any-return]
    except (OSError, StorageError) as error:
        why = getattr(error, "strerror", None) or getattr(error, "message", "")
        raise StorageError(
            f"{path} cannot be written: {why}. The picture is kept in the gallery.",
            param="out",
            hint=f"fantascope gallery export {artifact.id[7:19]} PATH",
        ) from error


def _placed(studio: Any, artifact: Artifact, out: Path | None, n: int | None, number: int) -> Path | None:
    """Copy an artifact to where the user wants it: the file they named, numbered when there are several, or a
    folder, where its name is made of prompt, seed and receipt, so that no other picture is overwritten."""
    if out is None:
        return artifact.path
    assert artifact.receipt is not None
    if out.suffix.lower() in FORMATS and not out.is_dir():
        return place(studio, artifact, out if n is None or n == 1 else out.with_stem(f"{out.stem}-{number}"))
    seed, name = artifact.receipt.request["seed"], artifact.receipt.id[:6]
    return place(studio, artifact, out / f"{_slug(artifact)}-{seed}-{name}{artifact.suffix}")


def _write_mask(studio: Any, artifact: Artifact, path: Path, number: int) -> None:
    """Write the mask of an edit; one that changed every pixel has none, and that is said."""
    assert artifact.receipt is not None
    if artifact.receipt.kept is None:
        print("No mask: every pixel may have changed.", file=sys.stderr)
        return
    place(
        studio,
        studio.gallery.get(artifact.receipt.kept.mask),
        path if number == 1 else path.with_stem(f"{path.stem}-{number}"),
    )


def _slug(artifact: Artifact) -> str:
    """Make a file name of the prompt: letters and digits of any script and '-', at most 48 characters."""
    receipt = artifact.receipt
    prompt = "" if receipt is None or receipt.private else str(receipt.request.get("prompt", ""))
    plain = unicodedata.normalize("NFKC", prompt).lower()
    return re.sub(r"[\W_]+", "-", plain).strip("-")[:48].strip("-") or "picture"


def _sheet(studio: Any, made: list[Artifact], out: Path | None, as_json: bool) -> None:
    """Make the contact sheet of several pictures and say where it is."""
    if len(made) < 2:
        return
    sheet = studio.sheet(made)
    path = sheet.path
    if out is not None and out.suffix.lower() in FORMATS and not out.is_dir():
        path = place(studio, sheet, out.with_stem(f"{out.stem}-sheet").with_suffix(".png"))
    elif out is not None:
        path = place(studio, sheet, out / f"{_slug(made[0])}-sheet-{sheet.receipt.id[:6]}.png")
    _line(sheet, path, as_json, kind="sheet")


def _line(artifact: Artifact, path: Path | None, as_json: bool, kind: str = "artifact") -> None:
    receipt = artifact.receipt
    assert receipt is not None
    if as_json:
        facts = {"id": artifact.id, "path": str(path), "receipt": receipt.id, "credits": receipt.cost.credits}
        if kind == "artifact":
            facts |= {"seed": receipt.request["seed"], "seconds": receipt.cost.seconds}
            if receipt.kept is not None:
                facts["kept"] = receipt.kept.model_dump(mode="json")
        emit(kind, facts)
    elif kind == "sheet":
        print(f"{path}  contact sheet", flush=True)
    else:
        for turn in receipt.request.get("turns") or ():
            print(f"understood: {turn['said']}", file=sys.stderr)
        if receipt.request.get("said") is not None:
            from fantascope.prompt.known import told

            print(plain(told(receipt.request["said"], receipt.request["prompt"]), 4000), file=sys.stderr)
        print(f"{path}  seed {receipt.request['seed']}  {receipt.cost.seconds:.1f} s", flush=True)
