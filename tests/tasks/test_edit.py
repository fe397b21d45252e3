"""Edits of a region, variations, expansions, blends and tiles: what they keep, byte for byte, and what they do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engines import tiny
from tests.tasks.drawn import (
    artifact_of,
    box_mask,
    check_contract,
    composed,
    decoded,
    line,
    made,
    one,
    photo,
    report,
    saved,
    touched_of,
)

from fantascope import Artifact, Imagine, Settings, Studio
from fantascope.artifact import Output
from fantascope.engines.base import Choice, Inputs
from fantascope.errors import InvalidPicture, InvalidValue, RequestError
from fantascope.request import Blend, Erase, Expand, Fill, Tile, Vary
from fantascope.spec import SPECS
from fantascope.tasks.edit import _box, blend, fill, vary
from fantascope.tasks.pixels import open_pixels

FEW: dict[str, Any] = {"steps": 4, "engine": "graph", "seed": 3}


def distance(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a[..., :3].astype(int) - b[..., :3]).mean())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks in files: of the embedded checkpoint's pictures (512) and of echo's (256)."""
    folder = tmp_path_factory.mktemp("masks")
    for side in (256, 512):
        box = (side // 8, side // 4, side // 2, side // 4 * 3)
        saved(folder / f"box-{side}.png", box_mask((side, side), box))
        saved(folder / f"full-{side}.png", np.full((side, side), 255, np.uint8))
        saved(folder / f"empty-{side}.png", np.zeros((side, side), np.uint8))
        clear = np.dstack([np.zeros((side, side, 3), np.uint8), 255 - box_mask((side, side), box)])
        saved(folder / f"clear-{side}.png", clear)
    return folder


# The contract, on the embedded checkpoint


@pytest.mark.parametrize("region", ["whole", "masked"])
def test_fill_keeps_what_is_outside(painter: Studio, elephant: Artifact, files: Path, region: str) -> None:
    request = Fill(picture=elephant.id, mask=str(files / "box-512.png"), prompt="a red apple", region=region, **FEW)
    artifact = one(painter, request)
    touched = check_contract(painter, elephant, artifact)
    assert touched.sum() == 192 * 256
    before, after = open_pixels(elephant), open_pixels(artifact)
    assert distance(before[touched], after[touched]) > 5, "inside something new is painted"
    receipt = artifact.receipt
    assert receipt is not None
    assert receipt.request["prompt"] == "a red apple"
    assert not receipt.composite, "a mask that was handed in puts none of its pixels into the picture"
    found = report(painter, artifact)
    assert elephant.receipt is not None
    assert elephant.receipt.id in line(found, "mark")
    assert "that of the first picture" in line(found, "mark")
    assert "every pixel is the parent's" in line(found, "edit")
    assert "trainedAlgorithmicMedia" in line(found, "ai-disclosure")


def test_erase_paints_the_ground_on(painter: Studio, elephant: Artifact, files: Path) -> None:
    artifact = one(painter, Erase(picture=elephant.id, mask=str(files / "clear-512.png"), strength=0.5, **FEW))
    touched = check_contract(painter, elephant, artifact)
    assert touched.sum() == 192 * 256


def test_expand_keeps_the_picture_inside(painter: Studio, elephant: Artifact) -> None:
    artifact = one(painter, Expand(picture=elephant.id, left=37, bottom=5, **FEW))
    assert artifact.image().size == (549, 517)
    touched = check_contract(painter, elephant, artifact)
    assert (~touched).sum() == 512 * 512
    assert (open_pixels(artifact)[:512, 37:] == open_pixels(elephant)).all()
    receipt = artifact.receipt
    assert receipt is not None
    assert receipt.kept is not None
    assert (receipt.kept.mark_left, receipt.kept.mark_top) == (37, 0)


def test_a_variation_is_farther_the_stronger_it_is(painter: Studio, elephant: Artifact) -> None:
    parent, told = open_pixels(elephant), []
    for strength in (0.1, 0.5, 1.0):
        artifact = one(painter, Vary(picture=elephant.id, strength=strength, **(FEW | {"steps": 10})))
        assert report(painter, artifact).ok
        told.append(distance(parent, open_pixels(artifact)))
    assert told == sorted(told)
    assert told[0] > 0


def test_three_variations_differ(painter: Studio, elephant: Artifact) -> None:
    """And the second is the one that its seed alone gives, as near as a batch of another shape allows."""
    three = made(painter, Vary(picture=elephant.id, amount="strong", n=3, **FEW))
    pictures = [open_pixels(artifact) for artifact in three]
    assert len(pictures) == 3
    assert all(distance(pictures[a], pictures[b]) > 1 for a, b in ((0, 1), (0, 2), (1, 2)))
    assert [artifact.receipt.request["strength"] for artifact in three if artifact.receipt] == [0.8] * 3
    alone = one(painter, Vary(picture=elephant.id, amount="strong", **(FEW | {"seed": 4})))
    assert distance(open_pixels(alone), pictures[1]) < 1.5


def test_a_blend_lies_between(painter: Studio, elephant: Artifact) -> None:
    other = one(painter, Imagine(prompt="a green cactus on a yellow background", **(FEW | {"steps": 10})))
    pair = (elephant.id, other.id)
    ends = [
        open_pixels(one(painter, Blend(pictures=pair, weights=weights, strength=0, **FEW)))
        for weights in ((1, 0), (3, 1), (0, 5))
    ]
    assert distance(ends[0], open_pixels(elephant)) < 12, "all of one and none of the other is the one"
    assert distance(ends[2], open_pixels(other)) < 12
    assert distance(ends[0], ends[1]) < distance(ends[0], ends[2])
    painted = one(painter, Blend(pictures=pair, **FEW))
    assert painted.receipt is not None
    assert painted.receipt.parents == pair
    assert painted.receipt.request["prompt"] == "a pink elephant on a blue background"
    assert report(painter, painted).ok


@pytest.mark.parametrize("axes", ["x", "y", "both"])
def test_a_tile_has_no_seam(painter: Studio, axes: str) -> None:
    """Across the edge neighbours differ no more than inside, at the same place in the upscaler's blocks of 4 pixels."""
    request = Tile(prompt="green leaves on a white background", axes=axes, **(FEW | {"steps": 8}))
    artifact = one(painter, request)
    assert report(painter, artifact).ok
    pixels = decoded(artifact).astype(int)
    for axis, wraps in ((0, axes != "x"), (1, axes != "y")):
        if not wraps:
            continue
        steps = np.abs(pixels - np.roll(pixels, 1, axis)).mean((1 - axis, 2))
        inside = steps[4::4]
        assert steps[0] <= np.quantile(inside, 0.95) + 1, (axis, steps[0], inside.max())


def test_a_picture_made_seamless(painter: Studio) -> None:
    """A picture whose edges cannot meet, a wash from dark to light, comes to meet where it is asked to."""
    wash = np.asarray(np.linspace(40, 220, 256)[None, :, None] * np.ones((256, 1, 3)), np.uint8)
    parent = painter.gallery.ingest(artifact_of(wash).data)
    request = Tile(prompt="a gray wall", picture=parent.id, axes="x", strength=0.9, **(FEW | {"steps": 8}))
    artifact = one(painter, request)
    pixels = decoded(artifact).astype(int)
    seam = np.abs(pixels[:, 0] - pixels[:, -1]).mean()
    assert seam < 60, "of 180 levels before"
    assert artifact.receipt is not None
    assert artifact.receipt.composite


# The latent engine: tiny checkpoints of other families, and the same picture as graph's


def opener(**artifacts: Artifact) -> Any:
    return lambda name: artifacts[name]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=tmp_path_factory.mktemp("latent"), threads=1)


