"""Encoding a picture with what is said about it in plain sight: settings text and XMP.

| | settings text (A1111) | XMP |
|---|---|---|
| PNG | tEXt (iTXt beyond Latin-1) `parameters` | iTXt `XML:com.adobe.xmp` |
| JPEG, WebP | Exif UserComment, UTF-16 | APP1, `XMP ` chunk |

XMP holds the IPTC digital source type, the PLUS data mining term, the receipt id, the program and the credit
lines. A private receipt leaves out the settings text; what discloses the picture as generated stays.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray

from fantascope.errors import InvalidPicture, ProvenanceError, UnknownName
from fantascope.provenance import infotext, png
from fantascope.provenance.manifest import RECEIPT_ID, source_type
from fantascope.provenance.pictures import MAX_PIXELS, Probe
from fantascope.receipt import Receipt

Pixels = NDArray[np.uint8]

EXIF_IFD, USER_COMMENT = 0x8769, 0x9286
MAX_COMMENT = 65_000
"""Bytes of UserComment: an Exif segment of JPEG ends at 65 533. A longer text is in the manifest only."""

MAX_CREDIT = 8_000
FANTASCOPE_NS = "urn:fantascope:1"
MINING = frozenset(
    "DMI-" + term
    for term in (
        "UNSPECIFIED",
        "ALLOWED",
        "PROHIBITED",
        "PROHIBITED-AIMLTRAINING",
        "PROHIBITED-GENAIMLTRAINING",
        "PROHIBITED-EXCEPTSEARCHENGINEINDEXING",
        "PROHIBITED-SEECONSTRAINT",
        "PROHIBITED-SEEEMBEDDEDRIGHTSEXPR",
        "PROHIBITED-SEELINKEDRIGHTSEXPR",
    )
)
"""The PLUS vocabulary of Data Mining (LDF 2.0.1)."""

_VALUE = re.compile(
    rb"\s{0,80}(?:=\s{0,80}[\"']|>\s{0,80}|[^<>]{0,400}?resource\s{0,80}=\s{0,80}[\"'])([^\"'<>\s]{1,300})"
)
_PLACES = 16


def encode(pixels: Pixels, receipt: Receipt, form: str, quality: int) -> bytes:
    """Return `pixels (H, W, 3 or 4)` uint8 as a file with metadata, unsigned.

    Args:
        pixels: Marked pixels; JPEG drops alpha.
        receipt: Closed receipt.
        form: `png`, `jpeg` or `webp`.
        quality: 1 … 100 of JPEG and WebP; WebP at 100 is lossless.

    Raises:
        UnknownName: no such format.
        ProvenanceError: the format cannot hold this picture.
    """
    if form not in _WRITERS:
        raise UnknownName("format", form, _WRITERS)
    text, packet = infotext.parameters_of(receipt).text(), xmp_packet(receipt)
    try:
        return _WRITERS[form](pixels, text, packet, quality)
    except (OSError, ValueError) as error:
        height, width = pixels.shape[:2]
        raise ProvenanceError(f"A picture of {width} x {height} cannot be written as {form}: {error}") from error


def xmp_packet(receipt: Receipt) -> bytes:
    """Return the XMP packet of a receipt, UTF-8."""
    program = f"Fantascope {receipt.fantascope}".strip()
    credit = "; ".join((*receipt.attribution, *_licences(receipt)))[:MAX_CREDIT]
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description
 rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:plus="http://ns.useplus.org/ldf/xmp/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:fantascope="{FANTASCOPE_NS}"
 Iptc4xmpExt:DigitalSourceType="{source_type(receipt)}"
 plus:DataMining="http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING"
 xmp:CreatorTool={quoteattr(program)} photoshop:Credit={quoteattr(f"Made with {program}")}
 fantascope:receipt={quoteattr(receipt.id)}>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{escape(credit)}</rdf:li></rdf:Alt></dc:rights>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="w"?>""".encode()


def parameters_in(found: Probe) -> str | None:
    """Return the A1111 text of a probed file, or None."""
    if "parameters" in found.texts:
        return found.texts["parameters"]
    if not found.exif:
        return None
    from PIL import Image

    exif = Image.Exif()
    try:
        exif.load(b"Exif\0\0" + found.exif)
        comment = exif.get_ifd(EXIF_IFD).get(USER_COMMENT)
    except Exception:  # a foreign Exif block may break Pillow's reader in many ways; then it says nothing
        return None
    return _comment_text(comment) if isinstance(comment, bytes) else None


