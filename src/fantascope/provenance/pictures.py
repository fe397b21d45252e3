"""Pictures from anybody, read within bounds: form, size and metadata are known before a pixel is decoded.

The chunks of PNG, the segments of JPEG and the chunks of WebP are walked here, on the bytes; Pillow only decodes,
and only after the size was checked. Formats: PNG 3rd edition (W3C), JPEG (ITU-T T.81) with Exif, WebP (RFC 9649).
"""

from __future__ import annotations

import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fantascope.errors import InvalidPicture

MAX_FILE = 100 << 20
"""Bytes of a file."""

MAX_PIXELS = 64_000_000
MAX_TEXT = 4 << 20
"""Bytes of text in a file, unpacked, all pieces together."""

MAX_PIECES = 100_000
PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_DRAWN = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_SOF = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


@dataclass
class Probe:
    """What a file is, before decoding.

    Attributes:
        form: `png`, `jpeg` or `webp`.
        width, height: Pixels.
        lossless: Decoding gives back exactly what was encoded.
        texts: PNG text chunks by keyword; a repeated keyword keeps its first text.
        exif: Raw Exif block (from its TIFF header on) or nothing.
        xmp: Raw XMP packet or nothing.
        signed: A C2PA manifest store is in it.
        drawn: The file reduced to what is needed to decode it.
    """

    form: str
    width: int = 0
    height: int = 0
    lossless: bool = False
    texts: dict[str, str] = field(default_factory=dict)
    exif: bytes = b""
    xmp: bytes = b""
    signed: bool = False
    drawn: bytes = field(default=b"", repr=False)


def load(source: Path | bytes) -> bytes:
    """Return the bytes of a regular file, refusing one above `MAX_FILE`; a pipe or a device is never read.

    Raises:
        InvalidPicture: there is no such file, it is no regular file, it cannot be read, or it is too large.
    """
    if isinstance(source, bytes):
        size, data = len(source), source
    else:
        try:
            with open(source, "rb", opener=_without_waiting) as file:
                found = os.fstat(file.fileno())
                if not stat.S_ISREG(found.st_mode):
                    raise InvalidPicture(f"{source} cannot be read: it is no regular file.", param="file")
                size = found.st_size
                data = file.read(size + 1) if size <= MAX_FILE else b""
        except OSError as error:
            raise InvalidPicture(f"{source} cannot be read: {error.strerror or error}.", param="file") from error
    if size > MAX_FILE:
        raise InvalidPicture(f"The file has {size >> 20} MB; at most {MAX_FILE >> 20} MB are read.", param="file")
    return data


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes into does not block."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def probe(data: bytes) -> Probe:
    """Return what the file is, without decoding it.

    Raises:
        InvalidPicture: it is no PNG, JPEG or WebP, it is cut off or broken, or it is larger than the limits.
    """
    try:
        if data.startswith(PNG_MAGIC):
            found = _png(data)
        elif data.startswith(b"\xff\xd8\xff"):
            found = _jpeg(data)
        elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            found = _webp(data)
        else:
            raise InvalidPicture("This is not a PNG, JPEG or WebP picture.", param="file")
    except (struct.error, IndexError, zlib.error) as error:
        raise InvalidPicture("The picture file is cut off or broken.", param="file") from error
    if found.width < 1 or found.height < 1:
        raise InvalidPicture("The picture file states no size: it is cut off or broken.", param="file")
    if found.width * found.height > MAX_PIXELS:
        raise InvalidPicture(
            f"The picture claims {found.width} x {found.height} pixels; at most {MAX_PIXELS // 1_000_000} megapixels "
            "are decoded.",
            param="file",
        )
    return found


