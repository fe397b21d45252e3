"""`fantascope prompt …`, and what became of a prompt in its picture's record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fantascope import Imagine, Studio
from fantascope.cli.app import run
from fantascope.cli.explaining import problems
from fantascope.cli.grammars import read_surface
from fantascope.errors import InvalidValue
from fantascope.intake import known_words
from fantascope.request import Vary, parse_request
from fantascope.spec import SPECS

Say = Callable[..., Any]
SMALL = {"steps": 1, "width": 128, "height": 128, "upscale": 1, "seed": 3}


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Run a command and return what it printed: `out` and `err`."""

    def call(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        found, said = run(list(words)), capsys.readouterr()
        assert found == code, (found, said.out, said.err)
        return said

    return call


def test_build_prints_the_canonical_prompt(say: Say) -> None:
    words = ("--subject", "a cat", "--lighting", "warm light", "--medium", "oil painting", "--colour", "earth tones")
    assert say("prompt", "build", *words).out == "an oil painting of a cat, warm light, earth tones\n"
    built = json.loads(say("prompt", "build", *words, "--json").out)
    assert built["parts"]["colour"] == ["earth tones"]
    assert "Vincent van Gogh" in say("prompt", "build", "--list", "artist").out
    assert "subject" in say("prompt", "build", "--list", "subjet", code=2).err
    assert "--subject" in say("prompt", "build", code=2).err


def test_build_paints_what_it_built(say: Say, tmp_path: Path) -> None:
    out = tmp_path / "cat.png"
    say(
        "prompt",
        "build",
        "--subject",
        "a cat",
        "--style",
        "cubism",
        "--model",
        "echo",
        "--imagine",
        "--seed",
        "1",
        "-o",
        str(out),
    )
    with Image.open(out) as picture:
        assert "a cat, cubism" in str(picture.info)


def test_explain_names_parts_gaps_and_strangers(say: Say, warm: Path) -> None:
    told = json.loads(
        say("prompt", "explain", "an oil painting of a red kitty and a xylophone, gorgeous", "--json").out
    )
    assert [(p["part"], p["text"]) for p in told["pieces"]] == [
        ("medium", "oil painting"), ("subject", "a red kitty and a xylophone"),
        ("colour", "red"), ("details", "gorgeous"),
    ]  # fmt: skip
    assert "lighting" in told["missing"] and "colour" not in told["missing"]
    assert [(c["said"], c["read"]) for c in told["changes"]] == [("kitty", "cat")]
    assert [u["words"] for u in told["unknown"]] == ["xylophone"]
    assert told["untaught"] == ["gorgeous"]
    assert "kitty -> cat" in say("prompt", "explain", "a kitty").out
    assert json.loads(say("prompt", "explain", "a kitty", "--model", "sd15", "--json").out)["changes"] == []


@pytest.mark.parametrize(
    ("prompt", "words"),
    [("a (cat", "never closed"), ("a cat)", "closes nothing"), ("(a [cat)]", "closes nothing"), ("(cat:9)", "0 to 2")],
)
def test_strict_refuses_what_is_out_of_balance_or_range(prompt: str, words: str, say: Say, warm: Path) -> None:
    assert words in say("prompt", "explain", prompt, "--strict", code=2).err
    assert words in say("prompt", "explain", prompt).out


def test_what_is_in_order_has_no_problem() -> None:
    assert problems(r"a (cat:1.2) and \(a [dog]") == []
    assert problems(" ") == ["The prompt is empty."]


def test_pictures_without_each_part_have_one_seed_and_a_labelled_sheet(say: Say, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    say(
        "prompt",
        "explain",
        "pixel art of a cat, warm light",
        "--model",
        "echo",
        "--pictures",
        str(folder),
        "--seed",
        "8",
    )
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["sheet.png", "whole.png", "without-lighting.png", "without-medium.png", "without-subject.png"]
    with Studio() as studio:
        told = {name: studio.record(folder / name).request for name in names if name != "sheet.png"}
    assert {request["seed"] for request in told.values()} == {8}
    assert told["without-medium.png"]["prompt"] == "a cat, warm light"
    with Image.open(folder / "sheet.png") as sheet, Image.open(folder / "whole.png") as whole:
        assert sheet.width > 2 * whole.width and sheet.height > 2 * whole.height
    assert "one part" in say("prompt", "explain", "a cat", "--model", "echo", "--pictures", str(folder), code=2).err


def test_expand_shows_what_it_added_and_imagine_records_what_was_said(say: Say, warm: Path, tmp_path: Path) -> None:
    told = json.loads(say("prompt", "expand", "a cat", "--seed", "4", "--json").out)
    assert told["prompt"].startswith("a cat, ") and told["said"] == "a cat"
    out = tmp_path / "cat.png"
    said = say("imagine", "a cat", "--expand", "0.6", "--model", "echo", "--seed", "4", "-o", str(out)).err
    with Studio() as studio:
        request = studio.record(out).request
    assert request["said"] == "a cat" and request["prompt"].startswith("a cat, ")
    assert "added: " in said
    assert "was written as 'a cat'" in say("verify", str(out)).out
    say("imagine", "a cat", "--expand", "0", "--model", "echo", "--seed", "4", "-o", str(out))
    with Studio() as studio:
        assert "said" not in studio.record(out).request


def test_shorten_weighs_words_by_the_model_itself(say: Say, warm: Path) -> None:
    told = json.loads(say("prompt", "shorten", "a very gorgeous red cat in the snow", "--json").out)
    weights = {word["text"]: word["weight"] for word in told["words"]}
    assert min(weights["red"], weights["cat"], weights["snow"]) > max(weights["very"], weights["gorgeous"])
    assert told["change"] <= 0.1
    assert "network can be asked" in say("prompt", "shorten", "a cat", "--model", "echo", code=1).err


def test_describe_gives_four_readings_of_a_drawn_scene(say: Say, warm: Path, tmp_path: Path) -> None:
    from fantascope.data.backdrop import backdrop

    picture = tmp_path / "sunset.png"
    backdrop("sunset", 3, 256).save(picture)
    told = json.loads(say("prompt", "describe", str(picture), "--json").out)
    assert told["background"][0]["words"] == "at sunset"
    assert 1 <= len(told["readings"]) <= 4
    assert len(told["near"]) == 3
    assert "captioning model" in say("prompt", "describe", str(picture)).err


def test_the_embedded_checkpoint_paints_known_words_and_the_record_says_what_was_typed(warm: Path, say: Say) -> None:
    with Studio() as studio:
        typed = Imagine(prompt="a kitty in an automobile", **SMALL)  # type: ignore[arg-type]
        (made,) = [event for event in studio.run(typed) if hasattr(event, "receipt")]
        (plain,) = [event for event in studio.run(typed.replace(prompt="a cat in a car")) if hasattr(event, "receipt")]
        assert made.receipt is not None and plain.receipt is not None
        assert made.receipt.request["prompt"] == "a cat in a car"
        assert made.receipt.request["said"] == "a kitty in an automobile"
        assert "said" not in plain.receipt.request
        judged = {verdict.subject for verdict in made.receipt.verdicts}
        assert judged or made.receipt.verdicts
        for event in studio.again(made.id):
            if hasattr(event, "artifact"):
                assert event.artifact.receipt.id == made.receipt.id
    assert "said" in say("gallery", "show", made.id[7:19]).out


def test_a_record_is_run_again_in_its_own_words(warm: Path) -> None:
    """A picture of before words were read, with `kitty` for a prompt, must come out as it was."""
    with Studio() as studio:
        request = Imagine(prompt="a kitty", **SMALL)  # type: ignore[arg-type]
        assert studio.resolve(request, typed=False).request.prompt == "a kitty"
        assert studio.resolve(request).request.prompt == "a cat"


def test_other_models_and_other_tasks_keep_their_words() -> None:
    def never(texts: Any) -> Any:
        raise AssertionError(texts)

    request = Imagine(prompt="an automobile")
    assert known_words(request, SPECS["sd15"], never) is request
    assert known_words(request, None, never) is request
    assert known_words(request, SPECS["embedded"], never).prompt == "a car"
    edit = parse_request({"task": "edit", "picture": "x", "instruction": "a motorcar", "prompt": "an automobile"})
    assert known_words(edit, SPECS["embedded"], never) is edit
    assert known_words(Vary(picture="x", prompt="an automobile"), SPECS["embedded"], never).said == "an automobile"
    kept = known_words(request.replace(said="auto"), SPECS["embedded"], never)
    assert (kept.said, kept.prompt) == ("auto", "a car")
    assert known_words(request, SPECS["embedded"], never, keep=("automobile",)) is request


def test_a_said_that_policy_refuses_is_refused(warm: Path) -> None:
    from fantascope.errors import PolicyRefused

    with Studio() as studio, pytest.raises(PolicyRefused):
        list(studio.run(Imagine(prompt="a cat", said="in the style of Hayao Miyazaki", model="echo", seed=1)))


def test_expanding_goes_with_dynamic_prompts_and_is_refused_for_midjourney(warm: Path) -> None:
    """It is never ignored."""
    options = {"grammar": "dynamic", "prompt": "a {red|blue} car", "seed": 3}
    (plain,), (more,) = read_surface(options, False), read_surface(options, False, 1.0)
    assert more.prompt.startswith(plain.prompt) and len(more.prompt) > len(plain.prompt) and more.said == plain.prompt
    with pytest.raises(InvalidValue, match="--stylize"):
        read_surface({"grammar": "midjourney", "prompt": "a cat"}, False, 0.5)
