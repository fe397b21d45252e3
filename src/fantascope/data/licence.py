"""Which licences training pictures may carry: an allow list of SPDX identifiers, and the reason for every refusal.

The embedded checkpoint is given away under Apache-2.0 and must be safe for commercial use, so a licence is either on
the list below or refused. Nothing is guessed: a missing or unknown identifier is refused as well.
"""

from __future__ import annotations

import re

from fantascope.errors import LicenceMissing

ALLOWED: dict[str, str] = {
    "Apache-2.0": "the notice is kept",
    "CC-BY-4.0": "the author is named",
    "CC0-1.0": "public domain dedication",
    "ISC": "the notice is kept",
    "MIT": "the notice is kept",
    "PDM-1.0": "public domain mark",
}
"""SPDX identifier -> what its terms ask of us."""

RULES: tuple[tuple[str, str], ...] = (
    (r"(^|-)NC(-|$)", "non-commercial: the checkpoint may be used commercially"),
    (r"(^|-)ND(-|$)", "no derivatives: training composes derivatives"),
    (r"(^|-)SA(-|$)", "share-alike: it would bind every picture made from the checkpoint"),
    (r"^(A|L)?GPL", "copyleft: it would bind every picture made from the checkpoint"),
)


def reason_refused(spdx: str | None) -> str | None:
    """Say why pictures under this licence may not be trained on, or `None` if they may.

    Args:
        spdx: An SPDX licence identifier such as `MIT`; `None` where a source states none.

    Example:
        >>> reason_refused("MIT") is None
        True
        >>> reason_refused("CC-BY-SA-4.0")
        'share-alike: it would bind every picture made from the checkpoint'
    """
    if spdx is None or not spdx.strip():
        return "no licence stated"
    if spdx in ALLOWED:
        return None
    for pattern, reason in RULES:
        if re.search(pattern, spdx, re.IGNORECASE):
            return reason
    return f"unknown licence {spdx!r}: only {', '.join(ALLOWED)} are allowed"


def check_licence(spdx: str | None, source: str) -> str:
    """Return the identifier if the licence is allowed.

    Args:
        spdx: SPDX identifier, or `None`.
        source: What carries it, for the message.

    Raises:
        LicenceMissing: The licence is not on the allow list; the message holds the reason.
    """
    reason = reason_refused(spdx)
    if reason is not None:
        raise LicenceMissing(
            f"{source} may not be trained on: {reason}.", param="licence", hint="Leave this source out."
        )
    assert spdx is not None
    return spdx
