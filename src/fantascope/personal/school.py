"""The part of a lesson that needs torch: open the base, train, paint, write, and put the result where it is found."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fantascope import __version__
from fantascope.adapter import collection
from fantascope.artifact import Artifact
from fantascope.engines.adapters.collection import add_adapter, change_adapter, remove_adapter
from fantascope.errors import InvalidValue, PolicyRefused
from fantascope.personal.enrol import STATE, is_of
from fantascope.personal.lesson import Lesson
from fantascope.personal.teach import Learning, Note, Progress, Sheet, Taught
from fantascope.prompt.english import with_article
from fantascope.request import Applied, Imagine
from fantascope.spec import Spec, keep_spec
from fantascope.train.fit import FitConfig, choose_device, load_weights
from fantascope.train.optim import quick_in_bfloat16
from fantascope.train.personal.base import Base, open_base, windows_of
from fantascope.train.personal.learn import PersonalConfig, Shot, encode_shots, train_personal
from fantascope.train.personal.optim import optimiser_of
from fantascope.train.personal.save import consent_of, write_adapter, write_checkpoint
from fantascope.train.personal.watch import sheet, sheet_prompts, watched


def run_lesson(
    lesson: Lesson,
    spec: Spec,
    studio: Any,
    run: Path,
    own: list[tuple[Any, tuple[str, ...], tuple[float, ...]]],
    classes: list[tuple[Any, str]],
    facts: dict[str, Any],
    started: float,
) -> Iterator[Any]:
    """Train a lesson whose photos and class pictures are ready; see `teach.teach`."""
    yield Progress("opening the base", 0, 1)
    base = open_base(spec, studio.settings, choose_device(lesson.device))
    yield Progress("opening the base", 1, 1)
    texts = [""]
    ready = []
    for pixels, said, size in own:
        short = tuple(shortened(base, text) for text in said)
        ready.append(Shot(pixels, short, size))
        cut = [text for text, less in zip(said, short, strict=True) if text != less]
        yield from (Note(f"The base reads one window of tokens, so this caption was cut: {text!r}") for text in cut)
    subject = encode_shots(base, ready, texts)
    prior = encode_shots(base, [Shot(pixels, (text,)) for pixels, text in classes], texts) if classes else None
    config = config_of(lesson, str(base.device), facts["photos"])
    run.mkdir(parents=True, exist_ok=True)
    learner, events = train_personal(
        base, config, run, subject, prior, lesson.name, lesson.kind, optimiser_of(str(lesson.optimiser))
    )
    who, kind = with_article(f"{lesson.name} {lesson.kind}"), with_article(lesson.kind)
    prompts = sheet_prompts(who, kind)
    assert lesson.pictures is not None
    for event in watched(events, base, learner, run, lesson.pictures, prompts):
        if isinstance(event, Path):
            _look(studio, event)
            yield Sheet(int(event.stem), event)
        else:
            yield Learning(event.step, config.fit.steps, event.loss, event.rate, event.saved, event.figures)
    steps = load_weights(learner.model, run)
    told = {**facts, "steps": steps, "seed": lesson.seed, "optimiser": lesson.optimiser, "rate": lesson.rate}
    told |= {"rank": lesson.rank, "alpha": lesson.alpha, "targets": lesson.targets, "prior": lesson.prior}
    told |= {"precision": "bf16" if config.autocast else "fp32", "dora": lesson.dora, "companions": lesson.companions}
    told = {name: value for name, value in told.items() if value is not None} | {"fantascope": __version__}
    grid = run / "samples.png"
    sheet(base, learner, prompts).save(grid)
    _look(studio, grid)
    yield Sheet(steps, grid)
    if lesson.method == "dreambooth":
        yield from _keep_model(lesson, base, studio, told, grid, started)
    else:
        path = write_adapter(learner, base, run / f"{lesson.name}.safetensors", told)
        yield from _keep_adapter(lesson, spec, studio, path, grid, who, facts["photos"], started)
    (run / STATE).unlink(missing_ok=True)


def _look(studio: Any, path: Path) -> None:
    """Have the studio's policy look at a sheet before it is shown; a refused one is deleted."""
    with Image.open(path) as picture:
        pixels = np.array(picture.convert("RGB"))
    try:
        studio.look_at([pixels])
    except PolicyRefused:
        path.unlink()
        raise


def shortened(base: Base, text: str) -> str:
    """A caption without its last words, as far as the base reads it in one window of tokens."""
    words = text.split()
    while len(words) > 1 and windows_of(base, " ".join(words)) > 1:
        words.pop()
    return " ".join(words) if len(words) < len(text.split()) else text