def source_type_in(found: Probe) -> str | None:
    """Return the last part of the IPTC digital source type in a probed file's XMP, or None."""
    return _term(found.xmp, b"DigitalSourceType")


def receipt_id_in(found: Probe) -> str | None:
    """Return the receipt id in a probed file's XMP, or None."""
    value = _term(found.xmp, b"fantascope:receipt")
    return value if value is not None and RECEIPT_ID.fullmatch(value) else None


def mining_in(found: Probe) -> str | None:
    """Return the PLUS data mining term in a probed file's XMP, one of `MINING`, or None."""
    value = _term(found.xmp, b"plus:DataMining")
    return value if value in MINING else None


def _term(xmp: bytes, name: bytes) -> str | None:
    """Return the last part of the first value of a property, attribute or element, among its first `_PLACES` places."""
    at = -1
    for _ in range(_PLACES):
        at = xmp.find(name, at + 1)
        if at < 0:
            return None
        hit = _VALUE.match(xmp, at + len(name))
        if hit:
            return hit[1].decode("ascii", "replace").rsplit("/", 1)[-1]
    return None


def check_size(pixels: Pixels) -> None:
    """Refuse pixels that `verify` would not read back.

    Raises:
        InvalidPicture: not `(H, W, 3 or 4)` uint8, or above `MAX_PIXELS`.
    """
    if pixels.ndim != 3 or pixels.shape[2] not in (3, 4) or pixels.dtype != np.uint8:
        raise InvalidPicture(f"Pixels are (H, W, 3 or 4) uint8, not {pixels.shape} {pixels.dtype}.", param="pixels")
    if pixels.shape[0] * pixels.shape[1] > MAX_PIXELS:
        raise InvalidPicture(f"A picture has at most {MAX_PIXELS // 1_000_000} megapixels.", param="pixels")


def _licences(receipt: Receipt) -> list[str]:
    parts = [w.part.split(" ")[0] if receipt.private else w.part for w in receipt.ran.weights]
    return [f"{part}: {w.licence}" for part, w in zip(parts, receipt.ran.weights, strict=True)]


def _write_png(pixels: Pixels, text: str, packet: bytes, quality: int) -> bytes:
    settings = {"parameters": text} if text else {}
    return png.write(pixels, settings | {"XML:com.adobe.xmp": packet.decode()})


def _write_jpeg(pixels: Pixels, text: str, packet: bytes, quality: int) -> bytes:
    sampling = 0 if quality >= 90 else 2
    rgb = pixels[..., :3]
    return _saved(rgb, "JPEG", quality=quality, subsampling=sampling, exif=_exif(text), xmp=packet)


def _write_webp(pixels: Pixels, text: str, packet: bytes, quality: int) -> bytes:
    if quality == 100:
        return _saved(pixels, "WEBP", lossless=True, quality=0, method=0, exact=True, exif=_exif(text), xmp=packet)
    return _saved(pixels, "WEBP", quality=quality, method=2, exif=_exif(text), xmp=packet)


def _saved(pixels: Pixels, form: str, **options: Any) -> bytes:
    from PIL import Image

    target = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(target, form, **options)
    return target.getvalue()


_WRITERS: dict[str, Callable[[Pixels, str, bytes, int], bytes]] = {
    "png": _write_png,
    "jpeg": _write_jpeg,
    "webp": _write_webp,
}


def _exif(text: str) -> bytes:
    from PIL import Image

    comment = text.encode("utf-16-be")
    if not text or len(comment) > MAX_COMMENT:
        return b""
    exif = Image.Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = b"UNICODE\0" + comment
    return exif.tobytes()


def _comment_text(comment: bytes) -> str | None:
    """Return the text of an Exif UserComment: UTF-16 of either byte order, ASCII or UTF-8."""
    head, body = comment[:8], comment[8:]
    if head == b"UNICODE\0":
        big, little = (body.decode(f"utf-16-{order}", "replace") for order in ("be", "le"))
        text = max(big, little, key=lambda t: sum(c < "\u0250" for c in t[:4096]))
    elif head in (b"ASCII\0\0\0", b"\0" * 8):
        text = body.decode("utf-8", "replace")
    else:
        text = comment.decode("utf-8", "replace")
    return text.strip("\0 ") or None
