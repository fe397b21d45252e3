"""Engines that paint requests of different people together, where that leaves every picture as it is.

Who asks for an engine gets a seat at once. Its `render` stands in the engine's line; when the engine gets free, what
waits there and agrees (`paint.batch_key`) goes together, up to the batch limit, in a thread of its own: so nobody waits
for company, and nobody who reads slowly holds up the others. What must be painted alone waits in the same line.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, cast

from fantascope.artifact import Output, Step
from fantascope.engines.base import Choice, Engine, Inputs, Rowwise
from fantascope.engines.load import Engines, Slot, key_of
from fantascope.engines.paint import Share, batch, batch_key, company, prepare, shares
from fantascope.receipt import Ran
from fantascope.request import Request
from fantascope.spec import Spec

log = logging.getLogger(__name__)

PLAIN = Inputs()


class SharedEngines(Engines):
    """`Engines` whose `lease` lets requests share batches; see `Engines` for its arguments.

    A request that shares gets a `Seat` and waits when it is rendered; every other waits for the engine as always.
    """

    @contextmanager
    def lease(self, spec: Spec, choice: Choice, request: Any = None) -> Iterator[Engine]:
        """Give a seat to a request that can be painted with others, and the engine alone to every other.

        Raises as `Engines.lease` does.
        """
        with self._kept(spec, choice) as slot:
            if batch_key(request) is not None:
                engine = self._loaded(slot, spec, choice)
                if engine.rowwise:
                    yield Seat(self, slot, cast(Rowwise, engine))
                    return
            with self._alone(slot):
                yield self._loaded(slot, spec, choice)

    def prefetch(self, spec: Spec, choice: Choice, request: Any) -> None:
        """See `Engines.prefetch`; nothing is done where the engine is here or on its way: others may work with it."""
        ahead = self._ahead
        with self._guard:
            slot = self._slots.get(key_of(spec, choice))
        if (slot is None or slot.engine is None) and not (ahead is not None and ahead.is_alive()):
            super().prefetch(spec, choice, request)

    @contextmanager
    def alone(self, slot: Slot) -> Iterator[None]:
        """Wait until this thread has an engine to itself: for a seat that renders what cannot be shared."""
        with self._alone(slot):
            yield

    @contextmanager
    def held(self, slot: Slot) -> Iterator[None]:
        """Keep an engine loaded for a batch, though all who asked for it may go away."""
        with self._guard:
            slot.users += 1
        try:
            yield
        finally:
            self._release(slot)


class Seat:
    """An engine as one request sees it that may share batches: it renders, and says what ran for this request.

    What is no plain picture from noise, or is another request than batches are made for, it renders alone.
    """

    rowwise = True

    def __init__(self, engines: SharedEngines, slot: Slot, engine: Rowwise) -> None:
        self.spec, self.choice, self.supports = engine.spec, engine.choice, engine.supports
        self._engines, self._slot, self._engine = engines, slot, engine
        self._ran: Ran | None = None

    def render(self, request: Request, inputs: Inputs = PLAIN) -> Iterator[Step | Output]:
        """See `Engine.render`: the events are those of the request alone, the pixels the same.

        Where the caller is slower than the painting, older steps come without their previews.
        """
        key = batch_key(request)
        if key is None or not _plain(request, inputs):
            with self._engines.alone(self._slot):
                for event in self._engine.render(request, inputs):
                    if isinstance(event, Output):
                        self._ran = self._engine.ran()
                    yield event
            return
        parts = [Ticket(self._engines, self._slot, key, share) for share in shares(self._engine, request)]
        try:
            parts[0].enter()
            for part, later in zip(parts, [*parts[1:], None], strict=True):
                for event in part.events():
                    if isinstance(event, Output):
                        self._ran = part.ran
                        if later is not None:
                            later.enter()  # once: what it paints waits here until this part was taken
                    yield event
        finally:
            for part in parts:
                part.cancel()

    def ran(self) -> Ran:
        """See `Engine.ran`: of what this seat rendered last."""
        return self._ran if self._ran is not None else self._engine.ran()

    def close(self) -> None:
        """Free nothing: the weights belong to the cache."""


class Ticket:
    """One share of a request in the line, and the events that come back from the thread that paints it."""

    def __init__(self, engines: SharedEngines, slot: Slot, key: tuple[Any, ...], share: Share) -> None:
        self.engines, self.slot, self.key, self.share = engines, slot, key, share
        self.ran: Ran | None = None
        self._entered = False
        self._events: deque[Step | Output | BaseException] = deque()
        self._changed = threading.Condition()

    def enter(self) -> None:
        """Stand in the engine's line, once."""
        if not self._entered:
            self._entered = True
            self.slot.line.enter(self)

    def cancel(self) -> None:
        """Leave the line, or the batch: no more is painted for it than the others there need."""
        self.share.gone = True
        if self._entered:
            self.slot.line.withdraw(self)

    def go(self) -> None:
        """See `Place`: paint it and what goes with it, in a thread that ends with the batch."""
        threading.Thread(target=_paint, args=(self,), name="batch", daemon=True).start()

    def fail(self, error: BaseException) -> None:
        """End the events with an error of its own, since several threads will raise it."""
        self.put(_copied(error))

    def put(self, event: Step | Output | BaseException) -> None:
        """Hand an event over. Of previews only the latest waits: a caller that reads slowly costs no memory."""
        with self._changed:
            if isinstance(event, Step) and event.preview is not None:
                for k, old in enumerate(self._events):
                    if isinstance(old, Step) and old.preview is not None:
                        self._events[k] = replace(old, preview=None)
            self._events.append(event)
            self._changed.notify()

    def events(self) -> Iterator[Step | Output]:
        """Yield what was handed over, up to the share's last picture.

        Raises:
            Exception: what went wrong where it was painted.
        """
        left = self.share.count
        while left > 0:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._events))
                event = self._events.popleft()
            if isinstance(event, BaseException):
                raise event
            left -= isinstance(event, Output)
            yield event


