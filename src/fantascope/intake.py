"""The first half of resolving: pictures are taken into the gallery, and instructions are read.

It is what turns a request of a person's words into one that holds artifact ids and prompts only.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from fantascope.artifact import Artifact
from fantascope.errors import InvalidPicture, InvalidValue, NotFound, StorageError, UnclearInstruction
from fantascope.request import PICTURE, Cutout, Edit, Erase, Expand, Fill, Request, Turn, Vary
from fantascope.resolve import Given

log = logging.getLogger(__name__)

MOST_BYTES = 64 * 2**20
LONGEST_SHOWN = 200
"""Characters of a name that are shown in a message."""


def take_in(request: Request, gallery: Any, *, files: bool = True) -> tuple[Any, dict[str, Given]]:
    """Return the request with an artifact id for every picture, and what is known of each.

    A picture is a file, whose bytes are kept, or an id (or its first six digits and more) of the gallery; without
    `files`, an id alone, and no name is looked up on the disk.

    Raises:
        NotFound: it is neither.
        InvalidValue: the id fits several pictures, or is too short.
        InvalidPicture: the file is no picture that can be read safely.
    """
    changes: dict[str, Any] = {}
    given: dict[str, Given] = {}
    for name in request.fields_of(PICTURE):
        value = getattr(request, name)
        if value is None:
            continue
        many = isinstance(value, (list, tuple))
        if many and value and isinstance(value[0], BaseModel):
            found = [_taken(str(one.picture), f"{name}.picture", gallery, files) for one in value]
            pairs = zip(value, found, strict=True)
            changes[name] = tuple(one.model_copy(update={"picture": artifact.id}) for one, artifact in pairs)
            continue
        found = [_taken(str(one), name, gallery, files) for one in (value if many else [value])]
        for artifact in found:
            if artifact.id not in given:
                given[artifact.id] = _known(artifact)
        changes[name] = tuple(one.id for one in found) if many else found[0].id
    taken = request.replace(**changes) if changes else request
    _check_mask(taken, given, gallery)
    return taken, given


def _check_mask(request: Any, given: Mapping[str, Given], gallery: Any) -> None:
    """Refuse a mask that does not fit its picture, or a missing one, before anything is loaded.

    Raises:
        InvalidValue: it has another size, marks nothing, or is needed and not there.
    """
    from fantascope.tasks.pixels import open_mask, open_pixels, own_mask

    if getattr(request, "mask", None) is not None:
        known = given[request.picture]
        open_mask(gallery.get(request.mask), (known.width, known.height))
    elif isinstance(request, Fill) or (isinstance(request, Erase) and request.what is None and not request.turns):
        own_mask(open_pixels(gallery.get(request.picture)))


def _taken(ref: str, name: str, gallery: Any, files: bool) -> Artifact:
    path, said = Path(ref), repr(ref if len(ref) <= LONGEST_SHOWN else ref[:LONGEST_SHOWN] + "…")
    try:
        here = files and path.is_file()
    except (OSError, ValueError):
        here = False
    try:
        return gallery.ingest(_bytes(path)) if here else gallery.get(ref)  # type: ignore[no-any-return]
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}.", param=name) from error
    except InvalidPicture as error:
        raise InvalidPicture(f"{path}: {error.message}", param=name, hint=error.hint) from error
    except InvalidValue as error:
        told = f"{said} is no {'file here, and no ' if files else ''}id: {error.message}"
        raise InvalidValue(told, param=name, hint=error.hint) from error
    except NotFound as error:
        why = error.message if len(error.message) <= 2 * LONGEST_SHOWN else "no id is so long."
        missing = "neither a file nor a picture" if files else "no picture"
        told = f"{said} is {missing} of the gallery: {why}"
        raise NotFound(told, param=name, hint="fantascope gallery list" if files else None) from error


def _bytes(path: Path) -> bytes:
    """Read a file, never more of it than a picture may have, whatever its size is said to be."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise InvalidPicture(f"A picture file has at most {MOST_BYTES} bytes; this one has more.")
    return data


