"""`fantascope serve users`: who may use the server. A server that runs sees a change at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from fantascope.cli.lines import emit

app = typer.Typer(no_args_is_help=True, help="People who may use the server, and their tokens.")

JSON_HELP = "print one JSON object a line"
NAME = Annotated[str, typer.Argument(metavar="NAME", help="name of the account")]
JSON = Annotated[bool, typer.Option("--json", help=JSON_HELP)]


@app.command("add")
def add(
    name: NAME,
    plan: Annotated[str, typer.Option("--plan", help="a plan of plans.toml")] = "free",
    as_json: JSON = False,
) -> None:
    """Add a person, and print their first token: it is shown this once, and only its hash is kept."""
    from fantascope.studio import Studio

    with Studio() as studio:
        person = studio.gallery.people.add(name, plan)
        token = studio.gallery.people.issue(name)
    if as_json:
        emit("person", {**_plain(person), "token": token})
        return
    print(f"{person.name} may use the server, on plan {person.plan}.\nTheir token, shown this once: {token}")


@app.command("list")
def listed(as_json: JSON = False) -> None:
    """List people and their tokens."""
    from fantascope.studio import Studio

    with Studio() as studio:
        people = studio.gallery.people.list()
        for person in people:
            tokens = studio.gallery.people.tokens(person.name)
            if as_json:
                emit("person", {**_plain(person), "tokens": [_plain(token) for token in tokens]})
                continue
            state = "disabled" if person.disabled else f"plan {person.plan}"
            print(f"{person.name}  {state}  since {person.created:%Y-%m-%d}")
            for token in tokens:
                print(f"    token {token.id}  {_state(token)}  {token.label}".rstrip())
        if not people and not as_json:
            print("Nobody yet: fantascope serve users add NAME --plan standard")


@app.command("issue")
def issue(
    name: NAME,
    label: Annotated[str, typer.Option("--label", help="what it is for")] = "",
    days: Annotated[float | None, typer.Option("--days", help="days until it expires; never if not given")] = None,
    as_json: JSON = False,
) -> None:
    """Print one more token for a person: it is shown this once."""
    from fantascope.studio import Studio

    with Studio() as studio:
        token = studio.gallery.people.issue(name, label, days)
    if as_json:
        emit("token", {"name": name, "token": token})
        return
    print(token)


@app.command("revoke")
def revoke(token: Annotated[str, typer.Argument(metavar="TOKEN_ID", help="as `list` shows it")]) -> None:
    """Make a token good for nothing, at once."""
    from fantascope.studio import Studio

    with Studio() as studio:
        studio.gallery.people.revoke(token)
    print(f"The token {token} is revoked.")


@app.command("change")
def change(
    name: NAME,
    plan: Annotated[str | None, typer.Option("--plan", help="plan from the next allowance on")] = None,
    disabled: Annotated[
        bool | None, typer.Option("--disable/--enable", help="whether their tokens are good for nothing meanwhile")
    ] = None,
) -> None:
    """Change the plan of a person, or lock them out and let them in again."""
    from fantascope.studio import Studio

    with Studio() as studio:
        person = studio.gallery.people.change(name, plan=plan, disabled=disabled)
    print(f"{person.name}: plan {person.plan}" + (", disabled" if person.disabled else ""))


def _plain(record: Any) -> dict[str, Any]:
    return {key: value.isoformat() if hasattr(value, "isoformat") else value for key, value in asdict(record).items()}


def _state(token: Any) -> str:
    if token.revoked is not None:
        return f"revoked {token.revoked:%Y-%m-%d}"
    return "good" if token.expires is None else f"until {token.expires:%Y-%m-%d %H:%M} UTC"