@pytest.fixture(scope="module", params=["sd1", "sdxl"])
def tiny_engine(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Any]:
    from fantascope.engines.latent import TorchEngine

    place = tiny.sd() if request.param == "sd1" else tiny.xl()
    spec = tiny.spec_of(place, request.param)
    engine = TorchEngine.load(spec, Choice("latent", "cpu", "fp32", (), "torch"), settings)
    yield engine
    engine.close()


def painted(events: Any) -> list[Output]:
    return [event for event in events if isinstance(event, Output)]


def test_other_families_vary_fill_and_blend(tiny_engine: Any) -> None:
    """Through the task functions, at a size that is none of theirs."""
    parent = artifact_of(photo(70, 50))
    common = tiny.ask().model_dump(exclude={"task", "width", "height"}) | {"width": 70, "height": 50}
    many = painted(vary(Vary(picture="p", strength=0.6, **(common | {"n": 2})), tiny_engine, opener(p=parent)))
    assert [output.pixels.shape for output in many] == [(50, 70, 3)] * 2
    assert (many[0].pixels != many[1].pixels).any()
    mask = box_mask((70, 50), (10, 5, 40, 30))
    request = Fill(picture="p", mask="m", strength=1.0, feather=4, region="masked", **common)
    (output,) = painted(fill(request, tiny_engine, opener(p=parent, m=artifact_of(mask))))
    assert (output.pixels[mask == 0] == open_pixels(parent)[mask == 0]).all()
    assert (output.pixels[mask > 0] != open_pixels(parent)[mask > 0]).any()
    assert output.kept is not None
    assert (output.kept.touched == (mask > 0)).all()
    mixed = Blend(pictures=("p", "q"), weights=(1, 2), strength=0.5, **(common | {"width": 64, "height": 64}))
    (output,) = painted(blend(mixed, tiny_engine, opener(p=parent, q=artifact_of(photo(31, 90, 2)))))
    assert output.pixels.shape == (64, 64, 3)