def config_of(lesson: Lesson, device: str, data: Any) -> PersonalConfig:
    """What the training is told: every option of a resolved lesson."""
    told: Any = lesson
    fit = FitConfig(
        steps=told.steps,
        batch=told.batch,
        rate=told.rate,
        warmup=told.warmup,
        cooldown=told.cooldown,
        decay=told.decay,
        muon=told.optimiser == "muon",
        ema=told.ema,
        seed=told.seed,
        report_every=told.report,
        save_every=told.save,
        data=json.dumps([data, told.variants, told.class_pictures, told.companions]),
        device=device,
    )
    lora = lesson.method == "lora"
    return PersonalConfig(
        fit,
        lesson.method,
        targets=told.targets if lora else "attention",
        rank=told.rank if lora else 1,
        alpha=told.alpha if lora else 1.0,
        dropout=told.dropout if lora else 0.0,
        text=bool(told.text) and lora,
        dora=bool(told.dora) and lora,
        prior=told.prior,
        class_batch=told.class_batch,
        lean=told.lean,
        gamma=told.gamma,
        dropped=told.dropped,
        tokens=told.tokens if lesson.method == "textual-inversion" else 1,
        checkpointing=told.checkpointing,
        autocast=told.precision == "bf16" or (told.precision is None and quick_in_bfloat16(device)),
    )


def _keep_adapter(
    lesson: Lesson, spec: Spec, studio: Any, path: Path, grid: Path, who: str, photos: list[str], started: float
) -> Iterator[Any]:
    """Add the adapter to the collection, paint with it on the studio's own path, and note that grid in its record."""
    _add(lesson, spec, studio, path, photos)
    artifacts = list[Artifact]()
    if lesson.ticket is not None:  # what was held for the samples until now is held picture by picture from here on
        held = studio.gallery.job_holds().get(lesson.ticket)
        if held is not None:
            studio.gallery.release(held)
    prompts = sheet_prompts(who, with_article(lesson.kind))[: lesson.samples]
    for k, prompt in enumerate(prompts):
        yield Progress("sample pictures", k, len(prompts))
        asked = Imagine(prompt=prompt, model=spec.name, seed=k, adapters=(Applied(name=lesson.name),))
        ticket = None if lesson.ticket is None else f"{lesson.ticket}.{k}"
        events = studio.perform(studio.admit(asked), ticket=ticket)
        artifacts += [event for event in events if isinstance(event, Artifact)]
    samples = None
    if artifacts:
        yield Progress("sample pictures", len(prompts), len(prompts))
        samples = studio.sheet(artifacts).id
        change_adapter(lesson.name, studio.settings, samples=samples)
    advice = (
        f"fantascope imagine {who + ' in the snow'!r} --adapter {lesson.name}:1",
        "weaker (0.6) where it takes over, stronger (1.2) where it is not like enough",
    )
    seconds = time.perf_counter() - started
    yield Taught(lesson.name, "adapter", path, path.stat().st_size, grid, samples, seconds, advice)


def _add(lesson: Lesson, spec: Spec, studio: Any, path: Path, photos: list[str]) -> None:
    """Add the adapter, in the place of one that this lesson made before it was stopped.

    Raises:
        InvalidValue: somebody else took the name meanwhile; what was learnt is kept.
    """
    there = collection(studio.settings.adapters).get(lesson.name)
    if there is not None and not is_of(there, lesson, photos):
        raise InvalidValue(
            f"There is an adapter {lesson.name!r} by now; what was learnt is in {path.name}.", param="name"
        )
    if there is not None:
        remove_adapter(lesson.name, studio.settings)
    add_adapter(
        path,
        name=lesson.name,
        base=spec.name,
        licence=lesson.licence,
        trigger=(lesson.name,),
        consent=consent_of(lesson.consent, lesson.people),
        owner=lesson.owner,
        settings=studio.settings,
    )


def _keep_model(
    lesson: Lesson, base: Base, studio: Any, facts: dict[str, Any], grid: Path, started: float
) -> Iterator[Any]:
    """Write the checkpoint and add it to the catalogue."""
    out = lesson.out if lesson.out is not None else studio.settings.home / "checkpoints" / lesson.name
    out = out.absolute()
    out.parent.mkdir(parents=True, exist_ok=True)
    yield Progress("writing the checkpoint", 0, 1)
    spec = write_checkpoint(base, out, lesson.name, lesson.licence, facts)
    yield Progress("writing the checkpoint", 1, 1)
    keep_spec(spec, studio.settings.models)
    size = sum(file.stat().st_size for file in out.rglob("*") if file.is_file())
    who = with_article(f"{lesson.name} {lesson.kind}")
    advice = (f"fantascope imagine {who + ' in the snow'!r} --model {lesson.name}",)
    yield Taught(lesson.name, "model", out, size, grid, None, time.perf_counter() - started, advice)
