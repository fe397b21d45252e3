"""`fantascope ledger`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from fantascope.cli.lines import emit, plain

if TYPE_CHECKING:
    from fantascope.gallery import Balance

app = typer.Typer(no_args_is_help=False)
User = Annotated[
    str | None, typer.Option("--user", help="whose account; FANTASCOPE_USER without it", show_default=False)
]
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


@app.callback(invoke_without_command=True)
def ledger(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=0, help="how many entries to show")] = 20,
    user: User = None,
    as_json: Json = False,
) -> None:
    """Show plan, balance, what expires when, and what was charged."""
    if context.invoked_subcommand is not None:
        return
    from fantascope.studio import Studio

    with Studio(read_only=True) as studio:
        account = studio.settings.user if user is None else user
        balance = studio.gallery.balance(account)
        entries = studio.gallery.entries(account, limit)
    if as_json:
        emit("balance", balance)
        for entry in entries:
            emit("line", entry)
        return
    _tell(balance)
    for entry in entries:
        until = "" if entry.expires is None else f", until {entry.expires:%Y-%m-%d}"
        print(f"{entry.at:%Y-%m-%d %H:%M:%S}  {entry.kind:<9} {entry.credits:>+15,.3f}  {plain(entry.what)}{until}")


@app.command()
def topup(
    credits: Annotated[float, typer.Argument(help="how many credits: a size that the account's plan has")],
    user: User = None,
    note: Annotated[str, typer.Option("--note", help="why, or on what bill", show_default=False)] = "",
    as_json: Json = False,
) -> None:
    """Add credits to an account, the operator's act; they expire as the plan says. A line that is never taken back."""
    from fantascope.studio import Studio

    with Studio() as studio:
        balance = studio.gallery.topup(studio.settings.user if user is None else user, credits, note)
    if as_json:
        emit("balance", balance)
    else:
        _tell(balance)


def expiring(balance: Balance) -> str:
    """Say what is left and until when, soonest first: `15 of the allowance until 2026-12-01, …`."""
    names = {"allowance": "of the allowance", "rollover": "rolled over", "topup": "of top-ups"}
    return ", ".join(
        f"{part.credits:,.10g} {names[part.kind]} until {part.expires:%Y-%m-%d}" for part in balance.expiring
    )


def _tell(balance: Balance) -> None:
    from fantascope.gallery.plans import plan_of

    print(f"{plain(balance.account)} on plan {balance.plan}: {balance.left:,.10g} credits left", end="")
    print(f" ({balance.used:,.10g} used this month, {balance.held:,.10g} held)")
    print(f"plan:  {plan_of(balance.plan).terms()}; the allowance renews on {balance.renews:%Y-%m-%d}")
    print(f"left:  {expiring(balance) or 'nothing'}")