def _known(artifact: Artifact) -> Given:
    from fantascope.tasks.pixels import open_pixels

    height, width, channels = open_pixels(artifact).shape
    made = artifact.receipt.request if artifact.receipt is not None else {}
    return Given(width, height, made.get("prompt") or None, channels == 4, made.get("grammar"))


def read_words(
    request: Any,
    given: Mapping[str, Given],
    embed: Callable[[Sequence[str]], Any],
    describe: Callable[[str, str], str],
    ask: Callable[[str, str], Any] | None = None,
    *,
    follows: bool = False,
) -> Any:
    """Return the request with its instruction read: `prompt`, `before` and `turns` say what was understood.

    An expansion is painted by the setting of the picture's prompt, since its things are in the picture already; what is
    to be cut out is painted on a plain background.

    Args:
        describe: Says in a prompt what a picture shows that has none; the words about it help.
        follows: Whether the model itself follows instructions: then none is read here, and it is the prompt.
        ask: Reads an instruction about a prompt that the grammar does not understand, if there is a language model.

    Raises:
        UnclearInstruction: it is not understood, or in two ways; nothing is guessed.
    """
    if isinstance(request, (Expand, Fill, Vary)) and request.prompt is None:
        from fantascope.prompt.setting import setting_of

        own = given[request.picture].words
        shown = own if own else _described(request.picture, describe)
        if isinstance(request, Expand):
            return request.replace(prompt=setting_of(shown)) if shown else request
        return request if own or not shown else request.replace(prompt=shown)
    if isinstance(request, Cutout) and request.picture is None and request.prompt and request.prompt.strip():
        from fantascope.prompt.setting import on_plain

        return request.replace(prompt=on_plain(request.prompt))
    if isinstance(request, Erase) and request.what is not None and request.mask is None:
        words, turns = f"remove {request.what}", None
    elif isinstance(request, Edit) and follows:
        return request.replace(prompt=request.instruction, turns=())
    elif isinstance(request, Edit):
        words, turns = request.instruction, request.turns
    else:
        return request
    if turns is not None:
        return request
    from fantascope.prompt.instruct.read import read_instructions

    before = getattr(request, "before", None) or given[request.picture].words or describe(request.picture, words)
    by = "grammar"
    try:
        readings = read_instructions(words, before, embed)
    except UnclearInstruction as error:
        if ask is None:
            error.param = "what" if isinstance(request, Erase) else error.param
            raise
        readings, by = ask(words, before)
    told = [name for name in Turn.model_fields if name != "by"]
    read = tuple(Turn(**{name: getattr(reading, name) for name in told}, by=by) for reading in readings)
    changes: dict[str, Any] = {"turns": read, "before": before}
    if request.prompt is None:
        changes["prompt"] = read[-1].after
    return request.replace(**changes)


def _described(picture: str, describe: Callable[[str, str], str]) -> str:
    """Return what a picture shows, or nothing where that is not known: painting goes by what is seen then."""
    try:
        return describe(picture, "")
    except InvalidValue:
        return ""


REWORDED = ("imagine", "tile", "blend", "vary", "fill", "cutout")
"""Tasks whose prompt is painted as it was written."""


def known_words(request: Any, spec: Any, embed: Callable[[Sequence[str]], Any], keep: Sequence[str] = ()) -> Any:
    """Return the request with a prompt in words that the checkpoint knows; `said` holds what was written then.

    Only the embedded checkpoint says what it knows; for all others the prompt stays. Every change is logged, and so is
    a thing that is not known: the nearest known name is offered.

    Args:
        spec: The model, or None.
        keep: Words that stay: the trigger words of adapters.
    """
    if spec is None or request.task not in REWORDED or not request.prompt:
        return request
    from fantascope.prompt.known import reword, vocabulary_of

    known = vocabulary_of(spec)
    if known is None:
        return request
    read = reword(request.prompt, known, embed, keep)
    for change in read.changes:
        log.info("%r read as %r: %s, %.2f", change.said, change.read, change.why, change.score)
    for one in read.unknown:
        near = f"; nearest: {', '.join(one.nearest)}" if one.nearest else ""
        log.info("%s does not know %r%s.", spec.name, one.words, near)
    if not read.changes:
        return request
    said = getattr(request, "said", None)
    return request.replace(prompt=read.prompt, said=said if said is not None else request.prompt)
