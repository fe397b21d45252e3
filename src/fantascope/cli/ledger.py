"""`fantascope ledger`."""

from __future__ import annotations

from typing import Annotated

import typer

from fantascope.cli.lines import emit, plain


def ledger(
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="how many entries to show")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object a line")] = False,
) -> None:
    """Show what the plan allows, what is used and held, and the latest entries."""
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        user = studio.settings.user
        balance = studio.gallery.balance(user)
        entries = studio.gallery.entries(user, limit)
    if as_json:
        emit("balance", balance)
        for entry in entries:
            emit("line", entry)
        return
    print(f"{user} on plan {balance.plan}: {balance.left:,.10g} of {balance.allowance:,.10g} credits left", end="")
    print(f" ({balance.used:,.10g} used, {balance.held:,.10g} held), renews {balance.renews:%Y-%m-%d}")
    for entry in entries:
        print(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.kind:<9} {entry.credits:>+15,.3f}  {plain(entry.what)}")