def test_graph_and_latent_edit_alike(settings: Settings) -> None:
    """Variation, fill and tile of the embedded checkpoint in float32, on both engines."""
    from fantascope.engines.graph import GraphEngine
    from fantascope.engines.latent import TorchEngine

    graph = GraphEngine.load(SPECS["embedded"], Choice("graph", "cpu", "fp32", (), "openvino"), settings)
    latent = TorchEngine.load(SPECS["embedded"], Choice("latent", "cpu", "fp32", (), "torch"), settings)
    picture, _ = composed("gradient", 128)
    mask = box_mask((128, 128), (32, 32, 96, 96)).astype(np.float32) / 255
    cases = {
        "vary": Inputs(size=(128, 128), pictures=picture[None], strength=0.6),
        "fill": Inputs(size=(128, 128), pictures=picture[None], mask=mask),
        "blend": Inputs(
            size=(128, 128), pictures=np.stack([picture, picture[::-1]]), weights=(0.25, 0.75), strength=0.5
        ),
        "tile": Inputs(size=(128, 128), wrap=(True, False)),
    }
    request = tiny.ask("a red apple", width=128, height=128, steps=3, guidance_rescale=0.7)
    for name, inputs in cases.items():
        (mine,), (theirs,) = (painted(engine.render(request, inputs)) for engine in (graph, latent))
        difference = np.abs(mine.pixels.astype(int) - theirs.pixels)
        assert difference.max() <= 2, name
        assert difference.mean() < 0.01, name
    graph.close()
    latent.close()


# The contract and what is refused, on echo


@pytest.mark.parametrize("name", ["box", "clear", "full"])
@pytest.mark.parametrize("feather", [0, 8, 256])
def test_masks_and_feathers(studio: Studio, rings: Artifact, files: Path, name: str, feather: int) -> None:
    artifact = one(studio, Fill(picture=rings.id, mask=str(files / f"{name}-256.png"), feather=feather, seed=9))
    touched = check_contract(studio, rings, artifact)
    assert touched.mean() == (1 if name == "full" else 12288 / 65536)
    assert distance(open_pixels(rings)[touched], open_pixels(artifact)[touched]) > 5


def test_a_mask_may_be_a_picture_of_the_gallery(studio: Studio, rings: Artifact, files: Path) -> None:
    first = one(studio, Fill(picture=rings.id, mask=str(files / "box-256.png"), seed=9))
    assert first.receipt is not None
    assert first.receipt.kept is not None
    second = one(studio, Fill(picture=first.id, mask=first.receipt.kept.mask, seed=10))
    assert (check_contract(studio, first, second) == touched_of(studio, first)).all()


@pytest.mark.parametrize("task", [Fill, Erase])
@pytest.mark.parametrize(
    ("mask", "words"), [("empty-256.png", "marks nothing"), ("box-512.png", "512x512"), (None, "no transparent part")]
)
def test_bad_masks_change_nothing(
    studio: Studio, rings: Artifact, files: Path, task: Any, mask: str | None, words: str
) -> None:
    used, kept = studio.gallery.balance("local").used, len(studio.gallery.list(limit=1000, given=False))
    with pytest.raises(InvalidValue, match=words) as caught:
        made(studio, task(picture=rings.id, mask=str(files / mask) if mask else None))
    assert caught.value.param == "mask"
    balance = studio.gallery.balance("local")
    assert (balance.used, balance.held) == (used, 0)
    assert len(studio.gallery.list(limit=1000, given=False)) == kept


