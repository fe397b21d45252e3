"""Attribution: the nearest drawing is found through what varies, and how unusual that is follows from foreign ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fantascope.errors import BrokenModelFile, ModelNotFound
from fantascope.provenance.attribution import MARGIN, Index, crop, make_index, read_index, write_index

HASHES = [f"{k:064x}" for k in range(40)]
DIM = 24


def drawings(versions: int = 6, seed: int = 0) -> np.ndarray:
    """(V, 40, 24): each drawing's own direction, and a nuisance ten times as strong in three directions."""
    rng = np.random.default_rng(seed)
    own = np.random.default_rng(7).normal(0, 1, (40, DIM))
    own[:, :3] = 0
    seen = np.repeat(own[None], versions, 0) + rng.normal(0, 0.05, (versions, 40, DIM))
    seen[..., :3] = rng.normal(0, 10, (versions, 40, 3))
    return (seen / np.linalg.norm(seen, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture(scope="module")
def index() -> Index:
    foreign = drawings(1, 3)[0][::-1] + np.random.default_rng(4).normal(0, 0.2, (40, DIM))
    return make_index("d" * 64, "e" * 64, HASHES, drawings(), foreign.astype(np.float32))


def test_a_drawing_is_found_through_what_varies(index: Index) -> None:
    unseen = drawings(1, seed=99)[0]
    plain = drawings()[0] @ unseen.T
    assert np.mean(plain.argmax(0) == np.arange(40)) < 0.5, "without the projection the nuisance decides"
    found = index.nearest(unseen, 3)
    assert np.mean([near[0].sha256 == name for near, name in zip(found, HASHES, strict=True)]) > 0.95
    for near in found:
        assert [n.likeness for n in near] == sorted((n.likeness for n in near), reverse=True)
        assert all(n.distance == pytest.approx(1 - n.likeness) and -1 <= n.likeness <= 1.01 for n in near)


def test_unusual_is_the_share_of_foreign_drawings_that_are_less_near(index: Index) -> None:
    some = replace(index, foreign=np.array([0.1, 0.2, 0.3, 0.4], np.float32))
    assert [some.unusual(value) for value in (0.0, 0.15, 0.35, 0.9)] == [0, 0.25, 0.75, 1]
    assert np.all(np.diff(index.foreign) >= 0) and len(index.foreign) == 40


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_unusual_rises_with_likeness(one: float, other: float) -> None:
    some = Index("", "", *[np.zeros(0)] * 4, np.linspace(-0.5, 0.9, 30, dtype=np.float32))
    low, high = sorted((one, other))
    assert some.unusual(low) <= some.unusual(high)


def test_an_index_comes_back_as_it_was(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "attribution.npz"
    write_index(index, path)
    again = read_index(path)
    assert (again.detector, again.ledger) == (index.detector, index.ledger)
    assert np.array_equal(again.likeness(drawings()[0]), index.likeness(drawings()[0]))
    first = path.read_bytes()
    write_index(index, path)
    assert path.read_bytes() == first


def test_what_is_no_index_is_refused(index: Index, tmp_path: Path) -> None:
    path = tmp_path / "attribution.npz"
    with pytest.raises(ModelNotFound, match="There is no"):
        read_index(path)
    path.write_bytes(b"PK")
    with pytest.raises(BrokenModelFile, match="is not an index"):
        read_index(path)
    np.savez(path, told=np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(BrokenModelFile, match="is not an index"):
        read_index(path)
    for broken in (
        replace(index, hashes=index.hashes[:-1]),
        replace(index, project=index.project[:-1]),
        replace(index, features=index.features[:, :-1]),
        replace(index, features=index.features.astype(np.int16)),
        replace(index, foreign=index.foreign[None]),
        replace(index, features=index.features[:0], hashes=index.hashes[:0]),
    ):
        write_index(broken, path)
        with pytest.raises(BrokenModelFile, match="do not fit together"):
            read_index(path)


@given(
    st.tuples(*[st.floats(0, 128)] * 4).map(
        lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
    ),
    st.sampled_from([(128, 128), (64, 200), (300, 70)]),
)
@settings(deadline=None)
def test_a_crop_is_square_whatever_the_box(box: tuple[float, float, float, float], shape: tuple[int, int]) -> None:
    cut = crop(np.zeros((*shape, 3), np.uint8), box)
    assert cut.shape[0] == cut.shape[1] >= 1 and cut.shape[2] == 3


def test_a_crop_shows_the_thing_in_its_middle() -> None:
    picture = np.full((256, 256, 3), 255, np.uint8)
    picture[20:100, 100:180] = 0
    cut = crop(picture, (50, 10, 90, 50))
    assert cut.shape[0] == pytest.approx(80 * MARGIN, abs=1)
    inside = np.argwhere(cut[..., 0] == 0)
    assert len(inside) == 80 * 80
    assert np.abs(inside.mean(0) - (cut.shape[0] - 1) / 2).max() <= 1
