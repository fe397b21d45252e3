"""Who uses an engine next: first come, first served."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol


class Place(Protocol):
    """One that stands in a line."""

    def go(self) -> None:
        """Its turn came, and lasts until somebody calls `Line.leave`; this must return at once."""
        ...

    def fail(self, error: BaseException) -> None:
        """`go` raised this: its turn is over, and the next one goes."""
        ...


class Line:
    """A line in front of one engine: the turn goes to one place at a time, in the order they came.

    Every method may be called by any thread.
    """

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._waiting: deque[Place] = deque()
        self._busy = False

    def enter(self, place: Place) -> None:
        """Stand at the end."""
        with self._guard:
            self._waiting.append(place)
            self._advance()

    def leave(self) -> None:
        """End the turn: the next one goes."""
        with self._guard:
            self._busy = False
            self._advance()

    def withdraw(self, place: Place) -> bool:
        """Leave the line before the turn came; False where it came already."""
        with self._guard:
            for k, one in enumerate(self._waiting):
                if one is place:
                    del self._waiting[k]
                    return True
            return False

    def waiting(self) -> Sequence[Place]:
        """Return who stands here now, first to last."""
        with self._guard:
            return tuple(self._waiting)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for a turn of one's own, and end it."""
        place = _Alone()
        self.enter(place)
        try:
            place.came.wait()
        except BaseException:  # Ctrl-C while it waited
            if not self.withdraw(place):
                self.leave()
            raise
        try:
            yield
        finally:
            self.leave()

    def _advance(self) -> None:
        while self._waiting and not self._busy:
            place, self._busy = self._waiting.popleft(), True
            try:
                place.go()
            except BaseException as error:  # no thread can be started
                self._busy = False
                place.fail(error)


class _Alone:
    """The place of a thread that waits for the engine."""

    def __init__(self) -> None:
        self.came = threading.Event()

    def go(self) -> None:
        self.came.set()

    def fail(self, error: BaseException) -> None:
        raise AssertionError("setting an event does not fail") from error