@pytest.mark.parametrize("form", [{"format": "jpeg"}, {"format": "webp"}, {"format": "webp", "quality": 99}])
def test_what_keeps_pixels_is_not_written_lossily(
    studio: Studio, rings: Artifact, files: Path, form: dict[str, Any]
) -> None:
    mask = str(files / "box-256.png")
    requests = [
        Fill(picture=rings.id, mask=mask, **form),
        Erase(picture=rings.id, mask=mask, **form),
        Expand(picture=rings.id, left=8, **form),
        Vary(picture=rings.id, strength=0, **form),
    ]
    used = studio.gallery.balance("local").used
    for request in requests:
        with pytest.raises(InvalidValue, match="byte for byte") as caught:
            studio.run(request)  # before any work: nothing has to be read from it
        assert caught.value.param == "format"
        assert "--format png" in str(caught.value)
    assert studio.gallery.balance("local").used == used
    for request in (Vary(picture=rings.id, **form), Expand(picture=rings.id, zoom=2, **form)):
        assert report(studio, one(studio, request)).ok, "where every pixel is new, any format will do"


def test_lossless_webp_keeps_pixels(studio: Studio, rings: Artifact, files: Path) -> None:
    request = Fill(picture=rings.id, mask=str(files / "box-256.png"), format="webp", quality=100)
    check_contract(studio, rings, one(studio, request))


def test_strength_zero_gives_the_picture_back(studio: Studio, rings: Artifact, files: Path) -> None:
    mask = str(files / "box-256.png")
    for request in (
        Vary(picture=rings.id, strength=0, n=2),
        Fill(picture=rings.id, mask=mask, strength=0),
        Erase(picture=rings.id, mask=mask, strength=0),
    ):
        for artifact in made(studio, request):
            assert not check_contract(studio, rings, artifact).any()
            assert (open_pixels(artifact) == open_pixels(rings)).all()
            assert artifact.receipt is not None
            assert artifact.receipt.ran.weights == ()


def test_transparent_pictures_are_filled_where_they_are_clear(studio: Studio) -> None:
    pixels = np.dstack([photo(200, 160), np.full((160, 200), 255, np.uint8)])
    pixels[40:80, 60:120, 3] = 0
    pixels[90:100, 60:120, 3] = 128
    parent = studio.gallery.ingest(artifact_of(pixels).data)
    artifact = one(studio, Fill(picture=parent.id, prompt="a cat"))
    touched = check_contract(studio, parent, artifact)
    assert (touched == (pixels[..., 3] < 255)).all()
    assert open_pixels(artifact).shape[2] == 3, "all of it is opaque now"
    # And with a mask of its own, what is clear elsewhere stays clear.
    mask = studio.gallery.ingest(artifact_of(box_mask((200, 160), (0, 0, 80, 60))).data)
    artifact = one(studio, Fill(picture=parent.id, mask=mask.id, prompt="a cat"))
    check_contract(studio, parent, artifact)
    after = open_pixels(artifact)
    assert (after[:60, :80, 3] == 255).all()
    assert (after[60:80, 60:120, 3] == 0).all()


