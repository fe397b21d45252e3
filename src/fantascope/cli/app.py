"""The tree of commands, and how errors leave the program.

Exit codes: 0 done · 1 it failed · 2 the request was wrong · 3 refused by policy · 130 stopped by Ctrl-C ·
70 a bug of ours.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fantascope.cli import again, doctor, gallery, imagine, ledger, models, policy, train
from fantascope.errors import FantascopeError, PolicyRefused, RequestError

app = typer.Typer(
    name="fantascope",
    help="Make pictures from a prompt, on this machine, and prove where they came from.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

app.command("imagine", help="Paint pictures from a prompt.")(imagine.command())
app.command("again", help="Make the same pixels from a file's own record, or name what differs.")(again.again)
app.command("verify", help="Check signature, mark, record, disclosure and licences of a picture.")(again.verify)
app.add_typer(gallery.app, name="gallery")
app.add_typer(models.app, name="models")
app.command("doctor", help="Say what this machine can do and why a choice was made.")(doctor.doctor)
app.add_typer(policy.app, name="policy")
app.command("ledger", help="Show plan, balance and what was charged.")(ledger.ledger)
app.add_typer(train.app, name="train")
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
    debug = "--debug" in words
    words = [word for word in words if word != "--debug"]
    as_json = "--json" in words
    try:
        result: Any = app(words, standalone_mode=False)
    except FantascopeError as error:
        if debug:
            raise
        return _report(error, as_json)
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        shown = getattr(error, "show", None)
        if shown is not None:
            shown()
            return int(getattr(error, "exit_code", 2))
        if type(error).__name__ in ("Exit", "Abort"):
            return int(getattr(error, "exit_code", 1))
        if debug:
            raise
        print(f"error[internal]: {type(error).__name__}: {error}", file=sys.stderr)
        print("This is a bug of ours. Run the same command with --debug and report what it prints.", file=sys.stderr)
        return 70
    return result if isinstance(result, int) else 0


def _report(error: FantascopeError, as_json: bool) -> int:
    if as_json:
        print(json.dumps({"event": "error"} | error.as_dict(), ensure_ascii=False), flush=True)
    else:
        print(f"error[{error.code}]: {error}", file=sys.stderr)
    if isinstance(error, PolicyRefused):
        return 3
    return 2 if isinstance(error, RequestError) else 1
