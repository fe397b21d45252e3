"""`fantascope serve`: the server, and the people who may use it."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fantascope.cli import people
from fantascope.cli.lines import emit
from fantascope.errors import InvalidValue, MissingExtra, StorageError

if TYPE_CHECKING:
    from fantascope.serve.kit import Server
    from fantascope.serve.options import Options

app = typer.Typer(invoke_without_command=True, help="Answer over HTTP: our own API, OpenAI's and A1111's.")
app.add_typer(people.app, name="users")

JSON_HELP = "print one JSON object a line"


@app.callback()
def serve(
    context: typer.Context,
    host: Annotated[str, typer.Option("--host", help="address to listen on; others than loopback are reachable")] = "",
    port: Annotated[int, typer.Option("--port", help="0 takes a free one")] = -1,
    token: Annotated[str, typer.Option("--token", help="your own token, instead of a new one at every start")] = "",
    name: Annotated[list[str] | None, typer.Option("--name", help="host name that clients use; repeatable")] = None,
    public_url: Annotated[str, typer.Option("--public-url", help="address that goes into links")] = "",
    origin: Annotated[list[str] | None, typer.Option("--origin", help="web origin that may call; repeatable")] = None,
    fetch_host: Annotated[
        list[str] | None, typer.Option("--fetch-host", help="host from which pictures are fetched; repeatable")
    ] = None,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="PEM file, for TLS")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="PEM file of the certificate's key")] = None,
    most_bytes: Annotated[int, typer.Option("--most-bytes", help="of one request")] = 0,
    rate: Annotated[int, typer.Option("--rate", help="requests a minute of one account; 0 for no limit")] = -1,
    waiting: Annotated[int, typer.Option("--waiting", help="jobs of one account that may wait or run")] = 0,
    streams: Annotated[int, typer.Option("--streams", help="streams of events that one account may have open")] = 0,
    workers: Annotated[int, typer.Option("--workers", help="jobs that are begun at a time")] = 0,
    patience: Annotated[
        float, typer.Option("--patience", help="seconds that a head, or a byte of a body, may take")
    ] = 0,
    grace: Annotated[float, typer.Option("--grace", help="seconds that jobs get to end when the server stops")] = -1,
    idle_memory: Annotated[int, typer.Option("--idle-memory", help="MiB over which idle models are unloaded")] = 0,
    paused: Annotated[bool, typer.Option("--paused", help="begin with a paused queue")] = False,
    log_prompts: Annotated[bool, typer.Option("--log-prompts", help="let the log show what people wrote")] = False,
    page: Annotated[bool, typer.Option("--page/--no-page", help="whether the studio in a browser is there")] = True,
    check: Annotated[bool, typer.Option("--check", help="look whether everything is there, say so, and stop")] = False,
    as_json: Annotated[bool, typer.Option("--json", help=JSON_HELP)] = False,
) -> None:
    """Run the server until Ctrl-C or SIGTERM. Work in progress gets some seconds, and goes on at the next start."""
    if context.invoked_subcommand is not None:
        return
    needs()
    from fantascope.serve.options import MIB

    given = {
        "host": host or None,
        "port": port if port >= 0 else None,
        "token": token or None,
        "names": tuple(name) if name else None,
        "public_url": public_url or None,
        "origins": tuple(origin) if origin else None,
        "fetch_hosts": tuple(fetch_host) if fetch_host else None,
        "certificate": certificate,
        "key": key,
        "most_bytes": most_bytes or None,
        "rate": rate if rate >= 0 else None,
        "waiting": waiting or None,
        "streams": streams or None,
        "workers": workers or None,
        "patience": patience or None,
        "grace": grace if grace >= 0 else None,
        "idle_memory": idle_memory * MIB if idle_memory else None,
        "paused": paused or None,
        "log_prompts": log_prompts or None,
        "page": page,
    }
    options = options_of(given)
    if check:
        _check(options, as_json)
        return
    run(options, as_json, greet)


def options_of(given: dict[str, Any]) -> Options:
    """Return options of what was given; what is None has its default.

    Raises:
        InvalidValue: one cannot be meant.
    """
    from fantascope.serve.options import Options

    options = Options(**{option: value for option, value in given.items() if value is not None})
    options.check()
    return options


def needs() -> None:
    """Raise where the extra is not installed."""
    from importlib.util import find_spec

    if any(find_spec(module) is None for module in ("fastapi", "uvicorn", "dbos", "prometheus_client", "multipart")):
        raise MissingExtra("The server", "serve")


Greet = Callable[["Greeting"], None]
"""What is said once the server listens."""


@dataclass(frozen=True)
class Greeting:
    """A server that listens: its parts, where it is, whether its token was chosen by somebody, and how to say it."""

    server: Server
    url: str
    known: bool
    as_json: bool


def run(options: Options, as_json: bool, say: Greet) -> None:
    """Run a server until it is told to stop; the process ends with it.

    Args:
        say: Called once it listens.

    Raises:
        StorageError: the address cannot be listened on.
        FantascopeError: whatever else is not as it has to be.
    """
    from dataclasses import replace

    import uvicorn

    from fantascope.gallery.people import new_token
    from fantascope.serve.app import SharedStudio, create_app
    from fantascope.serve.wire import patient

    studio = SharedStudio(options.idle_memory)
    chosen = options.token or studio.settings.token
    options = replace(options, token=chosen or new_token())
    options.check()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("uvicorn", "uvicorn.error", "dbos", "fantascope"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("fantascope.serve").setLevel(logging.INFO)
    application = create_app(studio, options)
    application.state.server.desk.open()
    config = uvicorn.Config(
        application,
        host=options.host,
        port=options.port,
        http=patient(options.patience),
        h11_max_incomplete_event_size=65536,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=max(1, int(options.grace)),
        ssl_certfile=options.certificate,
        ssl_keyfile=str(options.key) if options.key is not None else None,
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # uvicorn stops by them, and raises them again afterwards
    server = _server(config, application.state.server, bool(chosen), as_json, say)
    try:
        server.run()
    finally:
        studio.close()
    sys.stdout.flush()
    if server.force_exit or not server.started:
        os._exit(1)  # a thread that hangs must not keep the process; what it did is kept
    os._exit(0)


def _server(config: Any, parts: Any, known: bool, as_json: bool, say: Greet) -> Any:
    """Return uvicorn's server, which says where it listens once it does."""
    import uvicorn

    class Listening(uvicorn.Server):
        """Tells of itself."""

        async def startup(self, sockets: Any = None) -> None:
            told = parts.options
            try:
                await super().startup(sockets)
            except SystemExit:
                raise StorageError(
                    f"{told.host}:{told.port} cannot be listened on.", hint="Is it in use? --port 0 takes a free one."
                ) from None
            if self.started:
                port = self.servers[0].sockets[0].getsockname()[1]
                say(Greeting(parts, _url(told, port), known, as_json))

    return Listening(config)


