"""Refuse finished pictures by a rule of your own: here, pictures that are almost one colour."""

import numpy as np

from fantascope import Imagine, PolicyRefused, Studio, Verdict


def not_blank(pixels: np.ndarray) -> Verdict:
    """Judge pixels (H, W, 3) uint8 by how much they vary."""
    spread = float(pixels.std()) / 127.5
    return Verdict(
        allowed=spread > 0.02,
        rule="own/blank",
        score=1 - spread,
        threshold=0.98,
        reason="The picture is almost one colour.",
    )


with Studio(judges=[not_blank]) as studio:
    try:
        kept = [event.id for event in studio.run(Imagine(prompt="a house", seed=1)) if hasattr(event, "id")]
        print(kept)
    except PolicyRefused as refusal:
        print(refusal.verdict.reason)
