"""Waiting for what happens to a job of the desk."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from anyio import to_thread

from fantascope.errors import Cancelled
from fantascope.serve.desk import Desk
from fantascope.serve.hub import ENDS, Event
from fantascope.serve.job import Job, revived
from fantascope.serve.people import Caller


async def watch(desk: Desk, caller: Caller, job: str, after: int = 0) -> AsyncGenerator[Event, None]:
    """Yield what happens to a job, until it ends. Of one that has ended, its end alone.

    Args:
        after: Number of the last event that is known already, in this life of the server.

    Raises:
        NotFound: there is none of this name, or it is another's.
    """
    found = await to_thread.run_sync(desk.get, caller, job)
    last = desk.hub.last(job)
    if found.ended and (last is None or last.kind not in ENDS):
        yield Event(after + 1, found.status, found.public())
        return
    async with aclosing(desk.hub.watch(job, after)) as events:
        async for event in events:
            if event is not None:
                after = event.n
                yield event
                continue
            found = await to_thread.run_sync(desk.get, caller, job)
            if found.ended:
                yield Event(after + 1, found.status, found.public())
                return


async def finished(desk: Desk, caller: Caller, job: str) -> Job:
    """Wait until a job ends, and return it.

    Raises:
        FantascopeError: what it failed with.
        Cancelled: it was cancelled.
    """
    async with aclosing(watch(desk, caller, job)) as events:
        async for event in events:
            if event.kind in ENDS:
                break
    found = await to_thread.run_sync(desk.get, caller, job)
    if found.status == "cancelled":
        raise Cancelled(f"The job {job} was cancelled.")
    if found.error is not None:
        raise revived(found.error)
    return found
