"""The proof of an edit: chains, the mark of the first picture, pictures from elsewhere, private ones, and replay."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tests.provenance.test_verify import stripped
from tests.tasks.drawn import (
    artifact_of,
    box_mask,
    check_contract,
    decoded,
    line,
    made,
    one,
    photo,
    report,
    saved,
    touched_of,
)

from fantascope import Artifact, Imagine, Settings, Step, Studio
from fantascope.errors import GalleryError, NotFound
from fantascope.proof import FADE, soften
from fantascope.provenance import container, mark, pictures
from fantascope.provenance.verify import verify
from fantascope.request import Blend, Cutout, Erase, Expand, Fill, Tile, Upscale, Vary
from fantascope.tasks.pixels import open_pixels


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    with Studio(Settings(home=tmp_path_factory.mktemp("home"), threads=1, model="echo")) as studio:
        yield studio


@pytest.fixture(scope="module")
def rings(studio: Studio) -> Artifact:
    return one(studio, Imagine(prompt="a secret garden", seed=7))


@pytest.fixture(scope="module")
def masks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("masks")
    saved(folder / "box.png", box_mask((256, 256), (20, 30, 90, 100)))
    return folder


def manifest_of(artifact: Artifact) -> dict[str, Any]:
    """Return the active manifest as c2pa's own reader tells it."""
    import c2pa

    with c2pa.Reader(artifact.media_type, io.BytesIO(artifact.data)) as reader:
        told = json.loads(reader.json())
    assert told["validation_state"] in ("Valid", "Trusted")
    found: dict[str, Any] = told["manifests"][told["active_manifest"]]
    return found


def actions_of(artifact: Artifact) -> list[dict[str, Any]]:
    (found,) = (a["data"] for a in manifest_of(artifact)["assertions"] if a["label"].startswith("c2pa.actions"))
    listed: list[dict[str, Any]] = found["actions"]
    return listed


def marked(artifact: Artifact) -> str | None:
    return mark.read(open_pixels(artifact)).payload


def carries(artifact: Artifact, wanted: str) -> bool:
    """Hold a picture to the mark it must carry, and say whether it is read.

    Dense rings may drown it, and which rings are painted follows from ids that are new in every run; a picture that
    carries another mark is always wrong.
    """
    found = marked(artifact)
    assert found in (wanted, None)
    return found is not None


def receipt_of(artifact: Artifact) -> Any:
    assert artifact.receipt is not None
    return artifact.receipt


# Chains


@pytest.mark.slow
def test_fifty_turns_leave_alone_what_none_of_them_touched(studio: Studio, tmp_path: Path) -> None:
    """A conversation of fifty turns: small regions all around a middle that is never touched."""
    first = one(studio, Imagine(prompt="a meadow", width=224, height=224, seed=1))
    rng, picture = np.random.default_rng(0), first
    free = np.ones((224, 224), bool)
    for turn in range(50):
        side = int(rng.integers(3, 50))
        while True:
            x, y = (int(at) for at in rng.integers(0, 224 - side, 2))
            if not (x < 160 and x + side > 64 and y < 160 and y + side > 64):
                break
        where = box_mask((224, 224), (x, y, x + side, y + side))
        free &= where == 0
        mask = saved(tmp_path / "mask.png", where)
        request = (Fill, Erase)[turn % 2](picture=picture.id, mask=mask, seed=turn, feather=turn % 9, steps=1)
        child = one(studio, request)
        kept = receipt_of(child).kept
        assert kept.before == kept.after
        assert kept.touched == round((where > 0).mean(), 6)
        assert receipt_of(child).parents[0] == picture.id
        picture = child
    assert (touched_of(studio, picture) == (where > 0)).all()
    assert free.sum() >= 96 * 96
    assert (open_pixels(picture)[free] == open_pixels(first)[free]).all()
    assert (open_pixels(picture) != open_pixels(first)).any(2).mean() > 0.2
    found = report(studio, picture)
    assert found.ok, found
    if carries(picture, receipt_of(first).id):
        assert "that of the first picture" in line(found, "mark")
    assert receipt_of(picture).kept.mark == receipt_of(first).id
    assert len(picture.data) < 50 * 30_000, "a file carries the manifests of its line, not their pixels"


