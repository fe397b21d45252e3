"""Photos of a subject: read safely, checked, duplicates left out, brought to buckets, laid on other grounds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from fantascope.errors import InvalidPicture, InvalidValue, NotFound
from fantascope.personal.photos import fitted, plain_ground, read_album, variants
from fantascope.spec import SPECS, Sizes

SIZES = SPECS["embedded"].sizes
LARGE = Sizes(native=512, min=64, max=2048, multiple=64)


def drawing(seed: int, size: tuple[int, int] = (160, 160), ground: str = "#3caa46") -> Image.Image:
    """A ring with a middle of the ground's colour, and blocks that differ by the seed."""
    rng = np.random.default_rng(seed)
    picture = Image.new("RGB", size, ground)
    draw = ImageDraw.Draw(picture)
    draw.ellipse((40, 30, 120, 130), fill="orange", outline="black", width=5)
    draw.ellipse((65, 50, 95, 80), fill=ground, outline="black", width=5)
    for _ in range(6):
        x, y = (int(v) for v in rng.integers(45, 95, 2))
        draw.rectangle((x, y, x + 20, y + 14), fill=tuple(int(v) for v in rng.integers(0, 255, 3)))
    return picture


def write(folder: Path, count: int = 3) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{k}.png" for k in range(count)]
    for k, path in enumerate(paths):
        drawing(k).save(path)
    return paths


def test_a_folder_stands_for_its_pictures(tmp_path: Path) -> None:
    paths = write(tmp_path / "p")
    (tmp_path / "p" / "notes.md").write_text("no picture")
    (tmp_path / "p" / "1.txt").write_text("pomo\n waving ")
    album = read_album([tmp_path / "p"], SIZES)
    assert [photo.name for photo in album.photos] == [str(path) for path in paths] and album.notes == []
    assert [photo.caption for photo in album.photos] == ["", "pomo waving", ""]
    changed = album.digest
    (tmp_path / "p" / "1.txt").unlink()
    assert read_album(paths, SIZES).digest != changed


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(NotFound, match=r"no picture in .*empty"):
        read_album([tmp_path / "empty"], SIZES)
    with pytest.raises(NotFound, match=r"nothing\.png"):
        read_album([tmp_path / "nothing.png"], SIZES)
    with pytest.raises(InvalidValue, match="1 to 1000 photos, not 0"):
        read_album([], SIZES)


def test_same_and_nearly_same_photos_are_left_out(tmp_path: Path) -> None:
    paths = write(tmp_path / "p", 2)
    same, jpeg, small = (tmp_path / "p" / name for name in ("same.png", "again.jpg", "small.webp"))
    same.write_bytes(paths[0].read_bytes())
    drawing(0).save(jpeg, quality=60)
    drawing(0).resize((110, 110)).filter(ImageFilter.SHARPEN).save(small)
    album = read_album([*paths, same, jpeg, small], SIZES)
    assert [photo.name for photo in album.photos] == [str(path) for path in paths]
    told = "\n".join(album.notes)
    assert f"{same} is the same file as {paths[0]}" in told
    assert f"{jpeg} is almost the same" in told and f"{small} is almost the same" in told


def test_other_poses_on_other_grounds_are_kept(tmp_path: Path) -> None:
    drawing(0).save(tmp_path / "a.png")
    drawing(0, ground="#3064e1").save(tmp_path / "b.png")
    drawing(0).transpose(Image.Transpose.FLIP_LEFT_RIGHT).rotate(20, fillcolor="#3caa46").save(tmp_path / "c.png")
    assert len(read_album([tmp_path], SIZES).photos) == 3


def test_identical_photos_are_one_and_one_comes_with_a_warning(tmp_path: Path) -> None:
    for k in range(4):
        drawing(0).save(tmp_path / f"{k}.png")
    album = read_album([tmp_path], SIZES)
    assert len(album.photos) == 1 and len(album.notes) == 4
    assert "one photo only" in album.notes[-1] and "Three to six" in album.notes[-1]


def test_small_ones_are_named_and_refused(tmp_path: Path) -> None:
    paths = write(tmp_path / "p", 1)
    drawing(1).resize((63, 200)).save(tmp_path / "thin.png")
    with pytest.raises(InvalidPicture, match=r"thin\.png has 63x200 pixels.*at least 64"):
        read_album([*paths, tmp_path / "thin.png"], SIZES)
    with pytest.raises(InvalidPicture, match="at least 256"):
        read_album(paths, LARGE)
    drawing(2).resize((100, 100)).save(tmp_path / "less.png")
    assert "less.png has 100x100 pixels and is enlarged" in read_album([tmp_path / "less.png"], SIZES).notes[0]


