"""Cutouts: alpha against what was drawn, holes, edges, and what cannot be cut."""

from __future__ import annotations

import time
from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.tasks.drawn import (
    GROUNDS,
    artifact_of,
    check_contract,
    composed,
    decoded,
    ground,
    line,
    made,
    one,
    report,
    saved,
    sprite,
)

from fantascope import Artifact, Studio
from fantascope.errors import InvalidPicture, InvalidValue
from fantascope.request import Cutout
from fantascope.tasks.cutout import _joined, cut, healed
from fantascope.tasks.pixels import open_pixels, parts

TOLERANCE = 0.12


def overlap(alpha: np.ndarray, known: np.ndarray) -> float:
    mine, theirs = alpha > 127, known > 127
    return float((mine & theirs).sum() / (mine | theirs).sum())


@pytest.mark.parametrize("size", [128, 512])
@pytest.mark.parametrize("kind", GROUNDS)
def test_the_outline_is_what_was_drawn(kind: str, size: int) -> None:
    pixels, known = composed(kind, size)
    out = cut(pixels, TOLERANCE)
    assert overlap(out[..., 3], known) >= 0.98
    assert np.abs(out[..., 3].astype(int) - known).mean() < 1


@pytest.mark.parametrize("kind", GROUNDS)
def test_it_lies_on_another_ground_as_if_it_were_drawn_there(kind: str) -> None:
    pixels, known = composed(kind)
    out = cut(pixels, TOLERANCE)
    share = out[..., 3:] / 255
    green = np.array([20, 160, 60])
    laid = out[..., :3] * share + green * (1 - share)
    colours, _ = sprite()
    wanted = colours * (known[..., None] / 255) + green * (1 - known[..., None] / 255)
    edge = (known > 0) & (known < 255)
    assert np.abs(laid - wanted)[edge].mean() < 20
    assert np.abs(laid - wanted)[known == 0].max() == 0
    # What is inside keeps its colours.
    assert (out[..., :3][known == 255] == pixels[known == 255]).all()


@pytest.mark.parametrize(
    ("colour", "side", "open_"),
    [
        ((90, 150, 220), 20, True),
        ((90, 150, 220), 3, False),
        ((250, 250, 250), 40, True),
        ((250, 250, 250), 12, False),  # the white of an eye on a white ground
        ((250, 250, 250), 90, False),  # the body of a drawing in lines
    ],
)
def test_the_ground_is_seen_through_holes(colour: tuple[int, int, int], side: int, open_: bool) -> None:
    pixels, around = np.full((256, 256, 3), colour, np.uint8), slice(78, 178)
    pixels[around, around] = (200, 30, 30)
    first = 128 - side // 2
    hole = (slice(first, first + side), slice(first, first + side))
    pixels[hole] = colour
    alpha = cut(pixels, TOLERANCE)[..., 3]
    assert (alpha[hole] == 0).mean() > 0.8 if open_ else (alpha[hole] == 255).all()
    assert (alpha[80:82, 80:176] == 255).all()


def test_specks_are_left_out_where_they_are_not_wanted() -> None:
    pixels, known = composed("plain")
    pixels = pixels.copy()
    pixels[8:11, 20:23] = pixels[240:242, 200:204] = 255
    assert (cut(pixels, TOLERANCE)[8:11, 20:23, 3] == 255).any()
    alone = cut(pixels, TOLERANCE, specks=False)[..., 3]
    assert alone[:14].max() == 0 and alone[236:].max() == 0
    assert overlap(alone, known) >= 0.98


@given(st.integers(1, 24), st.integers(1, 24), st.floats(0.1, 0.95), st.integers(0, 2**32 - 1))
def test_parts_are_what_is_joined(high: int, wide: int, share: float, seed: int) -> None:
    marked = np.random.default_rng(seed).random((high, wide)) < share
    names, left = parts(marked), marked.copy()
    assert ((names > 0) == marked).all()
    found = 0
    for start in zip(*np.nonzero(marked), strict=True):
        if not left[start]:
            continue
        found, queue, mine = found + 1, deque([start]), []
        left[start] = False
        while queue:
            y, x = queue.popleft()
            mine.append(names[y, x])
            for near in ((y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)):
                if 0 <= near[0] < high and 0 <= near[1] < wide and left[near]:
                    left[near] = False
                    queue.append(near)
        assert len(set(mine)) == 1
    assert names.max(initial=0) == found and len(np.unique(names[marked])) == found


