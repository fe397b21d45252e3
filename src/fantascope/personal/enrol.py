"""Before a lesson: everything about it is checked, and nothing is made. Surfaces and the lesson itself ask here."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec as find_module
from pathlib import Path
from typing import Any

from fantascope.adapter import Adapter, collection
from fantascope.errors import AccessDenied, FantascopeError, LicenceMissing, MissingExtra, PolicyRefused
from fantascope.personal.lesson import Lesson, Words, resolved
from fantascope.personal.names import check_class, check_name
from fantascope.personal.people import check_people
from fantascope.personal.photos import Album, Finding, Photo, Source, album_of, look_through, read_album
from fantascope.prompt.english import with_article
from fantascope.request import Imagine
from fantascope.spec import Spec, find_spec

STATE = "state.safetensors"
"""What a run folder holds until its lesson is over."""


@dataclass(frozen=True)
class Enrolled:
    """A lesson that may be given.

    Attributes:
        lesson: Every option of it filled in.
        spec: Of the base.
        album: The photos that are used.
        people: How many of them show somebody, None where nobody could look.
        notes: What a person should know.
    """

    lesson: Lesson
    spec: Spec
    album: Album
    people: int | None
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Examined:
    """What was found of photos and words that somebody is still putting together.

    Attributes:
        findings: Of each photo: name, verdict and why. Beside those of `photos.Finding` the verdicts are `refused`, by
            a rule, and `person`, somebody is seen of whom nothing was said.
        notes: What a person should know.
        problems: What would be refused, each once.
        lesson: Every option filled in, None where that cannot be.
        credits: What it would cost, None where nobody can say.
    """

    findings: tuple[tuple[str, str, str], ...]
    notes: tuple[str, ...]
    problems: tuple[FantascopeError, ...]
    lesson: Lesson | None
    credits: float | None


def base_of(lesson: Lesson, studio: Any) -> Spec:
    """Return the Spec that a lesson teaches; raises `UnknownName` where there is none."""
    return find_spec(lesson.base if lesson.base is not None else studio.settings.model, studio.specs)


def run_of(lesson: Lesson, studio: Any) -> Path:
    """Return the folder of a lesson's state, log and sheets."""
    return lesson.run if lesson.run is not None else Path(studio.settings.home) / "lessons" / lesson.name


def enrol(
    lesson: Lesson, studio: Any, sources: Sequence[Source] | None = None, taken: Collection[str] = ()
) -> Enrolled:
    """Check a lesson: its options, photos and words, what the rules say of them, and who is seen.

    Args:
        studio: A `fantascope.Studio`.
        sources: The photos, where they are no files.
        taken: Names that are spoken for, beside those of adapters and models.

    Raises:
        As `teach.teach`, before anything is made.
    """
    spec = base_of(lesson, studio)
    lesson = resolved(lesson, spec)
    may_teach(lesson, studio)
    if sources is None:
        album = read_album(lesson.photos, spec.sizes, skip_unreadable=lesson.skip_unreadable)
    else:
        album = album_of(sources, spec.sizes, skip_unreadable=lesson.skip_unreadable)
    check_name(lesson.name, _taken(lesson, studio, album, taken))
    lesson = replace(lesson, kind=check_class(lesson.kind, spec, studio.embed))
    _judge_words(lesson, spec, album, studio)
    for photo in album.photos:
        _judge_photo(photo, studio)
    people, told = check_people(album.photos, studio.settings.home / "annotators", lesson.people)
    count = f"{len(album.photos)} photo{'s' * (len(album.photos) != 1)} of {lesson.name}, {with_article(lesson.kind)}"
    return Enrolled(lesson, spec, album, people, (told, *album.notes, count))


def examine(lesson: Lesson, studio: Any, sources: Sequence[Source], taken: Collection[str] = ()) -> Examined:
    """Say of each photo whether it will do, and what else would be refused; the words are judged by `enrol` alone.

    Args:
        As `enrol`.

    Raises:
        UnknownName: there is no such base.
        BrokenModelFile: a detector's file is another one.
    """
    spec = base_of(lesson, studio)
    album = look_through(sources, spec.sizes)
    problems, findings = list[FantascopeError](), {one.name: one for one in album.findings}
    filled = _tried(lambda: resolved(lesson, spec), problems)
    checks: list[Callable[[], Any]] = [
        lambda: may_teach(lesson, studio),
        lambda: check_name(lesson.name, _taken(lesson, studio, album, taken)),
    ]
    if sources:
        checks.append(lambda: album_of(sources, spec.sizes, skip_unreadable=lesson.skip_unreadable))
    for check in checks:
        _tried(check, problems)
    kind = _tried(lambda: check_class(lesson.kind, spec, studio.embed), problems)
    known = filled is not None and kind is not None
    credits = _tried(lambda: price(replace(filled, kind=kind), spec, studio), problems) if known else None
    told = {name: (name, str(one.verdict), one.text) for name, one in findings.items()}
    for photo in album.photos:
        try:
            _judge_photo(photo, studio)
        except PolicyRefused as error:
            problems.append(error)
            told[photo.name] = (photo.name, "refused", error.message)
    said = _people(album.photos, studio, lesson.people, told, problems)
    return Examined(tuple(told.values()), (*said, *album.notes), tuple(problems), filled, credits)


