"""Names, classes and captions of a subject."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fantascope.errors import InvalidValue, UnknownName
from fantascope.personal.names import captions, check_class, check_name, own_caption
from fantascope.settings import Settings
from fantascope.spec import SPECS


@pytest.mark.parametrize("name", ["rex", "pomo", "sks", "zoe", "pomo-2", "my_mug"])
def test_words_that_mean_nothing_yet(name: str) -> None:
    assert check_name(name, ()) == name


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("dog", "a word for 'dog'"),
        ("dogs", "a word for 'dog'"),
        ("android", "a word for 'robot'"),
        ("teddy-bear", "a word for 'teddy bear'"),
        ("red", "common word"),
        ("table", "common word"),
        ("Rex", "cannot name"),
        ("9rex", "starts with a letter"),
        ("r", "two letters"),
        ("rex dog", "cannot name"),
        ("../x", "cannot name"),
        ("pomo", "already"),
    ],
)
def test_words_that_would_mean_two_things(name: str, why: str) -> None:
    with pytest.raises(InvalidValue, match=why) as caught:
        check_name(name, {"pomo", "dogzo"})
    if caught.value.hint is not None:
        offered = caught.value.hint.removeprefix("--name ").split(",")[0]
        assert check_name(offered, {"pomo", "dogzo"}) == offered


def embed(texts: object) -> np.ndarray:
    from fantascope.engines.words import shared_words

    return shared_words(Settings.from_env()).embed(texts)  # type: ignore[arg-type]


@pytest.mark.usefixtures("warm")
@pytest.mark.parametrize(
    ("kind", "due"), [("dog", "dog"), ("Hot  Dog", "hot dog"), ("dogs", "dogs"), ("android", "android")]
)
def test_classes_the_checkpoint_knows(kind: str, due: str) -> None:
    assert check_class(kind, SPECS["embedded"], embed) == due


@pytest.mark.usefixtures("warm")
def test_a_class_it_does_not_know_gets_the_nearest_by_meaning() -> None:
    with pytest.raises(UnknownName, match="does not know the class 'terrier'") as caught:
        check_class("terrier", SPECS["embedded"], embed)
    assert caught.value.nearest[0] == "dog" and caught.value.hint == "--class dog"
    with pytest.raises(InvalidValue, match="empty"):
        check_class("  ", SPECS["embedded"], embed)
    assert check_class("puppy", SPECS["sd15"], embed) == "puppy"


def test_captions() -> None:
    assert captions("pomo", "alien", "red") == (
        "a pomo alien on a red background",
        "pomo alien, red background",
        "a pomo alien against a red background",
    )
    assert captions("", "alien")[0] == "an alien" and captions("", "alien", photos=True)[0] == "a photo of an alien"
    assert own_caption("Pomo in a tree", "pomo", "alien") == "Pomo in a tree"
    assert own_caption("in a tree", "pomo", "alien") == "a pomo alien, in a tree"
    said = "pomo waving on a red background"
    assert own_caption(said, "pomo", "alien", "red", "red") == said
    assert own_caption(said, "pomo", "alien", "orange", "red") == "pomo waving on an orange background"
    assert own_caption("pomo waving", "pomo", "alien", "blue", "red") == "pomo waving, blue background"


def test_the_vocabulary_lies_where_it_is_read(tmp_path: Path) -> None:
    from fantascope.personal.names import _common_words

    assert {"the", "table", "green"} <= _common_words() and "rex" not in _common_words()
