"""`fantascope studio`: the server, and the studio in a browser, opened by a link that works once."""

from __future__ import annotations

import os
import sys
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from fantascope.cli.lines import emit
from fantascope.cli.serve import JSON_HELP, Greeting, needs, options_of, run, warn

EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
"""Addresses to listen on that a browser cannot open, and what it opens instead."""


def studio(
    host: Annotated[str, typer.Option("--host", help="address to listen on; others than loopback are reachable")] = "",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one")] = -1,
    name: Annotated[list[str] | None, typer.Option("--name", help="host name that browsers use; repeatable")] = None,
    public_url: Annotated[str, typer.Option("--public-url", help="address that goes into links")] = "",
    certificate: Annotated[Path | None, typer.Option("--certificate", help="PEM file, for TLS")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of the certificate's key")] = None,
    workers: Annotated[int, typer.Option("--workers", help="jobs that are begun at a time")] = 0,
    idle_memory: Annotated[int, typer.Option("--idle-memory", help="MiB over which idle models are unloaded")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="whether to open the link here")] = True,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Open the studio in a browser: everything that `serve` answers is there too. Ctrl-C stops it."""
    needs()
    from fantascope.serve.options import MIB

    given = {
        "host": host or None,
        "port": port if port >= 0 else None,
        "names": tuple(name) if name else None,
        "public_url": public_url or None,
        "certificate": certificate,
        "key": key,
        "workers": workers or None,
        "idle_memory": idle_memory * MIB if idle_memory else None,
    }
    run(options_of(given), as_json, lambda it: _welcome(it, browser))


def _welcome(it: Greeting, browser: bool) -> None:
    """Say where the studio is and how to get in, and open it."""
    options, url = it.server.options, it.url
    for listened, opened in EVERYWHERE.items():
        url = url.replace(f"//{listened}:", f"//{opened}:")
    url = (options.public_url or url).rstrip("/")
    login = f"{url}/login?code={it.server.sessions.code(it.server.people.operator)}"
    if it.as_json:
        emit("studio", {"url": url, "login": login, "pid": os.getpid()})
    else:
        print(
            f"The studio is at {url}" + ("" if options.local else ", for everybody who can reach this address") + "\n"
            f"Open it with this link, which works once and for five minutes:\n\n    {login}\n\n"
            "Others log in with a token: fantascope serve users add NAME\n"
            "Ctrl-C stops it; work in progress goes on at the next start."
        )
        warn(options)
    sys.stdout.flush()
    if browser:
        threading.Thread(target=webbrowser.open, args=(login,), daemon=True).start()
