"""Larger pictures: windows, sizes, alpha, detail."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tests.tasks.drawn import artifact_of, check_contract, composed, decoded, made, one, report

from fantascope import Artifact, Studio
from fantascope.errors import InvalidValue, RequestError
from fantascope.request import Upscale
from fantascope.tasks import enlarge
from fantascope.tasks.cutout import cut
from fantascope.tasks.enlarge import OVERLAP, SIDE, _upscaled, spans
from fantascope.tasks.pixels import open_pixels


@given(st.integers(1, 9000), st.integers(2, 600), st.data())
def test_windows_cover_everything_and_overlap(length: int, side: int, data: st.DataObject) -> None:
    lap = data.draw(st.integers(0, side - 1))
    windows = spans(length, side, lap)
    assert windows[0][0] == 0
    assert windows[-1][1] == length
    for (a, b), (c, d) in pairwise(windows):
        assert b - a == d - c == side
        assert a < c
        assert b - c >= lap
    assert all(b - a <= side for a, b in windows)
    # No more of them than are needed.
    assert len(windows) == 1 or (len(windows) - 1) * (side - lap) + lap < length


@pytest.mark.parametrize(
    ("factor", "size"),
    [(1.5, (384, 384)), (2, (512, 512)), (None, (512, 512)), (3.999, (1024, 1024)), (4, (1024, 1024))],
)
def test_the_file_has_the_size(studio: Studio, rings: Artifact, factor: float | None, size: tuple[int, int]) -> None:
    artifact = one(studio, Upscale(picture=rings.id, factor=factor))
    assert artifact.image().size == size
    assert artifact.receipt is not None
    assert artifact.receipt.request["width"] == size[0]
    assert artifact.receipt.ran.weights == (), "echo has no upscaler: no weights made it"


@pytest.mark.parametrize("factor", [0.5, 0, -2, 4.01, 5, float("nan"), float("inf")])
def test_factors_out_of_range(factor: float) -> None:
    with pytest.raises(RequestError) as caught:
        Upscale(picture="x", factor=factor)
    assert caught.value.param == "factor"


def test_a_size_beyond_what_is_allowed(studio: Studio) -> None:
    wide = studio.gallery.ingest(artifact_of(np.zeros((4, 3000, 3), np.uint8)).data)
    with pytest.raises(InvalidValue, match="12000x16") as caught:
        made(studio, Upscale(picture=wide.id, factor=4))
    assert caught.value.param == "factor"


def test_by_one_gives_the_picture_back(studio: Studio, rings: Artifact) -> None:
    artifact = one(studio, Upscale(picture=rings.id, factor=1))
    touched = check_contract(studio, rings, artifact)
    assert not touched.any()
    assert (open_pixels(artifact) == open_pixels(rings)).all()
    with pytest.raises(InvalidValue, match="byte for byte"):
        made(studio, Upscale(picture=rings.id, factor=1, format="jpeg"))


def test_by_one_with_detail_paints_over(studio: Studio, rings: Artifact) -> None:
    artifact = one(studio, Upscale(picture=rings.id, factor=1, detail=0.4))
    assert artifact.receipt is not None
    assert artifact.receipt.kept is None
    assert artifact.receipt.ran.weights
    assert (open_pixels(artifact) != open_pixels(rings)).any()


def test_transparency_grows_with_it(studio: Studio) -> None:
    pixels, _ = composed("plain", 128)
    small = cut(pixels, 0.12)
    parent = studio.gallery.ingest(artifact_of(small).data)
    artifact = one(studio, Upscale(picture=parent.id, factor=2))
    large = decoded(artifact)
    assert large.shape == (256, 256, 4)
    back = np.asarray(Image.fromarray(large[..., 3]).resize((128, 128), Image.Resampling.BOX), int)
    assert np.abs(back - small[..., 3]).mean() < 2
    assert report(studio, artifact).ok
    with pytest.raises(InvalidValue, match="transparency"):
        made(studio, Upscale(picture=parent.id, factor=2, format="jpeg"))


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (7, 5)])
def test_very_small_pictures(studio: Studio, size: tuple[int, int]) -> None:
    parent = studio.gallery.ingest(artifact_of(np.full((size[1], size[0], 3), 77, np.uint8)).data)
    artifact = one(studio, Upscale(picture=parent.id, factor=4, detail=0.5))
    assert artifact.image().size == (size[0] * 4, size[1] * 4)
    assert report(studio, artifact).ok


def test_n_with_detail_gives_different_pictures_and_steps_count_up(studio: Studio, rings: Artifact) -> None:
    events = list(studio.run(Upscale(picture=rings.id, factor=1.5, detail=0.5, n=2, seed=5)))
    kept = [event for event in events if isinstance(event, Artifact)]
    assert [artifact.receipt.request["seed"] for artifact in kept if artifact.receipt] == [5, 6]
    assert (decoded(kept[0]) != decoded(kept[1])).any()
    steps = [event for event in events if not isinstance(event, Artifact)]
    assert {event.total for event in steps} == {2}
    assert all(0 <= event.step <= event.steps for event in steps)


def test_the_upscaler_shows_no_border_of_a_window(
    painter: Studio, elephant: Artifact, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows of 96 pixels give what one window gives: each sees far enough around."""
    receipt = elephant.receipt
    assert receipt is not None
    job = painter.resolve(Upscale(picture=elephant.id, engine="graph", precision="fp32"))
    pixels = np.asarray(Image.fromarray(open_pixels(elephant)).resize((144, 96), Image.Resampling.LANCZOS))
    with painter.engines.lease(job.spec, job.choice) as engine:
        whole = _upscaled(engine, pixels, 4)
        monkeypatch.setattr(enlarge, "SIDE", 96)
        parts = _upscaled(engine, pixels, 4)
    assert whole.shape == (384, 576, 3)
    assert SIDE > 96 > 2 * OVERLAP
    difference = np.abs(parts.astype(int) - whole)
    assert difference.max() <= 24
    assert difference.mean() < 0.1


def test_detail_keeps_the_picture(painter: Studio, elephant: Artifact) -> None:
    small = painter.gallery.ingest(artifact_of(np.asarray(elephant.image().resize((256, 256)))).data)
    artifact = one(painter, Upscale(picture=small.id, factor=2, detail=0.2, steps=5, seed=1, engine="graph"))
    assert artifact.image().size == (512, 512)
    before = np.asarray(elephant.image().resize((64, 64), Image.Resampling.BOX), int)
    after = np.asarray(artifact.image().resize((64, 64), Image.Resampling.BOX), int)
    assert np.abs(before - after).mean() < 12
    assert report(painter, artifact).ok
