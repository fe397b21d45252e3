"""The tree of commands, and how errors leave the program.

Exit codes: 0 done · 1 it failed · 2 the request was wrong · 3 refused by policy · 130 stopped by Ctrl-C ·
70 a bug of ours.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fantascope.cli import (
    adapters,
    again,
    attribute,
    control,
    detector,
    doctor,
    evaluate,
    gallery,
    history,
    imagine,
    ledger,
    models,
    personalise,
    policy,
    prompt,
    serve,
    studio,
    train,
    train_report,
)
from fantascope.cli.lines import emit
from fantascope.errors import FantascopeError, InvalidValue, PolicyRefused, RequestError, StorageError
from fantascope.request import REQUESTS

app = typer.Typer(
    name="fantascope",
    help="Make pictures from a prompt, on this machine, and prove where they came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

for _task, _help in imagine.COMMANDS.items():
    app.command(_task, help=_help)(imagine.command(REQUESTS[_task]))
app.command("again", help="Make the same pixels from a file's own record, or name what differs.")(again.again)
app.command("verify", help="Check signature, mark, record, disclosure and licences of a picture.")(again.verify)
app.command("attribute", help="List the training drawings that a picture looks most like, and whose they are.")(
    attribute.attribute
)
app.add_typer(gallery.app, name="gallery")
app.command("control", help="Paint a picture under a map: edges, lines, scribble, pose, regions.")(control.command())
app.command("history")(history.history)
app.add_typer(models.app, name="models")
app.add_typer(adapters.app, name="adapters")
app.command("doctor", help="Say what this machine can do and why a choice was made.")(doctor.doctor)
app.add_typer(policy.app, name="policy")
app.add_typer(prompt.app, name="prompt")
app.add_typer(ledger.app, name="ledger")
app.add_typer(serve.app, name="serve")
app.command("studio")(studio.studio)
train_report.app.command("detector")(detector.detector)
app.command("personalise")(personalise.personalise)
app.add_typer(train_report.app, name="train")
app.command("eval")(evaluate.evaluate)
app.add_typer(train.data, name="data")


def _version(wanted: bool) -> None:
    if wanted:
        from fantascope import __version__

        typer.echo(f"fantascope {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log every automatic choice with its reason.")
    ] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    if verbose:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code; no error leaves as a traceback unless `--debug` is given."""
    words = list(arguments)
    own = words[: words.index("--")] if "--" in words else words
    debug, as_json = "--debug" in own, "--json" in own
    if debug:
        words.remove("--debug")
    try:
        result: Any = app(words, standalone_mode=False)
    except BrokenPipeError:
        raise
    except Exception as error:
        if debug and type(error).__name__ not in ("Exit", "Abort"):
            raise
        return _report(error, as_json)
    except KeyboardInterrupt:
        result = 130
    if result == 130:
        if as_json:
            emit("stopped", {})
        print("Stopped. What was finished is kept.", file=sys.stderr)
    return result if isinstance(result, int) else 0


def _report(error: Exception, as_json: bool) -> int:
    """Say what went wrong and return the exit code."""
    if type(error).__name__ in ("Exit", "Abort"):
        return int(getattr(error, "exit_code", 1))
    if type(error).__name__ == "NoArgsIsHelpError":
        print(getattr(error, "message", "") or error)
        return 2
    told, code = _told(error)
    if as_json:
        emit("error", told.as_dict())
    else:
        print(f"error[{told.code}]: {told}", file=sys.stderr)
    return code


def _told(error: Exception) -> tuple[FantascopeError, int]:
    """Return an error of our own tree and the exit code for anything that was raised."""
    if isinstance(error, FantascopeError):
        code = 3 if isinstance(error, PolicyRefused) else 2 if isinstance(error, RequestError) else 1
        return error, code
    if hasattr(error, "format_message"):
        context = getattr(error, "ctx", None)
        hint = f"{context.command_path} --help" if context is not None else "fantascope --help"
        return InvalidValue(str(error.format_message()), hint=hint), 2
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return StorageError(f"{where}{error.strerror or error}."), 1
    bug = FantascopeError(
        f"{type(error).__name__}: {error}",
        hint="This is a bug of ours. Run the same command with --debug and report what it prints.",
    )
    return bug, 70