def decode(found: Probe) -> NDArray[np.uint8]:
    """Return the pixels `(H, W, 3 or 4)` uint8 of a probed file.

    Raises:
        InvalidPicture: the picture data is cut off or broken.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(found.drawn), formats=[found.form.upper()]) as image:
            if image.size != (found.width, found.height):
                raise InvalidPicture("The picture states two different sizes.", param="file")
            alpha = image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info
            return np.asarray(image.convert("RGBA" if alpha else "RGB"))
    except InvalidPicture:
        raise
    except Exception as error:  # Pillow raises what its decoders raise: OSError, ValueError, SyntaxError, struct.error
        raise InvalidPicture(f"The picture cannot be decoded: {error}.", param="file") from error


class _Budget:
    """Bytes of text that may still be read from one file."""

    def __init__(self) -> None:
        self.left = MAX_TEXT

    def take(self, raw: bytes) -> bytes:
        self.left -= len(raw)
        if self.left < 0:
            raise InvalidPicture(f"The file holds more than {MAX_TEXT >> 20} MB of text.", param="file")
        return raw

    def unpack(self, packed: bytes) -> bytes:
        worker = zlib.decompressobj()
        raw = worker.decompress(packed, self.left + 1)
        return self.take(raw)


def _png(data: bytes) -> Probe:
    found, budget = Probe("png", lossless=True), _Budget()
    drawn, ended = [PNG_MAGIC], False
    for kind, body, whole in _png_chunks(data):
        if kind in _DRAWN:
            drawn.append(whole)
        if kind == b"IHDR":
            found.width, found.height = struct.unpack(">II", body[:8])
            found.lossless = body[8] == 8
        elif kind in (b"tEXt", b"zTXt", b"iTXt"):
            _png_text(found, kind, body, budget)
        elif kind == b"eXIf":
            found.exif = budget.take(body)
        elif kind == b"caBX":
            found.signed = True
        ended = ended or kind == b"IEND"
    if not ended:
        raise InvalidPicture("The picture file is cut off: its end is missing.", param="file")
    found.drawn = b"".join(drawn)
    return found


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Yield (kind, body, whole chunk) up to IEND."""
    at = len(PNG_MAGIC)
    for _ in range(MAX_PIECES):
        if at + 12 > len(data):
            return
        (length,) = struct.unpack_from(">I", data, at)
        kind, end = data[at + 4 : at + 8], at + 12 + length
        if end > len(data):
            raise InvalidPicture("The picture file is cut off or broken.", param="file")
        yield kind, data[at + 8 : end - 4], data[at:end]
        if kind == b"IEND":
            return
        at = end
    raise InvalidPicture("The picture file has too many pieces.", param="file")


def _png_text(found: Probe, kind: bytes, body: bytes, budget: _Budget) -> None:
    key, _, rest = body.partition(b"\0")
    if kind == b"tEXt":
        text = budget.take(rest).decode("latin-1")
    elif kind == b"zTXt":
        text = budget.unpack(rest[1:]).decode("latin-1")
    else:
        packed, rest = rest[0], rest[2:].split(b"\0", 2)[2]
        text = (budget.unpack(rest) if packed else budget.take(rest)).decode("utf-8", "replace")
    name = key.decode("latin-1")
    if name == "XML:com.adobe.xmp":
        found.xmp = text.encode()
    found.texts.setdefault(name, text)


def _jpeg(data: bytes) -> Probe:
    found, budget, at = Probe("jpeg", drawn=data), _Budget(), 2
    for _ in range(MAX_PIECES):
        if data[at] != 0xFF:
            raise InvalidPicture("The picture file is broken.", param="file")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker in (0xD9, 0xDA):
            break
        if marker == 0x01 or 0xD0 <= marker <= 0xD7:
            at += 2
            continue
        (length,) = struct.unpack_from(">H", data, at + 2)
        body = data[at + 4 : at + 2 + length]
        if length < 2 or len(body) != length - 2:
            raise InvalidPicture("The picture file is cut off or broken.", param="file")
        if marker in _SOF:
            found.height, found.width = struct.unpack(">HH", body[1:5])
        elif marker == 0xE1 and body.startswith(b"Exif\0\0"):
            found.exif = budget.take(body[6:])
        elif marker == 0xE1 and body.startswith(b"http://ns.adobe.com/xap/1.0/\0"):
            found.xmp = budget.take(body[29:])
        elif marker == 0xEB and b"jumb" in body[:64]:
            found.signed = True
        at += 2 + length
    else:
        raise InvalidPicture("The picture file has too many pieces.", param="file")
    return found


def _webp(data: bytes) -> Probe:
    found, budget = Probe("webp", drawn=data), _Budget()
    (length,) = struct.unpack_from("<I", data, 4)
    if length + 8 > len(data):
        raise InvalidPicture("The picture file is cut off.", param="file")
    at = 12
    for _ in range(MAX_PIECES):
        if at + 8 > length + 8:
            return found
        kind, (size,) = data[at : at + 4], struct.unpack_from("<I", data, at + 4)
        body = data[at + 8 : at + 8 + size]
        if len(body) != size:
            raise InvalidPicture("The picture file is cut off or broken.", param="file")
        if kind == b"VP8X":
            width, height = (int.from_bytes(body[k : k + 3], "little") + 1 for k in (4, 7))
            found.width, found.height = max(width, found.width), max(height, found.height)
        elif kind == b"VP8L":
            (bits,) = struct.unpack_from("<I", body, 1)
            width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
            found.width, found.height, found.lossless = max(width, found.width), max(height, found.height), True
        elif kind == b"VP8 ":
            width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", body, 6))
            found.width, found.height = max(width, found.width), max(height, found.height)
        elif kind == b"EXIF":
            found.exif = budget.take(body.removeprefix(b"Exif\0\0"))
        elif kind == b"XMP ":
            found.xmp = budget.take(body)
        elif kind == b"C2PA":
            found.signed = True
        at += 8 + size + (size & 1)
    raise InvalidPicture("The picture file has too many pieces.", param="file")
