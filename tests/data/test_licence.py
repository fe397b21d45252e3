"""Licences are refused by rule, never by guess."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fantascope.data.licence import ALLOWED, check_licence, reason_refused
from fantascope.errors import LicenceMissing


@pytest.mark.parametrize("spdx", sorted(ALLOWED))
def test_allowed(spdx: str) -> None:
    assert check_licence(spdx, "package x") == spdx


@pytest.mark.parametrize(
    ("spdx", "word"),
    [
        ("CC-BY-SA-4.0", "share-alike"),
        ("CC-BY-NC-4.0", "non-commercial"),
        ("CC-BY-NC-SA-4.0", "non-commercial"),
        ("CC-BY-ND-4.0", "no derivatives"),
        ("GPL-3.0-only", "copyleft"),
        ("LGPL-2.1-or-later", "copyleft"),
        ("Proprietary", "unknown"),
        ("mit", "unknown"),
        ("", "no licence"),
        (None, "no licence"),
    ],
)
def test_refused_with_its_reason(spdx: str | None, word: str) -> None:
    assert word in (reason_refused(spdx) or "")
    with pytest.raises(LicenceMissing, match=word):
        check_licence(spdx, "package x")


VERSION = st.sampled_from(["1.0", "2.0", "2.5", "3.0", "3.0-IGO", "4.0"])
CC = st.permutations(["BY", "NC", "SA", "ND"]).flatmap(lambda parts: st.integers(1, 4).map(lambda n: parts[:n]))


@given(CC, VERSION)
def test_every_creative_commons_licence_with_a_condition_we_cannot_keep_is_refused(
    parts: list[str], version: str
) -> None:
    spdx = "-".join(["CC", *parts, version])
    if set(parts) & {"NC", "SA", "ND"}:
        told = reason_refused(spdx)
        words = {"NC": "non-commercial", "SA": "share-alike", "ND": "no derivatives"}
        assert told is not None and any(words[part] in told for part in parts if part in words)


@given(st.sampled_from(["GPL", "LGPL", "AGPL"]), VERSION, st.sampled_from(["", "-only", "-or-later", "+"]))
def test_every_gnu_licence_is_refused_as_copyleft(family: str, version: str, end: str) -> None:
    assert "copyleft" in (reason_refused(f"{family}-{version}{end}") or "")


@given(st.text(max_size=40))
def test_nothing_but_the_list_itself_is_allowed(spdx: str) -> None:
    assert (reason_refused(spdx) is None) == (spdx in ALLOWED)


@given(st.sampled_from(sorted(ALLOWED)), st.sampled_from([" OR ", " AND ", " WITH ", "-", " "]), st.text(max_size=10))
def test_an_expression_is_not_an_identifier(spdx: str, joint: str, more: str) -> None:
    assert reason_refused(f"{spdx}{joint}{more}") is not None