def _url(options: Options, port: int) -> str:
    scheme = "https" if options.certificate is not None else "http"
    host = f"[{options.host}]" if ":" in options.host else options.host
    return f"{scheme}://{host}:{port}"


def greet(it: Greeting) -> None:
    """Say where the server is, and how to use it."""
    options, url, known = it.server.options, it.url, it.known
    if it.as_json:
        emit("serving", {"url": url, "token": options.token, "pid": os.getpid()})
        sys.stdout.flush()
        return
    shown = "YOUR_TOKEN" if known else options.token
    print(f"Fantascope answers at {url}" + ("" if options.local else ", for everybody who can reach this address"))
    if not known:
        print(f"The token of this run: {options.token}")
    print(
        "\nFrom Python, with OpenAI's client:\n\n"
        "    from openai import OpenAI\n"
        f'    client = OpenAI(base_url="{url}/v1", api_key="{shown}")\n'
        '    print(client.images.generate(prompt="four strawberries", size="512x512").data[0].url)\n\n'
        "From a shell:\n\n"
        f'    curl -H "Authorization: Bearer {shown}" -H "Content-Type: application/json" \\\n'
        f"        -d '{{\"prompt\": \"four strawberries\"}}' '{url}/v1/fantascope/imagine?wait=true'\n\n"
        + (f"In a browser: {url}, with the token.\n\n" if options.page else "")
        + "Ctrl-C stops it; work in progress goes on at the next start."
    )
    sys.stdout.flush()
    warn(options)


def warn(options: Options) -> None:
    """Say what is not safe."""
    if not options.local and options.certificate is None:
        print("warning: without TLS tokens and pictures can be read on the way.", file=sys.stderr)


def _check(options: Options, as_json: bool) -> None:
    """Open what a server opens, load the model, and say what was found.

    Raises:
        FantascopeError: the first thing that is not as it has to be.
    """
    import socket

    from fantascope.serve.app import SharedStudio
    from fantascope.serve.records import Records

    studio = SharedStudio(options.idle_memory)
    facts: dict[str, Any] = {"home": str(studio.settings.home)}
    with studio:
        facts["gallery"] = studio.settings.database.partition("://")[0] or "files"
        facts["account"] = studio.gallery.balance(studio.settings.user).account
        facts["people"] = len(studio.gallery.people.list())
        records = Records(studio.settings.jobs, studio.settings.database or None, 1, lambda name, order: {})
        records.take()
        records.close(0)
        facts["jobs"] = "free"
        with socket.socket(socket.AF_INET6 if ":" in options.host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((options.host, options.port))
            except OSError as error:
                raise InvalidValue(
                    f"{options.host}:{options.port} cannot be listened on: {error.strerror}.",
                    param="port",
                    hint="Another program may use it: --port 0 takes a free one.",
                ) from error
        facts["address"] = f"{options.host}:{options.port}"
        spec = studio.specs.get(studio.settings.model)
        if spec is None:
            raise InvalidValue(f"There is no model {studio.settings.model!r}.", param="FANTASCOPE_MODEL")
        from fantascope.engines.load import choose

        choice = choose(spec, {"task": "imagine"}, studio.settings)
        with studio.engines.lease(spec, choice) as engine:
            facts["model"] = f"{spec.name} with {engine.choice.engine} on {engine.choice.device}"
        facts["classifier"] = "installed" if studio.judges else "not installed: pictures are not judged"
        facts["reachable"] = "this machine" if options.local else "everybody who can reach the address"
        facts["tls"] = options.certificate is not None
    if as_json:
        emit("check", facts)
        return
    for name, value in facts.items():
        print(f"{name:<11} {value}")
    print("Ready to serve.")
