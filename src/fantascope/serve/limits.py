"""What stands before every route: how much of a body is taken, how long it may take to come, how often one may ask."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fantascope.errors import FantascopeError, InvalidValue, TooLarge, TooMany, TooSlow

ACCOUNTS = 10_000
SLOWEST = 1024
MOMENT = 0.1
HOST = re.compile(r"(?:\[([0-9a-f:.]{2,45})\]|([^\s:\[\]/@]{1,253}))(?::\d{1,5})?", re.ASCII)


class Rate:
    """Token buckets: so many requests a minute of each account, in bursts of at most half of them.

    Args:
        per_minute: 0 for no limit.
        clock: Seconds.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._speed, self._most, self._clock = per_minute / 60, max(1.0, per_minute / 2), clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._guard = threading.Lock()

    def take(self, account: str, count: float = 1.0) -> None:
        """Count a request, or work that is worth so many.

        Raises:
            TooMany: the account has asked too often; says when to come back.
        """
        if self._speed == 0:
            return
        now = self._clock()
        with self._guard:
            left, at = self._buckets.pop(account, (self._most, now))
            left = min(self._most, left + (now - at) * self._speed)
            count = min(count, self._most)
            if left >= count:
                self._buckets[account] = (left - count, now)
            else:
                self._buckets[account] = (left, now)
            while len(self._buckets) > ACCOUNTS:
                self._buckets.popitem(last=False)
        if left < count:
            wait = (count - left) / self._speed
            raise TooMany(f"That is more than {self._speed * 60:g} requests a minute.", after=wait)


class Streams:
    """How many streams of events each account has open. For one event loop; nothing is locked.

    Args:
        most: Of one account.
    """

    def __init__(self, most: int) -> None:
        self._most, self._open = most, Counter[str]()

    def check(self, account: str) -> None:
        """Raise `TooMany` where an account has as many open as it may."""
        if self._open[account] >= self._most:
            raise TooMany(f"{self._open[account]} of your streams are open; {self._most} may be.", after=5.0)

    @contextmanager
    def one(self, account: str) -> Iterator[None]:
        """Count a stream while it is open."""
        self._open[account] += 1
        try:
            yield
        finally:
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]


class Names:
    """ASGI middleware: answers who calls this server by one of its names: no page elsewhere may point its own here.

    Args:
        app: What is protected.
        names: Host names and addresses, without ports; `*` is any, `*.example.org` any below it.
        refuse: Makes the reply to an error, as `(scope, error) -> ASGI app`.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], refuse: Callable[[Scope, FantascopeError], ASGIApp]) -> None:
        self._app, self._refuse = app, refuse
        self._names = {name.lower().strip("[]") for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            told = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
            if len(told) != 1 or not self._known(told[0]):
                error = InvalidValue(
                    f"This server is not called {(told or [''])[0][:80]!r}.",
                    param="Host",
                    hint="fantascope serve --name",
                )
                await self._refuse(scope, error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _known(self, host: str) -> bool:
        """Say whether this is a name, or an address in brackets, of ours, with a port or without."""
        found = HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1] or found[2]
        _, _, above = name.partition(".")
        return name in self._names or "*" in self._names or f"*.{above}" in self._names


class Bodies:
    """ASGI middleware: refuses bodies that are too large before they are read, and those that do not come.

    Args:
        app: What is protected.
        most: Bytes of a body.
        patience: Seconds without a byte; after so many, a body has to come at `SLOWEST` bytes a second on average.
        refuse: Makes the reply to an error, as `(scope, error) -> ASGI app`.
    """

    def __init__(
        self, app: ASGIApp, most: int, patience: float, refuse: Callable[[Scope, FantascopeError], ASGIApp]
    ) -> None:
        self._app, self._most, self._patience, self._refuse = app, most, patience, refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        if len(lengths) > 1 or (lengths and any(name == b"transfer-encoding" for name, _ in scope["headers"])):
            error = InvalidValue("A request says the length of its body once.", param="Content-Length")
            await self._refuse(scope, error)(scope, receive, send)
            return
        if lengths and lengths[0].isdigit() and int(lengths[0]) > self._most:
            await self._refuse(scope, self._large())(scope, receive, send)
            return
        begun, taken, whole, waited = False, 0, False, 0.0

        async def bounded() -> Message:
            nonlocal taken, whole, waited
            if whole:
                return await receive()
            since = time.monotonic()
            try:
                message = await self._next(receive)
            except TimeoutError:
                raise TooSlow(f"No byte of the body came for {self._patience:g} s.") from None
            waited += time.monotonic() - since  # the time before was the server's, not the client's
            taken += len(message.get("body", b""))
            whole = message["type"] != "http.request" or not message.get("more_body", False)
            late = waited - self._patience
            if late > 0 and not whole and taken < late * SLOWEST:
                raise TooSlow(f"The body comes at less than {SLOWEST} bytes a second.")
            if taken > self._most:
                raise self._large()
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, bounded, noted)
        except (TooLarge, TooSlow) as error:
            if begun:
                raise
            await self._refuse(scope, error)(scope, receive, send)

    async def _next(self, receive: Receive) -> Message:
        """Wait for the next part; where the loop itself was held up, what came meanwhile is taken."""
        try:
            return await asyncio.wait_for(receive(), self._patience)
        except TimeoutError:
            return await asyncio.wait_for(receive(), MOMENT)

    def _large(self) -> TooLarge:
        return TooLarge(f"A request has at most {self._most} bytes.", hint="Make the picture smaller.")
