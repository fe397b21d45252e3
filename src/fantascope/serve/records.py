"""Jobs as DBOS keeps them: durable workflows on SQLite or PostgreSQL. The only module that knows DBOS.

Whatever is written is JSON. One server works on one database at a time: a lock file says so.
"""

from __future__ import annotations

import fcntl
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fantascope.errors import Conflict, FantascopeError, StorageError

log = logging.getLogger(__name__)

APP = "fantascope"
VERSION = "1"
"""Of the form of orders: jobs of another are not begun again."""
QUEUE = "jobs"
LESSONS = "lessons"
"""The other queue, of work that takes minutes: one at a time, so that it never has more than one worker's share."""
POLL = 0.2
"""Seconds between two looks at the queue. A job that finds a free worker is begun at once, without the queue."""
ATTEMPTS = 300
"""Times a job is begun again after the server went down with it; then it is given up. So many, since a machine that is
short of power or memory takes innocent jobs down with it; one that is guilty can be cancelled in a paused server."""
THREADS = 8
"""Threads beside those of the workers."""

STATUS = {
    "ENQUEUED": "queued",
    "DELAYED": "queued",
    "PENDING": "running",
    "CANCELLED": "cancelled",
    "SUCCESS": "done",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
}
LIVE = ["ENQUEUED", "DELAYED", "PENDING"]
PAGE = 100
"""Jobs that are read at a time where many are listed."""


@dataclass(frozen=True)
class Record:
    """A job as it is written down: its order, and how it ended, once it did."""

    id: str
    status: str
    order: dict[str, Any]
    outcome: dict[str, Any] | None = None


Work = Callable[[str, dict[str, Any]], dict[str, Any]]


