"""The `parameters` text: what is printed is parsed back, what others wrote is understood."""

from __future__ import annotations

import time

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.provenance.conftest import PROMPT, make_receipt

from fantascope.provenance.infotext import MAX_SETTINGS, NEGATIVE, PAIR, Parameters, parameters_of, parse

LINE = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60).map(str.strip)
TEXT = st.lists(LINE, max_size=4).map("\n".join).map(str.strip)
KEY = st.from_regex(r"\A[A-Za-z][A-Za-z0-9 \-/]{1,20}\Z").map(str.strip).filter(lambda key: len(key) > 1)
VALUE = st.text(st.characters(blacklist_categories=("Cs", "Cc", "Zl", "Zp")), max_size=40).map(str.strip)


@given(TEXT, TEXT, st.dictionaries(KEY, VALUE, min_size=3, max_size=8))
def test_print_then_parse_gives_the_same(prompt: str, negative: str, settings: dict[str, str]) -> None:
    assume(not any(line.startswith(NEGATIVE) for line in (prompt + "\n" + negative).split("\n")))
    assume(all(PAIR.fullmatch(f"{key}: 1") for key in settings))
    said = Parameters(prompt, negative, settings)
    assert parse(said.text()) == said


@given(st.text(max_size=400))
def test_no_text_breaks_the_parser(text: str) -> None:
    found = parse(text)
    assert isinstance(found.prompt, str)
    parse(found.text())


def test_layout_and_names() -> None:
    lines = parameters_of(make_receipt()).text().split("\n")
    assert lines == [
        PROMPT,
        "Negative prompt: blurry: yes",
        "Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 4.5, Seed: 3141592653, Size: 256x256, "
        "Model hash: 0123456789, Model: embedded, Clip skip: 2, Version: fantascope 0.1.0",
    ]


def test_sampler_spellings() -> None:
    request = make_receipt().request
    names = {}
    for sampler in ("ddim", "euler", "euler_ancestral", "heun", "dpmpp_2m", "lcm", "pipeline"):
        receipt = make_receipt(request=request | {"sampler": sampler, "schedule": "default", "clip_skip": 0})
        settings = parameters_of(receipt).settings
        names[sampler] = settings["Sampler"]
        assert settings["Schedule type"] == "Automatic"
        assert "Clip skip" not in settings
    assert list(names.values()) == ["DDIM", "Euler", "Euler a", "Heun", "DPM++ 2M", "LCM", "pipeline"]


def test_a_private_receipt_and_one_without_prompt_say_nothing() -> None:
    assert parameters_of(make_receipt(private=True)).text() == ""
    assert parameters_of(make_receipt(request={"task": "sheet"})).text() == ""


def test_a_foreign_text() -> None:
    text = (
        "masterpiece, (cat:1.3), <lora:ink:0.8>\nsecond line\nNegative prompt: bad hands\nlowres\n"
        'Steps: 30, Sampler: DPM++ 2M SDE, CFG scale: 7, Seed: 1, Size: 512x768, Lora hashes: "ink: abc, b: def", '
        "Version: v1.10.1"
    )
    found = parse(text)
    assert found.prompt == "masterpiece, (cat:1.3), <lora:ink:0.8>\nsecond line"
    assert found.negative == "bad hands\nlowres"
    assert found.settings["Lora hashes"] == "ink: abc, b: def"
    assert found.settings["Size"] == "512x768"
    assert list(found.settings) == ["Steps", "Sampler", "CFG scale", "Seed", "Size", "Lora hashes", "Version"]


@pytest.mark.parametrize(
    "text", ["a" * 200_000, "a" * 60_000, "a " * 30_000, "a" + " " * 60_000 + "b", "ab:" * 20_000, 'ab:"' * 15_000]
)
def test_time_is_linear_in_the_text(text: str) -> None:
    start = time.process_time()
    parse(text)
    assert time.process_time() - start < 1


def test_a_line_too_long_for_settings_is_prompt() -> None:
    line = "Steps: 1, Seed: 2, Size: 3x4, Note: " + "x" * MAX_SETTINGS
    assert parse(line) == Parameters(line)
    assert list(parse(line[:MAX_SETTINGS]).settings) == ["Steps", "Seed", "Size", "Note"]


def test_two_pairs_are_no_settings() -> None:
    assert parse("a cat\nStyle: ink, Mood: calm") == Parameters("a cat\nStyle: ink, Mood: calm")
    assert parse("") == Parameters()
