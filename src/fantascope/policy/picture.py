"""Judging pictures: every judge sees every picture, and where nobody is there to look, the record says so."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.errors import InvalidPicture, UnknownName
from fantascope.policy.nsfwjs import INSTALL
from fantascope.policy.rules import PictureRule
from fantascope.receipt import Verdict

Judge = Callable[[npt.NDArray[np.uint8]], Verdict]
"""A judge takes one picture `(H, W, 3)` or `(H, W, 4)` uint8, sRGB, and says what one rule has to say of it."""

Classify = Callable[[Sequence[npt.NDArray[np.uint8]]], npt.NDArray[np.float32]]
"""`classify(pictures) -> (N, classes)`: probabilities, rows add up to 1."""

NOT_JUDGED = f"Not judged: no detector installed. {INSTALL}"


def classifier_judges(rules: Sequence[PictureRule], classes: Sequence[str], classify: Classify) -> list[Judge]:
    """Return a judge for every rule; a picture is classified once, whoever asks.

    Raises:
        UnknownName: a rule names a class that the classifier does not know.
    """
    for rule in rules:
        for name in rule.classes:
            if name not in classes:
                raise UnknownName("class of pictures", name, classes, hint=f"Rule {rule.id} names it.")
    seen: list[tuple[npt.NDArray[np.uint8], npt.NDArray[np.float32]]] = []
    lock = threading.Lock()

    def shares(picture: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        with lock:
            if not seen or seen[0][0] is not picture:
                seen[:] = [(picture, classify([picture])[0])]
            return seen[0][1]

    def judge(rule: PictureRule) -> Judge:
        columns = [list(classes).index(name) for name in rule.classes]

        def look(picture: npt.NDArray[np.uint8]) -> Verdict:
            score = round(float(shares(picture)[columns].sum()), 3)
            refuses = score >= rule.threshold
            said = f"{rule.reason} Rule {rule.id}, score {score:.2f} (refused from {rule.threshold:.2f})."
            return Verdict(
                allowed=not refuses,
                rule=rule.id,
                score=min(1.0, score),
                threshold=rule.threshold,
                reason=said if refuses else "Below the threshold.",
                offer=f"Allowed instead: {rule.offer}." if refuses else None,
            )

        return look

    return [judge(rule) for rule in rules]


def not_judged(rules: Sequence[PictureRule], *, policy: str = "") -> list[Verdict]:
    """Return what the record says of pixels that nobody looked at: one allowing verdict for every rule."""
    return [
        Verdict(
            allowed=True,
            rule=rule.id,
            score=0.0,
            threshold=rule.threshold,
            reason=NOT_JUDGED,
            subject="pictures",
            policy=policy,
        )
        for rule in rules
    ]


def check_pictures(pixels: Any, judges: Sequence[Judge], *, policy: str = "") -> list[Verdict]:
    """Judge pictures.

    Args:
        pixels: One picture `(H, W, C)` or several `(N, H, W, C)`, uint8, C 3 or 4; or a sequence of pictures.
        judges: Who looks at them.
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
