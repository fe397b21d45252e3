"""The rules as data: what a good file is, and that a bad one is named by file, line and rule."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from fantascope.errors import InvalidValue
from fantascope.policy import Policy
from fantascope.policy.rules import ARTISTS, CATEGORIES, RULES, read_rules


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_bytes(RULES.read_bytes())
    return path


def test_the_thirteen_categories_and_a_version() -> None:
    data = read_rules(RULES, ARTISTS)
    assert len(CATEGORIES) == 13
    assert set(CATEGORIES) < {rule.category for rule in data.rules}
    assert data.version and data.date.year >= 2026


def test_every_rule_has_what_a_refusal_needs() -> None:
    for rule in read_rules(RULES, ARTISTS).rules:
        assert len(rule.examples) >= 8 and len(rule.counterexamples) >= 8 and rule.phrases, rule.id
        assert rule.reason.endswith((".", "com.")) and rule.offer, rule.id
        assert not set(rule.examples) & set(rule.counterexamples), rule.id


def test_hash_is_of_the_bytes(rules: Path) -> None:
    before = Policy.load(rules)
    assert before.hash == hashlib.sha256(RULES.read_bytes() + ARTISTS.read_bytes()).hexdigest()
    assert Policy.load(rules) is before
    rules.write_text(rules.read_text("utf-8").replace("threshold = 0.5", "threshold = 0.55", 1), "utf-8")
    after = Policy.load(rules)
    assert after.hash != before.hash
    assert after.rules[0].threshold == 0.55


def test_hash_changes_with_the_artists(tmp_path: Path) -> None:
    other = tmp_path / "artists.toml"
    other.write_bytes(ARTISTS.read_bytes() + b"\n# one more line\n")
    assert Policy.load(artists=other).hash != Policy.load().hash


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("threshold = 0.5", "threshold = 1.5", "rule 'sexual/minors' has threshold = 1.5"),
        ("threshold = 0.5", "threshold = true", "rule 'sexual/minors' has threshold = True"),
        ("threshold = 0.5", "treshold = 0.5", "unknown key 'treshold'"),
        ('id = "sexual/minors"', 'id = "sexual"', "is there twice"),
        ('id = "sexual/minors"', "id = 7", "rule number 1 has no id"),
        ('category = "sexual/minors"', 'category = "other"', "no rule of the category sexual/minors"),
        ("<nudity> ...... <minor>", "<nobody> ...... <minor>", "there is no list 'nobody'"),
        ("<nudity> ...... <minor>", "...... <minor>", "starts and ends with a word"),
        ('rules = ["sexual/minors", "hate"', 'rules = ["sexual/miners", "hate"', "names the rule 'sexual/miners'"),
        ("[negatives.subtraction]", "[negatives.substraction]", "unknown key 'substraction'"),
        ('id = "sexual/subtraction"', 'id = "sexual"', "is there twice"),
        ('version = "1.1"', "version = 1", "which is not a str"),
        ('version = "1.1"', "", "lacks 'version'"),
        ('version = "1.1"', "version = ", "not valid TOML"),
        ('"erect penis"', "7", "has 7 in phrases"),
    ],
)
def test_malformed_rules_are_named(rules: Path, old: str, new: str, said: str) -> None:
    text = rules.read_text("utf-8")
    assert old in text
    rules.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(InvalidValue) as caught:
        Policy.load(rules)
    assert said in caught.value.message and str(rules) in caught.value.message


def test_the_line_is_named(rules: Path) -> None:
    text = rules.read_text("utf-8").replace("threshold = 0.5", "threshold = 2", 1)
    rules.write_text(text, "utf-8")
    line = text.splitlines().index('id = "sexual/minors"') + 1
    with pytest.raises(InvalidValue, match=f"line {line}"):
        Policy.load(rules)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="cannot be read"):
        Policy.load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidValue, match="not UTF-8"):
        Policy.load(tmp_path / "binary.toml")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("{ born = 1950 }", "lacks 'offer'"),
        ('{ born = 1950, died = 1940, offer = "x" }', "died before being born"),
        ('{ born = "old", offer = "x" }', "which is not a int"),
        ('{ nick = "x", offer = "x" }', "unknown key 'nick'"),
        ("7", "is not a table"),
    ],
)
def test_malformed_artists_are_named(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "artists.toml"
    path.write_text(f'source = "x"\nwritten = 2026-11-23\n[artists]\n"Jane Doe" = {row}\n', "utf-8")
    with pytest.raises(InvalidValue, match="line 4: artist 'Jane Doe'") as caught:
        Policy.load(artists=path)
    assert said in caught.value.message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("source = ", "sauce = ", "unknown key 'sauce'"),
        ("written = 2026-11-23", "", "lacks 'written'"),
        ("written = 2026-11-23", 'written = "then"', "which is not a date"),
    ],
)
def test_artists_say_where_their_dates_are_from(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "artists.toml"
    text = ARTISTS.read_text("utf-8")
    assert f"\n{old}" in text
    path.write_text(text.replace(f"\n{old}", f"\n{new}", 1), "utf-8")
    with pytest.raises(InvalidValue) as caught:
        Policy.load(artists=path)
    assert said in caught.value.message and str(path) in caught.value.message