def test_expansions_by_odd_numbers_keep_the_mark_in_step(studio: Studio, rings: Artifact) -> None:
    picture, left, top = rings, 0, 0
    for k, (west, north, east, south) in enumerate([(1, 0, 0, 2), (37, 3, 0, 0), (0, 59, 17, 1), (61, 5, 3, 0)]):
        child = one(studio, Expand(picture=picture.id, left=west, top=north, right=east, bottom=south, seed=k))
        check_contract(studio, picture, child)
        left, top = left + west, top + north
        kept = receipt_of(child).kept
        assert (kept.mark_left, kept.mark_top) == (left, top)
        assert (kept.left, kept.top) == (west, north)
        picture = child
    assert (left, top) == (99, 67)
    assert (open_pixels(picture)[top : top + 256, left : left + 256] == open_pixels(rings)).all()
    found = mark.read(open_pixels(picture))
    assert found.payload == receipt_of(rings).id
    assert found.at == (left % mark.PERIOD, top % mark.PERIOD)


def test_what_was_painted_carries_the_mark_by_itself(studio: Studio, rings: Artifact) -> None:
    """Cut out of an expansion, the new part alone can be read: it was woven in step, not only left over."""
    child = one(studio, Expand(picture=rings.id, left=601, seed=1))
    new = open_pixels(child)[:, :601]
    found = mark.read(new)
    assert found.payload == receipt_of(rings).id
    assert found.at == (601 % mark.PERIOD, 0)


def test_crops_fills_and_expansions_together(studio: Studio, rings: Artifact, tmp_path: Path) -> None:
    picture = rings
    for request in (
        lambda at: Expand(picture=at.id, left=19, seed=1),
        lambda at: Vary(picture=at.id, strength=0, seed=2),
        lambda at: Upscale(picture=at.id, factor=1, seed=3),
        lambda at: Expand(picture=at.id, top=23, seed=4),
    ):
        child = one(studio, request(picture))
        check_contract(studio, picture, child)
        picture = child
    assert marked(picture) == receipt_of(rings).id


def test_a_new_picture_begins_a_new_line(studio: Studio, rings: Artifact) -> None:
    for request in (Vary(picture=rings.id, seed=5), Expand(picture=rings.id, zoom=2, seed=5)):
        child = one(studio, request)
        assert receipt_of(child).kept is None
        assert receipt_of(child).id != receipt_of(rings).id
        carries(child, receipt_of(child).id)
        grandchild = one(studio, Expand(picture=child.id, left=8, seed=6))
        carries(grandchild, receipt_of(child).id)
        assert receipt_of(grandchild).kept.mark == receipt_of(child).id


