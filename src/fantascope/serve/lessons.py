"""Lessons as jobs: photos become files of the job, the lesson is followed, and what it leaves is cleared away.

A lesson's folder is `FANTASCOPE_HOME/jobs/lessons/JOB`. It holds the photos, the state that a killed server goes on
from, the loss of every step and the sheets of fixed prompts. It goes when the lesson is done or was cancelled; that of
one that failed stays until it is tried again or forgotten. What was made is written to `taught.json` there before the
job ends, so that an adapter is added once, whatever dies.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Collection
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from fantascope.errors import InvalidPicture, NotFound, StorageError
from fantascope.serve.job import Left
from fantascope.serve.places import nowhere

if TYPE_CHECKING:
    from fantascope.personal.asked import Personalise
    from fantascope.personal.enrol import Enrolled, Examined
    from fantascope.personal.lesson import Lesson
    from fantascope.personal.photos import Source
    from fantascope.studio import Studio

Tell = Callable[[dict[str, Any], Any], None]
"""Takes the facts of a step, and a preview `(1, h, w, 3)` uint8 or None."""
Halt = Callable[[], Literal["", "cancelled", "paused", "leaving"]]
"""Says why a lesson has to stop, if it has to."""

TASK = "personalise"
TAUGHT = "taught.json"
LEARNING = "learning"
"""Stage of the steps of the training itself."""
SHOWN = 640
"""Longest side of a sheet in an event, pixels."""
POINTS = 200
"""Most points of the curve of the loss that is told."""
MOST_NOTES = 20
MEGAPIXELS = 250
"""Most of all photos of a request together: they are looked at side by side, in memory."""
ALBUMS = threading.Semaphore(1)
"""Requests whose photos are looked at at a time."""


class Lessons:
    """The lessons of a server.

    Args:
        folder: Of all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def folder(self, job: str) -> Path:
        """Return the folder of a job's lesson, which need not be there."""
        return self._folder / job

    # Before

    def enrol(
        self, request: Personalise, account: str, studio: Studio, taken: Collection[str]
    ) -> tuple[Personalise, Enrolled, float]:
        """Check a lesson and price it; nothing is made. Returns the request with the ids of its photos in full.

        Args:
            taken: Names of subjects that other lessons are about to make.

        Raises:
            FantascopeError: as `personal.enrol.enrol`.
        """
        from fantascope.personal.enrol import enrol, price

        lesson, sources = request.lesson(owner=account), sources_of(request, studio)
        whole = request.replace(photos=tuple(studio.gallery.entry(ref).id for ref in request.photos))
        with ALBUMS:
            enrolled = enrol(lesson, studio, sources, taken)
        return whole, enrolled, price(enrolled.lesson, enrolled.spec, studio)

    def examine(self, request: Personalise, account: str, studio: Studio, taken: Collection[str]) -> Examined:
        """Say of each photo whether it will do, and what else would be refused. Raises as `personal.enrol.examine`."""
        from fantascope.personal.enrol import examine

        lesson, sources = request.lesson(owner=account), sources_of(request, studio)
        with ALBUMS:
            return examine(lesson, studio, sources, taken)

    def keep(self, job: str, request: Personalise, studio: Studio, begun: str | None = None) -> None:
        """Write the photos where the lesson will find them, whatever happens to the gallery meanwhile.

        Args:
            begun: A job that failed with the same request: its state is taken over.

        Raises:
            StorageError: disk full or read-only.
        """
        photos = self.folder(job) / "photos"
        try:
            photos.mkdir(mode=0o700, parents=True)
            for k, source in enumerate(sources_of(request, studio)):
                (photos / f"{k:04d}.png").write_bytes(source.read())
                if source.caption.strip():
                    (photos / f"{k:04d}.txt").write_text(source.caption, "utf-8")
            old = None if begun is None else self.folder(begun) / "run"
            if old is not None and old.is_dir():
                old.rename(self.folder(job) / "run")
        except OSError as error:
            raise StorageError(f"{photos} cannot be written: {error.strerror}.") from error

    # During

    def follow(self, job: str, request: Personalise, account: str, studio: Studio, tell: Tell, halt: Halt) -> Any:
        """Give a lesson, or go on with it.

        Returns:
            What was made, as plain data; `"cancelled"` or `"paused"` where `halt` said so.

        Raises:
            Left: the server is about to stop; what was saved is there at its next start.
            FantascopeError: as `personal.teach.teach`.
        """
        place = self.folder(job)
        if (place / TAUGHT).is_file():
            return json.loads((place / TAUGHT).read_text("utf-8"))
        lesson = request.lesson(
            photos=(place / "photos",), run=place / "run", out=None, report=1, owner=account, ticket=job
        )
        return self._given(place, lesson, studio, tell, halt)

    def _given(self, place: Path, lesson: Lesson, studio: Studio, tell: Tell, halt: Halt) -> Any:
        from fantascope.personal.photos import source_of
        from fantascope.personal.teach import Note, Sheet, Taught, teach

        notes, facts = list[str](), dict[str, Any]()
        sheet: int | None = next(reversed(self.sheets(place.name)), None)
        photos = sorted((place / "photos").glob("*.png"))
        sources = [source_of(path, f"photo {k + 1}") for k, path in enumerate(photos)]
        with closing(teach(lesson, studio, sources)) as events:  # type: ignore[type-var]
            for event in events:
                why = halt()
                if isinstance(event, Taught):
                    told = _made(event, lesson, self.curve(place.name), notes)
                    _written(place / TAUGHT, told)
                    return told
                if why == "leaving":
                    raise Left
                if why:
                    return why
                preview = None
                if isinstance(event, Note):
                    notes.append(nowhere(event.text, studio.settings.home))
                    continue
                if isinstance(event, Sheet):
                    sheet, preview = event.step, _preview(event.path)
                else:
                    facts = _facts(event)
                tell(facts | {"sheet": sheet}, preview)
        raise AssertionError("a lesson ends with what it taught")

    # After

    def drop(self, job: str) -> None:
        """Clear everything away that a lesson left."""
        shutil.rmtree(self.folder(job), ignore_errors=True)

    def trim(self, job: str) -> None:
        """Clear away what is not needed once a lesson is done; what it taught stays until the job is written down."""
        for part in ("photos", "run"):
            shutil.rmtree(self.folder(job) / part, ignore_errors=True)

    def sweep(self, wanted: Callable[[str], bool]) -> None:
        """Clear the folders away of jobs that are not wanted any more."""
        for folder in list(self._folder.iterdir()) if self._folder.is_dir() else []:
            if not wanted(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def sheets(self, job: str) -> list[int]:
        """Return the steps of which there is a sheet, rising."""
        found = (self.folder(job) / "run" / "pictures").glob("*.png")
        return sorted(int(path.stem) for path in found if path.stem.isdigit())

    def sheet(self, job: str, step: int) -> bytes:
        """Return the sheet of a step, a PNG.

        Raises:
            NotFound: there is none; those of a lesson that is over are gone.
        """
        path = self.folder(job) / "run" / "pictures" / f"{step:07d}.png"
        try:
            return path.read_bytes()
        except OSError:
            raise NotFound(f"There is no sheet of step {step}.", param="step") from None

    def curve(self, job: str) -> list[tuple[int, float]]:
        """Return the loss by step, so many steps in one point that there are few points."""
        path = self.folder(job) / "run" / "log.jsonl"
        try:
            rows = [json.loads(row) for row in path.read_text("utf-8").splitlines(keepends=True) if row.endswith("\n")]
        except OSError:
            return []
        each = max(1, -(-len(rows) // POINTS))
        parts = [rows[at : at + each] for at in range(0, len(rows), each)]
        return [(part[-1]["step"], sum(row["loss"] for row in part) / len(part)) for part in parts]


def sources_of(request: Personalise, studio: Studio) -> list[Source]:
    """Return the photos of a request: pictures of the asker's gallery, called by their numbers.

    Raises:
        NotFound: one is not there, or is another's.
        InvalidPicture: they are too large together.
    """
    from fantascope.personal.photos import Source

    entries = [studio.gallery.entry(ref) for ref in request.photos]
    sizes = [(entry.width, entry.height) for entry in entries]
    whole = sum(wide * high for wide, high in sizes if wide is not None and high is not None) / 1e6
    if whole > MEGAPIXELS:
        raise InvalidPicture(
            f"The photos have {whole:.0f} megapixels together; a server takes {MEGAPIXELS}.",
            param="photos",
            hint="Make them smaller: a model sees no more than some hundred pixels a side.",
        )
    said = request.captions or ("",) * len(request.photos)
    return [
        Source(f"photo {k + 1}", partial(_bytes, studio, ref), " ".join(text.split()))
        for k, (ref, text) in enumerate(zip(request.photos, said, strict=True))
    ]


def _bytes(studio: Studio, ref: str) -> bytes:
    return studio.gallery.get(ref).data


def _facts(event: Any) -> dict[str, Any]:
    """Say how far a lesson is, in the words that steps of pictures have."""
    from fantascope.personal.teach import Progress

    whole = {"index": 0, "count": 1, "total": 1}
    if isinstance(event, Progress):
        return {"step": event.done, "steps": max(1, event.total), "stage": event.stage, **whole}
    return {"step": event.step, "steps": event.steps, "stage": LEARNING, "loss": event.loss, **whole}


def _made(event: Any, lesson: Lesson, curve: list[tuple[int, float]], notes: list[str]) -> dict[str, Any]:
    """What is told of a lesson that is done: no path of this machine."""
    return {
        "name": event.name,
        "kind": event.kind,
        "trigger": f"{lesson.name} {lesson.kind}",
        "bytes": event.bytes,
        "samples": event.samples,
        "seconds": round(event.seconds, 1),
        "loss": curve[-1][1] if curve else None,
        "notes": list(dict.fromkeys(notes))[:MOST_NOTES],
    }


def _written(path: Path, told: dict[str, Any]) -> None:
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8") as file:
        json.dump(told, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _preview(path: Path) -> Any:
    import numpy as np
    from PIL import Image

    with Image.open(path) as picture:
        small = picture.convert("RGB")
        small.thumbnail((SHOWN, SHOWN))
        return np.asarray(small)[None]
