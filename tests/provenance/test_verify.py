"""Sealing and verifying: what holds, what was changed, what others wrote, what private mode keeps to itself."""

from __future__ import annotations

import io
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.provenance.conftest import PROMPT, SEED, flat_art, make_receipt, sealed
from tests.provenance.test_pictures import chunk

from fantascope.errors import InvalidPicture, ProvenanceError, UnknownName
from fantascope.provenance import container, pictures, pixels_hash, seal, signed_record
from fantascope.provenance.manifest import Manifest, read_manifest
from fantascope.provenance.mark import Mark
from fantascope.provenance.verify import (
    Report,
    SignedRecord,
    _disclosure,
    _File,
    _licences,
    _mark,
    _record,
    _signature,
    _training,
    shown,
    verify,
)
from fantascope.receipt import Weight

FORMS = [("png", 90), ("jpeg", 75), ("webp", 80), ("webp", 100)]


def verdicts(report: Report) -> dict[str, str]:
    return {check.name: check.verdict for check in report.checks}


def text_of(report: Report, name: str) -> str:
    return next(check.text for check in report.checks if check.name == name)


def resaved(data: bytes, form: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.open(io.BytesIO(data)).convert("RGB").save(file, form, **options)
    return file.getvalue()


def stripped(data: bytes) -> bytes:
    """Take the manifest out of a PNG and leave everything else."""
    kept = [whole for kind, _, whole in pictures._png_chunks(data) if kind != b"caBX"]
    return pictures.PNG_MAGIC + b"".join(kept)


def with_text(data: bytes, change: tuple[bytes, bytes]) -> bytes:
    """Rewrite the `parameters` chunk of a PNG, checksum included."""
    parts = [
        chunk(kind, body.replace(*change)) if kind == b"tEXt" else whole
        for kind, body, whole in pictures._png_chunks(data)
    ]
    return pictures.PNG_MAGIC + b"".join(parts)


@pytest.fixture(scope="module")
def flat() -> np.ndarray:
    return flat_art(1)


@pytest.mark.parametrize("form, quality", FORMS)
def test_a_sealed_picture_holds(form: str, quality: int, keys: Path, flat: np.ndarray) -> None:
    data, receipt = sealed(flat, keys, form, quality)
    report = verify(data, trust=keys)
    assert report.ok, report
    assert set(verdicts(report).values()) == {"holds"}
    assert [c.name for c in report.checks if c.name.startswith("licence")] == [
        "licence text_encoder",
        "licence unet",
        "licence upscaler",
    ]
    assert report.receipt_id == receipt.id == signed_record(data, keys).id
    assert signed_record(data, keys).receipt == receipt
    assert "BSD-3-Clause" in text_of(report, "licence upscaler")
    assert pictures.probe(data).lossless == (form == "png" or quality == 100)


@pytest.mark.parametrize("form, quality", FORMS)
def test_plain_metadata(form: str, quality: int, keys: Path, picture: np.ndarray) -> None:
    data, receipt = sealed(picture, keys, form, quality)
    found = pictures.probe(data)
    assert container.source_type_in(found) == "trainedAlgorithmicMedia"
    assert container.mining_in(found) == "DMI-PROHIBITED-AIMLTRAINING"
    assert container.receipt_id_in(found) == receipt.id
    text = container.parameters_in(found)
    assert text is not None
    assert text.startswith(f"{PROMPT}\nNegative prompt: blurry: yes\nSteps: 20, Sampler: DPM++ 2M")
    assert "Emoji by Example, CC-BY-4.0" in found.xmp.decode()
    if form == "png":
        assert Image.open(io.BytesIO(data)).text["parameters"] == text  # type: ignore[attr-defined]


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize("prompt", ["слон 🐘 на поле", "x" * 32_000])
def test_a_prompt_beyond_latin_1_and_a_very_long_one(prompt: str, form: str, keys: Path, picture: np.ndarray) -> None:
    """Exif ends at 64 kB: a longer text is in the manifest only."""
    request = make_receipt().request | {"prompt": prompt, "negative_prompt": "y" * 1000}
    data, receipt = sealed(picture, keys, form, request=request)
    assert verify(data, trust=keys).ok
    assert signed_record(data, keys).receipt == receipt
    text = container.parameters_in(pictures.probe(data))
    if form != "png" and len(prompt) > 30_000:
        assert text is None
    else:
        assert text is not None and text.startswith(prompt)


def test_odd_numbers_come_back_exactly(keys: Path, picture: np.ndarray) -> None:
    request = make_receipt().request | {"guidance": 0.1 + 0.2, "guidance_rescale": 1 / 3}
    data, receipt = sealed(picture, keys, request=request)
    assert signed_record(data, keys).receipt == receipt
    assert verify(data, trust=keys).ok


@pytest.mark.parametrize("form, quality", FORMS)
def test_private_mode_leaks_nothing(form: str, quality: int, keys: Path, flat: np.ndarray) -> None:
    data, receipt = sealed(flat, keys, form, quality, private=True)
    secrets = [PROMPT, "pink elephant", "blurry: yes", "dpmpp_2m", "DPM++", "karras"]
    for secret in secrets:
        for spelling in ("utf-8", "utf-16-be", "utf-16-le"):
            assert secret.encode(spelling) not in data
    for raw in (str(SEED).encode(), SEED.to_bytes(4, "big"), b"Steps: 20"):
        assert raw not in data
    report = verify(data, trust=keys)
    assert report.ok
    assert set(verdicts(report).values()) == {"holds"}
    assert "private" in text_of(report, "record")
    assert signed_record(data, keys).receipt is None
    assert signed_record(data, keys).id == receipt.id


def test_the_private_search_would_find_a_leak(keys: Path, picture: np.ndarray) -> None:
    data, _ = sealed(picture, keys)
    assert PROMPT.encode() in data
    assert str(SEED).encode() in data
    jpeg, _ = sealed(picture, keys, "jpeg")
    assert PROMPT.encode("utf-16-be") in jpeg


@pytest.mark.parametrize("form, quality", FORMS)
def test_one_changed_byte_of_the_picture_breaks_the_signature(
    form: str, quality: int, keys: Path, picture: np.ndarray
) -> None:
    data, _ = sealed(picture, keys, form, quality)
    changed = bytearray(data)
    start = {"png": b"IDAT", "jpeg": b"\xff\xda", "webp": b"VP8L" if quality == 100 else b"VP8 "}[form]
    changed[data.index(start) + 200] ^= 1
    report = verify(bytes(changed), trust=keys)
    assert not report.ok
    assert verdicts(report)["signature"] == "fails"
    assert "assertion.dataHash.mismatch" in text_of(report, "signature")
    assert verdicts(report)["licence unet"] == "unknown"


def test_a_changed_text_breaks_signature_and_record(keys: Path, picture: np.ndarray) -> None:
    data, _ = sealed(picture, keys)
    report = verify(with_text(data, (b"pink", b"grey")), trust=keys)
    assert verdicts(report)["signature"] == "fails"
    assert verdicts(report)["record"] == "fails"
    assert verdicts(report)["mark"] == "holds"


def test_a_lie_signed_by_ourselves_is_still_found(keys: Path, flat: np.ndarray) -> None:
    """The signature alone is not enough: pixels, id, text and mark are compared with each other."""
    _, receipt = sealed(flat, keys)
    other = receipt.model_copy(update={"request": receipt.request | {"seed": 1}})
    report = verify(seal(flat, other, keys=keys, format="png", quality=90), trust=keys)
    assert verdicts(report)["signature"] == "holds"
    assert verdicts(report)["mark"] == "absent"
    assert verdicts(report)["record"] == "fails"
    assert "recorded hash" in text_of(report, "record")
    assert "does not follow" in text_of(report, "record")


def test_another_pictures_mark_fails(keys: Path, flat: np.ndarray) -> None:
    data, receipt = sealed(flat, keys)
    marked = pictures.decode(pictures.probe(data))
    request = receipt.request | {"seed": 2}
    again = make_receipt(request=request, pixels_sha256=pixels_hash(marked))
    report = verify(seal(marked, again, keys=keys, format="png", quality=90), trust=keys)
    assert verdicts(report)["mark"] == "fails"
    assert receipt.id in text_of(report, "mark") and again.id in text_of(report, "mark")
    assert not report.ok


@pytest.mark.parametrize("form, options", [("JPEG", {"quality": 75}), ("WEBP", {"quality": 85}), ("PNG", {})])
def test_a_resaved_file_still_names_its_receipt(
    form: str, options: dict[str, int], keys: Path, flat: np.ndarray
) -> None:
    data, receipt = sealed(flat, keys)
    again = resaved(data, form, **options)
    report = verify(again, trust=keys, known={receipt.id}.__contains__)
    assert verdicts(report)["signature"] == "absent"
    assert verdicts(report)["mark"] == "holds"
    assert "in this gallery" in text_of(report, "mark")
    assert verdicts(report)["ai-disclosure"] == "holds"
    assert report.receipt_id == signed_record(again, keys).id == receipt.id
    elsewhere = verify(again, trust=keys, known=lambda name: False)
    assert "not in this gallery" in text_of(elsewhere, "mark")
    assert "gallery" not in text_of(verify(again, trust=keys, known=None), "mark")
    assert signed_record(again, keys).receipt is None


def test_without_manifest_the_text_is_only_a_claim(keys: Path, flat: np.ndarray) -> None:
    data, receipt = sealed(flat, keys)
    report = verify(stripped(data), trust=keys)
    found = verdicts(report)
    assert (found["signature"], found["mark"], found["record"]) == ("absent", "holds", "unknown")
    assert (found["ai-disclosure"], found["training"]) == ("holds", "unknown")
    assert "(unsigned)" in text_of(report, "ai-disclosure") and "(unsigned:" in text_of(report, "training")
    assert found["licence"] == "absent"
    assert not report.ok
    assert report.receipt_id == receipt.id


def test_another_studios_picture_is_valid_but_unknown(keys: Path, tmp_path: Path, picture: np.ndarray) -> None:
    theirs = tmp_path / "theirs"
    data, _ = sealed(picture, theirs)
    report = verify(data, trust=keys)
    assert verdicts(report)["signature"] == "unknown"
    assert text_of(report, "signature").startswith("Valid, signer unknown")
    assert not report.ok
    ours = tmp_path / "ours"
    (ours / "trust").mkdir(parents=True)
    (ours / "trust" / "theirs.pem").write_bytes((theirs / "root.pem").read_bytes())
    assert verify(data, trust=ours).ok


def test_the_default_trust_is_the_own_studio(home: Path, picture: np.ndarray) -> None:
    data, _ = sealed(picture, home / "keys")
    assert verify(data).ok


def test_parents_become_ingredients(keys: Path, picture: np.ndarray) -> None:
    first, _ = sealed(picture, keys)
    second, _ = sealed(picture, keys, "jpeg", parents=[first, resaved(first, "WEBP")])
    found = read_manifest(second, (keys / "root.pem").read_bytes())
    assert found is not None
    assert (found.valid, found.trusted, found.ingredients) == (True, True, 2)
    assert found.sources == ("trainedAlgorithmicMedia",)
    with pytest.raises(InvalidPicture):
        sealed(picture, keys, parents=[b"no picture"])


def test_a_weight_without_licence_is_told(keys: Path, picture: np.ndarray) -> None:
    ran = make_receipt().ran
    bare = ran.weights[0].model_copy(update={"licence": ""})
    data, _ = sealed(picture, keys, ran=ran.model_copy(update={"weights": (bare, *ran.weights[1:])}))
    report = verify(data, trust=keys)
    assert verdicts(report)["licence text_encoder"] == "unknown"
    assert verdicts(report)["licence unet"] == "holds"
    assert not report.ok


def png_with(**texts: str) -> bytes:
    info = PngInfo()
    for key, text in texts.items():
        info.add_text(key, text)
    file = io.BytesIO()
    Image.fromarray(flat_art(9, 128)).save(file, "PNG", pnginfo=info)
    return file.getvalue()


def test_a_plain_file_says_nothing(keys: Path) -> None:
    report = verify(png_with(), trust=keys)
    assert report.empty and report.ok
    assert report.receipt_id is None
    assert set(verdicts(report).values()) == {"absent"}


def test_an_a1111_file(keys: Path) -> None:
    report = verify(png_with(parameters="a cat\nSteps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1"), trust=keys)
    assert verdicts(report)["ai-disclosure"] == "holds"
    assert verdicts(report)["record"] == "unknown"
    assert "A1111" in text_of(report, "ai-disclosure")
    assert not report.ok and not report.empty


def test_a_comfyui_file(keys: Path) -> None:
    graph = json.dumps({"3": {"class_type": "KSampler", "inputs": {}}})
    report = verify(png_with(prompt=graph, workflow="{}"), trust=keys)
    assert "ComfyUI" in text_of(report, "ai-disclosure")
    assert verdicts(report)["record"] == "unknown"


def test_a_foreign_iptc_marker(keys: Path) -> None:
    packet = (
        b"<x:xmpmeta><rdf:Description><Iptc4xmpExt:DigitalSourceType>"
        b"http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
        b"</Iptc4xmpExt:DigitalSourceType></rdf:Description></x:xmpmeta>"
    )
    file = io.BytesIO()
    Image.fromarray(flat_art(9, 128)).save(file, "JPEG", xmp=packet)
    report = verify(file.getvalue(), trust=keys)
    assert verdicts(report)["ai-disclosure"] == "holds"
    assert "compositeWithTrainedAlgorithmicMedia" in text_of(report, "ai-disclosure")


def test_a_camera_marker_is_no_disclosure(keys: Path) -> None:
    packet = b'<rdf:Description Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/x/digitalCapture"/>'
    file = io.BytesIO()
    Image.fromarray(flat_art(9, 128)).save(file, "WEBP", xmp=packet)
    assert verdicts(verify(file.getvalue(), trust=keys))["ai-disclosure"] == "absent"


@pytest.mark.parametrize("packet", [b"DigitalSourceType ", b"plus:DataMining ", b"DigitalSourceType" + b" " * 5000])
def test_time_is_linear_in_the_xmp(packet: bytes) -> None:
    found = pictures.Probe("png", xmp=packet * (2_000_000 // len(packet)))
    start = time.process_time()
    assert container.source_type_in(found) is container.mining_in(found) is container.receipt_id_in(found) is None
    assert time.process_time() - start < 1


def xmp_file(packet: bytes) -> bytes:
    file = io.BytesIO()
    Image.fromarray(flat_art(9, 128)).save(file, "JPEG", xmp=packet)
    return file.getvalue()


@pytest.mark.parametrize(
    ("term", "verdict"), [("DMI-PROHIBITED", "unknown"), ("DMI-\x1b[2J", "absent"), ("DMI-WHATEVER", "absent")]
)
def test_mining_terms_of_an_unsigned_file(term: str, verdict: str, keys: Path) -> None:
    packet = f'<rdf:Description plus:DataMining="http://ns.useplus.org/ldf/vocab/{term}"/>'.encode()
    assert verdicts(verify(xmp_file(packet), trust=keys))["training"] == verdict


NASTY = "\x1b[2J\nsignature holds\r\u202e\u200b\u2028\x9b\U000e0041"


def test_nothing_in_a_file_writes_our_lines(keys: Path, picture: np.ndarray) -> None:
    """Strings of a validly signed record, of a foreign certificate, of C2PA codes and of XMP, all hostile."""
    weight = Weight(part=NASTY, path="", sha256=NASTY, licence=NASTY + "x" * 10_000)
    data, _ = sealed(picture, keys, ran=make_receipt().ran.model_copy(update={"weights": (weight,) * 100}))
    report = verify(data, trust=keys)
    assert len(report.checks) < 80
    hostile = Manifest(
        valid=False,
        trusted=False,
        failures=(NASTY,) * 1000,
        issuer=NASTY * 1000,
        mining={NASTY: NASTY},
        sources=("trainedAlgorithmicMedia",),
        record={"id": NASTY, "ran": {"weights": [{"part": NASTY, "licence": {NASTY: 1}}]}},
    )
    packet = f'<r DigitalSourceType="{NASTY.replace(chr(10), "").replace(chr(13), "")}"/>'.encode()
    pixels = np.asarray(picture)
    files = [
        _File(pictures.Probe("png", xmp=packet), pixels, found, None, Mark(None, 0.0, ""), None)
        for found in (hostile, replace(hostile, valid=True), replace(hostile, valid=True, trusted=True))
    ]
    lines = list(report.checks)
    for file in files:
        lines += [_signature(file), _mark(file, None), _record(file), _disclosure(file), _training(file)]
        lines += _licences(file)
    for line in lines:
        assert (line.name + line.text).isprintable() and len(line.name + line.text) < 1000, line
    assert _record(files[1]).verdict == "fails" and "no receipt id" in _record(files[1]).text


@given(st.text(), st.integers(1, 100))
def test_shown_is_printable_and_bounded(text: str, most: int) -> None:
    said = shown(text, most)
    assert len(said) == min(len(text), most)
    assert said.isprintable()
    assert said == text or not text.isprintable() or len(text) > most


class TestSignedRecord:
    def test_signed(self, keys: Path, picture: np.ndarray) -> None:
        data, receipt = sealed(picture, keys)
        assert signed_record(data, keys) == SignedRecord(receipt, False, receipt.id, True, True)

    def test_private(self, keys: Path, picture: np.ndarray) -> None:
        data, receipt = sealed(picture, keys, private=True)
        assert signed_record(data, keys) == SignedRecord(None, True, receipt.id, True, True)

    def test_changed_and_foreign(self, keys: Path, tmp_path: Path, picture: np.ndarray) -> None:
        data, receipt = sealed(picture, keys)
        changed = signed_record(with_text(data, (b"pink", b"grey")), keys)
        assert (changed.receipt, changed.valid, changed.trusted) == (receipt, False, False)
        theirs = signed_record(data, tmp_path)
        assert (theirs.valid, theirs.trusted) == (True, False)

    def test_mark_and_xmp_only(self, keys: Path, flat: np.ndarray) -> None:
        data, receipt = sealed(flat, keys)
        for left in (resaved(data, "JPEG", quality=90), stripped(data)):
            assert signed_record(left, keys) == SignedRecord(None, False, receipt.id, False, False)
        small, receipt = sealed(flat_art(5, 96), keys)
        assert signed_record(stripped(small), keys).id == receipt.id
        assert signed_record(png_with(), keys).id is None


def test_a_small_picture_says_that_it_is_not_marked(keys: Path) -> None:
    data, _ = sealed(flat_art(5, 96), keys)
    report = verify(data, trust=keys)
    assert report.ok
    assert verdicts(report)["mark"] == "absent"
    assert text_of(report, "mark").startswith("Not marked: too small")


def test_a_transparent_picture(keys: Path) -> None:
    alpha = np.tile(np.arange(256, dtype=np.uint8), (256, 1))
    pixels = np.dstack([flat_art(6, 256), alpha])
    for form, quality in (("png", 90), ("webp", 100)):
        data, _ = sealed(pixels, keys, form, quality)
        assert verify(data, trust=keys).ok
    data, _ = sealed(pixels, keys, "jpeg", 90)
    assert verdicts(verify(data, trust=keys))["signature"] == "holds"


def test_what_cannot_be_sealed(keys: Path, picture: np.ndarray) -> None:
    with pytest.raises(UnknownName, match="bmp"):
        seal(picture, make_receipt(), keys=keys, format="bmp", quality=90)
    with pytest.raises(InvalidPicture, match="uint8"):
        seal(picture.astype(np.float32), make_receipt(), keys=keys, format="png", quality=90)  # type: ignore[arg-type]
    with pytest.raises(ProvenanceError, match="cannot be written as webp"):
        seal(np.zeros((8, 17000, 3), np.uint8), make_receipt(), keys=keys, format="webp", quality=90)
