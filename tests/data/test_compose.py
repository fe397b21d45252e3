"""Drawing follows the plan, and draws only what may be drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.data.conftest import CONCEPTS

from fantascope.core.colour import COLOURS
from fantascope.data.batches import fingerprint
from fantascope.data.compose import RASTER, Composer, recolour
from fantascope.data.gather import gather
from fantascope.data.scene import plan, plan_dense
from fantascope.errors import LicenceMissing, UnknownName


def test_drawing_is_deterministic_and_scales(composer: Composer, root: Path) -> None:
    other = Composer(gather(root, CONCEPTS, print)[0], CONCEPTS)
    scene = replace(plan(3, CONCEPTS), style="flat", finish="", light="")
    small = composer.pixels(scene)
    assert small.shape == (3, 128, 128) and small.min() >= -1 and small.max() <= 1
    assert np.array_equal(small, other.pixels(scene))
    large = composer.pixels(scene, 512).reshape(3, 128, 4, 128, 4).mean((2, 4))
    assert np.abs(large - small).mean() < 0.02
    assert composer.render(plan_dense(3, CONCEPTS)).size == (128, 128)


def test_rasters_are_kept_and_used(root: Path, tmp_path: Path) -> None:
    sprites, concepts = gather(root, CONCEPTS, print)
    scene, folder = replace(plan(3, CONCEPTS), style="flat"), tmp_path / "rasters"
    first = Composer(sprites, concepts, folder).render(scene)
    kept = sorted(folder.iterdir())
    assert kept and all(path.suffix == ".png" for path in kept)
    assert Composer(sprites, concepts, folder).render(scene).tobytes() == first.tobytes()
    box = next(s for s in sprites if s.name == "box")
    Image.new("RGBA", (RASTER, RASTER), (1, 2, 3, 255)).save(folder / f"{box.sha256[:32]}-{RASTER}.png")
    assert tuple(Composer(sprites, concepts, folder).raster("box", "flat")[0, 0]) == (1, 2, 3, 255)


def test_a_sprite_that_may_not_be_trained_on_is_not_drawn(root: Path) -> None:
    pytest.importorskip("pyvips")
    sprites = [replace(sprite, licence="CC-BY-NC-4.0") for sprite in gather(root, CONCEPTS, print)[0]]
    with pytest.raises(LicenceMissing, match="sprite disc may not be trained on: non-commercial"):
        Composer(sprites, CONCEPTS)


def test_the_fingerprint_follows_drawings_words_and_crowds(composer: Composer, root: Path) -> None:
    sprites = gather(root, CONCEPTS, print)[0]
    fewer = Composer(sprites[1:], CONCEPTS)
    renamed = CONCEPTS | {"box": replace(CONCEPTS["box"], names=("crate",))}
    found = [fingerprint(composer, CONCEPTS), fingerprint(fewer, CONCEPTS), fingerprint(composer, renamed)]
    assert len({*found, fingerprint(composer, CONCEPTS, 0.5)}) == 4
    assert fingerprint(Composer(sprites, CONCEPTS), CONCEPTS) == found[0]


def test_a_drawing_that_is_not_there_is_named(composer: Composer) -> None:
    assert composer.has("box", "flat") and not composer.has("box", "clipart")
    with pytest.raises(UnknownName, match="box in clipart"):
        composer.raster("box", "clipart")


def test_recolouring_gives_the_colour_and_keeps_contrast() -> None:
    rgba = np.full((8, 8, 4), 255, np.uint8)
    rgba[..., :3] = (150, 150, 150)
    rgba[:2, :2, :3] = 20
    rgba[6:, 6:, :3] = 250
    for colour in COLOURS.values():
        out = recolour(rgba, colour)
        assert tuple(out[4, 4, :3]) == colour
        assert out[0, 0, :3].sum() < out[4, 4, :3].sum() < out[7, 7, :3].sum()
        assert np.array_equal(out[..., 3], rgba[..., 3])
