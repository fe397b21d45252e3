"""People and tokens: who is let in, who is not, and what is never written down."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.gallery.helpers import Clock

from fantascope.errors import InvalidValue, NotFound, UnknownName
from fantascope.gallery import Gallery, people


def test_a_person_is_let_in_by_a_token_and_nothing_else(gallery: Gallery, folder: Path) -> None:
    ada = gallery.people.add("ada", "standard")
    assert (ada.name, ada.plan, ada.disabled, ada.operator) == ("ada", "standard", False, False)
    token = gallery.people.issue("ada", "laptop")
    assert re.fullmatch(r"fs-[A-Za-z0-9_-]{43}", token)
    assert gallery.people.who(token) == ada == gallery.people.get("ada")
    near = token[:-1] + ("A" if token[-1] != "A" else "B")
    for wrong in ("", "fs-", token + "x", token[:-1], near, token.upper(), "Bearer " + token, token + "\n", "é" * 46):
        assert gallery.people.who(wrong) is None
    for odd in ("fs-' OR '1'='1", "\ud800" * 46, "\0" * 46):
        assert gallery.people.who(odd) is None
    gallery.close()
    written = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert token.encode() not in written and token[3:].encode() not in written


@pytest.mark.parametrize("name", ["", "A", "a b", "é", "a" * 65, "..", ".", "a/b", "a\n", "' OR 1=1 --", "\0"])
def test_names_that_are_none(gallery: Gallery, name: str) -> None:
    with pytest.raises(InvalidValue, match="is no name"):
        gallery.people.add(name, "free")
    assert gallery.people.list() == []


def test_reserved_taken_and_unknown(gallery: Gallery, folder: Path) -> None:
    for name in ("local", "admin", "root"):
        with pytest.raises(InvalidValue, match="is reserved"):
            gallery.people.add(name, "free")
    with Gallery.open(folder, account="me2") as other, pytest.raises(InvalidValue, match="is reserved"):
        other.people.add("me2", "free")
    with pytest.raises(InvalidValue, match="is reserved"):
        gallery.people.add("root", "free", operator=True)
    assert gallery.people.add("local", "local", operator=True).operator, "whoever runs the gallery may be an operator"
    gallery.people.add("ada", "free")
    with pytest.raises(InvalidValue, match="already"):
        gallery.people.add("ada", "pro")
    with pytest.raises(UnknownName, match="golden"):
        gallery.people.add("bob", "golden")
    with pytest.raises(UnknownName):
        gallery.people.change("ada", plan="golden")
    for act in (
        lambda: gallery.people.issue("bob"),
        lambda: gallery.people.tokens("bob"),
        lambda: gallery.people.change("bob", disabled=True),
        lambda: gallery.people.get("bob"),
        lambda: gallery.people.revoke("0" * 16),
    ):
        with pytest.raises(NotFound, match="There is no"):
            act()
    assert [(one.name, one.plan) for one in gallery.people.list()] == [("ada", "free"), ("local", "local")]


def test_tokens_end(gallery: Gallery, clock: Clock) -> None:
    folk = gallery.people
    folk.add("ada", "free")
    day, long, other = folk.issue("ada", "a day", days=1), folk.issue("ada", "for good"), folk.issue("ada", "lost")
    clock.pass_(hours=23, minutes=59)
    assert folk.who(day) is not None
    clock.pass_(minutes=1)
    assert folk.who(day) is None and folk.who(long) is not None
    told = {token.label: token for token in folk.tokens("ada")}
    assert told["a day"].expires == clock() and told["for good"].expires is None
    revoked = folk.revoke(told["lost"].id)
    assert revoked.revoked == clock() and folk.who(other) is None and folk.who(long) is not None
    clock.pass_(hours=1)
    assert folk.revoke(revoked.id) == revoked, "once is enough"
    assert folk.change("ada", disabled=True).disabled and folk.who(long) is None
    assert folk.change("ada", disabled=False).plan == "free" and folk.who(long) is not None
    assert folk.who(other) is None and not any(long in repr(token) for token in folk.tokens("ada"))


@pytest.mark.parametrize(
    "issue",
    [
        lambda folk: folk.issue("ada", days=0),
        lambda folk: folk.issue("ada", days=-1),
        lambda folk: folk.issue("ada", days=float("nan")),
        lambda folk: folk.issue("ada", days=1e9),
        lambda folk: folk.issue("ada", "x" * 201),
        lambda folk: folk.issue("ada", "\x1b[31m"),
    ],
)
def test_tokens_that_are_none(gallery: Gallery, issue: Callable[[people.People], str]) -> None:
    gallery.people.add("ada", "free")
    with pytest.raises(InvalidValue):
        issue(gallery.people)
    assert gallery.people.tokens("ada") == []


def test_the_plan_of_a_person_is_the_plan_of_their_ledger(gallery: Gallery, clock: Clock) -> None:
    gallery.people.add("ada", "standard")
    ada = gallery.of("ada")
    ada.release(ada.hold("ada", 1, "imagine"))
    assert (ada.balance("ada").plan, ada.balance("ada").left) == ("standard", 500)
    gallery.people.change("ada", plan="pro")
    assert (ada.balance("ada").plan, ada.balance("ada").left) == ("pro", 500), "this month's allowance was given"
    assert ada.topup("ada", 2500).left == 3000, "a size that only the new plan has"
    clock.now = clock.now.replace(year=2027, month=1)
    assert ada.balance("ada").allowance == 2500
    hold = ada.hold("ada", 3000, "imagine")
    clock.now = clock.now.replace(month=2)
    ada.release(hold)
    assert ada.balance("ada").plan == "pro" and list(gallery.verify()) == []


def test_who_is_looked_up_by_hash_and_compared_in_constant_time(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.people.add("ada", "free")
    token = gallery.people.issue("ada")
    compared: list[tuple[str, str]] = []

    def compare(left: str, right: str) -> bool:
        compared.append((left, right))
        return left == right

    monkeypatch.setattr(people.hmac, "compare_digest", compare)
    assert gallery.people.who(token) is not None and gallery.people.who("fs-" + "x" * 43) is None
    assert len(compared) == 2 and compared[0][0] == compared[0][1] and compared[1][1] == "0" * 64
    assert all(len(part) == 64 and token not in part for pair in compared for part in pair)


def test_what_is_known_of_a_token_is_found_by_the_token(gallery: Gallery) -> None:
    gallery.people.add("ann", "free")
    first, second = gallery.people.issue("ann", "laptop"), gallery.people.issue("ann", "laptop")
    found = [gallery.people.token(one) for one in (first, second)]
    assert [one.label for one in found] == ["laptop", "laptop"]
    assert sorted(one.id for one in found) == sorted(one.id for one in gallery.people.tokens("ann"))
    gallery.people.revoke(found[0].id)
    assert gallery.people.token(first).revoked is not None
    with pytest.raises(NotFound):
        gallery.people.token("fs-" + "x" * 43)
