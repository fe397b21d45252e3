"""The memory of this process: how much it holds, giving it back, and what is loaded once for everybody."""

from __future__ import annotations

import ctypes
import gc
import os
import threading
from collections.abc import Callable, Hashable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

STATM = Path("/proc/self/statm")


def resident() -> int | None:
    """Return the bytes of memory that this process holds, as Linux counts them; None elsewhere."""
    try:
        return int(STATM.read_text("ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None


def give_back() -> None:
    """Free what nobody refers to, and return to the system what the C library keeps of freed memory, where it can."""
    gc.collect()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Any:
    """Return glibc's `malloc_trim`; None with another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (OSError, TypeError, AttributeError):
        return None


_every: list[Once[Any]] = []


class Once(Generic[T]):
    """Things that are loaded once a process, and again when a file of theirs has changed; then the old one goes.

    Example:
        >>> from pathlib import Path
        >>> things = Once[list[int]]()
        >>> things.get("a", [Path("/nowhere")], lambda: [1]) is things.get("a", [Path("/nowhere")], lambda: [2])
        True
    """

    def __init__(self) -> None:
        self._loaded: dict[Hashable, tuple[tuple[Any, ...], T]] = {}
        self._loading = threading.Lock()
        _every.append(self)

    def get(self, key: Hashable, files: Iterable[Path], load: Callable[[], T]) -> T:
        """Return what was loaded for a key, loading it where it is not here or one of its files is another one now."""
        state = tuple(map(_state, files))
        with self._loading:
            found = self._loaded.get(key)
            if found is None or found[0] != state:
                self._loaded.pop(key, None)
                found = self._loaded[key] = (state, load())
            return found[1]

    def forget(self) -> None:
        """Let go of everything; who still uses a thing keeps it."""
        with self._loading:
            self._loaded.clear()


def forget_all() -> None:
    """Let go of everything that is loaded once for everybody: encoders, detectors, classifiers."""
    for once in _every:
        once.forget()


def _state(path: Path) -> tuple[int, ...] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
