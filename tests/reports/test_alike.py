"""Search by look with the detector that ships: what it finds, what it does not stumble over, and what it writes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.serve.own.test_search import drawn

from fantascope.artifact import Artifact
from fantascope.engines.detector import BATCH, Detector
from fantascope.errors import InvalidValue, NotFound
from fantascope.gallery import Gallery
from fantascope.gallery.index import Filters
from fantascope.reports.alike import alike, learn, small
from fantascope.reports.likeness import read_pixels
from fantascope.request import Imagine
from fantascope.settings import Settings
from fantascope.studio import Studio

SHAPES = [
    (form, colour) for form in ("ellipse", "rectangle", "polygon") for colour in ("red", "blue", "green", "orange")
]


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "gallery") as made:
        yield made


def settings() -> Settings:
    return Settings.from_env()


def noise(seed: int, side: int = 16) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_prompts_painted_again_find_each_other(tmp_path: Path) -> None:
    words = ("a red car in the snow", "a cat on the grass", "a sunflower", "a blue house at night")
    with Studio(Settings(home=tmp_path)) as studio:
        made = {
            word: [
                event.id
                for event in studio.run(Imagine(prompt=word, n=2, seed=5, model="embedded-few", upscale=1))
                if isinstance(event, Artifact)
            ]
            for word in words
        }
        for first, second in made.values():
            found = alike(studio.gallery, studio.settings, first, 5)
            assert found.unseen == 0 and len(found.found) == 5
            assert found.found[0][0].id == second
            assert found.found[0][1] < found.found[1][1] - 0.05
        assert list(studio.gallery.verify()) == []


def test_changed_copies_find_what_they_were_made_of(gallery: Gallery) -> None:
    ids = {shape: gallery.ingest(drawn(*shape)).id for shape in SHAPES}
    for shape, id in ids.items():
        plain = Image.open(io.BytesIO(drawn(*shape)))
        for changed in (
            drawn(*shape, format="JPEG", quality=30),
            _saved(plain.resize((96, 72))),
            _saved(plain.resize((1024, 768))),
            _saved(plain.crop((16, 12, 240, 180))),
            _saved(plain.convert("RGBA")),
        ):
            found = alike(gallery, settings(), read_pixels(changed), 1).found
            assert found[0][0].id == id, shape
    again = alike(gallery, settings(), ids["ellipse", "red"], 99)
    assert ids["ellipse", "red"] not in {entry.id for entry, _ in again.found} and len(again.found) == len(ids) - 1


def _saved(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def test_what_there_is_no_time_for_is_said_and_found_later(gallery: Gallery) -> None:
    ids = [gallery.ingest(noise(seed)).id for seed in range(2 * BATCH + 3)]
    asked = small(read_pixels(noise(0)))
    none = alike(gallery, settings(), asked, seconds=0.0)
    assert none.unseen == len(ids) and none.found == []
    heard: list[tuple[int, int]] = []
    whole = alike(gallery, settings(), asked, 99, told=lambda done, total: heard.append((done, total)))
    assert whole.unseen == 0 and {entry.id for entry, _ in whole.found} == set(ids)
    assert heard == [(BATCH, len(ids)), (2 * BATCH, len(ids)), (len(ids), len(ids))]
    assert whole.found[0] == (gallery.entry(ids[0]), pytest.approx(0, abs=1e-3))


def test_a_file_that_is_gone_or_changed_is_passed_over(gallery: Gallery) -> None:
    ids = [gallery.ingest(noise(seed)).id for seed in range(4)]
    gallery.entry(ids[0]).path.unlink()
    gallery.entry(ids[1]).path.write_bytes(noise(9))
    found = alike(gallery, settings(), read_pixels(noise(2)))
    assert [entry.id for entry, _ in found.found] == ids[2:] and found.unseen == 0
    with pytest.raises(NotFound):
        alike(gallery, settings(), "sha256:" + "0" * 64)
    with pytest.raises(InvalidValue):
        alike(gallery, settings(), "abc")
    with pytest.raises(InvalidValue):
        alike(gallery, settings(), ids[2], 0)


def test_who_only_reads_searches_what_is_known_and_writes_nothing(gallery: Gallery) -> None:
    ids = [gallery.ingest(noise(seed)).id for seed in range(3)]
    learn(gallery, Detector.load(settings()))
    late = gallery.ingest(noise(7)).id
    with Gallery.open(gallery.folder, read_only=True) as reader:
        found = alike(reader, settings(), ids[0])
        assert found.unseen == 1 and {entry.id for entry, _ in found.found} == set(ids[1:])
    assert {entry.id for entry, _ in alike(gallery, settings(), ids[0]).found} == {*ids[1:], late}


def test_the_vectors_of_another_detector_are_made_anew(gallery: Gallery) -> None:
    detector = Detector.load(settings())
    ids = [gallery.ingest(drawn(*shape)).id for shape in SHAPES[:3]]
    wrong = np.zeros(7, np.float32)
    wrong[0] = 1
    gallery.enter_looks("0" * 64, dict.fromkeys(ids, wrong))
    found = alike(gallery, settings(), ids[0])
    assert found.model == detector.id and len(found.found) == 2 and found.unseen == 0
    assert gallery.alike(wrong, "0" * 64) == []


def test_accounts_search_their_own(gallery: Gallery) -> None:
    ada, bob = gallery.of("ada"), gallery.of("bob")
    mine, theirs = ada.ingest(drawn("ellipse", "red")).id, bob.ingest(drawn("ellipse", "blue")).id
    for view, own in ((ada, mine), (bob, theirs)):
        found = alike(view, settings(), read_pixels(drawn("ellipse", "red", format="JPEG")))
        assert [entry.id for entry, _ in found.found] == [own]
        with pytest.raises(NotFound):
            alike(view, settings(), theirs if own == mine else mine)
    assert len(alike(gallery, settings(), mine).found) == 1
    assert alike(ada, settings(), mine, filters=Filters(given=False)).found == []


def test_pictures_larger_than_the_detector_are_made_small(gallery: Gallery) -> None:
    pixels: Any = np.zeros((4000, 3000, 3), np.uint8)
    pixels[1000:2000] = (200, 30, 30)
    assert small(pixels).shape == (128, 128, 3)
    assert abs(int(small(pixels)[48, 64, 0]) - 200) <= 1
    one = np.full((1, 1, 3), 7, np.uint8)
    assert small(one).shape == (128, 128, 3) and int(small(one).max()) == 7
    assert alike(gallery, settings(), one).found == []
