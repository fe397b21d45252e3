"""`verify`: what a picture says about itself, and what of it holds; for our files and for anybody's.

Every string that comes from a file passes `shown` before it stands in a report: nobody's file writes lines of ours.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fantascope.errors import InvalidPicture
from fantascope.provenance import container, infotext, keys, manifest, mark, pictures
from fantascope.provenance.cites import cited
from fantascope.provenance.manifest import Manifest
from fantascope.provenance.pictures import Probe
from fantascope.provenance.sealing import pixels_hash
from fantascope.receipt import Kept, Receipt, receipt_id
from fantascope.settings import Settings

Verdict = Literal["holds", "absent", "fails", "unknown"]

UNSTATED = ("", "NOASSERTION", "NONE", "unknown")
MOST_WEIGHTS = 64
"""Lines on weights at most."""


def shown(value: object, most: int = 80) -> str:
    """Return a string from a file fit for a line of a terminal: at most `most` characters, all of them printable.

    Control and format characters (escape sequences, line feeds, bidi overrides), lone surrogates, characters that
    nobody assigned and separators other than the space become U+FFFD.
    """
    text = str(value)
    clean = "".join("\ufffd" if _hidden(char) else char for char in text[:most])
    return clean if len(text) <= most else f"{clean[:-1]}…"


def _hidden(char: str) -> bool:
    kind = unicodedata.category(char)
    return kind[0] == "C" or (kind[0] == "Z" and char != " ")


@dataclass(frozen=True)
class Check:
    """One line of a report: what was looked at, the verdict, and one plain sentence."""

    name: str
    verdict: Verdict
    text: str


@dataclass(frozen=True)
class Report:
    """Everything `verify` found, in the order it is shown."""

    checks: tuple[Check, ...]
    receipt_id: str | None = None

    @property
    def ok(self) -> bool:
        """True only if everything that is present holds; what is unknown does not hold."""
        return all(check.verdict in ("holds", "absent") for check in self.checks)

    @property
    def empty(self) -> bool:
        """True if the file says nothing about where it comes from."""
        return all(check.verdict == "absent" for check in self.checks)


@dataclass(frozen=True)
class _File:
    """What was read from a file before judging it."""

    probe: Probe
    pixels: NDArray[np.uint8] | None
    manifest: Manifest | None
    receipt: Receipt | None
    mark: mark.Mark
    parameters: str | None

    @property
    def record(self) -> dict[str, Any]:
        return (self.manifest.record if self.manifest else None) or {}

    @property
    def signed_id(self) -> str | None:
        return _id(self.manifest)

    @property
    def vouched(self) -> bool:
        """A valid signature covers the whole file."""
        return self.manifest is not None and self.manifest.valid


def verify(
    source: Path | bytes,
    *,
    trust: Path | None = None,
    known: Callable[[str], bool] | None = None,
    models: Path | None = None,
) -> Report:
    """Check a PNG, JPEG or WebP file: ours or anybody's.

    Args:
        source: The file or its bytes.
        trust: Folder of keys whose roots are recognised; None is this studio's own, `Settings.keys`.
        known: Says whether a receipt id is in the gallery; None where no gallery can be read: then nothing is said
            of it.
        models: Folder of the models that were added; None is this studio's own, `Settings.models`.

    Returns:
        Report: lines for signature, mark, record, AI disclosure, training, model card and ledger, and one for every
            weight used.

    Raises:
        InvalidPicture: the file is not a picture, is cut off, or is larger than may be read.
    """
    data = pictures.load(source)
    probe = pictures.probe(data)
    settings = Settings.from_env()
    anchors = keys.anchors(settings.keys if trust is None else trust)
    signed = manifest.read_manifest(data, anchors)
    try:
        pixels = pictures.decode(probe)
    except InvalidPicture:
        if signed is None:
            raise
        pixels = None
    file = _File(
        probe=probe,
        pixels=pixels,
        manifest=signed,
        receipt=_receipt(signed),
        mark=mark.Mark(None, 0.0, "not decoded") if pixels is None else mark.read(pixels),
        parameters=container.parameters_in(probe),
    )
    checks = (
        _signature(file),
        _mark(file, known),
        _record(file),
        _disclosure(file),
        *_edit(file),
        _training(file),
        *(Check(*line) for line in cited(file.record, file.vouched, settings.models if models is None else models)),
        *_licences(file),
    )
    return Report(checks, file.signed_id or file.mark.payload or container.receipt_id_in(probe))


@dataclass(frozen=True)
class SignedRecord:
    """What a file holds to run it again.

    Attributes:
        receipt: Of its manifest; None when there is none, or it is private or unreadable.
        private: The manifest's record holds no prompt and no settings, on purpose.
        id: Receipt id: of the manifest's record, else of the mark in the pixels, else of the XMP packet.
        valid: The signature and every hash hold.
        trusted: The signer's root is one that this studio recognises.
    """

    receipt: Receipt | None
    private: bool
    id: str | None
    valid: bool
    trusted: bool


def signed_record(source: Path | bytes, trust: Path) -> SignedRecord:
    """Return what a file holds to run it again, reading it once; `verify` says more, `trust` is as there.

    Raises:
        InvalidPicture: the file is not a picture that can be read safely.
    """
    data = pictures.load(source)
    signed = manifest.read_manifest(data, keys.anchors(trust))
    name = _id(signed)
    if name is None:
        probe = pictures.probe(data)
        name = mark.read(pictures.decode(probe)).payload or container.receipt_id_in(probe)
    return SignedRecord(
        receipt=_receipt(signed),
        private=signed is not None and signed.record is not None and bool(signed.record.get("private")),
        id=name,
        valid=signed is not None and signed.valid,
        trusted=signed is not None and signed.trusted,
    )


def _id(signed: Manifest | None) -> str | None:
    """Return the receipt id in a manifest's record; what has not its form is none."""
    value = signed.record.get("id") if signed is not None and signed.record is not None else None
    return value if isinstance(value, str) and manifest.RECEIPT_ID.fullmatch(value) else None


