"""People in photos: found where the detector's files are, and then somebody has to say who they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.annotate.drawn import figure, need_pose
from tests.personal.test_photos import SIZES, write

from fantascope.annotate import networks
from fantascope.errors import BrokenModelFile, LicenceMissing
from fantascope.personal.people import check_people
from fantascope.personal.photos import Photo, read_album

pytest.importorskip("cv2")


def album(folder: Path) -> list[Photo]:
    """Two photos of a thing, and one of a person."""
    write(folder, 2)
    Image.fromarray(figure()).save(folder / "me.png")
    return read_album([folder], SIZES).photos


def test_without_the_files_it_says_that_nobody_looked(tmp_path: Path) -> None:
    found, told = check_people(album(tmp_path / "p"), tmp_path / "none", "")
    assert found is None and "Nobody looked" in told and "fetch_pose" in told and str(tmp_path / "none") in told


def test_other_files_than_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    for file in (networks.POSE_DETECTOR, networks.POSE_LANDMARKS):
        (tmp_path / file.name).write_bytes(b"no network")
    with pytest.raises(BrokenModelFile, match="not the file that is known"):
        check_people(album(tmp_path / "p"), tmp_path, "")


def test_who_shows_a_person_has_to_say_so(tmp_path: Path) -> None:
    weights = need_pose().weights
    photos = album(tmp_path / "p")
    with pytest.raises(LicenceMissing, match=r"1 photo shows a person \(me\.png\), and nothing says who") as caught:
        check_people(photos, weights, "  ")
    assert caught.value.param == "people" and "--people" in str(caught.value.hint)
    found, told = check_people(photos, weights, "It is me")
    assert found == 1 and "me.png" in told and told.endswith("The record says: It is me")


def test_things_are_no_people(tmp_path: Path) -> None:
    weights = need_pose().weights
    found, told = check_people(album(tmp_path / "p")[:2], weights, "")
    assert found == 0 and "no people" in told
    blank = Photo("blank.png", "0" * 64, np.full((200, 300, 3), 255, np.uint8))
    assert check_people([blank], weights, "")[0] == 0
