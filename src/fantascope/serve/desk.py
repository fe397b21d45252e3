"""The desk: a request becomes a job that survives the server.

A job is accepted in this order: the request is admitted (resolved, judged, priced), its price is held in the ledger
under the job's name, then the job is written down. Only then does the client get an answer. The job is one durable
workflow (DBOS, on SQLite or PostgreSQL); what it has done is in the gallery, where a picture, its charge and its number
within the job are one transaction. Killed at any moment and begun again, a job keeps and charges every picture once.

How long a job waits is up to `fair`. Jobs that run at the same time meet at the engine, where those that agree on
everything but their words share a batch (`engines.together`). Lessons take minutes and have a queue of their own, one
at a time, beside the pictures (`lessons`).
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from fantascope.artifact import Artifact, Step
from fantascope.errors import Conflict, FantascopeError, Stopping
from fantascope.request import Request, parse_request
from fantascope.resolve import Admitted
from fantascope.serve.book import Book, is_lesson
from fantascope.serve.fair import Priority
from fantascope.serve.hub import ENDS, Hub
from fantascope.serve.job import Job, Left, Status, revived
from fantascope.serve.lessons import TASK, Lessons
from fantascope.serve.people import Caller, People
from fantascope.serve.places import unplaced
from fantascope.serve.records import LESSONS, Record, Records

if TYPE_CHECKING:
    from fantascope.personal.asked import Personalise
    from fantascope.personal.enrol import Examined
    from fantascope.studio import Studio

log = logging.getLogger(__name__)

Listener = Callable[[str, str, int, float], None]
WORKERS = 16
"""Jobs that are begun at a time: enough to fill a batch, few enough that the next in turn need not wait long."""
WAITING = 256
"""Jobs of one account that may wait or run."""
ADMITTED = 256
"""Admitted requests kept until their job begins; one that was forgotten, or was of another life, is admitted again."""


class Desk:
    """Accepts, runs, tells of and ends jobs. There is one in a process, as DBOS is one in a process.

    Args:
        studio: The operator's studio; callers' studios come from it.
        people: Who they are.
        folder: Where the jobs' database is, unless `url` says otherwise.
        url: SQLAlchemy URL of a PostgreSQL database for the jobs.
        workers: Jobs that are begun at a time.
        waiting: Jobs of one account that may wait or run.
    """

    def __init__(
        self,
        studio: Studio,
        people: People,
        folder: Path,
        *,
        url: str | None = None,
        workers: int = WORKERS,
        waiting: int = WAITING,
    ) -> None:
        self.hub, self.lessons = Hub(), Lessons(folder / "lessons")
        self._studio, self._people = studio, people
        self._records = Records(folder, url, workers, self._work)
        self._book = Book(self._records, people, waiting)
        self._admitted: dict[str, Admitted] = {}
        self._stop: set[str] = set()
        self._guard = threading.Lock()
        # After a crash many jobs begin at once: one is admitted after the other, so that the first soon paints.
        self._readmitting = threading.Lock()
        self._naming = threading.Lock()
        self._listeners: list[Listener] = []
        self._gate = threading.Event()
        self._paused = folder / "paused"
        self._closing = self._leaving = False
        if not self._paused.exists():
            self._gate.set()

    # Life

    def open(self) -> None:
        """Begin: jobs that were accepted and did not end go on; what was held for jobs that are gone is refunded."""
        held = self._studio.gallery.job_holds()
        self._records.open()
        waiting = list(self._records.live())
        self._book.restore(waiting)
        live = {record.id for record in waiting}
        self.lessons.sweep(lambda job: job in live or self._book.failed(job))
        for job, hold in held.items():
            if job not in live:
                log.info("refunding what was held for job %s, which is gone", job)
                self._studio.gallery.release(hold)

    def close(self, grace: float = 20.0) -> None:
        """Take no more jobs, let those that paint end within `grace` seconds, and leave the rest for the next start."""
        self._closing = True
        end = time.monotonic() + grace
        while self._records.active and not self.paused and time.monotonic() < end:
            time.sleep(0.05)
        self._leaving = True
        self._gate.set()
        self._records.close(3)

    def listen(self, listener: Listener) -> None:
        """Call this with task, status, number of pictures and seconds since it was accepted when a job ends."""
        self._listeners.append(listener)

    # What clients do

    def submit(
        self,
        caller: Caller,
        request: Request,
        *,
        key: str | None = None,
        priority: Priority = "normal",
        again: str | None = None,
    ) -> Job:
        """Accept a request as a job; when this returns, the job will be done or end with an error, come what may.

        Args:
            key: Idempotency key: the same key of the same account gives the same job again.
            again: Id of a picture whose record the request is: what is made has its pixels, or nothing is kept.

        Raises:
            Conflict: the key came with another request before.
            TooMany: as many jobs of the account wait as may.
            Stopping: the server is about to stop.
            FantascopeError: as `Studio.admit` and `Studio.hold` say; nothing was changed.
        """
        said = request.model_dump(mode="json", exclude_none=True)
        said |= {} if again is None else {"again": again}
        name, known = self._known(caller, key, said)
        if known is not None:
            return known
        studio = self._people.studio(caller)
        admitted = studio.admit(request, typed=again is None)
        hold = studio.hold(admitted, name)
        resolved = admitted.job.request.model_dump(mode="json")
        order = self._book.order(caller, resolved, said, admitted.quote, priority)
        with self._guard:
            if len(self._admitted) < ADMITTED:
                self._admitted[name] = admitted
        try:
            self.hub.tell(name, "queued", {})
            self._records.add(name, order)
        except BaseException:
            studio.gallery.release(hold)
            with self._guard:
                self._admitted.pop(name, None)
            raise
        return self.get(caller, name) if key is not None else self._job(Record(name, "queued", order), caller)

    def teach(
        self,
        caller: Caller,
        request: Personalise,
        *,
        key: str | None = None,
        priority: Priority = "normal",
        begun: str | None = None,
    ) -> Job:
        """Accept a lesson as a job, once its photos and words were found good; see `submit`.

        Args:
            begun: A job that failed with the same request: the lesson goes on from what it saved.

        Raises:
            As `submit`; FantascopeError as `personal.enrol.enrol` says.
        """
        said = request.model_dump(mode="json", exclude_none=True)
        name, known = self._known(caller, key, said)
        if known is not None:
            return known
        studio, gallery = self._people.studio(caller), self._studio.gallery
        whole, enrolled, quote = self.lessons.enrol(request, caller.account, studio, self._book.subjects())
        order = self._book.order(caller, whole.model_dump(mode="json"), said, quote, priority, LESSONS)
        what = f"{TASK} {enrolled.lesson.name}"
        hold = studio.gallery.hold(caller.account, quote, what, job=name) if quote > 0 else None
        try:
            self.lessons.keep(name, whole, studio, begun)
            self.hub.tell(name, "queued", {})
            with self._naming:
                if enrolled.lesson.name in self._book.subjects():
                    raise Conflict(f"Another lesson is about to teach {enrolled.lesson.name!r}.", param="name")
                self._records.add(name, order)
        except BaseException:
            if hold is not None:
                gallery.release(hold)
            self.lessons.drop(name)
            raise
        if begun is not None:
            self.lessons.drop(begun)
        return self._job(Record(name, "queued", order), caller)

    def examine(self, caller: Caller, request: Personalise) -> Examined:
        """Say of each photo of a lesson whether it will do, and what else would be refused; nothing is made."""
        return self.lessons.examine(request, caller.account, self._people.studio(caller), self._book.subjects())

    def move(self, caller: Caller, job: str, priority: Priority) -> Job:
        """Give a job that waits another priority: its name stays, and going back gives it its old place again.

        Raises:
            Conflict: it was begun, or has ended.
        """
        record = self._book.mine(caller, job)
        found = self._job(record, caller)
        if found.status != "queued":
            raise Conflict(f"The job {job} is {found.status}; the priority of one that waits can be changed.")
        self._book.move(record, priority)
        return self.get(caller, job)

    def get(self, caller: Caller, job: str) -> Job:
        """Return a job of the caller's.

        Raises:
            NotFound: there is none of this name, or it is another's.
        """
        return self._job(self._book.mine(caller, job), caller)

    def list(self, caller: Caller, *, status: Status | None = None, limit: int = 50, offset: int = 0) -> list[Job]:
        """Return jobs of the caller's, newest first."""
        found = (self._job(record, caller) for record in self._records.of(caller.account))
        wanted = (job for job in found if status is None or job.status == status)
        return list(islice(wanted, offset, offset + limit))

    def cancel(self, caller: Caller, job: str) -> Job:
        """Cancel a job: what was kept stays kept and paid, the rest is refunded. One that ended stays as it is."""
        record = self._book.mine(caller, job)
        if record.status in ENDS:
            return self._job(record, caller)
        with self._guard:
            self._stop.add(job)
            self._admitted.pop(job, None)
        self._records.cancel(job)
        if record.status == "queued":  # what is at work clears away after itself
            self.lessons.drop(job)
        hold = self._studio.gallery.job_holds().get(job)
        if hold is not None:
            self._studio.gallery.release(hold)
        ended = self._job(self._book.mine(caller, job), caller)
        self.hub.tell(job, "cancelled", ended.public())
        return ended

    def retry(self, caller: Caller, job: str) -> Job:
        """Make a new job of one that failed or was cancelled, with the same seed and everything else.

        Raises:
            Conflict: it is not over, or it was done.
        """
        record = self._book.mine(caller, job)
        if record.status not in ("failed", "cancelled"):
            raise Conflict(f"The job {job} is {record.status}; one that failed or was cancelled can be tried again.")
        said = dict(record.order["said"])
        again = said.pop("again", None)
        if is_lesson(record.order):
            return self.teach(caller, _lesson_of(said), priority=record.order["priority"], begun=job)
        return self.submit(caller, parse_request(said), priority=record.order["priority"], again=again)

    def remove(self, caller: Caller, job: str) -> None:
        """Forget a job that ended, with its prompt; its pictures stay in the gallery.

        Raises:
            Conflict: it is not over.
        """
        record = self._book.mine(caller, job)
        if record.status not in ENDS:
            raise Conflict(f"The job {job} is {record.status}.", hint="Cancel it first.")
        self._records.remove(job)
        self.lessons.drop(job)

    # What the operator does

    def pause(self) -> None:
        """Begin no more jobs, also after a restart, and give the engines' memory back when they are idle."""
        self._paused.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._paused.touch()
        self._gate.clear()
        self._studio.engines.drop()

    def resume(self) -> None:
        """Go on."""
        self._paused.unlink(missing_ok=True)
        self._gate.set()

    @property
    def paused(self) -> bool:
        """Whether jobs wait for `resume`."""
        return not self._gate.is_set()

    def counts(self) -> dict[str, int]:
        """Return how many jobs wait and run, of everybody."""
        live = list(self._records.live())
        running = sum(self._begun(record) for record in live)
        return {"running": running, "queued": len(live) - running}

    def _begun(self, record: Record) -> bool:
        """Say whether a job is worked on; one that a worker has may still wait."""
        last = self.hub.last(record.id)
        return record.status == "running" and last is not None and last.kind != "queued"

    # Work

    def _work(self, name: str, order: dict[str, Any]) -> dict[str, Any]:
        """Run a job to its end, in a thread of its own, and return how it ended."""
        caller = self._book.caller(order)
        studio = self._people.studio(caller)
        outcome: dict[str, Any] = {"status": "cancelled"}
        try:
            if is_lesson(order):
                outcome = self._give(name, order, caller)
            else:
                outcome = self._paint(name, order, studio)
        except FantascopeError as error:
            outcome = {"status": "failed", "error": unplaced(error, self._studio.settings.home).as_dict()}
        except Exception as error:
            log.exception("job %s", name)
            bug = FantascopeError(f"{type(error).__name__}: a bug of ours.", hint="The server's log says more.")
            outcome = {"status": "failed", "error": bug.as_dict()}
        finally:
            hold = studio.gallery.job_holds().get(name) if outcome["status"] != "done" else None
            if hold is not None:
                studio.gallery.release(hold)
            with self._guard:
                self._stop.discard(name)
        if self.paused:
            self._studio.engines.drop()
        order = self._book.as_moved(name, order)
        ended = self._job(Record(name, outcome["status"], order, outcome), caller)
        for listener in self._listeners:
            listener(ended.task, ended.status, len(ended.artifacts), time.time() - order["created"])
        self.hub.tell(name, ended.status, ended.public())
        return outcome

    def _paint(self, name: str, order: dict[str, Any], studio: Studio) -> dict[str, Any]:
        """Make the pictures of a job, and return how it ended."""
        self._gate.wait()
        if self._closing:
            raise Left
        self._book.began(order)
        with self._guard:
            admitted = self._admitted.pop(name, None)
        if admitted is None:
            with self._readmitting:
                admitted = studio.admit(parse_request(order["request"]), typed=False)
        self.hub.tell(name, "started", {})
        again = order["said"].get("again")
        recorded = studio.gallery.receipt(again) if again is not None else None
        with closing(studio.perform(admitted, ticket=name, recorded=recorded)) as events:  # type: ignore[type-var]
            return {"status": "done" if self._follow(name, events) else "cancelled"}

    def _give(self, name: str, order: dict[str, Any], caller: Caller) -> dict[str, Any]:
        """Give a lesson, and return how it ended. Paused, it lets its memory go, and goes on from what it saved."""
        request, studio = _lesson_of(order["request"]), self._people.studio(caller)

        def halt() -> Any:
            if name in self._stop:
                return "cancelled"
            return "leaving" if self._closing else "paused" if self.paused else ""

        def tell(facts: dict[str, Any], preview: Any) -> None:
            self.hub.tell(name, "step", facts, preview)

        ended: Any = "paused"
        while ended == "paused":
            self._gate.wait()
            if halt() == "leaving":
                raise Left
            if halt() == "cancelled":
                break
            self._book.began(order)
            self.hub.tell(name, "started", {})
            ended = self.lessons.follow(name, request, caller.account, studio, tell, halt)
            if ended == "paused":
                self.hub.tell(name, "queued", {})
        if not isinstance(ended, dict):
            self.lessons.drop(name)
            return {"status": "cancelled"}
        self.lessons.trim(name)
        return {"status": "done", "taught": ended}

    def _follow(self, name: str, events: Iterator[Step | Artifact]) -> bool:
        """Tell the events of a run as they come; return False where the job was cancelled meanwhile."""
        count = 0
        for event in events:
            if self._leaving:
                raise Left
            if name in self._stop:
                return False
            if isinstance(event, Artifact):
                self.hub.tell(name, "kept", {"index": count, "artifact": event.id})
                count += 1
                continue
            facts = ("step", "steps", "stage", "index", "count", "total")
            self.hub.tell(name, "step", {fact: getattr(event, fact) for fact in facts}, event.preview)
        return True

    def _job(self, record: Record, caller: Caller) -> Job:
        order, outcome, status = record.order, record.outcome or {}, record.status
        last = self.hub.last(record.id) if status in ("queued", "running") else None
        if last is not None and last.kind in ENDS:  # it ended a moment ago, and is just being written down
            taught = last.data["taught"]
            status, outcome = last.kind, {"error": last.data["error"]} | ({"taught": taught} if taught else {})
        elif status == "running" and not self._begun(record):
            status = "queued"
        return Job(
            id=record.id,
            account=order["account"],
            task=order["request"]["task"],
            status=cast(Status, status),
            request=order["request"],
            said=order["said"],
            quote=order["quote"],
            created=datetime.fromtimestamp(order["created"], UTC),
            artifacts=self._artifacts(record.id, caller, status, outcome),
            error=outcome.get("error"),
            priority=order["priority"],
            progress=last.data if last is not None and last.kind == "step" else None,
            taught=outcome.get("taught"),
        )

    def _artifacts(self, job: str, caller: Caller, status: str, outcome: dict[str, Any]) -> dict[int, str]:
        """Return what a job has kept: its pictures, of a lesson the sealed grid of its samples."""
        if "taught" in outcome:
            samples = outcome["taught"]["samples"]
            return {} if samples is None else {0: samples}
        return {} if status == "queued" else self._people.studio(caller).gallery.outcomes(job)

    def _same(self, record: Record, said: dict[str, Any]) -> Job:
        """Return the job that a key named before, if it was for the same request."""
        if json.dumps(record.order["said"], sort_keys=True) != json.dumps(said, sort_keys=True):
            raise Conflict("This idempotency key came with another request before.", hint="Use a new key.")
        return self._job(record, self._book.caller(record.order))

    def _known(self, caller: Caller, key: str | None, said: dict[str, Any]) -> tuple[str, Job | None]:
        """Return the name of a new job, and the job that its key named before, if it did; raises as `submit`."""
        if self._closing:
            raise Stopping("The server is about to stop and takes no more jobs.", hint="Try again in a moment.")
        name, known = self._book.name(caller, key)
        return name, None if known is None else self._same(known, said)


def _lesson_of(request: dict[str, Any]) -> Personalise:
    """Return the request of a lesson that was written down."""
    from fantascope.personal.asked import Personalise

    return Personalise(**request)


__all__ = ["Desk", "Job", "Status", "revived"]
