"""The seat for judging pictures: every judge sees every picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import InvalidPicture
from fantascope.receipt import Verdict

Judge = Callable[[npt.NDArray[np.uint8]], Verdict]
"""A judge takes one picture `(H, W, 3)` or `(H, W, 4)` uint8, sRGB, and says what one rule has to say of it."""


def check_pictures(pixels: Any, judges: Sequence[Judge], *, policy: str = "") -> list[Verdict]:
    """Judge pictures.

    Args:
        pixels: One picture `(H, W, C)` or several `(N, H, W, C)`, uint8, C 3 or 4; or a sequence of pictures.
        judges: Who looks at them. None today: a detector takes this seat.
        policy: Label of the policy in force, for verdicts that name none.

    Returns:
        A verdict for every picture and judge, refusals first; `subject` says which picture (`picture 0` …).

    Raises:
        InvalidPicture: not pixels of this form.
    """
    pictures = [pixels] if isinstance(pixels, np.ndarray) and pixels.ndim == 3 else list(pixels)
    verdicts = []
    for k, picture in enumerate(pictures):
        array = np.asarray(picture)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] not in (3, 4) or 0 in array.shape:
            found = f"picture {k} is {array.shape} {array.dtype}"
            raise InvalidPicture(f"A picture is (H, W, 3) or (H, W, 4) uint8; {found}.")
        array = array.view()
        array.flags.writeable = False
        for judge in judges:
            verdict = judge(array)
            known = {"subject": verdict.subject or f"picture {k}", "policy": verdict.policy or policy}
            verdicts.append(verdict.model_copy(update=known))
    return sorted(verdicts, key=lambda verdict: verdict.allowed)
