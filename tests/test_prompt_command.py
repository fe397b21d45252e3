"""`fantascope prompt …`, and what became of a prompt in its picture's record."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fantascope import Imagine, Studio
from fantascope.cli.app import run
from fantascope.cli.grammars import read_surface
from fantascope.core.colour import COLOURS
from fantascope.data.backdrop import PLAIN, SCENERIES, backdrop
from fantascope.data.caption import GROUNDS
from fantascope.engines.detector import Found
from fantascope.errors import InvalidValue
from fantascope.intake import known_words
from fantascope.prompt.english import article
from fantascope.reports import pictured
from fantascope.reports.explaining import problems
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
    picture = tmp_path / "sunset.png"
    backdrop("sunset", 3, 256).save(picture)
    told = json.loads(say("prompt", "describe", str(picture), "--json").out)
    assert told["background"][0]["words"] == "at sunset"
    assert 1 <= len(told["readings"]) <= 4
    assert len(told["near"]) == 3
    assert "captioning model" in say("prompt", "describe", str(picture)).err


@pytest.mark.parametrize("name", [*PLAIN, *SCENERIES])
def test_grounds_are_told_apart_under_noise(name: str) -> None:
    noise = np.random.default_rng(3).normal(0, 6, (128, 128, 3))
    picture = np.clip(np.asarray(backdrop(name, 77, 128), np.float32) + noise, 0, 255).astype(np.uint8)
    picture[40:88, 40:88] = (250, 0, 250)  # what stands in the middle is no ground
    said = pictured._grounds(picture)[0].words
    assert said == (GROUNDS[name][0].strip() if name in GROUNDS else f"on {article(f'{name} background')}")


def test_a_ground_that_is_nothing_known_is_not_named() -> None:
    blocks = np.random.default_rng(1).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert pictured._grounds(np.kron(blocks, np.ones((16, 16, 1), np.uint8))) == ()


def find(kind: str, angle: float, box: Any, colours: dict[str, float], **others: float) -> Found:
    feature = np.array([np.cos(angle), np.sin(angle)], np.float32)
    kinds = ((kind, 0.5), *others.items())
    best = max((name for name in colours if name != "own"), key=lambda name: colours[name], default="red")
    return Found(kind, 0.9, kinds, box, best, colours, feature)


def seen(found: list[Found], pixels: Any) -> list[tuple[str, int, str | None]]:
    """What becomes of finds, through a detector that has them."""
    eye = SimpleNamespace(look=lambda _: [found], labels=SimpleNamespace(threshold=0.4))
    return [(one.kinds[0].words, one.count, one.colour) for one in pictured._things(eye, pixels)]  # type: ignore[arg-type]


def test_what_looks_alike_is_one_thing_several_times() -> None:
    pixels = np.full((128, 128, 3), 255, np.uint8)  # nothing but ground: the detector alone says the colours
    red, own = {"red": 0.9, "own": 0.1}, {"own": 0.9}
    left, right = (0.0, 0.0, 40.0, 40.0), (70.0, 0.0, 110.0, 40.0)
    bear = find("bear", 0.0, left, red, lion=0.2)
    assert seen([bear, find("lion", 0.3, right, red, bear=0.45)], pixels) == [("bear", 2, "red")]
    assert seen([bear, find("lion", 1.2, right, red)], pixels) == [("bear", 1, "red"), ("lion", 1, "red")]
    blue = find("bear", 0.0, right, {"blue": 0.9})
    assert seen([blue, bear], pixels) == [("bear", 1, "red"), ("bear", 1, "blue")]  # left to right
    large = find("bear", 0.0, (70.0, 0.0, 128.0, 128.0), red)
    assert seen([bear, large], pixels) == [("bear", 2, "red")]  # not alike, and yet the same words
    assert seen([find("lamp", 0.0, right, own)], pixels) == [("lamp", 1, None)]


def test_pixels_say_the_colour_where_the_detector_is_not_sure() -> None:
    pixels = np.full((128, 128, 3), 255, np.uint8)
    pixels[20:100, 20:100] = COLOURS["teal"]
    one = find("owl", 0.0, (20.0, 20.0, 100.0, 100.0), {"own": 0.8, "teal": 0.1})
    assert seen([one], pixels) == [("owl", 1, "teal")]
    for k, name in enumerate(("brown", "yellow", "blue", "black")):
        pixels[20:100, 20 + 20 * k : 40 + 20 * k] = COLOURS[name]
    mixed = find("owl", 0.0, (20.0, 20.0, 100.0, 100.0), {"own": 1.0})
    assert seen([mixed], pixels) == [("owl", 1, None)]


def test_a_painted_picture_is_described_as_it_was_asked_for(say: Say, warm: Path, tmp_path: Path) -> None:
    out = tmp_path / "trophies.png"
    words = ("four orange trophies on a blue background", "--seed", "7", "--upscale", "1", "-o", str(out))
    say("imagine", *words)
    told = json.loads(say("prompt", "describe", str(out), "--json").out)
    assert told["readings"][0]["prompt"] == "four orange trophies on a blue background"


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
