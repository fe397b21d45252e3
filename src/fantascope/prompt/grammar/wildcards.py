"""Wildcards: text files with one possibility a line, for `__name__` in a dynamic prompt."""

from __future__ import annotations

import re
from pathlib import Path

from fantascope.errors import PromptError, nearest

LARGEST = 2**20
"""Bytes of a file."""

MOST_LINES = 10_000
NAME = r"[A-Za-z0-9](?:[A-Za-z0-9 .-]|_(?!_)|/(?=[A-Za-z0-9])){0,99}?"
"""A name: words, and folders by `/`. Neither `..` nor an absolute path can be made of it that leaves the folder."""


class Wildcards:
    """A folder of `.txt` files, in folders or not; each is read when it is first asked for.

    Lines that are empty or begin with `#` say nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._read: dict[str, tuple[str, ...]] = {}

    def names(self) -> list[str]:
        """Return the names there are."""
        if self.folder is None or not self.folder.is_dir():
            return []
        found = (path.relative_to(self.folder).with_suffix("").as_posix() for path in self.folder.rglob("*.txt"))
        return sorted(name for name in found if re.fullmatch(NAME, name))

    def lines(self, name: str) -> tuple[str, ...]:
        """Return the possibilities of a name.

        Raises:
            PromptError: there is no such file, it is outside the folder, too large or no text, or nothing is in it.
        """
        if name not in self._read:
            self._read[name] = self._lines(name)
        return self._read[name]

    def _lines(self, name: str) -> tuple[str, ...]:
        if self.folder is None or re.fullmatch(NAME, name) is None or ".." in name:
            raise PromptError(f"__{name}__ cannot name a wildcard.")
        path = (self.folder / f"{name}.txt").resolve()
        if not path.is_relative_to(self.folder.resolve()):
            raise PromptError(f"__{name}__ lies outside the folder of wildcards.")
        if not path.is_file():
            near = nearest(name, self.names())
            told = f"Did you mean {' or '.join(f'__{one}__' for one in near)}?" if near else "There are none like it."
            hint = f"Write one possibility a line into {self.folder / name}.txt."
            raise PromptError(f"There is no wildcard __{name}__. {told}", hint=hint)
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
            text = data.decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise PromptError(f"The wildcard __{name}__ cannot be read as text.") from error
        lines = tuple(line.strip() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#"))
        if len(data) > LARGEST or len(lines) > MOST_LINES:
            raise PromptError(f"The wildcard __{name}__ is larger than {LARGEST} bytes or {MOST_LINES} lines.")
        if not lines:
            raise PromptError(f"The wildcard __{name}__ is empty.")
        return lines
