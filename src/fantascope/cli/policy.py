"""`fantascope policy`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from fantascope.cli.lines import emit, plain

app = typer.Typer(help="Show the rules in force; explain a text without painting.", no_args_is_help=False)
Json = Annotated[bool, typer.Option("--json", help="print one JSON object a line")]


@app.callback(invoke_without_command=True)
def rules(context: typer.Context) -> None:
    """Show the rules in force."""
    if context.invoked_subcommand is not None:
        return
    from fantascope.engines.classifier import installed
    from fantascope.policy import Policy
    from fantascope.policy.picture import NOT_JUDGED
    from fantascope.settings import Settings

    policy = Policy.of(Settings.from_env())
    print(f"Policy {policy.version}, sha256 {policy.hash}")
    for rule in (*policy.rules, policy.data.subtraction):
        print(f"  {rule.id:<28} from {rule.threshold:.2f}  {rule.reason}")
    for seen in policy.data.pictures:
        print(f"  {seen.id:<28} from {seen.threshold:.2f}  {seen.reason}")
    if not installed(Settings.from_env()):
        print(f"Pictures are {NOT_JUDGED[0].lower()}{NOT_JUDGED[1:]}")


@app.command()
def detector(
    tarball: Annotated[Path | None, typer.Argument(help="the file that npm pack fetched", show_default=False)] = None,
) -> int:
    """Install the classifier that judges pictures, out of its npm tarball; without one, say how to fetch it."""
    from fantascope.engines.classifier import SHIPPED, Classifier, installed
    from fantascope.policy.nsfwjs import INSTALL, install
    from fantascope.settings import Settings

    settings = Settings.from_env()
    if tarball is not None:
        install(tarball, SHIPPED, settings.judges)
    if not installed(settings):
        print(f"Pictures are not judged: no detector installed. Fetch and install it with\n  {INSTALL}")
        return 1
    eye = Classifier.load(settings)
    print(f"Pictures are judged by {eye.facts.name} in {settings.judges}, sha256 {eye.id}")
    return 0


@app.command()
def test(text: Annotated[str, typer.Argument(help="the text to judge")], as_json: Json = False) -> int:
    """Explain what every rule says of a text; exit 0 if it is allowed, 3 if it is refused."""
    from fantascope.request import Imagine
    from fantascope.studio import Studio

    prompt = Imagine(prompt=text).prompt
    with Studio() as studio:
        found = studio.policy.explain(prompt, studio.embed)
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


@app.command()
def artist(name: Annotated[str, typer.Argument(help="name, full or surname")], as_json: Json = False) -> None:
    """Show an artist's dates, whether the works are free, the term of protection, and where the dates come from."""
    from fantascope.errors import UnknownName
    from fantascope.policy import Policy
    from fantascope.policy.rules import TERM
    from fantascope.settings import Settings

    data = Policy.of(Settings.from_env()).data
    found = [one for one in data.artists if one.called(name)]
    if not found:
        raise UnknownName("artist", name, [one.name for one in data.artists])
    for one in found:
        free = one.free(data.date.year)
        until = None if one.died is None else one.died + TERM
        if as_json:
            facts = {"name": one.name, "born": one.born, "died": one.died, "free": free, "protected_until": until}
            emit("artist", facts | {"source": data.artists_source, "written": data.artists_written})
            continue
        died = "living, or not known to have died" if one.died is None else f"died {one.died}"
        print(f"{one.name}: born {'unknown' if one.born is None else one.born}, {died}")
        term = f"until the end of the {TERM}th year after the year of death" + ("" if until is None else f", {until}")
        print(f"  {'free: works were' if free else 'not free: works are'} protected {term} (at {data.date})")
        print(f"  dates: {data.artists_source} Written {data.artists_written}.")


@app.command()
def refusals(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="how many to show")] = 20, as_json: Json = False
) -> None:
    """Show the newest refusals, with their ids."""
    _list(limit, False, as_json)


@app.command()
def appeals(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="how many to show")] = 20, as_json: Json = False
) -> None:
    """Show the appeals that wait for a decision."""
    _list(limit, True, as_json)


@app.command()
def appeal(
    id: Annotated[str, typer.Argument(help="the id that the refusal gave")],
    why: Annotated[str, typer.Argument(help="why the refusal is wrong")],
) -> None:
    """Appeal against a refusal; the operator decides."""
    from fantascope.studio import Studio

    with Studio() as studio:
        refusal = studio.gallery.refusals.appeal(id, why)
    print(f"Recorded. The operator decides: fantascope policy decide {refusal.id} allow|uphold --why …")


@app.command()
def decide(
    id: Annotated[str, typer.Argument(help="the id of the refusal")],
    verdict: Annotated[str, typer.Argument(help="allow or uphold")],
    why: Annotated[str, typer.Option("--why", help="the reason of the decision", show_default=False)],
) -> None:
    """Decide an appeal, signed with the studio's key: exactly this text passes under exactly this rule, or does not."""
    from fantascope.errors import UnknownName
    from fantascope.studio import Studio

    if verdict not in ("allow", "uphold"):
        raise UnknownName("decision", verdict, ("allow", "uphold"))
    with Studio() as studio:
        made = studio.docket.decide(id, verdict == "allow", why)
    print(f"Decision {made.id}: {'allowed' if made.allow else 'upheld'}, signature {made.signature[:16]}…")


def _list(limit: int, appealed: bool, as_json: bool) -> None:
    from fantascope.studio import Studio

    with Studio() as studio:
        found = studio.gallery.refusals.newest(limit, appealed=appealed)
    for one in found:
        if as_json:
            emit("refusal", one)
            continue
        print(
            f"{one.id}  {one.at:%Y-%m-%d %H:%M}  {one.rule:<24} {one.score:.2f}  {plain(one.text, 80) or one.subject}"
        )
        for said in (one.appeal and f"appeal: {one.appeal}", one.decision and f"decision: {one.decision}"):
            if said:
                print(f"          {plain(said)}")
