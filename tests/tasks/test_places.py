"""Where new things go: free places, boxes beside, above and behind a thing, and the words that say so."""

from __future__ import annotations

import numpy as np
import pytest
from tests.tasks.drawn import composed, photo

from fantascope.prompt.lexicon import RELATIONS
from fantascope.tasks.pixels import box_of
from fantascope.tasks.places import (
    DOWN,
    PLACES,
    SIDES,
    STAND,
    at_thing,
    cells_to_mask,
    crowd,
    free_place,
    fullness,
    stand_of,
)

TOLERANCE = 0.12


def grid(*boxes: tuple[int, int, int, int]) -> np.ndarray:
    cells = np.zeros((16, 16), np.float32)
    for left, top, right, bottom in boxes:
        cells[top:bottom, left:right] = 1
    return cells


@pytest.mark.parametrize("place", [*PLACES, "somewhere else"])
def test_a_free_place_is_inside_and_where_it_was_asked_for(place: str) -> None:
    pixels, _ = composed("plain", 128)
    cells = free_place(crowd(pixels, TOLERANCE), place)
    left, top, right, bottom = box_of(cells > 0)
    assert cells.shape == (16, 16) and 0 <= left < right <= 16
    assert right - left == bottom - top >= round(16 * SIDES[1])
    middle = (left + right) / 2
    if place in ("left", "right"):
        assert (middle < 8) == (place == "left")


def test_a_free_place_keeps_off_things_and_is_as_large_as_there_is_room() -> None:
    pixels = np.full((128, 128, 3), (90, 150, 220), np.uint8)
    assert (crowd(pixels, TOLERANCE) == fullness(pixels)).all(), "nothing stands out"
    large = box_of(free_place(crowd(pixels, TOLERANCE), "") > 0)
    assert large[2] - large[0] == round(16 * SIDES[0])
    pixels[32:120, 40:120] = (200, 30, 30)  # one flat thing, in which nothing is going on
    full = crowd(pixels, TOLERANCE)
    assert full[8, 10] == 1 and full[1, 1] == 0 and fullness(pixels)[8, 10] == 0
    cells = free_place(full, "")
    left, top, right, bottom = box_of(cells > 0)
    assert (full * cells).sum() <= 0.05 * cells.sum()
    assert right - left == bottom - top == 5


def test_a_restless_picture_has_places_where_less_is_going_on() -> None:
    pixels = np.full((128, 128, 3), 200, np.uint8)
    pixels[:, :64] = photo(64, 128)
    assert box_of(free_place(fullness(pixels), "") > 0)[0] >= 7
    full = fullness(pixels)
    assert full[:, :8].mean() > 10 * full[:, 9:].mean()
    assert fullness(np.zeros((64, 64, 3), np.uint8)).max() == 0


@pytest.mark.parametrize("stand", [*sorted(set(STAND.values())), *DOWN, "on"])
@pytest.mark.parametrize("box", [(6, 6, 10, 10), (0, 0, 3, 3), (14, 14, 16, 16), (0, 0, 16, 16), (3, 8, 13, 15)])
def test_a_box_at_a_thing_touches_it_and_stays_inside(stand: str, box: tuple[int, int, int, int]) -> None:
    ground = grid(box)
    left, top, right, bottom = box_of(at_thing(ground, ground, stand) > 0)
    assert 0 <= left < right <= 16 and 0 <= top < bottom <= 16
    assert right - left >= 2 and bottom - top >= 2
    assert left <= box[2] and right >= box[0] and top <= box[3] and bottom >= box[1]


def test_a_box_at_a_thing_is_where_the_word_says() -> None:
    thing = (5, 5, 10, 11)
    boxes = {stand: box_of(at_thing(grid(thing), grid(thing), stand) > 0) for stand in {*STAND.values(), "on"}}
    assert boxes["left"][2] <= 5 and boxes["right"][0] >= 10
    assert boxes["above"][3] <= 5 and boxes["below"][1] >= 11
    assert boxes["beside"] in (boxes["left"], boxes["right"])
    assert boxes["beside"][3] == 11, "it stands on the same ground"
    assert boxes["on"][1] < 5 < boxes["on"][3] < 11
    assert boxes["front"][3] >= 11 and boxes["front"][1] > 5
    behind = boxes["behind"]
    assert behind[1] < 5 and (behind[0] < 5 or behind[2] > 10), "some of it is seen"
    other = grid((10, 5, 16, 11))
    assert box_of(at_thing(grid(thing) + other, grid(thing), "beside") > 0)[2] <= 5, "the other side is taken"


@pytest.mark.parametrize(
    ("after", "new", "anchor", "stand"),
    [
        ("a cat behind a robot", "a cat", "a robot", "behind"),
        ("a mouse next to a piece of cheese", "a piece of cheese", "a mouse", "beside"),
        ("a house and a rainbow above the house", "a rainbow", "a house", "above"),
        ("a ball to the left of the dog", "a ball", "a dog", "left"),
        ("a cat wearing a crown", "a crown", "a cat", "on"),
        ("an old man wearing glasses", "glasses", "an old man", "face"),
        ("a bear wearing a red scarf", "a red scarf", "a bear", "neck"),
        ("a monkey with a banana", "a banana", "a monkey", "hand"),
        ("an apple on a table", "an apple", "a table", "on"),
        ("a bone under the table", "a bone", "a table", "below"),
        ("a car in front of a house", "a car", "a house", "front"),
        ("something else", "a car", "a house", "on"),
    ],
)
def test_words_say_how_things_stand(after: str, new: str, anchor: str, stand: str) -> None:
    assert stand_of(after, new, anchor) == stand


def test_every_word_that_stands_is_one_that_is_read() -> None:
    assert set(STAND) <= set(RELATIONS)


def test_cells_become_pixels() -> None:
    mask = cells_to_mask(grid((2, 4, 6, 8)), (256, 128))
    assert mask.shape == (128, 256)
    assert box_of(mask > 0) == (32, 32, 96, 64)
