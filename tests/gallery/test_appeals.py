"""The log of refusals in the gallery's database."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery import Gallery, Refusal


def refusal(**changes: object) -> Refusal:
    facts: dict[str, object] = {"rule": "violence", "score": 0.75, "threshold": 0.5, "subject": "prompt"}
    facts |= {"id": "", "at": datetime.now(UTC), "account": "local", "task": "imagine", "scope": "a" * 64}
    facts |= {"text": "Ein „Text“\nauf zwei Zeilen", "words": ("Text",), "reason": "R", "offer": "O", "policy": "p"}
    return Refusal(**(facts | changes))  # type: ignore[arg-type]


def test_what_is_logged_is_read_back_after_closing(tmp_path: Path) -> None:
    with Gallery.open(tmp_path) as gallery:
        kept = gallery.refusals.record(refusal())
        other = gallery.refusals.record(refusal(text="", words=()))
        assert len(kept.id) == 8 and kept.id != other.id
    with Gallery.open(tmp_path, read_only=True) as gallery:
        assert gallery.refusals.newest(5) == [other, kept]
        assert gallery.refusals.newest(1) == [other]
        assert gallery.refusals.get(kept.id.upper()) == kept


def test_the_way_of_an_appeal(tmp_path: Path) -> None:
    signed: list[bytes] = []

    def sign(data: bytes) -> str:
        signed.append(data)
        return "beef"

    with Gallery.open(tmp_path) as gallery:
        log = gallery.refusals
        one = log.record(refusal())
        with pytest.raises(InvalidValue, match="Nobody appealed"):
            log.decide(one.id, True, "why", sign)
        assert log.newest(5, appealed=True) == []
        assert log.appeal(one.id, "why not").appeal == "why not"
        assert [r.id for r in log.newest(5, appealed=True)] == [one.id]
        first = log.decide(one.id, True, "because", sign)
        assert first.signature == "beef" and signed == [first.statement()]
        assert log.newest(5, appealed=True) == [] and log.get(one.id).decision == first.id
        assert log.decided("violence", "a" * 64) == first
        assert log.decided("violence", "b" * 64) is None and log.decided("hate", "a" * 64) is None
        second = log.decide(one.id, False, "no longer", sign)
        assert log.decided("violence", "a" * 64) == second and first.statement() != second.statement()
        for bad in ("", " ", "x" * 5000):
            with pytest.raises(InvalidValue, match="reason"):
                log.decide(one.id, True, bad, sign)
        with pytest.raises(NotFound):
            log.get("00000000")


def test_a_gallery_of_the_first_version_gets_the_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from fantascope.gallery import schema

    newest = schema.MIGRATIONS
    monkeypatch.setattr(schema, "MIGRATIONS", newest[:1])
    Gallery.open(tmp_path).close()
    monkeypatch.setattr(schema, "MIGRATIONS", newest)
    with Gallery.open(tmp_path) as gallery:
        kept = gallery.refusals.record(refusal())
        assert gallery.refusals.newest(3) == [kept]
