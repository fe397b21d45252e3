"""Photos of a subject: read safely, checked, freed of duplicates, brought to the sizes a base paints at."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fantascope.artifact import Artifact
from fantascope.core.colour import COLOURS, nearest_colour
from fantascope.errors import InvalidPicture, InvalidValue, NotFound
from fantascope.gallery.pictures import MAX_BYTES, inspect
from fantascope.spec import Sizes
from fantascope.tasks.cutout import cut
from fantascope.tasks.pixels import open_pixels, parts

Pixels = npt.NDArray[np.uint8]

ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MOST = 1000
"""Most photos of one subject."""

ALIKE_BITS = 6
"""Two photos are near duplicates if at most so many of their 128 brighter-or-darker bits differ …"""

ALIKE_LEVELS = 12.0
"""… and their small versions by at most so many of 255 levels, root of the mean square."""

PLAIN = 10.0
"""Most levels by which the border of a picture on a plain ground varies."""

SCALES = (1.0, 1.0, 1.0, 0.9, 0.6)
"""Sizes that a subject is laid at on other grounds, as shares of its own."""

TOLERANCE = 0.1
FREE = (0.02, 0.85)
"""Least and largest share of a picture that its subject covers, if it is cut out to stand on other grounds."""


@dataclass(frozen=True)
class Source:
    """Where a photo comes from.

    Attributes:
        name: What messages call it.
        read: Returns its bytes; may raise what reading a file raises.
        caption: What is said of it; empty if nothing is.
    """

    name: str
    read: Callable[[], bytes]
    caption: str = ""


@dataclass(frozen=True)
class Finding:
    """What was found of one photo.

    Attributes:
        name: As its source says.
        verdict: good; enlarged, which is good enough; left out as same (file) or alike; or refused as small or broken.
        text: Why, in a sentence; empty where it is good.
    """

    name: str
    verdict: Literal["good", "enlarged", "same", "alike", "small", "broken"]
    text: str = ""


@dataclass(frozen=True)
class Photo:
    """One photo of the subject.

    Attributes:
        name: What messages call it: the path it was at.
        sha256: Of the file.
        pixels: (H, W, 3) or (H, W, 4) uint8, upright sRGB.
        caption: What `photo.txt` beside it says; empty if there is none.
    """

    name: str
    sha256: str
    pixels: Pixels
    caption: str = ""

    @property
    def flat(self) -> Pixels:
        """The picture (H, W, 3); what is transparent is white."""
        return on_ground(self.pixels, (255, 255, 255))


@dataclass
class Album:
    """The photos that are used, what is to be said about the others, and what was found of each that came."""

    photos: list[Photo] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Hash over what the photos are and what is said of them."""
        told = "\n".join(f"{photo.sha256} {photo.caption}" for photo in self.photos)
        return hashlib.sha256(told.encode()).hexdigest()