# Pictures from elsewhere


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP"])
def test_a_photo_keeps_its_pixels_and_is_called_a_composite(studio: Studio, form: str, masks: Path) -> None:
    parent = studio.gallery.ingest(artifact_of(photo(256, 256), form).data)
    child = one(studio, Fill(picture=parent.id, mask=str(masks / "box.png"), prompt="a cat", seed=3))
    touched = check_contract(studio, parent, child)
    assert touched.sum() == 70 * 70
    assert receipt_of(child).composite
    assert receipt_of(child).parents[0] == parent.id
    opened, edited = actions_of(child)
    assert opened["action"] == "c2pa.opened"
    assert edited["action"] == "c2pa.edited"
    assert edited["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    told = manifest_of(child)["ingredients"]
    assert [one["relationship"] for one in told] == ["parentOf", "inputTo"]
    assert container.source_type_in(pictures.probe(child.data)) == "compositeWithTrainedAlgorithmicMedia"
    found = report(studio, child)
    assert found.ok
    assert "compositeWithTrainedAlgorithmicMedia" in line(found, "ai-disclosure")
    assert "and others" in line(found, "ai-disclosure")
    # What is made of it holds its pixels, too, however often.
    later = one(studio, Vary(picture=child.id, seed=4))
    assert receipt_of(later).composite
    assert "compositeWith" in line(report(studio, later), "ai-disclosure")


def test_our_own_picture_is_no_composite(studio: Studio, rings: Artifact, masks: Path) -> None:
    child = one(studio, Fill(picture=rings.id, mask=str(masks / "box.png"), seed=3))
    assert not receipt_of(child).composite
    opened, edited = actions_of(child)
    assert (opened["action"], edited["action"]) == ("c2pa.opened", "c2pa.edited")
    assert edited["digitalSourceType"].endswith("/trainedAlgorithmicMedia")
    assert [action["action"] for action in actions_of(rings)] == ["c2pa.created"]
    sheet = studio.sheet([rings, child])
    assert [action["action"] for action in actions_of(sheet)] == ["c2pa.created"]
    assert not receipt_of(sheet).composite


def test_blends_and_sheets_of_a_photo_are_composites(studio: Studio, rings: Artifact, masks: Path) -> None:
    parent = studio.gallery.ingest(artifact_of(photo(256, 256)).data)
    mixed = one(studio, Blend(pictures=(rings.id, parent.id), seed=1))
    assert receipt_of(mixed).composite
    (created,) = actions_of(mixed)
    assert created["action"] == "c2pa.created"
    assert created["digitalSourceType"].endswith("/compositeWithTrainedAlgorithmicMedia")
    sheet = studio.sheet([rings, mixed])
    assert receipt_of(sheet).composite
    assert verify(sheet.data, trust=studio.settings.keys).ok


def test_a_photo_without_a_mark_gets_the_edits_own_where_it_is_painted(studio: Studio) -> None:
    parent = studio.gallery.ingest(artifact_of(photo(256, 256)).data)
    child = one(studio, Expand(picture=parent.id, left=300, seed=1))
    assert receipt_of(child).kept.mark == receipt_of(child).id
    assert mark.read(open_pixels(child)[:, :300]).payload == receipt_of(child).id
    assert mark.read(open_pixels(child)[:, 300:]).payload is None
    grandchild = one(studio, Expand(picture=child.id, left=35, seed=2))
    check_contract(studio, child, grandchild)
    assert receipt_of(grandchild).kept.mark == receipt_of(child).id
    assert mark.read(open_pixels(grandchild)[:, :335]).payload == receipt_of(child).id


@pytest.mark.parametrize("cut", [(0, 0), (13, 29), (60, 1)])
def test_the_mark_of_a_picture_from_another_studio_goes_on(
    studio: Studio, rings: Artifact, cut: tuple[int, int]
) -> None:
    """Its manifest gone, cropped at odd places: the mark is found in its pixels and continued in step."""
    bare = pictures.decode(pictures.probe(stripped(rings.data)))[cut[1] :, cut[0] :]
    parent = studio.gallery.ingest(artifact_of(bare).data)
    assert parent.receipt is None
    child = one(studio, Expand(picture=parent.id, left=401, top=3, seed=1))
    check_contract(studio, parent, child)
    assert receipt_of(child).kept.mark == receipt_of(rings).id
    assert "that of the first picture" in line(report(studio, child), "mark")
    assert mark.read(open_pixels(child)[:, :401]).payload == receipt_of(rings).id, "in step with what was there"


def test_a_mark_that_was_resized_is_left_as_it_is(studio: Studio) -> None:
    large = one(studio, Imagine(prompt="a lake", width=512, height=512, seed=2))
    small = np.asarray(large.image().resize((384, 384), Image.Resampling.LANCZOS))
    assert mark.read(small).payload == receipt_of(large).id
    parent = studio.gallery.ingest(artifact_of(small).data)
    child = one(studio, Expand(picture=parent.id, left=31, seed=1))
    check_contract(studio, parent, child)
    assert receipt_of(child).kept.mark == receipt_of(large).id


def test_foreign_manifests_that_are_broken_stop_nothing(studio: Studio, rings: Artifact, masks: Path) -> None:
    """Changed after it was signed; and with noise in the manifest's place."""
    import struct
    import zlib

    for change in (lambda body: body.replace(b"fantascope-", b"fantoscape-"), lambda body: b"\x07" * 300):
        parts = [pictures.PNG_MAGIC]
        for kind, body, _ in pictures._png_chunks(rings.data):
            body = change(body) if kind == b"caBX" else body
            check = struct.pack(">I", zlib.crc32(kind + body))
            parts.append(struct.pack(">I", len(body)) + kind + body + check)
        parent = studio.gallery.ingest(b"".join(parts))
        child = one(studio, Fill(picture=parent.id, mask=str(masks / "box.png"), seed=1))
        check_contract(studio, parent, child)


def test_a_foreign_file_makes_us_ask_no_server(studio: Studio, masks: Path, tmp_path: Path) -> None:
    """C2PA knows manifests behind a link in the XMP packet; nothing here follows one."""
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        place = f"http://127.0.0.1:{server.getsockname()[1]}/x.c2pa"
        note = PngInfo()
        note.add_itxt(
            "XML:com.adobe.xmp",
            '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
            '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
            f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{place}"/></rdf:RDF></x:xmpmeta>'
            '<?xpacket end="w"?>',
        )
        parent = saved(tmp_path / "linked.png", photo(256, 256, 4), pnginfo=note)
        child = one(studio, Fill(picture=parent, mask=str(masks / "box.png"), prompt="a cat", seed=1))
        with pytest.raises(TimeoutError):
            server.accept()
    assert report(studio, child).ok


# Small, transparent, private


def test_a_picture_too_small_for_a_mark_has_none_to_carry(studio: Studio) -> None:
    tiny = one(studio, Imagine(prompt="a dot", width=64, height=64, seed=1))
    child = one(studio, Expand(picture=tiny.id, left=13, seed=1))
    assert receipt_of(child).kept.mark == ""
    large = one(studio, Expand(picture=child.id, left=150, top=150, seed=1))
    check_contract(studio, child, large)
    assert receipt_of(large).kept.mark == receipt_of(large).id
    carries(large, receipt_of(large).id)


@pytest.mark.parametrize("fields", [{"private": True}, {}])
@pytest.mark.parametrize("form", ["png", "webp"])
def test_private_edits_leak_nothing_and_hold(studio: Studio, masks: Path, fields: dict[str, Any], form: str) -> None:
    """Private by wish, of a public picture; or because the picture is: its words are in neither file."""
    public = "private" in fields
    parent = one(studio, Imagine(prompt="my hidden treasure", seed=8, private=not public, format=form, quality=100))
    mask = str(masks / "box.png")
    for request in (
        Fill(picture=parent.id, mask=mask, seed=3, **fields),
        Vary(picture=parent.id, seed=3, **fields),
        Cutout(picture=parent.id, tolerance=0.05, seed=3, **fields),
    ):
        child = one(studio, request)
        receipt = receipt_of(child)
        assert receipt.private
        assert receipt.request["prompt"] == "my hidden treasure"
        for spelling in ("utf-8", "utf-16-be", "utf-16-le"):
            assert "hidden treasure".encode(spelling) not in child.data
        found = verify(child.data, trust=studio.settings.keys)
        assert found.ok, found
        if receipt.kept is not None:
            assert "that of the first picture" in line(found, "mark")
            assert "every pixel is the parent's" in line(found, "edit")
    assert (b"hidden treasure" in parent.data) == public


def test_the_proof_is_not_taken_from_a_file_that_was_changed(studio: Studio, rings: Artifact, masks: Path) -> None:
    child = one(studio, Fill(picture=rings.id, mask=str(masks / "box.png"), seed=3))
    data = bytearray(child.data)
    data[data.rindex(b"IDAT") + 4000] ^= 1
    try:
        found = verify(bytes(data), trust=studio.settings.keys)
    except Exception as error:  # the changed byte may break the compression itself
        assert "cut off" in str(error) or "decoded" in str(error)
    else:
        assert not found.ok
        assert "signature fails" in line(found, "edit")


# Replay


def test_again_gives_the_same_pixels_while_the_parent_is_there(studio: Studio, masks: Path, tmp_path: Path) -> None:
    parent = one(studio, Imagine(prompt="a boat", seed=11))
    mask = str(masks / "box.png")
    children = [
        one(studio, Fill(picture=parent.id, mask=mask, seed=3)),
        one(studio, Expand(picture=parent.id, left=9, seed=3)),
        made(studio, Vary(picture=parent.id, seed=3, n=3))[2],
        one(studio, Cutout(picture=parent.id, tolerance=0.05, crop=True)),
        one(studio, Tile(prompt="waves", picture=parent.id, seed=1)),
    ]
    for child in children:
        assert child.path is not None
        replay = list(studio.again(child.path))[-1]
        assert not isinstance(replay, Step)
        assert replay.artifact.id == child.id or (decoded(replay.artifact) == decoded(child)).all()
    with pytest.raises(GalleryError, match="made from"):
        studio.gallery.remove(parent.id)
    studio.gallery.remove(parent.id, force=True)
    used = studio.gallery.balance("local").used
    for child in children:
        assert child.path is not None
        with pytest.raises(NotFound, match="was removed") as caught:
            list(studio.again(child.path))
        assert caught.value.param == "picture"
        assert verify(child.data, trust=studio.settings.keys).ok, "what was made of it still holds"
    assert studio.gallery.balance("local").used == used


def test_again_elsewhere_names_the_picture_that_is_missing(studio: Studio, rings: Artifact, tmp_path: Path) -> None:
    child = one(studio, Expand(picture=rings.id, left=9, seed=3))
    copy = tmp_path / "copy.png"
    copy.write_bytes(child.data)
    with Studio(Settings(home=tmp_path / "other", model="echo")) as other, pytest.raises(NotFound) as caught:
        list(other.again(copy))
    assert rings.id[7:19] in str(caught.value)


def test_two_studios_agree_on_a_child(studio: Studio, rings: Artifact, tmp_path: Path) -> None:
    """The same parent file, the same edit: the same receipt id, hashes and pixels."""
    told = []
    for name in ("a", "b"):
        with Studio(Settings(home=tmp_path / name, threads=1, model="echo")) as other:
            parent = other.gallery.ingest(artifact_of(photo(256, 256)).data)
            child = one(other, Expand(picture=parent.id, left=30, prompt="a hill", seed=1))
            told.append((receipt_of(child).id, receipt_of(child).pixels_sha256, receipt_of(child).kept))
    assert told[0] == told[1]


# Tiles


@pytest.mark.parametrize("axes", ["x", "y", "both"])
def test_the_mark_fades_where_edges_meet_and_only_there(axes: str) -> None:
    plain = np.full((200, 300, 3), 128, np.uint8)
    woven = mark.embed(plain, "0123456789abcdef")
    out = soften(plain, woven, axes)
    rows, columns = axes != "x", axes != "y"
    assert (out[[0, -1]] == 128).all() == rows
    assert (out[:, [0, -1]] == 128).all() == columns
    inside = (slice(FADE, -FADE) if rows else slice(None), slice(FADE, -FADE) if columns else slice(None))
    assert (out[inside] == woven[inside]).all()
    assert mark.read(out).payload == "0123456789abcdef"