def test_unreadable_ones_are_named_and_skipped_only_when_asked(tmp_path: Path) -> None:
    paths = write(tmp_path / "p", 2)
    bad, cut = tmp_path / "bad.png", tmp_path / "cut.png"
    bad.write_bytes(b"no picture at all")
    cut.write_bytes(paths[0].read_bytes()[:300])
    with pytest.raises(InvalidPicture, match=r"2 of the photos cannot be read.*bad\.png.*cut\.png") as caught:
        read_album([*paths, bad, cut], SIZES)
    assert "--skip-unreadable" in str(caught.value.hint)
    album = read_album([*paths, bad, cut], SIZES, skip_unreadable=True)
    assert len(album.photos) == 2 and sum("Left out" in note for note in album.notes) == 2
    with pytest.raises(InvalidPicture):
        read_album([bad], SIZES, skip_unreadable=True)


def test_a_photo_is_upright_and_alpha_lies_on_white(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    drawing(0, (200, 160)).save(tmp_path / "turned.jpg", exif=exif)
    clear = drawing(1).convert("RGBA")
    clear.putalpha(Image.fromarray(np.pad(np.full((60, 60), 255, np.uint8), 50)))
    clear.save(tmp_path / "clear.png")
    first, second = read_album([tmp_path / "turned.jpg", tmp_path / "clear.png"], SIZES).photos
    assert first.pixels.shape == (200, 160, 3)
    assert second.pixels.shape[2] == 4 and second.flat[0, 0].tolist() == [255, 255, 255]


def test_a_hundred_photos(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for k in range(100):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).resize((128, 128)).save(tmp_path / f"{k:03d}.png")
    assert len(read_album([tmp_path], SIZES).photos) == 100


@pytest.mark.parametrize(
    ("size", "bucket"), [((300, 300), (128, 128)), ((400, 200), (192, 96)), ((100, 300), (64, 224))]
)
def test_buckets_have_the_bases_area_in_its_steps(size: tuple[int, int], bucket: tuple[int, int]) -> None:
    pixels, told = fitted(np.zeros((size[1], size[0], 3), np.uint8), SIZES)
    assert pixels.shape == (bucket[1], bucket[0], 3)
    assert told[:2] == (size[1], size[0]) and told[4:] == (bucket[1], bucket[0])
    assert all(side % SIZES.multiple == 0 for side in bucket)


def test_the_middle_is_kept_and_what_was_cut_is_told() -> None:
    wide = np.zeros((128, 300, 3), np.uint8)
    wide[:, 150] = 255
    pixels, told = fitted(wide, Sizes(native=128, min=128, max=128, multiple=32))
    assert pixels.shape == (128, 128, 3) and abs(int(pixels[64, :, 0].argmax()) - 64) <= 1
    assert told[2:4] == (0, 86)


def test_a_subject_on_a_plain_ground_is_laid_on_others(tmp_path: Path) -> None:
    drawing(0).save(tmp_path / "a.png")
    photo = read_album([tmp_path / "a.png"], SIZES).photos[0]
    assert plain_ground(photo.flat) == "green"
    made = variants(photo, 8, seed=3)
    assert len(made) == 8 and np.array_equal(made[0][0], photo.flat) and made[0][1] == "green"
    assert len({ground for _, ground in made[1:]}) == 7
    for pixels, ground in made[1:]:
        assert plain_ground(pixels) == ground
    same = variants(photo, 8, seed=3)
    assert all(np.array_equal(one[0], other[0]) for one, other in zip(made, same, strict=True))
    assert not all(np.array_equal(one[0], other[0]) for one, other in zip(made, variants(photo, 8, 4), strict=True))
    # The ring's middle has the ground's colour and is the subject's own: it comes along.
    full = next(pixels for pixels, ground in made[1:] if ground == "purple" or ground == "blue")
    assert (np.abs(full.astype(int) - (60, 170, 70)).sum(2) < 40).sum() > 50


def test_a_photo_of_a_scene_stays_as_it_is(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)
    Image.fromarray(noise).resize((200, 200)).save(tmp_path / "scene.png")
    photo = read_album([tmp_path / "scene.png"], SIZES).photos[0]
    assert plain_ground(photo.flat) == "" and len(variants(photo, 8, 0)) == 1


def test_bombs_are_not_decoded(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG")
    (tmp_path / "bomb.png").write_bytes(buffer.getvalue())
    with pytest.raises(InvalidPicture, match="9000x9000"):
        read_album([tmp_path / "bomb.png"], SIZES)