def _receipt(signed: Manifest | None) -> Receipt | None:
    if signed is None or signed.record is None or signed.record.get("private"):
        return None
    try:
        return Receipt.model_validate(signed.record)
    except ValueError:
        return None


def _signature(file: _File) -> Check:
    found, name = file.manifest, "signature"
    if found is None:
        return Check(name, "absent", "The file carries no signed manifest.")
    who = shown(found.issuer) or "an unnamed signer"
    if not found.valid:
        codes = ", ".join(map(shown, found.failures[:8])) or "no reason given"
        return Check(
            name, "fails", f"The file was changed after {who} signed it, or the signature is broken ({codes})."
        )
    if found.trusted:
        return Check(name, "holds", f"Signed by {who}, whose certificate this studio recognises; unchanged since.")
    return Check(name, "unknown", f"Valid, signer unknown: unchanged since it was signed in the name of {who}.")


def _mark(file: _File, known: Callable[[str], bool] | None) -> Check:
    name, payload, signed = "mark", file.mark.payload, file.signed_id
    if file.pixels is None:
        return Check(name, "fails", "The picture is broken: it cannot be decoded.")
    if payload is None:
        if not mark.can_mark(file.pixels):
            size = f"{mark.MIN_SIDE} x {mark.MIN_SIDE}"
            return Check(name, "absent", f"Not marked: too small, a mark needs {size} pixels.")
        return Check(name, "absent", "No invisible mark can be read in the pixels.")
    found = f"The pixels carry receipt {payload} (read {file.mark.how}, {file.mark.confidence:.0%} sure)"
    kept = file.record.get("kept")
    if signed is not None and isinstance(kept, dict) and kept.get("mark") == payload != signed:
        return Check(name, "holds", f"{found}: that of the first picture, which this one was edited from.")
    if signed is not None and signed != payload:
        return Check(name, "fails", f"{found}, but the manifest names {signed}.")
    if signed is not None:
        return Check(name, "holds", f"{found}, the same as the manifest.")
    if known is None:
        return Check(name, "holds", f"{found}.")
    where = "which is in this gallery" if known(payload) else "which is not in this gallery"
    return Check(name, "holds", f"{found}, {where}.")


def _record(file: _File) -> Check:
    """Judge the record: pixels against their hash, the id against its contents, the settings text against both."""
    name, record = "record", file.record
    if not record:
        if file.parameters is None and not _comfy(file.probe):
            return Check(name, "absent", "The file holds no record of how it was made.")
        return Check(name, "unknown", "The file holds settings as plain text; nothing signed says they are true.")
    if file.manifest is not None and not file.manifest.valid:
        return Check(name, "fails", "The record cannot be relied on: the signature over it does not hold.")
    wrong: list[str] = []
    right: list[str] = []
    if not file.probe.lossless:
        right.append(f"the pixel hash cannot be compared in a lossy {file.probe.form} file")
    elif file.pixels is not None and pixels_hash(file.pixels) == record.get("pixels_sha256"):
        right.append("the pixels have the recorded hash")
    else:
        wrong.append("the pixels do not have the recorded hash")
    if file.signed_id is None:
        wrong.append("it names no receipt id")
    if record.get("private"):
        if file.parameters is not None:
            wrong.append("the record is private, yet settings stand in the file")
        right.append("prompt and settings are kept private")
    elif file.receipt is None:
        wrong.append("the receipt cannot be read")
    else:
        if receipt_id(file.receipt) == file.receipt.id:
            right.append("the id follows from request and weights")
        else:
            wrong.append("the id does not follow from request and weights")
        _compare_text(file.receipt, file.parameters, right, wrong)
        if (said := file.receipt.request.get("said")) is not None:
            painted = shown(file.receipt.request.get("prompt", ""))
            right.append(f"the prompt was written as {shown(said)!r} and painted as {painted!r}")
    if wrong:
        return Check(name, "fails", _sentence(wrong))
    return Check(name, "holds", _sentence(right))