def _paint(head: Ticket) -> None:
    """Paint a ticket whose turn came, with those of the line that go with it; end the turn."""
    batched, slot = [head], head.slot
    with head.engines.held(slot):
        try:
            engine = cast(Rowwise, slot.engine)
            batched += _company(engine, head)
            parts = [ticket.share for ticket in batched]
            if all(part.gone for part in parts):
                return
            work = prepare(engine, head.share.request, PLAIN)
            engine.begin(head.share.request, sum(part.count for part in parts))
            for k, event in batch(engine, work, parts):
                if isinstance(event, Output):
                    batched[k].ran = engine.ran()
                batched[k].put(event)
        except BaseException as error:  # it is theirs: each raises it in its own thread
            log.info("a batch of %d stopped: %s", len(batched), type(error).__name__)
            for ticket in batched:
                ticket.fail(error)
        finally:
            slot.line.leave()


def _company(engine: Rowwise, head: Ticket) -> list[Ticket]:
    """Take out of the line who goes with a ticket."""
    line = head.slot.line
    same = [one for one in line.waiting() if isinstance(one, Ticket) and one.key == head.key]
    chosen = company(engine, [head.share, *(ticket.share for ticket in same)])
    return [same[place - 1] for place in chosen[1:] if line.withdraw(same[place - 1])]


def _plain(request: Any, inputs: Inputs) -> bool:
    """Say whether a picture is painted from noise alone, at the size that the request asks for."""
    size = request.width // request.upscale, request.height // request.upscale
    return (
        inputs.size in (None, size)
        and inputs.pictures is None
        and inputs.mask is None
        and inputs.said is None
        and not inputs.steers
        and not any(inputs.wrap)
    )


def _copied(error: BaseException) -> BaseException:
    """Return an exception of the same kind that says the same; a plain one where its kind does not allow that."""
    kind, own = type(error), None
    with suppress(Exception):
        own = kind.__new__(kind, *error.args)
        own.__dict__.update(error.__dict__)
    return (own or RuntimeError(f"{kind.__name__}: {error}")).with_traceback(error.__traceback__)