def found(paths: Iterable[Path]) -> list[Path]:
    """The files meant by paths: a folder stands for the pictures in it, in the order of their names.

    Raises:
        NotFound: There is no such file, or no picture in a folder.
        InvalidValue: There are none, or too many.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in ENDINGS and one.is_file())
            if not inside:
                raise NotFound(f"There is no picture in {path}; looked for {', '.join(ENDINGS)}.", param="photos")
            files += inside
        elif path.is_file():
            files.append(path)
        else:
            raise NotFound(f"There is no file {path}.", param="photos")
    if not 1 <= len(files) <= MOST:
        raise InvalidValue(f"A subject is learnt from 1 to {MOST} photos, not {len(files)}.", param="photos")
    return files


def read_album(paths: Sequence[Path], sizes: Sizes, *, skip_unreadable: bool = False) -> Album:
    """Read and check photos.

    Args:
        paths: Files and folders.
        sizes: Of the base: a photo needs half of its native size a side.
        skip_unreadable: Leave out what cannot be read, with a note, rather than refuse all.

    Raises:
        NotFound, InvalidValue: See `found`.
        InvalidPicture: As `album_of`.
    """
    return album_of([source_of(path) for path in found(paths)], sizes, skip_unreadable=skip_unreadable)


def album_of(sources: Sequence[Source], sizes: Sizes, *, skip_unreadable: bool = False) -> Album:
    """Read and check photos, wherever they come from; see `read_album`.

    Raises:
        NotFound: There are none.
        InvalidPicture: A photo cannot be read, or is too small; all of them are named.
    """
    if not sources:
        raise NotFound("There are no photos.", param="photos")
    album = look_through(sources, sizes)
    small = [one.text for one in album.findings if one.verdict == "small"]
    broken = [one.text for one in album.findings if one.verdict == "broken"]
    if small:
        raise InvalidPicture(
            f"Too small to learn from: {'; '.join(small)} pixels. A photo needs at least {sizes.native // 2} a side.",
            param="photos",
            hint="Leave them out, or give larger ones.",
        )
    if broken and not (skip_unreadable and album.photos):
        raise InvalidPicture(
            f"{len(broken)} of the photos cannot be read: {'; '.join(broken)}",
            param="photos",
            hint="Give --skip-unreadable to go on with the rest." if album.photos else None,
        )
    return album


def look_through(sources: Sequence[Source], sizes: Sizes) -> Album:
    """Read photos and say of each what was found; nothing is refused here. See `read_album`."""
    album, read = Album(), dict[int, Photo]()
    told: dict[int, Finding] = {}
    for k, source in enumerate(sources):
        try:
            photo = _read(source)
        except (InvalidPicture, OSError) as error:
            why = error.message if isinstance(error, InvalidPicture) else error.strerror or error
            told[k] = Finding(source.name, "broken", f"{source.name}: {why}")
            continue
        high, wide = photo.pixels.shape[:2]
        if min(high, wide) < sizes.native // 2:
            told[k] = Finding(source.name, "small", f"{source.name} has {wide}x{high}")
            continue
        read[k], told[k] = photo, Finding(source.name, "good")
        if min(high, wide) < sizes.native:
            said = f"{source.name} has {wide}x{high} pixels and is enlarged: {sizes.native} a side would be better."
            told[k] = Finding(source.name, "enlarged", said)
    told |= _duplicates(read)
    album.findings = [told[k] for k in range(len(sources))]
    album.photos = [photo for k, photo in read.items() if told[k].verdict in ("good", "enlarged")]
    for verdicts, form in ((("enlarged",), "{}"), (("broken",), "Left out: {}"), (("same", "alike"), "Left out: {}")):
        album.notes += [form.format(one.text) for one in album.findings if one.verdict in verdicts]
    if len(album.photos) == 1:
        album.notes.append(
            "There is one photo only: the subject will be known in this pose and light, and its ground may be taken "
            "for a part of it. Three to six photos on different grounds are much better."
        )
    return album


def source_of(path: Path, name: str | None = None) -> Source:
    """A file as a photo, with the caption that lies beside it; called by its path if not by another name."""
    beside = path.with_suffix(".txt")
    caption = " ".join(beside.read_text("utf-8", "replace").split()) if beside.is_file() else ""
    return Source(str(path) if name is None else name, partial(_bytes, path), caption)


def _bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_BYTES + 1)


def _read(source: Source) -> Photo:
    data = source.read()
    kind, _ = inspect(data)
    pixels = open_pixels(Artifact(data=data, media_type=kind))
    return Photo(source.name, hashlib.sha256(data).hexdigest(), pixels, source.caption)


def _duplicates(read: dict[int, Photo]) -> dict[int, Finding]:
    """Say which photos are the same file as an earlier one, or almost the same picture."""
    kept: list[tuple[Photo, npt.NDArray[np.bool_], npt.NDArray[np.float32]]] = []
    told: dict[int, Finding] = {}
    for k, photo in read.items():
        bits, small = _print(photo.flat)
        for other, other_bits, other_small in kept:
            far = float(np.sqrt(((small - other_small) ** 2).mean()))
            if photo.sha256 == other.sha256:
                told[k] = Finding(photo.name, "same", f"{photo.name} is the same file as {other.name}.")
                break
            if int((bits != other_bits).sum()) <= ALIKE_BITS and far <= ALIKE_LEVELS:
                told[k] = Finding(photo.name, "alike", f"{photo.name} is almost the same picture as {other.name}.")
                break
        else:
            kept.append((photo, bits, small))
    return told


def _print(pixels: Pixels) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.float32]]:
    """128 bits, which of two neighbours is brighter, across and down; and the picture at 32 pixels a side."""
    picture = Image.fromarray(pixels)
    gray = picture.convert("L")
    across = np.asarray(gray.resize((9, 8), Image.Resampling.BOX), np.int16)
    down = np.asarray(gray.resize((8, 9), Image.Resampling.BOX), np.int16)
    bits = np.concatenate([(np.diff(across, axis=1) > 1).ravel(), (np.diff(down, axis=0) > 1).ravel()])
    return bits, np.asarray(picture.resize((32, 32), Image.Resampling.BOX), np.float32)


def fitted(pixels: Pixels, sizes: Sizes) -> tuple[Pixels, tuple[float, ...]]:
    """A picture scaled and cut to the nearest size a base paints at (its bucket), and the six numbers SDXL is told:
    height and width it had, rows and columns cut off at the top and left, height and width it has."""
    high, wide = pixels.shape[:2]
    width, height = sizes.working(wide, high)
    scale = max(width / wide, height / high)
    across, down = max(width, round(wide * scale)), max(height, round(high * scale))
    whole = np.array(Image.fromarray(pixels).resize((across, down), Image.Resampling.LANCZOS))
    left, top = (across - width) // 2, (down - height) // 2
    told = (float(high), float(wide), float(top), float(left), float(height), float(width))
    return np.ascontiguousarray(whole[top : top + height, left : left + width]), told


def on_ground(pixels: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """A picture (H, W, 4) laid on a colour; one without alpha as it is."""
    if pixels.shape[2] == 3:
        return pixels
    alpha = pixels[..., 3:].astype(np.float32) / 255
    return np.asarray(np.rint(pixels[..., :3] * alpha + np.array(colour, np.float32) * (1 - alpha)), np.uint8)


def plain_ground(pixels: Pixels) -> str:
    """The name of the colour that a picture (H, W, 3) stands on, or nothing where its ground is not plain."""
    strip = max(1, min(pixels.shape[:2]) // 32)
    sides = (pixels[:strip], pixels[-strip:], pixels[:, :strip], pixels[:, -strip:])
    border = np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.float32)
    middle = np.median(border, 0)
    near = np.abs(border - middle).max(1) <= 3 * PLAIN
    if near.mean() < 0.8 or border[near].std(0).max() > PLAIN:
        return ""
    return nearest_colour(middle)


def variants(photo: Photo, count: int, seed: int) -> list[tuple[Pixels, str]]:
    """The photo, and up to `count - 1` more pictures of its subject with the colour each stands on.

    A subject before a plain ground is cut out and laid, smaller or as large, on other plain grounds: what stays the
    same in all of them is the subject. Of any other photo there is only itself.
    """
    flat = photo.flat
    out = [(flat, plain_ground(flat))]
    thing = cut_out(photo) if count > 1 else None
    if thing is None:
        return out
    rng = np.random.default_rng([seed, int(photo.sha256[:8], 16)])
    mean = thing[thing[..., 3] > 200][:, :3].mean(0) if (thing[..., 3] > 200).any() else np.zeros(3)
    apart = [name for name, rgb in COLOURS.items() if np.linalg.norm(np.array(rgb) - mean) > 90] or list(COLOURS)
    for name in rng.permutation(apart * -(-count // len(apart)))[: count - 1]:
        out.append((_laid(thing, COLOURS[str(name)], rng), str(name)))
    return out


def cut_out(photo: Photo) -> Pixels | None:
    """The subject (H, W, 4) of a photo on a plain or a transparent ground; None of any other, or where nothing stands
    out of the ground, or all does."""
    flat = photo.flat
    if not plain_ground(flat) and photo.pixels.shape[2] == 3:
        return None
    try:
        thing = filled(cut(photo.pixels, TOLERANCE), flat)
    except InvalidPicture:
        return None
    return thing if FREE[0] <= float((thing[..., 3] > 127).mean()) <= FREE[1] else None


def filled(thing: Pixels, flat: Pixels) -> Pixels:
    """A cut-out thing without holes: what it encloses, such as the white of an eye on a white ground, is its own."""
    clear = parts(thing[..., 3] < 128)
    edge = np.unique(np.concatenate([clear[0], clear[-1], clear[:, 0], clear[:, -1]]))
    hole = (clear > 0) & ~np.isin(clear, edge)
    wide = np.asarray(Image.fromarray(np.where(hole, 255, 0).astype(np.uint8)).filter(ImageFilter.MaxFilter(9))) > 0
    inside = wide & ~np.isin(clear, edge[edge > 0])
    out = thing.copy()
    out[inside] = np.dstack([flat, np.full(flat.shape[:2], 255, np.uint8)])[inside]
    return out


def _laid(thing: Pixels, colour: tuple[int, int, int], rng: np.random.Generator) -> Pixels:
    """A cut-out thing on a colour, at 60 to 100 % of its size, near where it was or, smaller, somewhere."""
    high, wide = thing.shape[:2]
    rows, columns = np.flatnonzero(thing[..., 3].any(1)), np.flatnonzero(thing[..., 3].any(0))
    own = thing[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    scale = float(rng.choice(SCALES))
    size = max(8, round(own.shape[1] * scale)), max(8, round(own.shape[0] * scale))
    small = Image.fromarray(own).resize(size, Image.Resampling.LANCZOS)
    middle = (columns[0] + columns[-1] + 1) / 2, (rows[0] + rows[-1] + 1) / 2
    at = []
    for k, whole in enumerate((wide, high)):
        free = whole - size[k]
        near = middle[k] - size[k] / 2 + rng.normal(0, 0.02 * whole)
        at.append(int(np.clip(near if scale > 0.8 else rng.uniform(0, max(1, free)), 0, max(0, free))))
    left, top = at
    shade = tuple(int(v) for v in np.clip(np.array(colour) + rng.integers(-10, 11, 3), 0, 255))
    canvas = Image.new("RGB", (wide, high), shade)
    canvas.paste(small, (left, top), small.getchannel("A"))
    return np.array(canvas)