def test_cropping_cuts_to_the_thing() -> None:
    pixels, _ = composed("plain")
    whole, tight = cut(pixels, TOLERANCE), cut(pixels, TOLERANCE, crop=True)
    assert tight.size < whole.size
    seen = tight[..., 3] > 0
    assert seen[0].any() and seen[-1].any() and seen[:, 0].any() and seen[:, -1].any()
    assert tight[..., 3].astype(int).sum() == whole[..., 3].astype(int).sum()


def test_what_was_transparent_stays_transparent() -> None:
    pixels, known = composed("plain")
    clear = np.dstack([pixels, known])
    clear[:128, :, 3] //= 2
    out = cut(clear, TOLERANCE)
    assert (out[..., 3] <= clear[..., 3]).all()
    assert overlap(out[128:, :, 3], known[128:]) > 0.95
    hole = np.dstack([pixels, np.full_like(known, 255)])
    hole[90:130, 90:130, 3] = 0
    assert (cut(hole, TOLERANCE)[90:130, 90:130, 3] == 0).all()
    with pytest.raises(InvalidPicture, match="stands out"):
        cut(np.zeros((64, 64, 4), np.uint8), TOLERANCE)


@pytest.mark.parametrize("pixels", [ground("plain"), ground("gradient"), np.zeros((64, 64, 3), np.uint8)])
def test_nothing_stands_out(pixels: np.ndarray) -> None:
    with pytest.raises(InvalidPicture, match="stands out"):
        cut(pixels, TOLERANCE)


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (1, 300), (300, 2)])
def test_too_small_to_cut(size: tuple[int, int]) -> None:
    with pytest.raises(InvalidPicture, match="too small"):
        cut(np.random.default_rng(0).integers(0, 255, (*size, 3)).astype(np.uint8), TOLERANCE)


def test_tolerance_at_both_ends() -> None:
    pixels, _ = composed("night")
    everything = cut(pixels, 0.0)[..., 3] > 0
    assert everything.mean() > 0.5
    with pytest.raises(InvalidPicture, match="stands out"):
        cut(pixels, 1.0)


@given(st.integers(2, 24), st.integers(2, 24), st.floats(0.3, 0.9), st.integers(0, 2**32 - 1))
def test_what_is_joined_to_the_border(high: int, wide: int, share: float, seed: int) -> None:
    close = np.random.default_rng(seed).random((high, wide)) < share
    wanted = np.zeros_like(close)
    edge = [(y, x) for y in range(high) for x in range(wide) if y in (0, high - 1) or x in (0, wide - 1)]
    queue = deque(spot for spot in edge if close[spot])
    while queue:
        y, x = queue.popleft()
        if not (0 <= y < high and 0 <= x < wide) or wanted[y, x] or not close[y, x]:
            continue
        wanted[y, x] = True
        queue.extend([(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)])
    assert (_joined(close) == wanted).all()


def test_a_maze_takes_no_more_than_moments() -> None:
    maze = np.ones((400, 400), bool)
    for k in range(2, 200, 4):
        maze[k, k - 2 : 400 - k] = maze[399 - k, k : 400 - k] = False
        maze[k : 400 - k, 399 - k] = maze[k + 4 : 400 - k, k] = False
    started = time.process_time()
    assert _joined(maze)[0, 0]
    assert time.process_time() - started < 10


def test_healing_lets_no_other_thing_bleed_in() -> None:
    """The ground goes on where one thing was; the other, right beside it, stays out."""
    scene = np.full((128, 128, 3), (90, 150, 220), np.uint8)
    scene[40:90, 30:64] = (200, 30, 30)
    scene[40:90, 64:100] = (20, 160, 40)
    hidden = np.zeros((128, 128), np.float32)
    hidden[38:92, 28:64] = 1
    out = healed(scene, hidden, TOLERANCE)
    assert np.abs(out[38:92, 28:64].astype(int) - (90, 150, 220)).max() <= 3
    assert (out[hidden == 0] == scene[hidden == 0]).all()


