"""One progress bar a stage, for work that says what it does as it goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from fantascope.cli.data import bar


class Stages:
    """Passes progress on to one bar a stage."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.stage: tuple[str, int] | None = None
        self.bars = ExitStack()
        self.move: Callable[[int], None] = lambda done: None

    def __enter__(self) -> Stages:
        return self

    def __exit__(self, *reason: Any) -> None:
        self.bars.close()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Move the bar of this stage; a new stage closes the one before."""
        if (what, total) != self.stage:
            self.bars.close()
            self.stage, self.bars = (what, total), ExitStack()
            self.move = self.bars.enter_context(bar(what, total, self.as_json))
        self.move(done)
