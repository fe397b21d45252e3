"""What a lesson is asked to do, and what it does where nothing was said: the defaults of base and method."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal

from fantascope.errors import InvalidValue, LicenceMissing, UnknownName, Unsupported
from fantascope.personal.asked import METHODS, OPTIMISERS, PRECISIONS, TARGETS
from fantascope.request import Request, Text
from fantascope.spec import Spec

_LESSON: dict[str, Any] = {"ema": 0.0, "warmup": 20, "cooldown": 0.3, "decay": 0.0, "gamma": 0.0, "dropped": 0.0}
_LESSON |= {"lean": 1.0, "optimiser": "adamw", "variants": 1, "prior": 1.0, "text": False}
_LESSON |= {"companions": 0}
_PHOTOS: dict[str, Any] = _LESSON | {"batch": 1, "class_batch": 1, "class_pictures": 100, "pictures": 100, "save": 100}
_DRAWN: dict[str, Any] = _LESSON | {"batch": 4, "class_batch": 2, "class_pictures": 24, "pictures": 100, "save": 50}
_DRAWN |= {"variants": 5, "companions": 16}
_LORA: dict[str, Any] = {"targets": "attention", "rank": 16, "dropout": 0.0, "dora": False}

LESSONS: dict[str, dict[str, dict[str, Any]]] = {
    "embedded": {
        "lora": _DRAWN | _LORA | {"targets": "all", "steps": 600, "rate": 3e-3, "optimiser": "muon", "cooldown": 0.4},
        "dreambooth": _DRAWN | {"steps": 300, "rate": 1.5e-3, "optimiser": "muon", "cooldown": 0.4},
        "textual-inversion": _DRAWN
        | {"tokens": 16, "steps": 600, "rate": 1e-2, "prior": 0.0, "class_pictures": 0, "companions": 0},
    },
    "sd1": {
        "lora": _PHOTOS | _LORA | {"steps": 800, "rate": 1e-4},
        "dreambooth": _PHOTOS | {"steps": 400, "rate": 5e-6, "decay": 0.01},
        "textual-inversion": _PHOTOS | {"tokens": 2, "steps": 2000, "rate": 5e-3, "prior": 0.0, "class_pictures": 0},
    },
}
LESSONS |= {"sd2": LESSONS["sd1"], "sdxl": LESSONS["sd1"]}
"""Family -> method of teaching a subject -> what fills the options that were not given."""

LEARNT_FROM_PHOTOS = ("sd1", "sd2", "sdxl")
"""Families whose captions say `a photo of`."""


class Words(Request):
    """The words of a lesson, as policy judges them; the photos are judged as pixels."""

    task: Literal["personalise"] = "personalise"
    name: Text
    kind: Text
    texts: tuple[Text, ...] = ()
    consent: Text


@dataclass(frozen=True)
class Lesson:
    """A subject to teach. None is "not given": the default of the base and the method is taken.

    Attributes:
        photos: Files and folders.
        name, kind: The word for the subject, and its class.
        licence, consent: Of what is made: an SPDX id, and who said yes to it, in a sentence.
        people: Who is shown in the photos and agrees, in a sentence; asked for where somebody is seen in them.
        method: lora, dreambooth or textual-inversion.
        base: Name of a model.
        targets, rank, alpha, dropout, text, dora: Of LoRA: which layers (attention, all-linear, all), how much, whether
            the text encoders change, too, and whether a magnitude of every output is learnt (DoRA).
        tokens: Of textual inversion: vectors that stand for the word.
        steps, batch, rate, ema, warmup, cooldown, decay, seed: Of the training.
        prior, class_pictures, class_batch: Weight, number and share a step of the pictures of the class.
        variants: Pictures made of each photo on a plain ground, itself included.
        companions: Pictures made of the subject beside other things that the base paints, if it can be cut out.
        lean, gamma, dropped: See `train.personal.learn.PersonalConfig`.
        optimiser: adamw, muon or adamw8bit.
        precision: Of the computation: bf16 (autocast) or fp32; what the device is quicker in if not given.
        checkpointing: Less memory, more time.
        device: cpu, cuda …
        run: Folder of state, log and sheets.
        out: Folder for a DreamBooth checkpoint.
        pictures, save, report: Steps between two sheets, saves and lines.
        samples: Pictures of the sealed grid that the adapter's record names, at most 8; 0 paints none.
        skip_unreadable, restart: Go on without broken photos; begin anew where a run was stopped.
        owner: Account whose adapter it becomes; empty makes it everybody's of the installation.
        ticket: Name of the job that it is: what was painted under it is paid once, however often it is begun again.
    """

    photos: tuple[Path, ...]
    name: str
    kind: str
    licence: str = ""
    consent: str = ""
    people: str = ""
    method: str = "lora"
    base: str | None = None
    targets: str | None = None
    rank: int | None = None
    alpha: float | None = None
    dropout: float | None = None
    text: bool | None = None
    dora: bool | None = None
    tokens: int | None = None
    steps: int | None = None
    batch: int | None = None
    rate: float | None = None
    ema: float | None = None
    warmup: int | None = None
    cooldown: float | None = None
    decay: float | None = None
    seed: int = 0
    prior: float | None = None
    class_pictures: int | None = None
    class_batch: int | None = None
    variants: int | None = None
    companions: int | None = None
    lean: float | None = None
    gamma: float | None = None
    dropped: float | None = None
    optimiser: str | None = None
    precision: str | None = None
    checkpointing: bool = False
    device: str | None = None
    run: Path | None = None
    out: Path | None = None
    pictures: int | None = None
    save: int | None = None
    report: int = 10
    samples: int = 6
    skip_unreadable: bool = False
    restart: bool = False
    owner: str = ""
    ticket: str | None = None


def defaults_of(spec: Spec, method: str) -> dict[str, Any]:
    """Option -> value for teaching a base: the table's by family, over them the Spec's own under the task
    `personalise METHOD`; nothing where the base cannot be taught."""
    usual = {} if spec.delta is not None else LESSONS.get(spec.family, {}).get(method, {})
    return usual | spec.defaults.tasks.get(f"personalise {method}", {}) if usual else {}


def resolved(lesson: Lesson, spec: Spec) -> Lesson:
    """Fill what was not given from the Spec, and check what was.

    Raises:
        LicenceMissing: Licence or consent is missing.
        UnknownName: No such method, optimiser, precision or targets.
        InvalidValue: An option says nothing to this method.
        Unsupported: The base cannot be taught.
    """
    if not lesson.licence.strip():
        raise LicenceMissing(
            "Nothing says under which licence the result may be used. It holds what your photos show, so their licence "
            "decides.",
            param="licence",
            hint="--licence CC0-1.0 gives your own photos away; --licence LicenseRef-Private keeps the result to you",
        )
    if not lesson.consent.strip():
        raise LicenceMissing(
            "Nothing says that the subject may be learnt: who took the photos, and who is shown, has a say in it. The "
            "sentence is kept in the result's record.",
            param="consent",
            hint='--consent "I took these photos"',
        )
    if lesson.method not in METHODS:
        raise UnknownName("method", lesson.method, METHODS)
    told = defaults_of(spec, lesson.method)
    if not told:
        raise Unsupported(
            f"{spec.name!r} cannot be taught: {spec.family!r} is none of {', '.join(LESSONS)}, or it has a delta.",
            param="base",
            hint="fantascope models list",
        )
    missing = {each.name for each in fields(lesson) if getattr(lesson, each.name) is None}
    filled = replace(lesson, **{name: value for name, value in told.items() if name in missing})
    if filled.alpha is None:
        filled = replace(filled, alpha=float(filled.rank if filled.rank is not None else 1))
    for value, known, kind in (
        (filled.optimiser, OPTIMISERS, "optimiser"),
        (filled.precision, PRECISIONS, "precision"),
        (filled.targets, TARGETS, "targets"),
    ):
        if value is not None and value not in known:
            raise UnknownName(kind, value, known, param=kind)
    _of_method(lesson)
    return filled


def _of_method(lesson: Lesson) -> None:
    only = {
        "lora": ("targets", "rank", "alpha", "dropout", "text", "dora"),
        "textual-inversion": ("tokens",),
        "dreambooth": ("out",),
    }
    for method, names in only.items():
        for name in names:
            if lesson.method != method and getattr(lesson, name) is not None:
                raise InvalidValue(
                    f"--{name} belongs to the method {method}, and the method is {lesson.method}.", param=name
                )
