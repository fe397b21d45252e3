"""How a server is run: what it listens on, whom it answers, and how much it takes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fantascope.errors import InvalidValue

MIB = 2**20
LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True)
class Options:
    """Options of a server. The defaults answer this machine alone.

    Attributes:
        host: Address to listen on.
        port: Port; 0 takes a free one.
        token: Token of the operator for this run.
        names: Names by which clients may call this server (the Host header), beside the loopback ones and `host`.
        public_url: Address that goes into links; of the request where None.
        origins: Web origins that may call from a page (CORS); none by default.
        fetch_hosts: Hosts from which a picture named by URL is fetched; none by default.
        certificate, key: PEM files for TLS.
        most_bytes: Of one request body.
        rate: Requests a minute of one account, 0 for no limit.
        waiting: Jobs of one account that may wait or run.
        streams: Streams of events that one account may have open.
        workers: Jobs that are begun at a time.
        patience: Seconds without a byte after which a body is given up.
        grace: Seconds that jobs get to end when the server stops.
        paused: Begin with a queue that is paused: to cancel what takes the server down.
        log_prompts: Whether the log shows what people wrote.
        idle_memory: Bytes of resident memory over which idle engines are closed.
        page: Whether the studio in a browser is there.
    """

    host: str = "127.0.0.1"
    port: int = 7860
    token: str | None = None
    names: tuple[str, ...] = ()
    public_url: str | None = None
    origins: tuple[str, ...] = ()
    fetch_hosts: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    most_bytes: int = 64 * MIB
    rate: int = 600
    waiting: int = 256
    streams: int = 64
    workers: int = 16
    patience: float = 20.0
    grace: float = 20.0
    paused: bool = False
    log_prompts: bool = False
    idle_memory: int | None = None
    page: bool = True

    def check(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            InvalidValue: names the option.
        """
        if not 0 <= self.port <= 65535:
            raise InvalidValue(f"A port is 0 to 65535, not {self.port}.", param="port")
        if (self.certificate is None) != (self.key is None):
            raise InvalidValue("TLS needs both files: --certificate and --key.", param="certificate")
        for path, name in ((self.certificate, "certificate"), (self.key, "key")):
            if path is not None and not path.is_file():
                raise InvalidValue(f"There is no file {path}.", param=name)
        if self.token is not None and len(self.token) < 16:
            raise InvalidValue("A token has at least 16 characters.", param="token", hint="Leave it out: one is made.")
        for name in ("rate", "most_bytes"):
            if getattr(self, name) < 0:
                raise InvalidValue(f"{name} is 0 or more.", param=name)
        for name in ("waiting", "workers", "streams"):
            if getattr(self, name) < 1:
                raise InvalidValue(f"{name} is 1 or more.", param=name)

    @property
    def local(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK

    @property
    def allowed_names(self) -> list[str]:
        """Host names that are answered: a page elsewhere that points its own name here is not."""
        own = [] if self.host in ("0.0.0.0", "::") else [self.host]  # noqa: S104
        return [*LOOPBACK, "[::1]", *own, *self.names]
