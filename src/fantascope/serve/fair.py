"""A fair share for everybody who waits: start-time fair queueing, as numbers that a priority queue sorts by.

Each job gets a tag when it is queued: the later of the virtual time and the finish of its account's last job. The
virtual time is the tag of the job that was begun last. So an account with a thousand jobs and one with one take turns.

Source: Goyal, Vin, Cheng, "Start-time Fair Queueing", SIGCOMM 1996.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Literal

Priority = Literal["low", "normal", "high"]
PRIORITIES: tuple[Priority, ...] = ("low", "normal", "high")

UNIT = 10
"""Virtual time of one credit."""
LOW = 2**30
"""Added to the tag of a job of low priority: it comes after everybody's others."""


class Fair:
    """Gives tags; any thread may call it.

    Example:
        >>> fair = Fair()
        >>> [fair.tag("ann", 1.0), fair.tag("ann", 1.0), fair.tag("bob", 1.0)]
        [1, 11, 1]
    """

    def __init__(self) -> None:
        self._now = 1
        self._finish: dict[str, int] = {}
        self._guard = threading.Lock()

    def tag(self, account: str, credits: float, priority: Priority = "normal") -> int:
        """Return the tag of a new job: lower ones are begun first.

        Args:
            credits: What it costs, as a measure of its work.
            priority: `high` goes before the account's own other jobs, `low` after everybody's.
        """
        with self._guard:
            start = self._now if priority == "high" else max(self._now, self._finish.get(account, 0))
            self._finish[account] = max(start, self._finish.get(account, 0)) + max(1, round(credits * UNIT))
            return min(LOW - 1, start) + (LOW if priority == "low" else 0)

    def moved(self, place: int, priority: Priority) -> int:
        """Return the tag of a job that waits and gets another priority.

        Args:
            place: The tag that it has without a priority, `ordinary(tag)` of its first one: going back to normal
                gives it its old place again, and no way of changing gains more than `high` itself.
        """
        with self._guard:
            start = min(place, self._now) if priority == "high" else place
            return min(LOW - 1, start) + (LOW if priority == "low" else 0)

    @staticmethod
    def ordinary(tag: int) -> int:
        """Return a tag as it would be without low priority."""
        return tag - LOW if tag >= LOW else tag

    def began(self, tag: int) -> None:
        """Let the virtual time go on to the tag of a job that was begun."""
        with self._guard:
            if tag < LOW:
                self._now = max(self._now, tag)

    def restore(self, waiting: Iterable[tuple[str, int]]) -> None:
        """Go on where another life of the server stopped: with accounts and tags of the jobs that still wait."""
        with self._guard:
            tags = [(account, tag) for account, tag in waiting if tag < LOW]
            self._now = max(self._now, min((tag for _, tag in tags), default=self._now))
            for account, tag in tags:
                self._finish[account] = max(self._finish.get(account, 0), tag + UNIT)
