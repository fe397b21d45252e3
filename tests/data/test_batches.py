"""Sources of batches: the same step gives the same arrays, wherever reading starts."""

from __future__ import annotations

from itertools import islice

import numpy as np
from tests.data.conftest import CONCEPTS

from fantascope.data.batches import captioned, enlargements, pictures
from fantascope.data.compose import Composer
from fantascope.data.scene import plan


def test_reading_may_start_anywhere(composer: Composer) -> None:
    source = pictures(composer, CONCEPTS, 4, dense=0.5)
    whole = [batch["picture"] for batch in islice(source(0), 3)]
    assert whole[0].shape == (4, 3, 128, 128) and whole[0].dtype == np.float32
    assert np.array_equal(next(source(2))["picture"], whole[2])
    assert not np.array_equal(whole[0], whole[1])


def test_small_and_large_show_the_same(composer: Composer) -> None:
    batch = next(enlargements(composer, CONCEPTS, 2)(5))
    assert batch["small"].shape == (2, 3, 128, 128) and batch["large"].shape == (2, 3, 512, 512)
    mean = batch["large"].reshape(2, 3, 128, 4, 128, 4).mean((3, 5))
    assert np.abs(mean - batch["small"]).mean() < 0.02


def test_captions_go_with_their_pictures(composer: Composer) -> None:
    rows = list(captioned(composer, CONCEPTS, 7, 10))
    assert [caption for _, caption in rows] == [plan(seed, CONCEPTS).caption for seed in (7, 8, 9)]
    assert np.array_equal(rows[1][0], composer.pixels(plan(8, CONCEPTS)))