class Records:
    """The jobs' database, and the threads that work on jobs.

    Args:
        folder: Where `jobs.db` is; also of the lock.
        url: SQLAlchemy URL of a PostgreSQL database instead.
        workers: Jobs that are worked on at a time.
        work: Does a job: takes its name and order, returns the outcome with its `status`.
    """

    def __init__(self, folder: Path, url: str | None, workers: int, work: Work) -> None:
        self._folder, self._url, self._workers, self._work = folder, url, workers, work
        self._active = 0
        self._guard = threading.Lock()
        self._lock: Any = None
        self._make: Any = None

    def open(self) -> None:
        """Open the database, made when it is not there, and go on with what was begun.

        Raises:
            Conflict: another server works on it.
        """
        if self._make is not None:
            return
        self.take()
        url = self._url
        if url is None:
            path = self._folder / "jobs.db"
            with sqlite3.connect(path) as database:
                database.execute("PRAGMA journal_mode = WAL")
            database.close()
            path.chmod(0o600)
            url = f"sqlite:///{path}"
        try:
            self._launch(url)
        except Exception as error:
            self.close(0)
            where = url.partition("@")[2] or url
            raise StorageError(
                f"The jobs' database cannot be opened ({where}): {type(error).__name__}: {error}."
            ) from error

    def _launch(self, url: str) -> None:
        from dbos import DBOS, DBOSPortableJSONSerializer

        logging.getLogger("dbos").addFilter(_told_otherwise)
        config: Any = {
            "name": APP,
            "system_database_url": url,
            "application_version": VERSION,
            "executor_id": APP,
            "log_level": "ERROR",
            "serializer": DBOSPortableJSONSerializer(),
            "max_executor_threads": 2 * self._workers + THREADS,
        }
        DBOS(config=config)

        @DBOS.workflow(name="job", max_recovery_attempts=ATTEMPTS)
        def job(order: dict[str, Any]) -> dict[str, Any]:
            counted = 0 if order.get("lane") == LESSONS else 1
            with self._guard:
                self._active += counted
            try:
                return self._work(str(DBOS.workflow_id), order)
            finally:
                with self._guard:
                    self._active -= counted

        self._make = job
        DBOS.launch()
        DBOS.register_queue(QUEUE, worker_concurrency=self._workers, polling_interval_sec=POLL)
        DBOS.register_queue(LESSONS, worker_concurrency=1, polling_interval_sec=POLL)

    def close(self, grace: float) -> None:
        """Let jobs in work end within `grace` seconds, stop, and let the database go."""
        if self._make is not None:
            from dbos import DBOS

            self._make = None
            DBOS.destroy(workflow_completion_timeout_sec=int(grace), destroy_registry=True)
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    @property
    def active(self) -> int:
        """Jobs that are being worked on; lessons, which leave off at any step, are not counted."""
        return self._active

    def add(self, name: str, order: dict[str, Any]) -> None:
        """Write a job down, and begin it at once where a worker is free and nobody waits."""
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
        from dbos import DBOSContextSetAuth as SetAuth

        with SetWorkflowID(name), SetAuth(order["account"], []):
            lane = order.get("lane", QUEUE)
            with self._guard:
                free = lane == QUEUE and self._active < self._workers and not self._queued()
            if free:
                DBOS.start_workflow(self._make, order)
            else:
                with SetEnqueueOptions(priority=order["tag"]):
                    DBOS.enqueue_workflow(lane, self._make, order)

    def find(self, name: str) -> Record | None:
        """Return a job, or None."""
        from dbos import DBOS

        found = DBOS.list_workflows(workflow_ids=[name], limit=1)
        return _record(found[0]) if found else None

    def of(self, account: str) -> Iterator[Record]:
        """Yield the jobs of an account, newest first."""
        from dbos import DBOS

        offset = 0
        while found := DBOS.list_workflows(user=account, limit=PAGE, offset=offset, sort_desc=True):
            yield from (_record(one) for one in found)
            offset += PAGE

    def live(self) -> Iterator[Record]:
        """Yield every job that has not ended."""
        from dbos import DBOS

        yield from (_record(one) for one in DBOS.list_workflows(status=LIVE))

    def count(self, account: str) -> int:
        """Return how many jobs of an account have not ended."""
        from dbos import DBOS

        return len(DBOS.list_workflows(user=account, status=LIVE, load_input=False, load_output=False))

    def cancel(self, name: str) -> None:
        """Write down that a job is cancelled, so that it is not begun, or not begun again."""
        from dbos import DBOS

        DBOS.cancel_workflow(name)

    def move(self, name: str, tag: int, **order: Any) -> bool:
        """Give a job that has not ended another tag, and say something else in its order, in one step.

        Returns:
            Whether it had not ended.
        """
        from dbos._dbos import _get_dbos_instance

        # DBOS has no call for the priority of what is enqueued; its queue reads the column whenever it takes one.
        system = _get_dbos_instance()._sys_db
        row = system.tables.workflow_status
        change = row.update().where(row.c.workflow_uuid == name, row.c.status.in_(LIVE))
        with system.engine.begin() as tx:
            done: int = tx.execute(change.values(priority=tag, attributes=order | {"tag": tag})).rowcount
        return done == 1

    def remove(self, name: str) -> None:
        """Forget a job."""
        from dbos import DBOS

        DBOS.delete_workflow(name)

    @staticmethod
    def _queued() -> bool:
        from dbos import DBOS

        return bool(DBOS.list_workflows(queue_name=QUEUE, status=LIVE[:2], limit=1, load_input=False))

    def take(self) -> None:
        """Lock the folder for this server; the lock goes with the process.

        Raises:
            Conflict: another server works on it.
        """
        if self._lock is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = (self._folder / "server.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            self._lock = None
            raise Conflict(
                f"Another server works on the jobs in {self._folder}.",
                hint="Stop it, or give this one another FANTASCOPE_HOME.",
            ) from None


def _told_otherwise(entry: logging.LogRecord) -> bool:
    """Leave out of DBOS's log that a job was cancelled, which is no error of anybody's."""
    error = entry.exc_info[0] if entry.exc_info else None
    return error is None or "Cancelled" not in error.__name__


def _record(found: Any) -> Record:
    """Return what DBOS knows of a workflow as a record."""
    status = STATUS[found.status]
    order = (found.input["args"][0] if found.input else {}) | (found.attributes or {})
    outcome = found.output if isinstance(found.output, dict) else None
    if status == "done" and outcome is not None:
        status = outcome["status"]
    elif status == "failed":
        over = found.status.startswith("MAX")
        said = "It took the server down too often and was given up." if over else "A bug of ours."
        outcome = {"status": status, "error": FantascopeError(said).as_dict()}
    return Record(found.workflow_id, status, order, outcome)
