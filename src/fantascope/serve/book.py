"""The book of jobs: what is written down of each, whose it is, and when its turn is."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from fantascope.errors import Conflict, NotFound, TooMany
from fantascope.serve.fair import Fair, Priority
from fantascope.serve.job import named
from fantascope.serve.people import Caller, People
from fantascope.serve.records import LESSONS, Record, Records


def is_lesson(order: dict[str, Any]) -> bool:
    """Say whether an order is for a lesson, which waits in a queue of its own."""
    return order.get("lane") == LESSONS


class Book:
    """Makes, finds and moves orders.

    Args:
        records: Where they are written down.
        people: Who they are of.
        waiting: Jobs of one account that may wait or run.
    """

    def __init__(self, records: Records, people: People, waiting: int) -> None:
        self.records, self._people, self._waiting = records, people, waiting
        self._pictures, self._lessons = Fair(), Fair()
        self._moved: dict[str, dict[str, Any]] = {}

    def restore(self, waiting: Sequence[Record]) -> None:
        """Go on with the turns of the jobs that still wait."""
        for fair in (self._pictures, self._lessons):
            own = [record.order for record in waiting if self._fair(record.order) is fair]
            fair.restore((order["account"], order["tag"]) for order in own)

    def name(self, caller: Caller, key: str | None) -> tuple[str, Record | None]:
        """Return the name of a new job, and the job that an idempotency key named before.

        Raises:
            TooMany: as many jobs of the account wait as may.
        """
        name = str(uuid.uuid4()) if key is None else named(caller.account, key)
        known = None if key is None else self.records.find(name)
        live = 0 if known is not None else self.records.count(caller.account)
        if live >= self._waiting:
            raise TooMany(f"{live} of your jobs wait or run; {self._waiting} may.", after=5.0)
        return name, known

    def order(
        self,
        caller: Caller,
        request: dict[str, Any],
        said: dict[str, Any],
        quote: float,
        priority: Priority,
        lane: str | None = None,
    ) -> dict[str, Any]:
        """Return what is to be written down of a job, with the turn that it gets."""
        told: dict[str, Any] = {} if lane is None else {"lane": lane}
        return told | {
            "account": caller.account,
            "plan": caller.plan,
            "operator": caller.operator,
            "request": request,
            "said": said,
            "quote": quote,
            "created": time.time(),
            "priority": priority,
            "tag": self._fair(told).tag(caller.account, quote, priority),
        }

    def caller(self, order: dict[str, Any]) -> Caller:
        """Return whose a job is, as they were when they asked."""
        own = order["account"] == self._people.operator.account
        return Caller(order["account"], order["plan"], order.get("operator", own))

    def mine(self, caller: Caller, job: str) -> Record:
        """Return a job of the caller's.

        Raises:
            NotFound: there is none of this name, or it is another's.
        """
        record = self.records.find(job)
        if record is None or record.order["account"] != caller.account:
            raise NotFound(f"There is no job {job[:64]!r}.", param="id")
        return record

    def move(self, record: Record, priority: Priority) -> None:
        """Give a job another priority: its name stays, and going back gives it its old place again.

        Raises:
            Conflict: it has ended.
        """
        order = record.order
        place = order.get("place", Fair.ordinary(order["tag"]))
        tag = self._fair(order).moved(place, priority)
        if not self.records.move(record.id, tag, priority=priority, place=place):
            raise Conflict(f"The job {record.id} has ended.")
        self._moved[record.id] = {"tag": tag, "priority": priority, "place": place}

    def as_moved(self, job: str, order: dict[str, Any]) -> dict[str, Any]:
        """Return the order of a job that a worker was given, with what was changed since; to be asked once."""
        return order | self._moved.pop(job, {})

    def began(self, order: dict[str, Any]) -> None:
        """Note that a job was begun: turns are counted from it."""
        self._fair(order).began(order["tag"])

    def subjects(self) -> set[str]:
        """Return the names of the subjects that lessons which have not ended are about."""
        return {record.order["request"]["name"] for record in self.records.live() if is_lesson(record.order)}

    def failed(self, job: str) -> bool:
        """Say whether there is a job of this name that failed."""
        record = self.records.find(job)
        return record is not None and record.status == "failed"

    def _fair(self, order: dict[str, Any]) -> Fair:
        return self._lessons if is_lesson(order) else self._pictures
