"""What happens to jobs, as it happens: numbered events, for everybody who watches.

Events live in memory. What has to outlive the process (that a job was accepted, what was kept, how it ended) is in the
job's record and in the gallery; a watcher that comes back after a restart gets the record first, then what follows.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

KEPT_EVENTS = 256
"""Events of one job that are told again to a watcher that comes back."""
KEPT_SECONDS = 120.0
"""How long the events of a job that ended are kept."""
QUIET = 10.0

ENDS = ("done", "failed", "cancelled")
"""Kinds of the last event of a job."""


@dataclass(frozen=True)
class Event:
    """One thing that happened to a job.

    Attributes:
        n: Number within the job, from 1, for this life of the server.
        kind: `queued`, `started`, `step`, `kept`, or one of `ENDS`.
        data: Plain facts: of a step `step`, `steps`, `stage`, `index`, `count`, `total`; of `kept` `index` and
            `artifact`; of an end the job's record.
        preview: Small pictures `(count, h, w, 3)` uint8 of a step, or None.
    """

    n: int
    kind: str
    data: dict[str, Any]
    preview: Any = None


@dataclass
class _Channel:
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    count: int = 0
    ended: float | None = None
    watchers: set[_Watcher] = field(default_factory=set)


@dataclass(eq=False)
class _Watcher:
    loop: asyncio.AbstractEventLoop
    wake: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Carries events from the threads that work to the coroutines that watch. Telling never waits for a watcher.

    `boot` names this life of the server: numbers of events mean nothing beyond it.
    """

    def __init__(self) -> None:
        self.boot = secrets.token_hex(4)
        self._channels: OrderedDict[str, _Channel] = OrderedDict()
        self._guard = threading.Lock()

    def tell(self, job: str, kind: str, data: dict[str, Any], preview: Any = None) -> None:
        """Add an event; any thread may call it. After an end nothing more is told of a job until it is opened again."""
        with self._guard:
            channel = self._channels.setdefault(job, _Channel())
            if channel.ended is not None:
                if kind in ENDS:
                    return
                channel.ended = None
            channel.count += 1
            if preview is not None:  # one preview a job stays in memory
                for k in reversed(range(len(channel.events))):
                    last = channel.events[k]
                    if last.preview is not None:
                        channel.events[k] = Event(last.n, last.kind, last.data)
                        break
            channel.events.append(Event(channel.count, kind, data, preview))
            if kind in ENDS:
                channel.ended = time.monotonic()
            watchers = list(channel.watchers)
            self._forget()
        for watcher in watchers:
            try:
                watcher.loop.call_soon_threadsafe(watcher.wake.set)
            except RuntimeError:  # its loop was closed meanwhile
                continue

    def last(self, job: str) -> Event | None:
        """Return the newest event of a job that this life of the server knows."""
        with self._guard:
            channel = self._channels.get(job)
            return channel.events[-1] if channel is not None and channel.events else None

    async def watch(self, job: str, after: int = 0) -> AsyncGenerator[Event | None, None]:
        """Yield the events of a job with a number over `after`, as they come, until it ends.

        After `QUIET` seconds without one, None: time to look whether the job is still there.
        """
        watcher = _Watcher(asyncio.get_running_loop())
        with self._guard:
            channel = self._channels.setdefault(job, _Channel())
            channel.watchers.add(watcher)
        try:
            while True:
                watcher.wake.clear()
                with self._guard:
                    news = [event for event in channel.events if event.n > after]
                for event in news:
                    after = event.n
                    yield event
                    if event.kind in ENDS:
                        return
                try:
                    await asyncio.wait_for(watcher.wake.wait(), QUIET)
                except TimeoutError:
                    yield None
        finally:
            with self._guard:
                channel.watchers.discard(watcher)

    def __len__(self) -> int:
        return len(self._channels)

    def _forget(self) -> None:
        """Drop the oldest channels whose job ended a while ago and that nobody watches."""
        limit = time.monotonic() - KEPT_SECONDS
        for name in list(self._channels)[:8]:
            channel = self._channels[name]
            if channel.ended is not None and channel.ended < limit and not channel.watchers:
                del self._channels[name]
            else:
                self._channels.move_to_end(name)