def test_healing_everything_or_with_nothing_to_go_by() -> None:
    pixels, _ = composed("plain", 64)
    out = healed(pixels, np.ones((64, 64), np.float32), TOLERANCE)
    assert np.abs(out.astype(int) - ground("plain", 64)).max() <= 2
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3)).astype(np.uint8)
    assert healed(noise, np.ones((32, 32), np.float32), 0.0).shape == noise.shape


def test_a_cutout_of_a_file_is_sealed_with_its_alpha(studio: Studio) -> None:
    pixels, known = composed("gradient")
    given = artifact_of(pixels)
    parent = studio.gallery.ingest(given.data)
    artifact = one(studio, Cutout(picture=parent.id))
    out = decoded(artifact)
    assert out.shape == (256, 256, 4)
    assert overlap(out[..., 3], known) >= 0.98
    touched = check_contract(studio, parent, artifact)
    assert (touched == (out[..., 3] < 255)).mean() > 0.99, "inside the thing every pixel is the picture's own"
    found = report(studio, artifact)
    assert artifact.receipt is not None
    assert artifact.receipt.composite
    assert artifact.receipt.ran.weights == (), "no model made it"
    assert artifact.receipt.parents == (parent.id,)
    assert "compositeWithTrained" in line(found, "ai-disclosure")
    # And once more, of itself, cropped: a cutout is a picture like any other.
    again = one(studio, Cutout(picture=artifact.id, crop=True))
    check_contract(studio, artifact, again)
    assert again.receipt is not None
    assert again.receipt.kept is not None
    assert again.receipt.kept.left < 0
    assert again.receipt.kept.top < 0
    assert decoded(again)[..., 3].astype(int).sum() == out[..., 3].astype(int).sum()
    assert decoded(again).shape < out.shape


def test_no_jpeg_of_what_is_transparent(studio: Studio, rings: Artifact) -> None:
    before = studio.gallery.balance("local").used
    for picture in (rings.id, None):
        with pytest.raises(InvalidValue, match="transparency") as caught:
            made(studio, Cutout(picture=picture, prompt="a cat", format="jpeg"))
        assert caught.value.param == "format"
    with pytest.raises(InvalidValue, match="lossy webp"):
        made(studio, Cutout(picture=rings.id, format="webp", quality=99))
    webp = one(studio, Cutout(prompt="a red cat", format="webp", seed=1))
    assert decoded(webp).shape[2] == 4
    assert report(studio, webp).ok
    assert studio.gallery.balance("local").used > before


@pytest.mark.parametrize("prompt", [None, "", "  \n"])
def test_nothing_to_cut_out(studio: Studio, prompt: str | None) -> None:
    with pytest.raises(InvalidValue, match="nothing to cut out"):
        made(studio, Cutout(prompt=prompt))


def test_a_failed_cut_costs_nothing(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> None:
    used, kept = studio.gallery.balance("local").used, len(studio.gallery.list(limit=1000, given=False))
    plain = saved(tmp_path_factory.mktemp("files") / "plain.png", ground("plain"))
    with pytest.raises(InvalidPicture, match="stands out"):
        made(studio, Cutout(picture=plain))
    balance = studio.gallery.balance("local")
    assert (balance.used, balance.held) == (used, 0)
    assert len(studio.gallery.list(limit=1000, given=False)) == kept


def test_the_embedded_checkpoint_paints_a_thing_to_cut_out(painter: Studio) -> None:
    artifact = one(painter, Cutout(prompt="a red apple", seed=3, steps=8, engine="graph"))
    pixels = open_pixels(artifact)
    assert pixels.shape == (512, 512, 4)
    assert (pixels[[0, -1], :, 3] == 0).all(), "nothing of the background is left at the edges"
    assert 0.05 < (pixels[..., 3] > 127).mean() < 0.8
    assert artifact.receipt is not None
    assert artifact.receipt.request["prompt"] == "a red apple on a white background"
    assert report(painter, artifact).ok
