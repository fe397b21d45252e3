"""`fantascope prompt`: build a prompt of its parts, explain, expand and shorten one, describe a picture in one."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from fantascope.cli.lines import emit, plain
from fantascope.errors import InvalidValue

app = typer.Typer(help="Build, explain, expand and shorten prompts; describe pictures.", no_args_is_help=True)

Prompt = Annotated[str, typer.Argument(help="the prompt")]
Model = Annotated[str | None, typer.Option(help="name of a model (fantascope models list)", show_default=False)]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="the same seed, the same answer")]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object")]
Phrases = list[str] | None
BAR = 24
SHOWN = 12
"""Choices that are shown of each part."""


def _phrase(part: str) -> Any:
    return typer.Option(f"--{part}", help=f"phrase of the part {part}; may be repeated", show_default=False)


@app.command()
def build(
    subject: Annotated[str | None, typer.Option(help="what is in the picture", show_default=False)] = None,
    medium: Annotated[Phrases, _phrase("medium")] = None,
    style: Annotated[Phrases, _phrase("style")] = None,
    artist: Annotated[Phrases, _phrase("artist")] = None,
    website: Annotated[Phrases, _phrase("website")] = None,
    resolution: Annotated[Phrases, _phrase("resolution")] = None,
    details: Annotated[Phrases, _phrase("details")] = None,
    colour: Annotated[Phrases, _phrase("colour")] = None,
    lighting: Annotated[Phrases, _phrase("lighting")] = None,
    model: Model = None,
    imagine: Annotated[bool, typer.Option("--imagine", help="paint it")] = False,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="with --imagine: also write it here")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="with --imagine: start of the noise")] = None,
    listed: Annotated[str | None, typer.Option("--list", help="show all terms of a part", show_default=False)] = None,
    as_json: Json = False,
) -> None:
    """Build a prompt of its nine parts, by options, or by questions if none is given."""
    from fantascope.prompt.anatomy import PARTS, Anatomy
    from fantascope.wording import lexicon

    words = lexicon()
    if listed is not None:
        _list(listed, words, as_json)
        return
    given: dict[str, Any] = {"medium": medium, "style": style, "artist": artist, "website": website}
    given |= {"resolution": resolution, "details": details, "colour": colour, "lighting": lighting}
    if subject is None and not any(given.values()):
        subject, given = _asked(words, _taught(model))
    if subject is None or not subject.strip():
        raise InvalidValue(
            "A prompt needs a subject.", param="subject", hint="fantascope prompt build --subject 'a cat'"
        )
    anatomy = Anatomy(" ".join(subject.split()), **{part: tuple(given[part] or ()) for part in PARTS[1:]})
    prompt = anatomy.prompt()
    if as_json:
        emit("built", {"prompt": prompt, "parts": {part: anatomy.of(part) for part in PARTS}})
    else:
        print(prompt)
    if imagine:
        from fantascope.cli.show import show
        from fantascope.request import Imagine

        show(Imagine(prompt=prompt, model=model, seed=seed), out=out, as_json=as_json)


def _list(part: str, words: Any, as_json: bool) -> None:
    terms = words.offered(part)
    if as_json:
        emit("terms", {"part": part, "terms": terms, "source": words.parts[part].source})
        return
    print("\n".join(terms))


def _taught(model: str | None) -> Any:
    """The phrases that a model's captions use, or None where it does not say."""
    from fantascope.prompt.known import vocabulary_of

    known = vocabulary_of(_spec(model))
    return None if known is None else known.phrases


def _asked(words: Any, taught: Any) -> tuple[str, dict[str, Any]]:
    """Ask for every part in the terminal; a number takes a choice, other words are taken as they are, nothing skips."""
    from fantascope.prompt.anatomy import PARTS

    if not sys.stdin.isatty():
        raise InvalidValue(
            "Nobody can be asked here.",
            param="subject",
            hint="fantascope prompt build --subject 'a cat' --lighting 'warm light'",
        )
    subject = typer.prompt(f"subject: {words.parts['subject'].says}", err=True)
    given: dict[str, Any] = {}
    for part in PARTS[1:]:
        terms = words.offered(part)
        known = [term for term in terms if taught is not None and term in taught]
        shown = list(dict.fromkeys([*known, *terms]))[:SHOWN]
        print(f"\n{part}: {words.parts[part].says}", file=sys.stderr)
        for k, term in enumerate(shown, 1):
            print(f"  {k:2}  {term}{'  (the model knows it)' if term in known else ''}", file=sys.stderr)
        answer = typer.prompt(
            "numbers or words, commas between; nothing to skip", default="", show_default=False, err=True
        )
        given[part] = tuple(_choice(piece.strip(), shown, part) for piece in answer.split(",") if piece.strip())
    return subject, given


def _choice(answer: str, shown: Sequence[str], part: str) -> str:
    if not answer.isdigit():
        return answer
    if not 1 <= int(answer) <= len(shown):
        raise InvalidValue(f"There is no choice {answer}; there are {len(shown)}.", param=part)
    return shown[int(answer) - 1]


def _spec(model: str | None) -> Any:
    from fantascope.settings import Settings
    from fantascope.spec import catalogue, find_spec

    settings = Settings.from_env()
    return find_spec(model if model is not None else settings.model, catalogue(settings.models))


