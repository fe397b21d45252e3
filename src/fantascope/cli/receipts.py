"""A receipt in words."""

from __future__ import annotations

from fantascope.artifact import Artifact
from fantascope.cli.lines import plain
from fantascope.receipt import Cost


def describe(artifact: Artifact) -> str:
    """Return a receipt as lines `name  value`, most telling first."""
    rows: list[tuple[str, str]] = [("file", str(artifact.path)), ("id", artifact.id)]
    receipt = artifact.receipt
    if receipt is None:
        return _lines([*rows, ("origin", "given as input: nobody made it here")])
    request = receipt.request
    rows += [(key, str(request[key])) for key in ("prompt", "said", "negative_prompt") if request.get(key) is not None]
    if request.get("sampler") is not None:
        rows.append(("size", f"{request['width']}x{request['height']}, upscaled {request['upscale']}x"))
        rows.append(("sampler", f"{request['sampler']}, {request['steps']} steps, guidance {request['guidance']:g}"))
        rows.append(("seed", str(request["seed"])))
    ran = receipt.ran
    rows += [
        ("model", f"{receipt.spec['title']} ({receipt.spec['licence']['spdx']})"),
        ("ran on", f"{ran.engine} · {ran.runtime} · {ran.device} · {ran.precision} · {ran.exactness}"),
    ]
    rows += [("because", reason) for reason in ran.reasons]
    rows += [("weights", f"{w.part}  {w.sha256[:12]}…  {w.licence}") for w in ran.weights]
    rows += [("parent", parent) for parent in receipt.parents]
    rows += [("credit", line) for line in receipt.attribution]
    rows += [
        ("receipt", receipt.id),
        ("cost", f"{receipt.cost.credits:g} credits, {receipt.cost.seconds:.2f} s"),
        *_energy(receipt.cost),
        ("made", f"{receipt.created} by fantascope {receipt.fantascope}"),
        ("policy", f"{receipt.policy[:12]}…, {len(receipt.verdicts)} verdicts, all allow"),
    ]
    return _lines(rows)


def _energy(cost: Cost) -> list[tuple[str, str]]:
    if cost.energy_wh is None:
        return []
    return [("energy", f"about {cost.energy_wh:.3g} Wh ({cost.energy_method})")]


def _lines(rows: list[tuple[str, str]]) -> str:
    wide = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{wide}}  {plain(value, 4000)}" for name, value in rows)
