"""`fantascope policy`."""

from __future__ import annotations

from typing import Annotated

import typer

from fantascope.cli.lines import emit

app = typer.Typer(help="Show the rules in force; explain a text without painting.", no_args_is_help=False)
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


@app.callback(invoke_without_command=True)
def rules(context: typer.Context) -> None:
    """Show the rules in force."""
    if context.invoked_subcommand is not None:
        return
    from fantascope.policy import Policy

    policy = Policy.load()
    print(f"Policy {policy.version}, sha256 {policy.hash}")
    for rule in (*policy.rules, policy.data.subtraction):
        print(f"  {rule.id:<28} from {rule.threshold:.2f}  {rule.reason}")


@app.command()
def test(text: Annotated[str, typer.Argument(help="the text to judge")], as_json: Json = False) -> int:
    """Explain what every rule says of a text; exit 0 if it is allowed, 3 if it is refused."""
    from fantascope.policy import Policy
    from fantascope.request import Imagine
    from fantascope.studio import Studio

    prompt = Imagine(prompt=text).prompt
    with Studio() as studio:
        found = Policy.load().explain(prompt, studio.embed)
    verdicts = found.verdicts
    if as_json:
        for verdict in verdicts:
            emit("verdict", verdict.model_dump(mode="json"))
    else:
        print("Allowed." if found.allowed else "Refused.")
        for verdict in verdicts:
            mark = "allows " if verdict.allowed else "refuses"
            words = f"  {', '.join(map(repr, verdict.words))}" if verdict.words else ""
            print(f"  {mark} {verdict.rule:<28} {verdict.score:.2f} of {verdict.threshold:.2f}{words}")
            if not verdict.allowed:
                print(f"          {verdict.reason}" + (f" {verdict.offer}" if verdict.offer else ""))
    return 0 if found.allowed else 3
