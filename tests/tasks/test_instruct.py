"""Edits said in words: what is understood, what is asked back, and that all else keeps its pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tests.tasks.drawn import artifact_of, box_mask, check_contract, composed, line, made, one, photo, report, saved

from fantascope import Artifact, Studio
from fantascope.errors import InvalidValue, PolicyRefused, RequestError, UnclearInstruction, Unsupported
from fantascope.request import Edit, Erase, Fill, Turn
from fantascope.tasks.describe import _counted, background
from fantascope.tasks.instruct import _new_words, _texture, _under, laid
from fantascope.tasks.pixels import open_pixels

FEW: dict[str, Any] = {"steps": 4, "engine": "graph", "seed": 3}


def nothing_changed(studio: Studio, before: tuple[float, int]) -> None:
    balance = studio.gallery.balance("local")
    assert (balance.used, balance.held) == (before[0], 0)
    assert len(studio.gallery.list(limit=1000)) == before[1]


def state(studio: Studio) -> tuple[float, int]:
    return studio.gallery.balance("local").used, len(studio.gallery.list(limit=1000))


@pytest.mark.parametrize(
    ("instruction", "kind"),
    [
        ("change the elephant to a cat", "replace"),
        ("remove the elephant", "remove"),
        ("make the elephant blue", "recolour"),
        ("add a moon in the background", "add"),
        ("move the elephant to the left", "move"),
        ("change the background to red", "background"),
    ],
)
def test_every_kind_of_turn_keeps_what_it_does_not_mean(
    painter: Studio, elephant: Artifact, instruction: str, kind: str
) -> None:
    artifact = one(painter, Edit(picture=elephant.id, instruction=instruction, **FEW))
    touched = check_contract(painter, elephant, artifact)
    assert 0 < touched.sum() < touched.size
    receipt = artifact.receipt
    assert receipt is not None
    (turn,) = receipt.request["turns"]
    assert turn["kind"] == kind
    assert receipt.request["before"] == "a pink elephant on a blue background"
    assert receipt.request["prompt"] == turn["after"] != turn["before"]
    assert "that of the first picture" in line(report(painter, artifact), "mark")
    before, after = open_pixels(elephant).astype(int), open_pixels(artifact)
    assert np.abs(before - after)[touched].mean() > 3


def test_all_over_changes_every_pixel_and_says_so(painter: Studio, elephant: Artifact) -> None:
    artifact = one(painter, Edit(picture=elephant.id, instruction="make it night", format="jpeg", **FEW))
    assert artifact.receipt is not None
    assert artifact.receipt.kept is None
    found = report(painter, artifact)
    assert found.ok
    assert not [check for check in found.checks if check.name == "edit"]
    assert artifact.receipt.id in line(found, "mark")


def test_two_turns_one_after_the_other_and_the_chat_goes_on(painter: Studio, elephant: Artifact) -> None:
    both = "make the elephant smaller; change the background to red"
    first = one(painter, Edit(picture=elephant.id, instruction=both, **FEW))
    check_contract(painter, elephant, first)
    second = one(painter, Edit(picture=first.id, instruction="remove the elephant", **FEW))
    check_contract(painter, first, second)
    assert first.receipt is not None
    assert second.receipt is not None
    assert [turn["kind"] for turn in first.receipt.request["turns"]] == ["resize", "background"]
    assert second.receipt.parents == (first.id,)
    assert second.receipt.request["before"] == first.receipt.request["prompt"]
    assert "red background" in second.receipt.request["before"]


def test_erase_in_words(painter: Studio, elephant: Artifact) -> None:
    artifact = one(painter, Erase(picture=elephant.id, what="the elephant", **FEW))
    touched = check_contract(painter, elephant, artifact)
    pink = np.linalg.norm(open_pixels(elephant).astype(int) - (252, 130, 184), axis=2) < 90
    assert touched[pink].mean() > 0.7
    after = open_pixels(artifact)
    still = np.linalg.norm(after.astype(int) - (252, 130, 184), axis=2) < 90
    assert still.sum() < 0.5 * pink.sum()
    assert artifact.receipt is not None
    assert artifact.receipt.request["prompt"] == "a blue background"


def test_a_mask_says_where(studio: Studio, rings: Artifact, tmp_path: Any) -> None:
    """With a mask, an engine that shows no parts will do, and one that keeps to it."""
    mask = saved(tmp_path / "mask.png", box_mask((256, 256), (10, 10, 60, 80)))
    for instruction in ("change the elephant to a cat", "make it night", "make it night; add a hat"):
        artifact = one(studio, Edit(picture=rings.id, instruction=instruction, mask=mask, seed=1))
        assert check_contract(studio, rings, artifact).sum() == 50 * 70
    with pytest.raises(InvalidValue, match="byte for byte"):
        studio.run(Edit(picture=rings.id, instruction="make it night", mask=mask, format="jpeg"))


@pytest.mark.parametrize("instruction", ["make it night", "remove the elephant", "change the background to red"])
def test_strength_zero_gives_the_picture_back(studio: Studio, rings: Artifact, instruction: str) -> None:
    artifact = one(studio, Edit(picture=rings.id, instruction=instruction, strength=0))
    assert not check_contract(studio, rings, artifact).any()
    with pytest.raises(InvalidValue, match="byte for byte"):
        studio.run(Edit(picture=rings.id, instruction=instruction, strength=0, format="jpeg"))


def test_an_engine_without_parts_cannot_look(studio: Studio, rings: Artifact) -> None:
    before = state(studio)
    with pytest.raises(Unsupported, match="cannot find where"):
        made(studio, Edit(picture=rings.id, instruction="remove the elephant"))
    nothing_changed(studio, before)


@pytest.mark.parametrize(
    "instruction", ["blorb the frobnicator", "hmm", "\N{ELEPHANT}", "نعم", "x" * 501, "'; drop table artifacts; --"]
)
def test_what_is_not_understood_is_asked_back_with_proposals(studio: Studio, rings: Artifact, instruction: str) -> None:
    before = state(studio)
    with pytest.raises(UnclearInstruction) as caught:
        studio.run(Edit(picture=rings.id, instruction=instruction))
    assert caught.value.param == "instruction"
    assert len(caught.value.readings) == 3
    offered = caught.value.as_dict()["readings"]
    assert all(each["said"] and each["after"] for each in offered)
    assert len({each["said"] for each in offered}) == 3
    nothing_changed(studio, before)


def test_a_thing_that_is_not_there_cannot_be_erased(studio: Studio, rings: Artifact) -> None:
    before = state(studio)
    with pytest.raises(UnclearInstruction, match="submarine") as caught:
        studio.run(Erase(picture=rings.id, what="the submarine"))
    assert caught.value.param == "what"
    assert caught.value.readings
    nothing_changed(studio, before)


@pytest.mark.parametrize("bad", ["make it\x1b[2J night", "\0", "a\x07b", "make it \ud800"])
def test_control_characters_in_what_is_said(bad: str) -> None:
    for request in (
        lambda: Edit(picture="x", instruction=bad),
        lambda: Edit(picture="x", instruction="ok", before=bad),
        lambda: Erase(picture="x", what=bad),
        lambda: Fill(picture="x", prompt=bad),
    ):
        with pytest.raises(RequestError, match=r"U\+"):
            request()


def test_nothing_said() -> None:
    with pytest.raises(RequestError, match="empty"):
        Edit(picture="x", instruction="  ")


def test_policy_judges_what_is_said_and_what_it_means(studio: Studio, rings: Artifact) -> None:
    before = state(studio)
    for instruction, field in (
        ("change the elephant to a dragon in the style of Greg Rutkowski", None),
        ("make it night", "a boat in the style of Greg Rutkowski"),
    ):
        with pytest.raises(PolicyRefused):
            made(studio, Edit(picture=rings.id, instruction=instruction, before=field))
    turn = Turn(kind="replace", before="a cat", after="a cat", target="a cat", value="art by Greg Rutkowski")
    with pytest.raises(PolicyRefused):
        made(studio, Edit(picture=rings.id, instruction="change it", turns=(turn,), before="a cat", prompt="a cat"))
    nothing_changed(studio, before)


@pytest.mark.parametrize(
    "turn",
    [
        {"kind": "remove", "target": "the moon"},
        {"kind": "remove", "target": ""},
        {"kind": "move", "target": "   "},
        {"kind": "add", "value": "a hat", "anchor": "a horse"},
        {"kind": "replace", "target": "a catt", "value": "x"},
    ],
)
def test_turns_that_were_made_up_are_refused(studio: Studio, rings: Artifact, turn: dict[str, Any]) -> None:
    """A record from a file, or a request over a wire, may hold any turns: no guess is made from them."""
    before = state(studio)
    turns = (Turn(before="a cat and a dog", after="a dog", **turn),)
    with pytest.raises(InvalidValue, match="is not there") as caught:
        made(studio, Edit(picture=rings.id, instruction="do it", turns=turns, prompt="a dog", before="a cat and a dog"))
    assert caught.value.param == "turns"
    nothing_changed(studio, before)


def test_turns_of_an_unknown_kind_or_place_do_no_harm(painter: Studio, elephant: Artifact) -> None:
    made_up = {"before": "a pink elephant", "after": "a pink horse", "place": "../../etc", "kind": "explode"}
    turns = (Turn(**made_up),)
    artifact = one(painter, Edit(picture=elephant.id, instruction="do it", turns=turns, prompt="a pink horse", **FEW))
    check_contract(painter, elephant, artifact)
    same = (Turn(kind="explode", before="a pink elephant", after="a pink elephant"),)
    with pytest.raises(InvalidValue, match="sees nothing"):
        made(painter, Edit(picture=elephant.id, instruction="x", turns=same, prompt="a pink elephant", **FEW))
    assert painter.gallery.balance("local").held == 0


def test_a_picture_that_nobody_knows(studio: Studio) -> None:
    """A plain wall shows nothing that has a name: the person has to say what it shows."""
    parent = studio.gallery.ingest(artifact_of(np.full((160, 160, 3), 150, np.uint8)).data)
    before = state(studio)
    with pytest.raises(InvalidValue, match="not known") as caught:
        studio.run(Edit(picture=parent.id, instruction="remove the cat"))
    assert caught.value.param == "before"
    assert "--before" in str(caught.value)
    nothing_changed(studio, before)
    with pytest.raises(UnclearInstruction):
        studio.run(Edit(picture=parent.id, instruction="remove the horse", before="a cat and a dog"))


def test_a_painted_picture_described_in_words(painter: Studio, elephant: Artifact) -> None:
    assert painter.describe(elephant.id) == "a pink elephant on a blue background"


@pytest.mark.parametrize(
    ("name", "count", "said"),
    [
        ("pink elephant", 1, "a pink elephant"),
        ("orange apple", 1, "an orange apple"),
        ("red cat", 2, "two red cats"),
        ("red cherry", 3, "three red cherries"),
        ("orange fox", 2, "two orange foxes"),
        ("cat", 9, "9 cats"),
    ],
)
def test_things_are_counted_as_people_do(name: str, count: int, said: str) -> None:
    assert _counted(name, count) == said


def test_the_background_is_what_all_four_sides_show() -> None:
    pixels = np.full((64, 64, 3), (220, 38, 38), np.uint8)
    assert background(pixels) == "red"
    pixels[8:56, :8] = (60, 170, 70)  # the left side alone is no majority
    assert background(pixels) == "red"


def test_small_helpers() -> None:
    turn = Turn(kind="replace", before="a cat on grass", after="a red fox on grass", target="a cat", value="a fox")
    assert _new_words(turn) == "a red fox"
    gone = Turn(kind="replace", before="a cat", after="", target="a cat", value="a fox")
    assert _new_words(gone) == "a fox"
    assert _new_words(Turn(kind="add", before="a cat", after="a cat and a hat", value="a hat")) == "a hat"
    mask = box_mask((256, 256), (8, 8, 40, 40)).astype(np.float32) / 255
    assert _texture(composed("plain")[0], mask) < 4 < _texture(photo(256, 256), mask)
    assert _texture(photo(64, 64), np.ones((64, 64), np.float32)) == 0


def test_what_stands_behind_is_hidden_by_what_stands_out() -> None:
    flat = np.full((128, 128, 3), (90, 150, 220), np.uint8)
    flat[40:120, 40:100] = (200, 30, 30)
    sprite = np.dstack([np.full((60, 60, 3), (20, 160, 60), np.uint8), np.full((60, 60), 255, np.uint8)])
    over, touched = laid(flat, sprite, (10, 20, 70, 80))
    assert (over[50, 50] == (20, 160, 60)).all() and touched[50, 50]
    under, seen = _under(flat, over, touched, 0.12)
    assert (under[seen] == over[seen]).mean() > 0.95 and 0.4 < seen.sum() / touched.sum() < 0.9
    assert not seen[50, 50] and (under[50, 50] == (200, 30, 30)).all()
    assert seen[30, 30] and (under[30, 30] == (20, 160, 60)).all()
    restless = np.random.default_rng(0).integers(0, 255, (128, 128, 3)).astype(np.uint8)
    everything = _under(np.zeros_like(flat), over, touched, 0.12)
    assert (everything[0] == over).all() and (everything[1] == touched).all(), "nothing stands out"
    assert _under(restless, over, touched, 0.12)[1].sum() <= touched.sum()