def test_nothing_hidden_bleeds_out_of_a_transparent_picture(studio: Studio) -> None:
    """Colours under full transparency are nobody's to see: an expansion starts from what shows."""
    pixels = np.zeros((160, 160, 4), np.uint8)
    pixels[..., :3] = (0, 255, 0)
    pixels[40:120, 40:120] = (200, 0, 0, 255)
    parent = studio.gallery.ingest(artifact_of(pixels).data)
    artifact = one(studio, Expand(picture=parent.id, left=20, strength=0))
    check_contract(studio, parent, artifact)
    strip = open_pixels(artifact)[:, :20].astype(int)
    assert (strip[..., 1] < 10).all()
    assert (strip[..., 3] == 255).all()


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ({"left": 1}, (257, 256)),
        ({"left": 13, "top": 7, "right": 3, "bottom": 31}, (272, 294)),
        ({"pan": "left"}, (384, 256)),
        ({"pan": "down"}, (256, 384)),
        ({"left": 768}, (1024, 256)),
        ({"pan": "up", "top": 4}, (256, 388)),
    ],
)
def test_expansions(studio: Studio, rings: Artifact, fields: dict[str, Any], size: tuple[int, int]) -> None:
    artifact = one(studio, Expand(picture=rings.id, **fields))
    assert artifact.image().size == size
    assert (~check_contract(studio, rings, artifact)).sum() == 256 * 256


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "Nothing is to be added"),
        ({"left": 0, "right": 0}, "Nothing is to be added"),
        ({"left": 25600 // 4}, "more than 4 times"),
        ({"left": 8192, "right": 8192}, "8192"),
        ({"left": 769}, "more than 4 times"),
        ({"left": 3, "zoom": 2}, "one of them"),
        ({"pan": "left", "zoom": 2}, "one of them"),
        ({"left": 3, "width": 300, "height": 256}, "259x256"),
    ],
)
def test_expansions_that_cannot_be(studio: Studio, rings: Artifact, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        made(studio, Expand(picture=rings.id, **fields))


@pytest.mark.parametrize("zoom", [1.02, 1.5, 4])
def test_zooming_out_makes_the_picture_smaller(studio: Studio, rings: Artifact, zoom: float) -> None:
    artifact = one(studio, Expand(picture=rings.id, zoom=zoom))
    assert artifact.image().size == (256, 256)
    assert artifact.receipt is not None
    assert artifact.receipt.kept is None, "it was resampled: nothing is what it was"
    assert report(studio, artifact).ok


@pytest.mark.parametrize("size", [(1, 1), (1, 77), (90, 3)])
def test_very_small_and_very_thin_pictures(studio: Studio, size: tuple[int, int]) -> None:
    parent = studio.gallery.ingest(artifact_of(np.full((size[1], size[0], 3), 90, np.uint8)).data)
    mask = np.zeros((size[1], size[0]), np.uint8)
    mask[0, 0] = 255
    where = studio.gallery.ingest(artifact_of(mask).data)
    for request in (
        Vary(picture=parent.id),
        Fill(picture=parent.id, mask=where.id, region="masked"),
        Fill(picture=parent.id, mask=where.id),
        Erase(picture=parent.id, mask=where.id),
        Expand(picture=parent.id, right=2),
        Expand(picture=parent.id, zoom=3),
        Tile(prompt="stars", picture=parent.id),
        Blend(pictures=(parent.id, parent.id)),
    ):
        artifact = one(studio, request)
        assert report(studio, artifact).ok, request
        assert artifact.receipt is not None
        if artifact.receipt.kept is not None:
            check_contract(studio, parent, artifact)
            assert artifact.receipt.kept.mark == "", "nothing so small is marked"


@pytest.mark.parametrize(
    ("weights", "words"),
    [((1,), "2 pictures"), ((1, 1, 1), "2 pictures"), ((-1, 2), "from 0 on"), ((0, 0), "from 0 on")]
    + [((float("nan"), 1), "from 0 on"), ((float("inf"), 1), "from 0 on"), ((1e308, 1e308), "from 0 on")],
)
def test_weights_that_cannot_be(studio: Studio, rings: Artifact, weights: tuple[float, ...], words: str) -> None:
    with pytest.raises(InvalidValue, match=words) as caught:
        made(studio, Blend(pictures=(rings.id, rings.id), weights=weights))
    assert caught.value.param == "weights"


@pytest.mark.parametrize("count", [0, 1, 6])
def test_blends_of_too_few_or_too_many(count: int) -> None:
    with pytest.raises(InvalidValue) as caught:
        Blend(pictures=("a",) * count)
    assert caught.value.param == "pictures"


def test_a_close_up_is_square_and_inside() -> None:
    for box in ((0, 0, 3, 2), (250, 90, 256, 100), (0, 0, 256, 100), (10, 20, 110, 60)):
        mask = box_mask((256, 100), box).astype(np.float32)
        left, top, right, bottom = _box(mask)
        assert 0 <= left <= box[0] and box[2] <= right <= 256
        assert 0 <= top <= box[1] and box[3] <= bottom <= 100
        assert right - left >= min(64, 256)


@pytest.mark.parametrize("fields", [{"strength": 0.5, "amount": "strong"}, {"strength": 0.8, "amount": "subtle"}])
def test_amount_or_strength(studio: Studio, rings: Artifact, fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue, match="amount or strength"):
        made(studio, Vary(picture=rings.id, **fields))


def test_what_and_mask_exclude_each_other(studio: Studio, rings: Artifact, files: Path) -> None:
    with pytest.raises(InvalidValue, match="one of them") as caught:
        made(studio, Erase(picture=rings.id, what="the elephant", mask=str(files / "box-256.png")))
    assert caught.value.param == "what"


def test_a_broken_picture_of_the_gallery_is_said_to_be(studio: Studio) -> None:
    with pytest.raises(InvalidPicture, match="cut off"):
        open_pixels(Artifact(b"\x89PNG\r\n\x1a\n", "image/png"))
