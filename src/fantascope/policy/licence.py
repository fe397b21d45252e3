"""Judging a model's licence against the use that is made of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fantascope.receipt import Verdict
from fantascope.spec import Spec

if TYPE_CHECKING:
    from fantascope.adapter import Adapter

RULE = "licence"


def check_licence(spec: Spec | Adapter, *, commercial: bool | None, policy: str = "") -> Verdict:
    """Judge whether a model, or an adapter, may be used.

    Args:
        spec: The model or the adapter; what its file says against its licence stands in the reason.
        commercial: Whether the use is commercial; None where nobody said.
        policy: Label of the policy in force, for the record.

    Returns:
        Refused where no licence is stated, and where it forbids the commercial use that is asked for. Allowed
        otherwise; the reason states what the licence says, conditions included.
    """
    licence, doubts = spec.licence, getattr(spec, "doubts", None)
    kind = "model" if doubts is None else "adapter"
    known = f"fantascope {kind}s list"
    name = licence.name if licence.name is not None else licence.spdx
    allowed, offer = True, None
    if not licence.spdx.strip() or licence.spdx in ("NONE", "NOASSERTION"):
        allowed = False
        reason = f"The {kind} {spec.name!r} states no licence, so nobody is known to have allowed its use."
        offer = f"Allowed instead: one whose record names its licence ({known})."
    elif licence.commercial is False and commercial:
        allowed = False
        reason = f"The licence of {spec.name!r}, {name}, does not allow commercial use."
        offer = f"Allowed instead: one for commercial use ({known}), or a use that is not commercial."
    elif licence.commercial is False:
        reason = f"{name}: not for commercial use."
    elif licence.commercial is None:
        reason = f"{name}: commercial use depends on conditions that you have to read."
    else:
        reason = f"{name}: commercial use allowed."
    if allowed and licence.conditions is not None:
        reason += f" Conditions: {licence.conditions}."
    if doubts is not None:
        reason = f"Adapter {spec.name}: {reason}" + "".join(f" But {doubt}." for doubt in doubts)
    return Verdict(
        allowed=allowed,
        rule=RULE,
        score=0.0 if allowed else 1.0,
        threshold=1.0,
        reason=reason,
        subject=spec.name,
        words=(licence.spdx,) if licence.spdx else (),
        offer=offer,
        policy=policy,
    )
