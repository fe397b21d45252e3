"""The table of names: what ships, what an installation says otherwise, and what is wrong with that."""

from __future__ import annotations

from pathlib import Path

import pytest

from fantascope.serve.openai.replies import error_reply
from fantascope.serve.openai.rules import RULES
from fantascope.serve.openai.table import BadTable, read_table
from fantascope.spec import SPECS


def test_every_name_that_the_client_knows_is_there(tmp_path: Path) -> None:
    from typing import get_args

    from openai.types import ImageModel

    assert set(get_args(ImageModel)) <= set(read_table(tmp_path).models)


def test_an_installation_goes_before_what_ships_and_is_read_again(tmp_path: Path) -> None:
    assert read_table(tmp_path).models["dall-e-3"].spec is None
    own = tmp_path / "serve.toml"
    own.write_text(
        '[models."dall-e-3"]\nrules = "dall-e-3"\nspec = "sdxl"\n[quality]\nhigh = 2\n[models.mine]\nspec = "echo"\n'
    )
    table = read_table(tmp_path)
    assert table.find("dall-e-3", SPECS).spec == "sdxl"
    assert table.find("mine", SPECS).rules == RULES["own"]
    assert table.find("dall-e-2", SPECS).spec is None
    assert (table.steps("high", 20), table.steps("low", 20), table.steps("high", 4)) == (40, 10, None)
    own.write_text('[models."dall-e-3"]\nspec = "sd15"\n')
    assert read_table(tmp_path).models["dall-e-3"].spec == "sd15"
    own.unlink()
    assert read_table(tmp_path).models["dall-e-3"].spec is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models = 3", "models is no table"),
        ("[model.x]\nspec = 'echo'", "model is no table of this file; it has models"),
        ("[models.x]\nrule = 'own'", "models.x.rule is unknown; known are rules, spec, date"),
        ("[models.x]\nrules = 'dalle'", "models.x.rules is one of dall-e-2"),
        ("[models.x]\nspec = 3", "models.x.spec is the name of a model"),
        ("[models.x]\ndate = '2020'", "models.x.date is a date like"),
        ("[quality]\nlow = 'fast'", "quality.low is a number"),
        ("[quality]\nlow = 0", "quality.low is a number from 0.05"),
        ("[quality]\nfast = 1", "quality.fast is unknown; known are few, low"),
        ("[style]\nnatural = true", "style.natural is a number"),
        ("[models", "cannot be read"),
    ],
)
def test_what_is_wrong_in_it_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "serve.toml").write_text(text)
    with pytest.raises(BadTable, match=r"serve\.toml") as caught:
        read_table(tmp_path)
    assert said in caught.value.message
    status, body = error_reply(caught.value)
    assert (status, body["error"]["type"]) == (500, "server_error")


def test_a_spec_that_is_not_there_is_named(tmp_path: Path) -> None:
    (tmp_path / "serve.toml").write_text('[models.mine]\nspec = "sdlx"\n')
    with pytest.raises(BadTable, match=r"models\.mine\.spec.*sdxl"):
        read_table(tmp_path).find("mine", SPECS)
