"""Pictures that a body brings: taken in by the rules of its model, with what is known of each."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageOps

from fantascope.errors import InvalidPicture, NotFound
from fantascope.serve.fetch import FieldError, fetched
from fantascope.serve.kit import Server
from fantascope.serve.openai.fields import missing
from fantascope.serve.openai.rules import MIB, RULES, Rules, Size
from fantascope.serve.people import Caller

MASK_BYTES = 4 * MIB
PREFIX = "file-"


@dataclass(frozen=True)
class Sent:
    """A picture of the caller's: id in the gallery, size in pixels, upright, whether a part of it is clear, and whether
    it was made here."""

    id: str
    width: int
    height: int
    clear: bool = False
    made: bool = False

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.width, self.height


def file_id(artifact: str) -> str:
    """Return the name that an artifact has on this wire."""
    return PREFIX + artifact.removeprefix("sha256:")


def artifact_of(name: str, param: str = "file_id") -> str:
    """Return the artifact that a file's name stands for.

    Raises:
        NotFound: no file has such a name.
    """
    digits = name.removeprefix(PREFIX)
    if not name.startswith(PREFIX) or len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise NotFound(f"No such File object: {name[:100]}", param=param)
    return "sha256:" + digits


def bodies(files: Mapping[str, list[bytes]], name: str) -> list[bytes]:
    """Return the files of a form that stand under `name`, `name[]` or `name[0]` …"""
    found = [data for key, many in files.items() if key == name or key.startswith(f"{name}[") for data in many]
    return found


def is_old(data: bytes) -> bool:
    """Say whether the oldest model takes a picture: a square PNG that is small enough, by its head."""
    rules, square = RULES["dall-e-2"], len(data) >= 24 and data[16:20] == data[20:24]
    return data[:8] == b"\x89PNG\r\n\x1a\n" and square and len(data) <= rules.bytes


def referred(server: Server, caller: Caller, value: Any, param: str, most: int) -> bytes:
    """Return the picture that a JSON body names: an address, or `{"image_url": …}` or `{"file_id": …}`.

    Raises:
        FieldError: it is neither, or nothing is fetched from there.
        NotFound: the caller has no such file.
    """
    if isinstance(value, Mapping):
        url, name = value.get("image_url"), value.get("file_id")
        if isinstance(name, str) and url is None:
            gallery = server.studio_of(caller).gallery
            try:
                return gallery.get(artifact_of(name, param)).data
            except NotFound:
                raise NotFound(f"No such File object: {name[:100]}", param=param) from None
        value = url.get("url") if isinstance(url, Mapping) else url
    if not isinstance(value, str):
        raise FieldError(
            f'\'{param}\' is a data: URL, or {{"image_url": …}} or {{"file_id": …}}.', param, "invalid_type"
        )
    return fetched(value, server.options.fetch_hosts, most, param)


def take_pictures(server: Server, caller: Caller, pictures: Sequence[bytes], rules: Rules) -> list[Sent]:
    """Take in the pictures of a body.

    Raises:
        FieldError: there are none, too many, or one is not as the model takes them.
        InvalidPicture: one is no picture.
    """
    if not pictures:
        raise missing("image")
    if len(pictures) > rules.pictures:
        raise FieldError(f"{len(pictures)} pictures are sent; {rules.name} takes {rules.pictures}.", "image")
    return [_picture(server, caller, data, rules) for data in pictures]


def _picture(server: Server, caller: Caller, data: bytes, rules: Rules) -> Sent:
    kinds = " or ".join(rules.uploads)
    if len(data) > rules.bytes:
        raise FieldError(f"A picture is {kinds} and has at most {rules.bytes // MIB} MB.", "image")
    sent, form = _taken(server, caller, data, "image")
    if form not in rules.uploads:
        raise FieldError(f"A picture for {rules.name} is {kinds}; this one is {form}.", "image")
    if rules.square and sent.width != sent.height:
        raise FieldError(f"A picture for {rules.name} is square; this one has {sent.width}x{sent.height}.", "image")
    return sent


def take_mask(server: Server, caller: Caller, data: bytes, first: Sent) -> str:
    """Take in a mask, PNG: where its alpha is 0, the first picture is edited.

    Raises:
        FieldError: it is no PNG, has no alpha or nothing that is clear, or another size than the picture.
    """
    if len(data) > MASK_BYTES:
        raise FieldError(f"A mask has at most {MASK_BYTES // MIB} MB.", "mask")
    mask, form = _taken(server, caller, data, "mask")
    if form != "PNG":
        raise FieldError(f"A mask is PNG; this one is {form}.", "mask")
    if mask.size != first.size:
        raise FieldError(
            f"The mask has {mask.width}x{mask.height} pixels and the picture {first.width}x{first.height}: "
            "they must be equal.",
            "mask",
        )
    if not mask.clear:
        raise FieldError(
            "The mask has no transparent part: it is transparent (alpha 0) where the picture may change.", "mask"
        )
    return mask.id


def _taken(server: Server, caller: Caller, data: bytes, param: str) -> tuple[Sent, str]:
    """Keep a picture, and look at it; it was found safe to decode then."""
    try:
        name = server.take(caller, data, task="mask" if param == "mask" else None)
    except InvalidPicture as error:
        error.param = param
        raise
    made = server.studio_of(caller).gallery.entry(name).given is False
    with Image.open(io.BytesIO(data)) as file:
        form = "JPEG" if file.format == "MPO" else str(file.format)
        upright = _upright(file)
        clear = upright.has_transparency_data and upright.convert("RGBA").getchannel("A").getextrema() != (255, 255)
        return Sent(name, upright.width, upright.height, bool(clear), made), form


def shrunk(server: Server, caller: Caller, picture: str, size: Size, *, mask: bool = False) -> Sent:
    """Keep a smaller copy of a picture of the caller's, for who wants a smaller result."""
    data = server.studio_of(caller).gallery.get(picture).data
    with Image.open(io.BytesIO(data)) as file:
        upright = _upright(file)
        clear = upright.has_transparency_data
        small = upright.convert("RGBA" if clear else "RGB").resize(size, Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "PNG")
    sent, _ = _taken(server, caller, buffer.getvalue(), "mask" if mask else "image")
    return sent


def _upright(file: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(file)
    except Exception:  # a foreign Exif block may break Pillow's reader in many ways
        return file
