"""An organisation's own rules, and the strictness of plans."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fantascope import Imagine, PolicyRefused, Studio
from fantascope.errors import InvalidValue, UnknownName
from fantascope.policy import Policy
from fantascope.policy.own import PLANS, strictness_of
from fantascope.policy.rules import ARTISTS, RULES
from fantascope.settings import Settings

ADDED = """
[lists]
mascot = ["blinky the owl"]
mark = ["acme rockets"]

[[rule]]
id = "house/mascot"
category = "house"
reason = "Our mascot is painted by our own studio."
offer = "an owl that is not ours"
threshold = 0.5
phrases = ["<mascot>"]

[[rule]]
id = "violence"
threshold = 0.4
phrases = ["{pie|cake} fight"]
"""


def own(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text, "utf-8")
    return path


def refusing(policy: Policy, text: str) -> set[str]:
    return {v.rule for v in policy.check_text(text, field="prompt", embed=None) if not v.allowed}


def test_own_rules_add_and_tighten(tmp_path: Path) -> None:
    path = own(tmp_path, ADDED)
    mine, shipped = Policy.load(own=path), Policy.load()
    assert refusing(mine, "Blinky the owl at sea") == {"house/mascot"} and not refusing(
        shipped, "Blinky the owl at sea"
    )
    assert refusing(mine, "a cake fight") == {"violence"} and not refusing(shipped, "a cake fight")
    assert refusing(mine, "a counterfeit Acme Rockets label") == {"trademark"}
    assert {rule.id: rule.threshold for rule in mine.rules}["violence"] == 0.4
    for text in ("a fake passport", "a man stabbing a woman"):
        assert refusing(mine, text) == refusing(shipped, text) != set()
    known = RULES.read_bytes() + ARTISTS.read_bytes() + path.read_bytes()
    assert mine.hash == hashlib.sha256(known).hexdigest() != shipped.hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[rule]]\nid = "violence"\nthreshold = 0.9\n', "raises the threshold"),
        ('[[rule]]\nid = "violence"\nexceptions = ["a man"]\n', "exceptions, which loosen"),
        ('[[rule]]\nid = "violence"\ncounterexamples = ["a man"]\n', "counterexamples, which loosen"),
    ],
)
def test_own_rules_loosen_only_where_that_is_allowed(tmp_path: Path, text: str, said: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(InvalidValue, match=said) as caught:
        Policy.load(own=path)
    assert "FANTASCOPE_RULES_LOOSEN" in str(caught.value) and str(path) in str(caught.value)
    assert Policy.load(own=path, loosen=True).hash != Policy.load().hash


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('version = "2"\n', "has the key 'version'"),
        ('[[rule]]\nid = "violence"\nreason = "None."\n', "has 'reason', which a rule that ships keeps"),
        ('[[rule]]\nid = "violence"\nphrases = "a"\n', "where a list belongs"),
        ('[[rule]]\nid = "violence"\nthreshold = 0\n', "must be a number above 0"),
        ('[[rule]]\nid = "house"\n', "must be a number above 0"),
        ("[[rule]]\n", "has no id"),
        ("[lists]\nmark = 3\n", "where a list belongs"),
        ("[[rule]", "not valid TOML"),
    ],
)
def test_malformed_own_rules_are_named(tmp_path: Path, text: str, said: str) -> None:
    path = own(tmp_path, text)
    with pytest.raises(InvalidValue, match=said) as caught:
        Policy.load(own=path)
    assert str(path) in str(caught.value)
    with pytest.raises(InvalidValue, match="cannot be read"):
        Policy.load(own=tmp_path / "none.toml")


def test_every_plan_has_a_strictness() -> None:
    for plan in ("local", "free", "standard", "pro"):
        Policy.of(Settings(plan=plan))
    assert strictness_of("free") == "strict"
    with pytest.raises(UnknownName, match="no plan"):
        strictness_of("gold")
    with pytest.raises(UnknownName, match="no strictness"):
        Policy.load(strictness="lax")
    assert PLANS.is_file()


def test_strictness_moves_thresholds_and_the_hash() -> None:
    by_name = {name: Policy.load(strictness=name) for name in ("open", "standard", "strict")}
    assert len({policy.hash for policy in by_name.values()}) == 3
    threshold = {
        name: {rule.id: rule.threshold for rule in (*policy.rules, *policy.data.pictures)}
        for name, policy in by_name.items()
    }
    for rule in threshold["standard"]:
        assert threshold["strict"][rule] <= threshold["standard"][rule] <= threshold["open"][rule]
    assert threshold["open"]["sexual/minors"] == threshold["standard"]["sexual/minors"]
    for policy in by_name.values():  # phrases are sure under every strictness
        assert refusing(policy, "a man stabbing a woman") == {"violence"}


def test_the_studio_follows_settings(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", rules=own(tmp_path, ADDED))
    with Studio(settings) as studio, pytest.raises(PolicyRefused, match="mascot"):
        list(studio.run(Imagine(prompt="Blinky the owl", model="echo")))


def test_settings_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FANTASCOPE_RULES", str(tmp_path / "own.toml"))
    monkeypatch.setenv("FANTASCOPE_RULES_LOOSEN", "1")
    assert Settings.from_env().rules == tmp_path / "own.toml" and Settings.from_env().rules_loosen
    monkeypatch.delenv("FANTASCOPE_RULES")
    assert Settings.from_env().rules is None
