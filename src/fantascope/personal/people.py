"""Whether photos show people. Where they do, a lesson has to say who they are and that they agree; the record keeps it.

BlazePose's detector of people looks (`annotate.pose`), if its files are in `FANTASCOPE_HOME/annotators`. It finds
people and knows nobody: who it is, and whether the sentence is true, no program here can tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from fantascope.annotate import Tools, find_pose
from fantascope.errors import LicenceMissing, MissingExtra, ModelNotFound
from fantascope.personal.photos import Photo

MOST = 2
"""People looked for in a photo: from two on, parts of it are looked at, too."""


def showing_people(photos: Iterable[Photo], weights: Path) -> Iterator[Photo]:
    """Yield the photos in which somebody is seen.

    Args:
        weights: Folder of the detector's files.

    Raises:
        ModelNotFound, MissingExtra: Nobody can look: the files are not there, or OpenCV is not.
        BrokenModelFile: They are other files.
    """
    tools = Tools(weights=weights)
    for photo in photos:
        if find_pose(photo.flat, MOST, tools=tools).people:
            yield photo


def check_people(photos: list[Photo], weights: Path, said: str) -> tuple[int | None, str]:
    """Look for people in photos, and hold what was said of them to it.

    Args:
        weights: See `showing_people`.
        said: Who is shown and agrees, in a sentence; empty if nothing was said.

    Returns:
        How many photos show somebody, None where nobody could look; and what to tell.

    Raises:
        LicenceMissing: Photos show people, and nothing is said of them; the photos are named.
        BrokenModelFile: The detector's files are other ones.
    """
    try:
        shown = list(showing_people(photos, weights))
    except (ModelNotFound, MissingExtra) as error:
        how = f" To have them looked at: {error.hint}" if error.hint else ""
        return None, f"Nobody looked for people in the photos. Who teaches a face needs that person's yes.{how}"
    if not shown:
        return 0, "The photos show no people, as far as a detector sees."
    some = f"{len(shown)} photo{'s' * (len(shown) != 1)} show{'s' * (len(shown) == 1)} a person"
    names = ", ".join(Path(photo.name).name for photo in shown)
    if not said.strip():
        raise LicenceMissing(
            f"{some} ({names}), and nothing says who it is and that they agree. The sentence is kept in the record.",
            param="people",
            hint='--people "It is me", --people "Ada Smith agreed in writing", or --people "nobody, it is a statue"',
        )
    return len(shown), f"{some} ({names}). The record says: {said.strip()}"
