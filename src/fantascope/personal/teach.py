"""A lesson from photos to an adapter: checked, captioned, trained, painted, kept. A generator, like all work here."""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fantascope.engines.weights import open_place
from fantascope.errors import MissingExtra
from fantascope.personal.beside import side_by_side, thing_prompts
from fantascope.personal.enrol import enrol, run_of
from fantascope.personal.lesson import LEARNT_FROM_PHOTOS, Lesson
from fantascope.personal.names import captions, own_caption
from fantascope.personal.photos import Album, Source, cut_out, fitted, variants
from fantascope.personal.prior import class_prompts, painted
from fantascope.prompt.english import with_article
from fantascope.spec import Spec


@dataclass(frozen=True)
class Note:
    """Something a person should know."""

    text: str


@dataclass(frozen=True)
class Progress:
    """How far a stage before the training is."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Learning:
    """How far the training is: mean loss since the last event, pictures a second, whether it was just saved."""

    step: int
    steps: int
    loss: float
    rate: float
    saved: bool
    figures: dict[str, float]


@dataclass(frozen=True)
class Sheet:
    """A picture of fixed prompts, painted on the way or at the end."""

    step: int
    path: Path


@dataclass(frozen=True)
class Taught:
    """The end of a lesson: what was made, and where it is.

    Attributes:
        name: Of the adapter, or of the model that DreamBooth made.
        kind: adapter or model.
        path: Its file, or its folder.
        bytes: What it takes.
        sheet: The sample grid.
        samples: Artifact id of the grid that the studio painted and sealed; None if it painted none.
        seconds: What the lesson took this time.
        advice: What to type next.
    """

    name: str
    kind: str
    path: Path
    bytes: int
    sheet: Path | None
    samples: str | None
    seconds: float
    advice: tuple[str, ...]


Event = Any
"""A `Note`, `Progress`, `Learning`, `Sheet` or `Taught`."""

Told = tuple[Any, tuple[str, ...], tuple[float, ...]]
"""A picture (H, W, 3) uint8 of a bucket, its captions, and the six numbers that SDXL is told (`photos.fitted`)."""


def teach(lesson: Lesson, studio: Any, sources: Sequence[Source] | None = None) -> Iterator[Event]:
    """Teach a base a subject; the same lesson goes on where one was stopped, to the same bytes.

    Args:
        lesson: What to do.
        studio: A `fantascope.Studio`: its catalogue, engines, policy and gallery are used.
        sources: The photos, where messages shall not call them by their paths.

    Yields:
        See `Event`; the last is `Taught`. To stop is to close the generator.

    Raises:
        RequestError: The lesson is wrong; nothing was made.
        LicenceMissing: Licence or consent is missing, or photos show people of whom nothing is said.
        PolicyRefused: A rule refused its words or its photos.
        ModelError: The base is not here, or cannot be taught.
        StorageError: The disk is full; what was saved before is kept.
    """
    started = time.perf_counter()
    yield Progress("looking at the photos", 0, 1)
    enrolled = enrol(lesson, studio, sources)
    lesson, spec, album = enrolled.lesson, enrolled.spec, enrolled.album
    yield Progress("looking at the photos", 1, 1)
    yield from (Note(text) for text in enrolled.notes)
    run = run_of(lesson, studio)
    try:
        from fantascope.personal import school
    except ImportError as error:
        raise MissingExtra("Teaching a subject", "torch") from error
    if lesson.restart and run.is_dir():
        shutil.rmtree(run)
    own, told = shots(album, spec, lesson)
    classes: list[tuple[Any, str]] = []
    if lesson.prior and lesson.class_pictures:
        prompts = class_prompts(lesson.kind, lesson.class_pictures, spec.family in LEARNT_FROM_PHOTOS)
        for classes in painted(studio, spec, _weights(spec, studio), prompts):
            yield Progress(f"pictures of {with_article(lesson.kind)}", len(classes), len(prompts))
    own += yield from _companions(album, spec, lesson, studio)
    facts = {
        "trigger": lesson.name,
        "class": lesson.kind,
        "method": lesson.method,
        "base": spec.name,
        "licence": lesson.licence,
        "consent": lesson.consent,
        **({"people": lesson.people.strip()} if lesson.people.strip() else {}),
        "people_seen": "nobody looked" if enrolled.people is None else enrolled.people,
        "photos": [photo.sha256 for photo in album.photos],
        "captions": told,
    }
    yield from school.run_lesson(lesson, spec, studio, run, own, classes, facts, started)


def shots(album: Album, spec: Spec, lesson: Lesson) -> tuple[list[Told], int]:
    """The pictures to learn from, captioned, in their buckets; and how many captions somebody wrote."""
    photos, made, told = spec.family in LEARNT_FROM_PHOTOS, [], 0
    for photo in album.photos:
        told += bool(photo.caption)
        made_of = variants(photo, _each(lesson, album), lesson.seed)
        for pixels, ground in made_of:
            if photo.caption:
                said: tuple[str, ...] = (own_caption(photo.caption, lesson.name, lesson.kind, ground, made_of[0][1]),)
            else:
                said = captions(lesson.name, lesson.kind, ground, photos=photos)
            ready, size = fitted(pixels, spec.sizes)
            made.append((ready, said, size))
    return made, told


def _companions(album: Album, spec: Spec, lesson: Lesson, studio: Any) -> Generator[Event, None, list[Told]]:
    """Pictures of the subject beside other things, if it can be cut out of a photo."""
    subjects = [thing for photo in album.photos if (thing := cut_out(photo)) is not None] if lesson.companions else []
    if not subjects or not lesson.companions:
        return []
    prompts, things = thing_prompts(lesson.kind, lesson.companions), list[tuple[Any, str]]()
    for things in painted(studio, spec, _weights(spec, studio), prompts):
        yield Progress("things to stand beside it", len(things), len(prompts))
    made = side_by_side(subjects, things, f"{lesson.name} {lesson.kind}", spec.sizes.native, lesson.seed)
    return [(pixels, said, fitted(pixels, spec.sizes)[1]) for pixels, said in made]


def _each(lesson: Lesson, album: Album) -> int:
    """How many pictures are made of each photo: fewer of many photos."""
    most = lesson.variants if lesson.variants is not None else 1
    return max(1, min(most, 144 // len(album.photos)))


def _weights(spec: Spec, studio: Any) -> str:
    """A hash over the base's weights: those its Spec pins, or those that are there."""
    from fantascope.engines.weights import sha256

    place = open_place(spec.source, studio.settings)
    pins = dict(spec.weights)
    if not pins:
        files = [place.root] if place.single else sorted(place.root.rglob("*.safetensors"))
        pins = {file.name: sha256(file, studio.settings) for file in files}
    return hashlib.sha256(json.dumps(sorted(pins.items())).encode()).hexdigest()


__all__ = ["Learning", "Note", "Progress", "Sheet", "Taught", "teach"]
