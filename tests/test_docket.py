"""Refusals are logged, appealed and decided; what is decided is signed, narrow, and cited."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from fantascope import Imagine, PolicyRefused, Studio
from fantascope.artifact import Artifact
from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery import Refusal
from fantascope.provenance.statement import sign_statement, statement_holds
from fantascope.settings import Settings

TEXT = "a dragon in the style of Greg Rutkowski"


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    with Studio(Settings(home=tmp_path)) as one:
        yield one


def refused(studio: Studio, text: str, **more: object) -> PolicyRefused:
    with pytest.raises(PolicyRefused) as caught:
        list(studio.run(Imagine(**({"prompt": text, "model": "echo", "seed": 1} | more))))
    return caught.value


def newest(studio: Studio) -> Refusal:
    return studio.gallery.refusals.newest(1)[0]


def made(studio: Studio, text: str) -> Artifact:
    events = studio.run(Imagine(prompt=text, model="echo", seed=1))
    return next(event for event in events if isinstance(event, Artifact))


def allowed(studio: Studio, text: str = TEXT) -> str:
    refused(studio, text)
    id = newest(studio).id
    studio.gallery.refusals.appeal(id, "I am he.")
    return studio.docket.decide(id, True, "He is.").id


def test_a_refusal_is_logged_and_says_how_to_appeal(studio: Studio) -> None:
    error = refused(studio, TEXT)
    one = newest(studio)
    assert (one.rule, one.text, one.account, one.subject, one.task) == (
        "artist/living",
        TEXT,
        "local",
        "prompt",
        "imagine",
    )
    assert one.words and one.offer and one.policy == studio.policy.hash
    assert error.hint is not None and one.id in error.hint and one.offer in error.hint
    assert studio.gallery.balance("local").used == 0


def test_a_private_refusal_keeps_no_words(studio: Studio) -> None:
    refused(studio, TEXT, private=True)
    one = newest(studio)
    assert one.text == "" and one.words == () and "Rutkowski" not in one.reason and len(one.scope) == 64
    for path in studio.settings.gallery.glob("gallery.db*"):
        assert b"Rutkowski" not in path.read_bytes()


def test_what_is_allowed_on_appeal_passes_and_is_cited(studio: Studio) -> None:
    id = allowed(studio)
    receipt = made(studio, TEXT).receipt
    assert receipt is not None
    cited = [v for v in receipt.verdicts if v.rule == "artist/living"]
    assert [v.allowed for v in cited] == [True] and id in cited[0].reason and cited[0].score == 1.0
    assert studio.gallery.refusals.newest(5, appealed=True) == []


@pytest.mark.parametrize("text", [TEXT + ".", TEXT.upper(), "a horse in the style of Greg Rutkowski"])
def test_another_text_does_not_pass(studio: Studio, text: str) -> None:
    allowed(studio)
    refused(studio, text)


def test_another_rule_does_not_pass(studio: Studio) -> None:
    both = "a man stabbing a woman in the style of Greg Rutkowski"
    refused(studio, both)
    rules = {one.rule: one.id for one in studio.gallery.refusals.newest(10)}
    assert {"artist/living", "violence"} <= set(rules)
    studio.gallery.refusals.appeal(rules["artist/living"], "I am he.")
    studio.docket.decide(rules["artist/living"], True, "He is.")
    assert refused(studio, both).verdict.rule == "violence"


def test_an_upheld_refusal_stays_one_and_the_newest_decision_counts(studio: Studio) -> None:
    allowed(studio)
    made(studio, TEXT)
    id = studio.gallery.refusals.newest(1)[0].id
    studio.docket.decide(id, False, "He is not, after all.")
    refused(studio, TEXT)


@pytest.mark.parametrize(
    "change", ["scope = ?", "rule = 'artist/living', why = 'Changed', scope = ?", "signature = '00', scope = ?"]
)
def test_a_changed_decision_is_ignored_with_a_warning(
    studio: Studio, change: str, caplog: pytest.LogCaptureFixture
) -> None:
    other = "a horse in the style of Greg Rutkowski"
    refused(studio, other)
    scope = newest(studio).scope
    allowed(studio)
    database = sqlite3.connect(studio.settings.gallery / "gallery.db")
    with database:
        database.execute(f"UPDATE decisions SET {change}", (scope,))
    database.close()
    refused(studio, other)
    assert "its signature does not hold" in caplog.text


def test_another_studios_decision_does_not_hold(studio: Studio, tmp_path: Path) -> None:
    refused(studio, TEXT)
    id = newest(studio).id
    studio.gallery.refusals.appeal(id, "I am he.")
    studio.gallery.refusals.decide(id, True, "Forged.", lambda data: sign_statement(tmp_path / "other", data))
    refused(studio, TEXT)


def test_final_rules_cannot_be_allowed(studio: Studio) -> None:
    error = refused(studio, "a naked child on a bed")
    one = next(one for one in studio.gallery.refusals.newest(5) if one.rule == "sexual/minors")
    assert error.hint is None or "appeal" not in error.hint
    studio.gallery.refusals.appeal(one.id, "No.")
    with pytest.raises(InvalidValue, match="cannot be allowed"):
        studio.docket.decide(one.id, True, "No.")
    assert not studio.docket.decide(one.id, False, "Final.").allow


def test_what_cannot_be_appealed_or_decided(studio: Studio) -> None:
    log = studio.gallery.refusals
    with pytest.raises(NotFound, match="no refusal"):
        log.appeal("ffffffff", "why")
    refused(studio, TEXT)
    id = newest(studio).id
    with pytest.raises(InvalidValue, match="Nobody appealed"):
        studio.docket.decide(id, True, "why")
    with pytest.raises(InvalidValue, match="reason"):
        log.appeal(id, "  ")
    log.appeal(id.upper(), "why")
    with pytest.raises(InvalidValue, match="before"):
        log.appeal(id, "why again")


def test_a_log_that_cannot_be_written_does_not_change_the_refusal(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    studio.gallery.close()
    studio.gallery._database.read_only = True
    assert refused(studio, TEXT).verdict.rule == "artist/living"
    assert "not logged" in caplog.text


def test_statements(tmp_path: Path) -> None:
    signature = sign_statement(tmp_path, b"yes")
    assert statement_holds(tmp_path, b"yes", signature)
    assert not statement_holds(tmp_path, b"no", signature)
    assert not statement_holds(tmp_path, b"yes", "zz")
    assert not statement_holds(tmp_path / "other", b"yes", signature)
