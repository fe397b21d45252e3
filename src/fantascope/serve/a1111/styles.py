"""Prompt styles: `styles.csv` in the studio's home, in the web UI's form: name, prompt, negative_prompt."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fantascope.errors import UnknownName

log = logging.getLogger(__name__)

FILE = "styles.csv"
MOST_BYTES = 4 * 2**20
PLACE = "{prompt}"


@dataclass(frozen=True)
class Style:
    """Words that are put around a prompt, or behind it."""

    name: str
    prompt: str = ""
    negative_prompt: str = ""


def styles_in(home: Path) -> dict[str, Style]:
    """Return the styles that the operator keeps; none where there is no file, or one that cannot be read."""
    path = home / FILE
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES).decode("utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        log.warning("%s cannot be read: %s", path, error)
        return {}
    found = [Style(row.get("name") or "", row.get("prompt") or "", row.get("negative_prompt") or "") for row in rows]
    return {style.name: style for style in found if style.name}


def styled(prompt: str, negative: str, wanted: Sequence[str], known: Mapping[str, Style]) -> tuple[str, str]:
    """Return prompt and negative prompt with styles, in their order, as the web UI puts them together.

    Raises:
        UnknownName: there is no such style.
    """
    for name in wanted:
        if name.strip().casefold() in ("", "none"):
            continue
        if name not in known:
            raise UnknownName("style", name[:100], known, param="styles", hint="GET /sdapi/v1/prompt-styles")
        prompt = _merged(prompt, known[name].prompt)
        negative = _merged(negative, known[name].negative_prompt)
    return prompt, negative


def _merged(prompt: str, style: str) -> str:
    if PLACE in style:
        return style.replace(PLACE, prompt)
    return ", ".join(part for part in (prompt.strip(), style.strip()) if part)
