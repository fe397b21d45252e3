"""`--dry-run`: what a request would cost, before anything is painted, held or charged."""

from __future__ import annotations

from typing import Any

from fantascope.cli.ledger import expiring
from fantascope.cli.lines import emit
from fantascope.reports.quote import quoted


def quote(*requests: Any, as_json: bool) -> None:
    """Resolve and judge requests; print the price of each, what the plan has left, and an estimate of its energy.

    Raises:
        PolicyRefused: a rule refuses one, as it would refuse the run.
    """
    from fantascope.studio import Studio

    with Studio() as studio:
        for request in requests:
            balance = studio.gallery.balance(studio.settings.user)
            facts = quoted(studio, request, balance)
            if as_json:
                emit("quote", facts)
                continue
            print(f"{facts['n']} x {facts['task']} with {facts['model']}: {facts['credits']:,.10g} credits")
            if facts["work"]:
                print(f"work: {facts['work']}")
            short = "" if facts["enough"] else ", which is not enough"
            print(f"{facts['account']} on plan {facts['plan']}: {facts['left']:,.10g} left{short}", end="")
            print(f"; the allowance of {facts['allowance']:,.10g} renews on {facts['renews']:%Y-%m-%d}")
            if balance.expiring:
                print(f"left: {expiring(balance)}")
            drawn = "unknown" if facts["energy_wh"] is None else f"about {facts['energy_wh']:.3g} Wh"
            print(f"energy: {drawn} ({facts['energy_method']})")
    if not as_json:
        print("Nothing was painted, held or charged.")
