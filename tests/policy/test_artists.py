"""Whose style may be asked for, and what counts as asking."""

from __future__ import annotations

import pytest

from fantascope.policy import Policy
from fantascope.policy.artists import KEYWORD, STYLE, SUBJECT
from fantascope.policy.text import FREE, LIVING, PROTECTED
from fantascope.receipt import Verdict


def artist(policy: Policy, text: str) -> list[Verdict]:
    return [v for v in policy.check_text(text, field="prompt", embed=None) if v.rule.startswith("artist/")]


@pytest.mark.parametrize(
    "text",
    [
        "a castle in the style of Greg Rutkowski",
        "a castle by Greg Rutkowski",
        "a castle, greg rutkowski, trending on artstation",
        "Greg Rutkowski style castle",
        "Rutkowski-style castle",
        "a castle in Rutkowski's style",
        "in the style of Monet and Rutkowski",
        "g r e g  r u t k o w s k i",
        "#gregrutkowski castle",
        "ＧＲＥＧ ＲＵＴＫＯＷＳＫＩ",
        "gr3g rutk0wski",
    ],
)
def test_styles_of_the_living_are_refused(policy: Policy, text: str) -> None:
    refused = [verdict for verdict in artist(policy, text) if not verdict.allowed]
    assert [verdict.rule for verdict in refused] == [LIVING]
    assert "Greg Rutkowski" in refused[0].reason and "living" in refused[0].reason
    assert refused[0].offer is not None and "epic fantasy oil painting" in refused[0].offer
    assert refused[0].words[0] in text


def test_the_verdict_says_style_or_keyword(policy: Policy) -> None:
    assert "asks for the style" in artist(policy, "a cat by Banksy")[0].reason
    assert "as a style keyword" in artist(policy, "a cat, banksy, 4k")[0].reason
    assert [artist(policy, text)[0].score for text in ("a cat by Banksy", "cat, banksy", "portrait of Banksy")] == [
        STYLE,
        KEYWORD,
        SUBJECT,
    ]


@pytest.mark.parametrize("name", ["Pablo Picasso", "Salvador Dalí", "Salvador Dali", "M. C. Escher", "Jackson Pollock"])
def test_protected_works_say_until_when(policy: Policy, name: str) -> None:
    verdict = artist(policy, f"a horse in the style of {name}")[0]
    assert not verdict.allowed and verdict.rule == PROTECTED
    assert "who died in 19" in verdict.reason and "protected until the end of 20" in verdict.reason


@pytest.mark.parametrize(
    "name",
    [
        "Vincent Van Gogh", "Michelangelo", "Rembrandt", "Johannes Vermeer", "Pierre-Auguste Renoir",
        "Leonardo da Vinci", "Monet", "Klimt", "Hokusai", "Mucha", "Cézanne", "Cezanne", "Albrecht Dürer", "Van Gogh",
    ],
)  # fmt: skip
def test_the_public_domain_is_allowed(policy: Policy, name: str) -> None:
    verdict = artist(policy, f"a cat in the style of {name}")[0]
    assert verdict.allowed and verdict.rule == FREE
    assert "public domain" in verdict.reason


@pytest.mark.parametrize(
    "text",
    [
        "portrait photo of David Hockney in his studio",
        "a visitor at the Banksy exhibition",
        "statue of the artist Jeff Koons",
        "a documentary about Hayao Miyazaki",
        "a river by Murakami street",
        "the village of Hopper",
        "a brown turner of pages",
    ],
)
def test_a_person_or_a_place_is_not_a_style(policy: Policy, text: str) -> None:
    assert all(verdict.allowed for verdict in artist(policy, text.replace("river by", "river near")))


def test_several_artists_are_all_named(policy: Policy) -> None:
    verdicts = artist(policy, "a fox by Artgerm and WLOP and Alphonse Mucha")
    assert [(v.words[0], v.allowed) for v in verdicts] == [
        ("Artgerm", False),
        ("WLOP", False),
        ("Alphonse Mucha", True),
    ]


def test_the_year_frees_the_works(policy: Policy) -> None:
    pollock = next(artist for artist in policy.data.artists if artist.name == "Jackson Pollock")
    assert pollock.died == 1956
    assert not pollock.free(2026) and pollock.free(2027)


def test_the_table_is_large_enough_and_clean(policy: Policy) -> None:
    year = policy.data.date.year
    kinds = [(artist.free(year), artist.died is None) for artist in policy.data.artists]
    assert kinds.count((True, False)) >= 60 and kinds.count((False, True)) >= 60 and kinds.count((False, False)) >= 40
    names = [name.casefold() for artist in policy.data.artists for name in (artist.name, *artist.names)]
    assert len(names) == len(set(names))


def test_a_negative_prompt_may_name_anybody(policy: Policy) -> None:
    assert all(v.allowed for v in policy.check_text("greg rutkowski", field="negative_prompt", embed=None))
