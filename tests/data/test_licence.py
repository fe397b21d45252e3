"""Licences are refused by rule, never by guess."""

from __future__ import annotations

import pytest

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