def installed() -> bool:
    """Say whether what trains is installed here."""
    return all(find_module(name) is not None for name in ("torch", "diffusers"))


def may_teach(lesson: Lesson, studio: Any) -> None:
    """Pass where this installation can teach, and this account may.

    Raises:
        MissingExtra: torch is not installed.
        AccessDenied: DreamBooth makes a model of the installation, for who runs it.
    """
    if not installed():
        raise MissingExtra("Teaching a subject", "torch")
    if lesson.method == "dreambooth" and studio.settings.guest:
        raise AccessDenied(
            "DreamBooth makes a whole model of this installation, so it is for who runs it.",
            param="method",
            hint="lora and textual-inversion make an adapter of your own.",
        )


def price(lesson: Lesson, spec: Spec, studio: Any) -> float:
    """Return what a lesson costs, credits: its sample pictures; the training is free."""
    if lesson.method == "dreambooth" or not lesson.samples > 0:
        return 0.0
    asked = Imagine(prompt=with_article(lesson.kind), model=spec.name)
    return float(lesson.samples * studio.quote(studio.resolve(asked, typed=False), 1))


def is_of(adapter: Adapter | None, lesson: Lesson, photos: Sequence[str]) -> bool:
    """Say whether an adapter is what this lesson made: its owner, its word, its method and the hashes of its photos."""
    if adapter is None or adapter.owner != lesson.owner:
        return False
    told = {"trigger": lesson.name, "method": lesson.method, "photos": json.dumps(list(photos))}
    return all(adapter.metadata.get(name) == value for name, value in told.items())


def _taken(lesson: Lesson, studio: Any, album: Album, also: Collection[str]) -> set[str]:
    """Names that a subject cannot have. A name is the installation's: it is taken, whoever owns what has it."""
    done = collection(studio.settings.adapters)
    stopped = (run_of(lesson, studio) / STATE).is_file()
    if stopped and is_of(done.get(lesson.name), lesson, [photo.sha256 for photo in album.photos]):
        del done[lesson.name]  # this lesson was stopped while its samples were painted
    return {*done, *studio.specs, *also}


def _tried(check: Callable[[], Any], problems: list[FantascopeError]) -> Any:
    try:
        return check()
    except FantascopeError as error:
        problems.append(error)
        return None


def _people(
    photos: list[Photo],
    studio: Any,
    said: str,
    told: dict[str, tuple[str, str, str]],
    problems: list[FantascopeError],
) -> tuple[str, ...]:
    """Look for people, photo by photo; note in `told` who shows some of whom nothing is said."""
    weights, notes = studio.settings.home / "annotators", list[str]()
    for photo in photos:
        try:
            _, note = check_people([photo], weights, said)
        except LicenceMissing as error:
            problems.append(error)
            told[photo.name] = (photo.name, "person", error.message)
            continue
        notes.append(note)
    return tuple(dict.fromkeys(notes))


def _judge_words(lesson: Lesson, spec: Spec, album: Album, studio: Any) -> None:
    """Have the studio's policy judge the words and the licence of the base."""
    captions = [photo.caption for photo in album.photos if photo.caption]
    texts = (with_article(f"{lesson.name} {lesson.kind}"), *captions, *([lesson.people] if lesson.people else []))
    studio.judge(Words(name=lesson.name, kind=lesson.kind, texts=texts, consent=lesson.consent), spec)


def _judge_photo(photo: Photo, studio: Any) -> None:
    try:
        studio.look_at([photo.flat])
    except PolicyRefused as error:
        error.message, error.param = f"{photo.name}: {error.message}", "photos"
        raise


__all__ = ["STATE", "Enrolled", "Examined", "Finding", "enrol", "examine", "is_of", "may_teach", "price", "run_of"]