@app.command()
def explain(
    prompt: Prompt,
    model: Model = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="refuse brackets out of balance and weights out of range")
    ] = False,
    pictures: Annotated[
        Path | None, typer.Option(help="folder: paint it whole and without each part, and a labelled sheet")
    ] = None,
    seed: Seed = 1,
    grammar: Annotated[
        str | None, typer.Option(help="plain or a1111: how its marks are read", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which words of a prompt are which part, what is missing, and which words the model does not know."""
    from fantascope.cli.explaining import paint_parts
    from fantascope.reports.explaining import found_in, problems
    from fantascope.studio import Studio

    wrong = problems(prompt, grammar)
    if strict and wrong:
        raise InvalidValue(f"{wrong[0]}", param="prompt", hint="Without --strict it is explained as it stands.")
    with Studio(read_only=True) as studio:
        told = found_in(prompt, _spec(model), studio.embed, grammar)
    if as_json:
        emit("explained", told | {"problems": wrong})
    else:
        _show(told, wrong)
    if pictures is not None:
        paint_parts(prompt, model, seed, pictures, as_json)


def _show(told: dict[str, Any], wrong: Sequence[str]) -> None:
    for piece in told["pieces"]:
        name = f"  {piece['part']}" if piece["inside"] else piece["part"]
        print(f"{name:<12} {plain(piece['text'])}")
    print(f"{'missing':<12} {', '.join(told['missing']) or 'nothing'}")
    for change in told["changes"]:
        print(f"{'read as':<12} {plain(change['said'])} -> {change['read']}")
    for one in told["unknown"]:
        near = f"; nearest: {', '.join(one['nearest'])}" if one["nearest"] else ""
        print(f"{'unknown':<12} {told['model']} does not know {plain(one['words'])!r}{near}")
    if told["untaught"]:
        print(f"{'untaught':<12} no caption of {told['model']} has: {plain(', '.join(told['untaught']))}")
    for text in told["readings"]:
        print(f"{'reading':<12} {plain(text)}")
    for text in wrong:
        print(f"{'problem':<12} {plain(text)}")


@app.command()
def expand(
    prompt: Prompt,
    strength: Annotated[float, typer.Option(min=0, max=1, help="share of what is missing that is added")] = 0.6,
    seed: Seed = 0,
    model: Model = None,
    as_json: Json = False,
) -> None:
    """Add to a prompt what it does not say, from the lexicon or by the language model that is set."""
    from fantascope.studio import Studio
    from fantascope.wording import expanded

    with Studio(read_only=True) as studio:
        found = expanded(prompt, strength, seed, studio, _spec(model))
    if as_json:
        emit(
            "expanded",
            {"prompt": found.prompt, "said": found.said, "by": found.by, "added": [vars(a) for a in found.added]},
        )
        return
    print(found.prompt)
    for one in found.added:
        print(f"added {one.part}: {plain(one.phrase)}", file=sys.stderr)


@app.command()
def shorten(
    prompt: Prompt,
    tolerance: Annotated[float, typer.Option(min=0, max=1, help="how far the prediction may move, 0 to 1")] = 0.1,
    model: Model = None,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Weigh words by what the model's own prediction loses without each, and leave out the light ones."""
    from fantascope.prompt.shorten import shorten as shortened
    from fantascope.request import Imagine
    from fantascope.studio import Studio
    from fantascope.tasks.predict import predictor

    with Studio() as studio:
        job = studio.resolve(Imagine(prompt=prompt, model=model, seed=seed), typed=False)
        studio.judge(job.request, job.spec)
        with studio.engines.lease(job.spec, job.choice) as engine:
            found = shortened(prompt, predictor(engine, job.request), tolerance)
    if as_json:
        emit(
            "shortened", {"prompt": found.prompt, "change": found.change, "words": [vars(word) for word in found.words]}
        )
        return
    wide = max(len(plain(word.text, 24)) for word in found.words)
    top = max(max(word.weight for word in found.words), 1e-9)
    for word in found.words:
        bar = "█" * max(round(BAR * word.weight / top), 0)
        print(f"{plain(word.text, 24):<{wide}}  {word.weight:5.2f}  {bar}{'' if word.kept else '  left out'}")
    print(f"{plain(found.prompt, 4000)}  (moves the prediction by {found.change:.0%} of what the whole prompt does)")


@app.command()
def describe(
    picture: Annotated[Path, typer.Argument(help="any PNG, JPEG or WebP file")],
    model: Annotated[
        str | None,
        typer.Option(help="a captioning model; else the detector looks", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say in at most four prompts what a picture may show, the likeliest first.

    Without a model it is what the detector sees, and which training drawings the things in it look like.
    """
    from fantascope.reports.pictured import BETTER, caption, look
    from fantascope.studio import Studio

    if model is not None:
        with Studio() as studio:
            told = caption(studio, picture, _spec(model))
        if as_json:
            emit("described", {"file": picture, **told})
            return
        for one in told["readings"]:
            print(f"{one['score']:.2f}  {plain(one['prompt'])}")
        print(f"captions by {told['by']}: written by a machine, and judged where they become a prompt", file=sys.stderr)
        return
    found = look(picture)
    if as_json:
        emit("described", {"file": picture, **found, "better": BETTER})
        return
    for one in found["readings"]:
        print(f"{one['score']:.2f}  {plain(one['prompt'])}")
    for name in found["near"]:
        print(f"      looks like {plain(name)}", file=sys.stderr)
    print(BETTER, file=sys.stderr)
