"""Every stage of the recipe, two steps each, on made-up pictures: they fit together and the result is a checkpoint."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("diffusers")

from PIL import Image  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

from fantascope.data.ledger import read_ledger  # noqa: E402
from fantascope.errors import BrokenModelFile, InvalidValue, ModelNotFound  # noqa: E402
from fantascope.spec import EMBEDDED, FEW, SPECS, read_spec  # noqa: E402
from fantascope.train import text, watch  # noqa: E402
from fantascope.train.assemble import assemble  # noqa: E402
from fantascope.train.autoencode import (  # noqa: E402
    AutoencoderConfig,
    freeze_autoencoder,
    train_autoencoder,
    train_decoder,
)
from fantascope.train.base import BaseConfig, sample, train_base  # noqa: E402
from fantascope.train.checkpoint import WEIGHTS, borrow, hash_weights, read_module, write_module  # noqa: E402
from fantascope.train.fit import FitConfig  # noqa: E402
from fantascope.train.latents import Pool, write_pool  # noqa: E402
from fantascope.train.optim import orthogonal  # noqa: E402
from fantascope.train.parts import LATENT, autocast, autoencoder, denoiser, place, quicken  # noqa: E402
from fantascope.train.text import load_text_encoder  # noqa: E402
from fantascope.train.upscale import Upscaler, UpscalerConfig, load_upscaler, save_upscaler, train_upscaler  # noqa: E402
from fantascope.train.watch import watched  # noqa: E402

FIT = FitConfig(steps=2, batch=2, warmup=1, report_every=1, save_every=1)


def _pictures(step: int, side: int = 128) -> Iterator[dict[str, Any]]:
    while True:
        rng = np.random.default_rng(step)
        blocks = rng.uniform(-1, 1, (2, 3, 8, 8)).astype(np.float32)
        small = np.repeat(np.repeat(blocks, side // 8, 2), side // 8, 3)
        yield {"picture": small, "small": small, "large": np.repeat(np.repeat(small, 4, 2), 4, 3)}
        step += 1


_little = partial(_pictures, side=64)

_touched: list[tuple[int, int]] = []


def _scenes(first: int, last: int) -> Iterator[tuple[Any, str]]:
    _touched.append((first, last))
    for k in range(first, last):
        yield next(_pictures(k))["picture"][0], f"a box {k % 3}"


def _steps(events: Iterator[Any]) -> list[int]:
    return [event.step for event in events if np.isfinite(event.loss)]


def test_autocast_is_bfloat16_where_that_is_quicker() -> None:
    """Stages compute in float32 on CPUs without 512-bit vectors, where bfloat16 takes ten times as long."""
    wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    with autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is (torch.bfloat16 if wide else torch.float32)


@pytest.mark.slow
def test_from_pictures_to_a_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for user in (text, watch):  # the same text encoder ten times: it is read once
        monkeypatch.setattr(user, "load_text_encoder", cache(load_text_encoder))
    folder = tmp_path / "checkpoint"
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(EMBEDDED / part, folder / part)
    for name in ("ledger.jsonl", "ledger.jsonl.root"):
        shutil.copyfile(EMBEDDED / name, folder / name)
    assert _steps(train_autoencoder(AutoencoderConfig(FIT, halved=1.0), tmp_path / "ae", _little)) == [1, 2]
    before = freeze_autoencoder(tmp_path / "ae", _little, folder)
    assert np.isfinite(before)
    assert list(write_pool(_scenes, 5, folder, tmp_path / "pool", shard=3)) == [3, 5]
    pool = Pool(tmp_path / "pool")
    assert len(pool) == 5 and pool.text.shape == (5, 32, 384)
    _stale_shards_are_done_again(folder, tmp_path / "pool")
    events = train_base(BaseConfig(FIT), tmp_path / "base", pool)
    assert _steps(watched(events, tmp_path / "base", folder, 2, ("a box", "two boxes", "a", "b", "c"))) == [1, 2]
    assert [path.name for path in (tmp_path / "base" / "pictures").iterdir()] == ["0000002.png"]
    with Image.open(tmp_path / "base" / "pictures" / "0000002.png") as sheet:
        assert sheet.size == (512, 256)
    started = BaseConfig(FitConfig(steps=1, batch=2, warmup=1), start=EMBEDDED / "unet")
    assert _steps(train_base(started, tmp_path / "started", pool)) == [1]
    with pytest.raises(InvalidValue, match="start"):
        next(train_base(BaseConfig(started.fit), tmp_path / "started", pool))
    assert _steps(train_decoder(AutoencoderConfig(FIT), tmp_path / "decoder", _little, folder)) == [1, 2]
    config = UpscalerConfig(FIT, crop=16, pieces=1)
    assert _steps(train_upscaler(config, tmp_path / "up", _pictures, folder)) == [1, 2]
    encoder = autoencoder()
    read_module(encoder, folder / "vae")
    (folder / "vae" / "decoder.onnx").write_bytes(b"of the old decoder")
    (folder / "text_encoder" / "model.onnx").write_bytes(b"kept")
    (folder / FEW).parent.mkdir(parents=True)
    (folder / FEW).write_bytes(b"of the old UNet")
    runs = {"base": tmp_path / "base", "decoder": tmp_path / "decoder", "upscaler": tmp_path / "up"}
    assert assemble(folder, read_ledger, **runs) == {"unet": 2, "decoder": 2, "upscaler": 2}
    assert not (folder / FEW).exists()
    spec = read_spec(folder / "fantascope.json")
    assert spec.weights == hash_weights(folder) and "vae/decoder.onnx" not in spec.weights
    assert {"text_encoder/model.onnx", "upscaler/model.safetensors"} <= set(spec.weights)
    assert spec.training_ledger == (EMBEDDED / "ledger.jsonl.root").read_text("utf-8").strip()
    assert spec.sizes == SPECS["embedded"].sizes and spec.defaults == SPECS["embedded"].defaults
    assert list(write_pool(_scenes, 5, folder, tmp_path / "pool", shard=3)) == [3, 5]
    assert _touched == [], "a new decoder makes no latents stale"
    after = autoencoder()
    read_module(after, folder / "vae")
    assert torch.equal(after.encoder.conv_in.weight, encoder.encoder.conv_in.weight)
    assert not torch.equal(after.decoder.conv_in.weight, encoder.decoder.conv_in.weight)


def _stale_shards_are_done_again(folder: Path, pool: Path) -> None:
    def again(count: int, data: str = "") -> list[tuple[int, int]]:
        _touched.clear()
        assert list(write_pool(_scenes, count, folder, pool, data=data, shard=3))[-1] == count
        return list(_touched)

    before = Pool(pool)
    assert again(5) == []
    assert again(6) == [(3, 6)]
    assert len(Pool(pool)) == 6 and Pool(pool).data != before.data
    assert again(6, "other drawings") == [(0, 3), (3, 6)]
    stopped = write_pool(_scenes, 6, folder, pool, shard=3)
    next(stopped)
    with pytest.raises(BrokenModelFile, match=r"0001\.safetensors was made with other"):
        Pool(pool)
    stopped.close()
    path = folder / "vae" / WEIGHTS
    kept = path.read_bytes()
    state = load_file(path)
    save_file(state | {"encoder.conv_in.bias": state["encoder.conv_in.bias"] + 1}, path)
    assert again(3) == [(0, 3)]
    assert len(Pool(pool)) == 3, "a shard past the end was kept"
    path.write_bytes(kept)
    assert again(5) == [(0, 3), (3, 5)] and Pool(pool).data == before.data
    _touched.clear()


def test_a_pool_smaller_than_a_batch_and_no_pool_at_all(tmp_path: Path) -> None:
    pool = Pool.__new__(Pool)
    pool.latent, pool.seed = torch.arange(3.0), 0
    with pytest.raises(InvalidValue, match="3 scenes, fewer than one batch of 4"):
        next(pool.batches(4, 0))
    with pytest.raises(ModelNotFound, match="no encoded scenes"):
        Pool(tmp_path)


def test_the_pool_gives_the_same_batches_from_any_step() -> None:
    pool = Pool.__new__(Pool)
    pool.latent, pool.seed = torch.arange(10.0), 3
    pool.text, pool.row = torch.arange(10.0), torch.arange(10)
    first = pool.batches(3, 0)
    whole = [next(first)["latent"].tolist() for _ in range(8)]
    for start in range(5):
        again = pool.batches(3, start)
        assert [next(again)["latent"].tolist() for _ in range(3)] == whole[start : start + 3]


def test_a_network_may_start_from_another_with_fewer_channels(tmp_path: Path) -> None:
    torch.manual_seed(0)
    old, new = denoiser((32, 32), text=16, channels=4), denoiser((32, 32), text=16, channels=6)
    write_module(old, tmp_path)
    fresh = new.conv_in.weight.detach().clone()
    assert sorted(borrow(new, tmp_path)) == ["conv_in.weight", "conv_out.bias", "conv_out.weight"]
    assert torch.allclose(new.conv_in.weight[:, :4], old.conv_in.weight, atol=1e-3)
    assert torch.equal(new.conv_in.weight[:, 4:], fresh[:, 4:])
    assert torch.allclose(new.mid_block.resnets[0].conv1.weight, old.mid_block.resnets[0].conv1.weight, atol=1e-3)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_network_keeps_its_names_and_its_result() -> None:
    torch.manual_seed(0)
    plain, compiled = torch.nn.Conv2d(3, 3, 3), torch.nn.Conv2d(3, 3, 3)
    compiled.load_state_dict(plain.state_dict())
    place(compiled, torch.device("cpu"), compiled=True)
    picture = torch.randn(1, 3, 8, 8)
    assert list(compiled.state_dict()) == list(plain.state_dict())
    assert torch.allclose(compiled(picture), plain(picture), atol=1e-5)


def test_quickening_changes_no_result() -> None:
    torch.manual_seed(0)
    model = denoiser().eval()
    given = torch.randn(2, LATENT, 16, 16), torch.tensor([3, 900]), torch.randn(2, 32, 384)
    with torch.no_grad():
        before = model(*given).sample
        quicken(model)
        assert torch.allclose(model(*given).sample, before, atol=1e-5)
    drawn = sample(model, given[2], given[2][0], [0, 1], steps=2)
    assert drawn.shape == (2, LATENT, 16, 16) and torch.isfinite(drawn).all()


def test_orthogonal_brings_singular_values_near_one() -> None:
    torch.manual_seed(0)
    flat = torch.outer(torch.randn(8), torch.randn(24))[None]
    assert 0.5 < torch.linalg.svdvals(orthogonal(flat).float()).max() < 1.45, "one value that is the whole norm"
    for shape in ((3, 8, 24), (2, 24, 8)):
        values = torch.linalg.svdvals(orthogonal(torch.randn(shape)).float())
        assert values.min() > 0.5 and values.max() < 1.8


def test_an_untrained_upscaler_repeats_pixels_and_survives_saving(tmp_path: Path) -> None:
    model = Upscaler(features=8, layers=1)
    torch.nn.init.zeros_(model.body[-1].bias)
    picture = torch.rand(1, 3, 4, 4)
    assert torch.equal(model(picture), picture.repeat_interleave(4, 2).repeat_interleave(4, 3))
    save_upscaler(model, tmp_path)
    assert torch.equal(load_upscaler(tmp_path)(picture), model(picture))