def _compare_text(receipt: Receipt, text: str | None, right: list[str], wrong: list[str]) -> None:
    if text is None:
        return
    if infotext.parse(text) == infotext.parse(infotext.parameters_of(receipt).text()):
        right.append("the settings text agrees")
    else:
        wrong.append("the settings text in the file says something else than the signed receipt")


def _edit(file: _File) -> list[Check]:
    """Judge the proof of an edit, where the record holds one."""
    try:
        kept = Kept.model_validate(file.record.get("kept"))
    except ValueError:
        return []
    where = f"mask {shown(kept.mask[7:19])}, {kept.touched:.1%} of the pixels"
    if not file.vouched:
        return [Check("edit", "unknown", f"An edit of a region, it says ({where}), but the signature fails.")]
    if kept.before != kept.after:
        return [Check("edit", "fails", "The pixels outside the mask are not those of the picture it was made from.")]
    return [
        Check("edit", "holds", f"Outside the edited region ({where}) every pixel is the parent's: {kept.after[:16]}…")
    ]


def _disclosure(file: _File) -> Check:
    name, said = "ai-disclosure", []
    signed = [kind for kind in (file.manifest.sources if file.manifest else ()) if kind in manifest.GENERATED]
    plain = container.source_type_in(file.probe)
    if signed:
        said.append(f"C2PA says {signed[0]}")
    if plain in manifest.GENERATED:
        said.append(f"IPTC metadata says {plain}")
    if signed and plain is not None and plain not in manifest.GENERATED:
        return Check(name, "fails", f"The manifest says {signed[0]}, but IPTC metadata says {shown(plain)}.")
    if file.parameters is not None and infotext.parse(file.parameters).settings:
        said.append("A1111 settings are in the file")
    if _comfy(file.probe):
        said.append("a ComfyUI workflow is in the file")
    if file.mark.payload is not None:
        said.append("the pixels carry Fantascope's mark")
    if file.manifest is not None and not file.manifest.valid and signed:
        return Check(name, "unknown", f"Made by an AI model, it says, but the signature fails: {'; '.join(said)}.")
    if not said:
        return Check(name, "absent", "Nothing in the file says whether an AI model made it.")
    word = "" if file.vouched else " (unsigned)"
    composite = (signed[0] if signed else plain) == "compositeWithTrainedAlgorithmicMedia"
    made = "Pixels of an AI model and others put together" if composite else "Made by an AI model"
    return Check(name, "holds", f"{made}{word}: {'; '.join(said)}.")


def _training(file: _File) -> Check:
    name = "training"
    rules = file.manifest.mining if file.manifest else {}
    denied = [use for use, rule in rules.items() if rule != "allowed"]
    plain = container.mining_in(file.probe)
    if not rules and plain is None:
        return Check(name, "absent", "Nothing is said about training other models on this picture.")
    if file.manifest is not None and rules and not file.manifest.valid:
        return Check(name, "unknown", "The signature fails, so its word on training cannot be relied on.")
    if denied:
        uses = ", ".join(shown(use.rsplit(".", 1)[-1], 40) for use in denied[:8])
        return Check(name, "holds", f"Signed: not allowed for {uses}.")
    if rules:
        return Check(name, "holds", "Signed: use for training is allowed.")
    if file.vouched:
        return Check(name, "holds", f"IPTC metadata says {plain}; the signature covers it.")
    return Check(name, "unknown", f"IPTC metadata says {plain} (unsigned: anybody can write it).")


def _licences(file: _File) -> list[Check]:
    """One line for every weight the record names."""
    ran = file.record.get("ran")
    weights = ran.get("weights") if isinstance(ran, dict) else None
    if not isinstance(weights, list) or not weights:
        return [Check("licence", "absent", "The file names no model weights.")]
    checks: list[Check] = []
    for weight in weights[:MOST_WEIGHTS]:
        row = weight if isinstance(weight, dict) else {}
        part, licence = shown(row.get("part", "?")), shown(row.get("licence", ""))
        digest = shown(str(row.get("sha256", ""))[:16]) or "no hash"
        if licence in UNSTATED:
            checks.append(Check(f"licence {part}", "unknown", f"No licence is recorded for these weights ({digest})."))
        elif not file.vouched:
            checks.append(
                Check(f"licence {part}", "unknown", f"{licence}, it says ({digest}), but the signature fails.")
            )
        else:
            checks.append(Check(f"licence {part}", "holds", f"{licence}, weights sha256 {digest}…"))
    if len(weights) > MOST_WEIGHTS:
        checks.append(Check("licence", "unknown", f"{len(weights) - MOST_WEIGHTS} more weights are named, unread."))
    return checks


def _comfy(probe: Probe) -> bool:
    return any(probe.texts.get(key, "").lstrip().startswith("{") for key in ("prompt", "workflow"))


def _sentence(parts: list[str]) -> str:
    text = "; ".join(parts)
    return f"{text[:1].upper()}{text[1:]}."
