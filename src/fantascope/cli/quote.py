"""`--dry-run`: what a request would cost, before anything is painted, held or charged."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from fantascope.cli.ledger import expiring
from fantascope.cli.lines import emit

if TYPE_CHECKING:
    from fantascope.gallery import Balance

KINDS = ("allowance", "rollover", "topup")
LOOKED_AT = 20
"""Pictures of the same model that the estimate looks back at."""


def quote(*requests: Any, as_json: bool) -> None:
    """Resolve and judge requests; print the price of each, what the plan has left, and an estimate of its energy.

    Raises:
        PolicyRefused: a rule refuses one, as it would refuse the run.
    """
    from fantascope.studio import Studio

    with Studio() as studio:
        for request in requests:
            balance = studio.gallery.balance(studio.settings.user)
            facts = _facts(studio, request, balance)
            if as_json:
                emit("quote", facts)
                continue
            print(f"{facts['n']} x {facts['task']} with {facts['model']}: {facts['credits']:,.10g} credits")
            short = "" if facts["enough"] else ", which is not enough"
            print(f"{facts['account']} on plan {facts['plan']}: {facts['left']:,.10g} left{short}", end="")
            print(f"; the allowance of {facts['allowance']:,.10g} renews on {facts['renews']:%Y-%m-%d}")
            if balance.expiring:
                print(f"left: {expiring(balance)}")
            drawn = "unknown" if facts["energy_wh"] is None else f"about {facts['energy_wh']:.3g} Wh"
            print(f"energy: {drawn} ({facts['energy_method']})")
    if not as_json:
        print("Nothing was painted, held or charged.")


def _facts(studio: Any, request: Any, balance: Balance) -> dict[str, Any]:
    from fantascope.policy import quote as priced
    from fantascope.policy.energy import Energy, estimate
    from fantascope.request import Painting

    job = studio.resolve(request)
    studio.judge(job.request, job.spec)
    credits = float(priced(job.request, job.spec))
    energy: Energy | None = None
    if isinstance(job.request, Painting):
        cores = os.cpu_count() or 1
        threads = studio.settings.threads or cores
        energy = estimate(job.request, _past(studio, job.spec.name), threads=threads, cores=cores)
    return {
        "task": job.request.task,
        "model": job.spec.name,
        "n": job.request.n,
        "credits": credits,
        "account": balance.account,
        "plan": balance.plan,
        "left": balance.left,
        "left_of": {kind: sum(part.credits for part in balance.expiring if part.kind == kind) for kind in KINDS},
        "expiring": [asdict(part) for part in balance.expiring],
        "allowance": balance.allowance,
        "left_after": round(balance.left - credits, 3),
        "renews": balance.renews,
        "enough": credits <= balance.left,
        "energy_wh": None if energy is None else round(energy.watt_hours, 5),
        "energy_method": "nothing like it was made here yet" if energy is None else energy.method,
    }


def _past(studio: Any, model: str) -> list[Any]:
    """Return what the newest pictures of this model took, those that say how much work they were."""
    from fantascope.policy.energy import Past

    found = []
    for entry in studio.gallery.list(limit=LOOKED_AT, model=model):
        receipt = studio.gallery.receipt(entry.id)
        said = [receipt.request.get(name) for name in ("width", "height", "upscale", "steps")]
        if all(isinstance(value, int) for value in said) and receipt.cost.seconds > 0:
            width, height, factor, steps = said
            found.append(Past(width * height / factor**2 * steps, receipt.cost.seconds))
    return found
