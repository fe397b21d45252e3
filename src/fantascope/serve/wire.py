"""HTTP connections that do not wait for ever for the head of a request."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def patient(seconds: float) -> type[asyncio.Protocol]:
    """Return uvicorn's protocol, which hangs up where the head of a request is not whole within so many seconds."""

    class Patient(H11Protocol):
        """HTTP/1.1 with an end to its patience."""

        _waiting: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _watch(self) -> None:
            """Begin to count when a head is awaited, stop when it is there; what comes of it does not begin anew."""
            cycle: Any = self.cycle
            if cycle is not None and not cycle.response_complete:
                self._forget()
            elif self._waiting is None:
                self._waiting = self.loop.call_later(seconds, self._give_up)

        def _give_up(self) -> None:
            self._waiting = None
            if not self.transport.is_closing():
                self.transport.close()

        def _forget(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

    return Patient
