"""The folder that ships: plain diffusers loads it, its hashes are right, its ledger covers every drawing."""

from __future__ import annotations

import hashlib

import pytest

torch = pytest.importorskip("torch")
diffusers = pytest.importorskip("diffusers")
transformers = pytest.importorskip("transformers")

from fantascope.data.ledger import read_ledger  # noqa: E402
from fantascope.data.sources import read_sources  # noqa: E402
from fantascope.data.vocabulary import drawings, read_vocabulary  # noqa: E402
from fantascope.spec import EMBEDDED, read_spec  # noqa: E402
from fantascope.train.checkpoint import hash_weights  # noqa: E402
from fantascope.train.text import load_text_encoder  # noqa: E402
from fantascope.train.upscale import load_upscaler  # noqa: E402


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_plain_diffusers_draws_with_it() -> None:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        EMBEDDED, text_encoder=load_text_encoder(EMBEDDED), torch_dtype=torch.float32
    )
    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(
        "a red balloon on a blue background",
        num_inference_steps=6,
        guidance_scale=4.0,
        guidance_rescale=0.7,
        generator=torch.Generator().manual_seed(0),
        output_type="pt",
    ).images
    assert picture.shape == (1, 3, 128, 128)
    corners = torch.stack([picture[0, :, y, x] for y in (4, 123) for x in (4, 123)]).mean(0)
    assert corners[2] > corners[0] + 0.2, "the background is not blue"
    large = load_upscaler(EMBEDDED / "upscaler")(picture * 2 - 1)
    assert large.shape == (1, 3, 512, 512)


def test_hashes_and_size() -> None:
    assert read_spec(EMBEDDED / "fantascope.json").weights == hash_weights(EMBEDDED)
    weights = sum(path.stat().st_size for path in EMBEDDED.rglob("*.safetensors"))
    assert weights < 60e6


def test_the_ledger_covers_every_drawing() -> None:
    rows = read_ledger(EMBEDDED / "ledger.jsonl")
    sources = [key for key, source in read_sources().items() if source.trains == "generator"]
    wanted = {(key, name) for key in sources for name in drawings(read_vocabulary(), key)}
    wanted |= {("backdrop", "backdrops"), ("backdrop", "people")}
    earlier = {(key, name) for key in sources for name in read_sources()[key].also} - wanted
    assert len(earlier) > 1500
    assert {(row["source"], row["name"]) for row in rows if row["trains"] == "generator"} == wanted
    assert {(row["source"], row["name"]) for row in rows if row["trains"] == "earlier"} == earlier
    assert len(rows) == len(wanted) + len(earlier)
    assert {row["licence"] for row in rows} == {"MIT", "Apache-2.0", "PDM-1.0"}
    root = (EMBEDDED / "ledger.jsonl.root").read_text("utf-8").strip()
    assert read_spec(EMBEDDED / "fantascope.json").training_ledger == root


def test_the_model_card_is_the_one_that_pictures_cite() -> None:
    card = hashlib.sha256((EMBEDDED / "MODEL_CARD.md").read_bytes()).hexdigest()
    assert read_spec(EMBEDDED / "fantascope.json").card == card, "fantascope train assemble --out CHECKPOINT"
