"""The progress bar: step, speed, time left, and a live preview where the terminal shows colours."""

from __future__ import annotations

from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from fantascope.artifact import Step

PREVIEW_COLUMNS = 48


class Speed(ProgressColumn):
    """Sampler steps a second."""

    def render(self, task: Task) -> Text:
        """Return `12.3 steps/s`."""
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f} steps/s")


class Bar:
    """A progress bar on standard error, one row for the whole run."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("step {task.completed:.0f}/{task.total:.0f}"),
            Speed(),
            TimeRemainingColumn(),
            console=self.console,
        )
        self.live = Live(self.progress, console=self.console, transient=True, refresh_per_second=12)
        self.task: Any = None

    def __enter__(self) -> Bar:
        self.live.__enter__()
        return self

    def __exit__(self, *reason: Any) -> None:
        self.live.__exit__(*reason)

    @property
    def pictures(self) -> bool:
        """Say that this screen shows previews itself."""
        return self.console.color_system in ("truecolor", "256")

    def step(self, event: Step) -> None:
        """Draw one step: batches of several pictures count their steps once."""
        batches = -(-event.total // event.count)
        total, done = event.steps * batches, event.steps * (event.index // event.count) + event.step
        many = f" {event.index + 1}-{event.index + event.count} of {event.total}" if event.total > 1 else ""
        words = f"{event.stage}{many}"
        if self.task is None:
            self.task = self.progress.add_task(words, total=total)
        self.progress.update(self.task, completed=done, total=total, description=words)
        if event.preview is not None and self.pictures:
            self.live.update(Group(self.progress, half_blocks(event.preview)))


def half_blocks(pictures: Any, columns: int = PREVIEW_COLUMNS) -> Text:
    """Draw pictures `(n, h, w, 3)` uint8 side by side with half-block characters, two pixels a cell."""
    import numpy as np

    row = np.concatenate(list(pictures[:4]), axis=1)
    wide = columns * min(len(pictures), 4)
    high = max(2, round(row.shape[0] * wide / row.shape[1]) // 2 * 2)
    small = row[np.arange(high) * row.shape[0] // high][:, np.arange(wide) * row.shape[1] // wide]
    text = Text()
    for y in range(0, high, 2):
        for top, low in zip(small[y], small[y + 1], strict=True):
            colour = f"rgb({top[0]},{top[1]},{top[2]}) on rgb({low[0]},{low[1]},{low[2]})"
            text.append("▀", style=colour)
        text.append("\n")
    return text
