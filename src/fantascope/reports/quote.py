"""What a request would cost, before anything is painted, held or charged."""

from __future__ import annotations

import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fantascope.gallery import Balance

KINDS = ("allowance", "rollover", "topup")
LOOKED_AT = 20
"""Pictures of the same model that the estimate looks back at."""


def quoted(studio: Any, request: Any, balance: Balance) -> dict[str, Any]:
    """Resolve and judge a request; return its price, what the account has left, and an estimate of its energy.

    Raises:
        PolicyRefused: a rule refuses it, as it would refuse the run; that is logged of the run alone.
    """
    from fantascope.policy import quote as priced
    from fantascope.policy.energy import Energy, estimate
    from fantascope.request import Painting

    job = studio.resolve(request)
    studio.judge(job.request, job.spec, log=False)
    credits = float(priced(job.request, job.spec))
    energy: Energy | None = None
    work, turns = "", None
    if isinstance(job.request, Painting):
        cores = os.cpu_count() or 1
        threads = studio.settings.threads or cores
        past = _past(studio, job.spec)
        energy = estimate(job.request, job.spec, past, threads=threads, cores=cores, device=job.choice.device)
        work, turns = _work(job.request, job.spec)
    return {
        "task": job.request.task,
        "model": job.spec.name,
        "n": job.request.n,
        "credits": credits,
        "passes": turns,
        "work": work,
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


def _work(request: Any, spec: Any) -> tuple[str, int | None]:
    """Say how often a picture goes through the network, and why; nothing of a model whose passes are not known."""
    from fantascope.policy.cost import LOOPED, passes, texts_of, usual_passes

    if spec.family not in LOOPED:
        return "", None
    count, texts = passes(request, spec), texts_of(request)
    why = [f"{request.steps} steps"]
    if request.sampler == "heun":
        why.append("heun asks twice a step")
    why += [f"{texts} texts by AND"] if texts > 1 else []
    why.append("guided" if request.guidance != 1 else "unguided")
    usual = usual_passes(spec)
    return f"{count} passes of the network a picture ({', '.join(why)}); the usual picture has {usual}", count


def _past(studio: Any, spec: Any) -> list[Any]:
    """Return what the newest pictures of this model took, those that were painted together as one.

    The first of several took the seconds of all, so a group counts only where all of it is known.
    """
    from fantascope.errors import RequestError
    from fantascope.policy.energy import Past, work_of
    from fantascope.request import Painting, parse_request

    groups: dict[str, list[Past]] = {}
    sizes: dict[str, int] = {}
    for entry in studio.gallery.list(limit=LOOKED_AT, model=spec.name):
        receipt = studio.gallery.receipt(entry.id)
        try:
            request = parse_request(dict(receipt.request))
        except RequestError:
            continue
        if not isinstance(request, Painting) or request.seed is None or receipt.cost.seconds <= 0:
            continue
        batch = receipt.batch
        alike = receipt.request | {"seed": request.seed - batch.index + batch.first}
        key = f"{batch.n} {batch.first} {alike}" if batch.n > 1 else entry.id
        groups.setdefault(key, []).append(Past(work_of(request, spec), receipt.cost.seconds))
        sizes[key] = batch.n
    whole = [group for key, group in groups.items() if len(group) >= sizes[key]]
    return [Past(sum(one.work for one in group), sum(one.seconds for one in group), len(group)) for group in whole]
