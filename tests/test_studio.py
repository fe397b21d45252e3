"""The path, walked on the echo engine: everything but the weights is real."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fantascope import Artifact, Imagine, PolicyRefused, Receipt, Settings, Step, Studio, Verdict
from fantascope.errors import CreditError, FantascopeError, InvalidValue, NotFound, ReplayDiffers, UnknownName
from fantascope.receipt import receipt_id


@pytest.fixture
def studio() -> Any:
    with Studio() as studio:
        yield studio


def echo(**fields: Any) -> Imagine:
    return Imagine(**({"prompt": "a pink elephant", "model": "echo", "seed": 7} | fields))


def made(studio: Studio, request: Imagine) -> list[Artifact]:
    return [event for event in studio.run(request) if isinstance(event, Artifact)]


def test_a_request_becomes_kept_sealed_artifacts(studio: Studio) -> None:
    events = list(studio.run(echo(n=3)))
    artifacts = [event for event in events if isinstance(event, Artifact)]
    assert len(artifacts) == 3
    assert any(isinstance(event, Step) for event in events)
    for k, artifact in enumerate(artifacts):
        receipt = artifact.receipt
        assert receipt is not None
        assert artifact.path is not None
        assert artifact.path.read_bytes() == artifact.data
        assert receipt.request["seed"] == 7 + k
        assert receipt.request["n"] == 1
        assert receipt.id == receipt_id(receipt)
        assert None not in [receipt.request[name] for name in ("width", "steps", "sampler", "engine", "format")]
        stored = studio.gallery.get(artifact.id)
        assert stored.receipt == receipt
        assert stored.data == artifact.data


def test_the_receipt_is_a_request_that_gives_the_same_pixels(studio: Studio) -> None:
    first = made(studio, echo(n=2))[1]
    assert first.receipt is not None
    assert first.path is not None
    replay = list(studio.again(str(first.path)))[-1]
    assert not isinstance(replay, Step)
    assert replay.artifact.receipt is not None
    assert replay.artifact.receipt.pixels_sha256 == first.receipt.pixels_sha256
    assert np.array_equal(np.asarray(replay.artifact.image()), np.asarray(first.image()))


def test_again_names_the_first_thing_that_differs(studio: Studio) -> None:
    artifact = made(studio, echo())[0]
    assert artifact.receipt is not None
    weights = tuple(w.model_copy(update={"sha256": "0" * 64}) for w in artifact.receipt.ran.weights)
    changed = artifact.receipt.model_copy(
        update={"pixels_sha256": "1" * 64, "ran": artifact.receipt.ran.model_copy(update={"weights": weights})}
    )
    studio.record = lambda source: changed  # type: ignore[method-assign]
    used = studio.gallery.balance("local").used
    with pytest.raises(ReplayDiffers, match="echo weights"):
        list(studio.again("x"))
    assert studio.gallery.balance("local").used == used
    assert len(studio.gallery.list(limit=10)) == 1


def test_a_changed_file_is_not_believed(studio: Studio, tmp_path: Path) -> None:
    artifact = made(studio, echo())[0]
    data = bytearray(artifact.data)
    at = data.index(b"IDAT") + 200
    data[at] ^= 1
    changed = tmp_path / "changed.png"
    changed.write_bytes(bytes(data))
    with pytest.raises(FantascopeError):
        list(studio.again(changed))


def test_a_batch_exact_record_is_made_again_in_its_batch(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    from fantascope.engines.echo import EchoEngine

    ran, render = EchoEngine.ran, EchoEngine.render

    def watch(self: Any, request: Any, inputs: Any) -> Any:
        seen.append((request.n, request.seed))
        for event in render(self, request, inputs):
            if isinstance(event, Step):
                yield event
            else:
                yield type(event)(**(vars(event) | {"batch": 3, "first": 4 if event.index >= 4 else 0}))

    monkeypatch.setattr(EchoEngine, "ran", lambda self: ran(self).model_copy(update={"exactness": "batch-exact"}))
    monkeypatch.setattr(EchoEngine, "render", watch)
    kept = made(studio, echo(n=7))
    before = studio.gallery.balance("local").used
    assert kept[5].path is not None
    replay = list(studio.again(kept[5].path))[-1]
    assert seen[-1] == (3, 7 + 4)
    assert not isinstance(replay, Step)
    assert replay.artifact.receipt is not None
    assert replay.artifact.receipt.request["seed"] == 12
    assert studio.gallery.balance("local").used == before + 1


def test_previews_are_judged_like_pictures(home: Path) -> None:
    def judge(pixels: Any) -> Verdict:
        return Verdict(allowed=False, rule="test", score=1, threshold=0.5, reason="No pictures today.")

    with Studio(judges=[judge]) as studio, pytest.raises(PolicyRefused):
        for event in studio.run(echo(preview=True)):
            assert isinstance(event, Step)
            assert event.preview is None


def test_no_path_of_this_machine_goes_into_a_receipt() -> None:
    from fantascope.lineage import public_facts
    from fantascope.spec import SPECS

    spec = SPECS["echo"].model_copy(update={"source": "dir:/home/jane/models/mine"})
    assert public_facts(spec)["source"] == "dir:mine"


def test_a_private_file_is_made_again_through_the_gallery(studio: Studio, tmp_path: Path) -> None:
    artifact = made(studio, echo(prompt="my secret garden", private=True))[0]
    assert b"secret garden" not in artifact.data
    copy = tmp_path / "copy.png"
    copy.write_bytes(artifact.data)
    assert studio.record(copy).request["prompt"] == "my secret garden"
    with Studio(Settings(home=tmp_path / "elsewhere")) as other, pytest.raises(NotFound, match="is private"):
        other.record(copy)


@pytest.mark.parametrize("fmt", ["png", "jpeg", "webp"])
def test_every_format_carries_its_record(studio: Studio, fmt: str) -> None:
    artifact = made(studio, echo(format=fmt))[0]
    assert artifact.path is not None
    recorded = studio.record(artifact.path)
    assert recorded.request["prompt"] == "a pink elephant"
    assert list(studio.again(artifact.path))[-1] is not None


def test_a_refusal_makes_nothing_and_costs_nothing(studio: Studio) -> None:
    before = studio.gallery.balance("local").used
    with pytest.raises(PolicyRefused) as caught:
        list(studio.run(echo(prompt="a dragon in the style of Greg Rutkowski")))
    verdict: Verdict = caught.value.verdict
    assert not verdict.allowed
    assert verdict.words
    assert verdict.reason
    assert studio.gallery.list(limit=10) == []
    assert studio.gallery.balance("local").used == before
    assert studio.gallery.balance("local").held == 0


def test_pictures_are_judged_before_they_are_kept(home: Path) -> None:
    def judge(pixels: Any) -> Verdict:
        assert pixels.dtype == np.uint8
        return Verdict(allowed=False, rule="test", score=1, threshold=0.5, reason="No pictures today.")

    with Studio(judges=[judge]) as studio:
        with pytest.raises(PolicyRefused, match="today"):
            list(studio.run(echo()))
        assert studio.gallery.list(limit=10) == []
        assert studio.gallery.balance("local").used == 0


def test_cancelling_keeps_what_was_finished_and_refunds_the_rest(studio: Studio) -> None:
    with closing(studio.run(echo(n=4))) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, Artifact):
                break
    assert len(studio.gallery.list(limit=10)) == 1
    balance = studio.gallery.balance("local")
    assert balance.held == 0
    receipt = studio.gallery.get(studio.gallery.list(limit=1)[0].id).receipt
    assert receipt is not None
    assert balance.used == pytest.approx(receipt.cost.credits)


def test_charges_add_up_to_the_quote(studio: Studio) -> None:
    artifacts = made(studio, echo(n=3, width=328, height=248, steps=7))
    charged = sum(round(a.receipt.cost.credits * 1000) for a in artifacts if a.receipt is not None)
    assert charged == round(studio.gallery.balance("local").used * 1000)
    assert list(studio.gallery.verify()) == []


def test_an_empty_purse_is_an_error_before_work(home: Path) -> None:
    with Studio(Settings(home=home, user="poor", plan="free")) as studio:
        with pytest.raises(CreditError):
            for _ in range(20):
                made(studio, echo(n=8))
        assert studio.gallery.balance("poor").held == 0


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"model": "ecko"}, UnknownName, "echo"),
        ({"model": "embedded", "sampler": "eular"}, UnknownName, "euler"),
        ({"model": "embedded", "schedule": "karas"}, UnknownName, "karras"),
        ({"model": "embedded", "width": 7}, InvalidValue, "Nearest"),
        ({"model": "embedded", "width": 500, "height": 512}, InvalidValue, "512x512"),
        ({"model": "embedded", "upscale": 2}, InvalidValue, "1 or 4"),
        ({"seed": 2**32 - 1, "n": 2}, InvalidValue, "highest"),
        ({"model": "flux-schnell", "negative_prompt": "rain"}, InvalidValue, "negative"),
        ({"model": "dir:/nowhere/at/all"}, UnknownName, "models add"),
        ({"negative_prompt": "rain", "guidance": 0.5}, InvalidValue, "above 1"),
    ],
)
def test_what_a_model_cannot_do_is_refused_by_name(
    studio: Studio, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        list(studio.run(echo(**fields)))
    assert studio.gallery.list(limit=10) == []


def test_a_contact_sheet_is_sealed_with_its_pictures_as_parents(studio: Studio, tmp_path: Path) -> None:
    artifacts = made(studio, echo(n=4))
    sheet = studio.sheet(artifacts)
    assert sheet.receipt is not None
    assert sheet.receipt.parents == tuple(a.id for a in artifacts)
    assert sheet.receipt.id == receipt_id(sheet.receipt)
    assert sheet.path is not None
    with pytest.raises(NotFound, match="contact sheet"):
        list(studio.again(sheet.path))


def test_two_studios_give_the_same_pixels_and_mark(home: Path, tmp_path: Path) -> None:
    receipts: list[Receipt] = []
    for name in ("a", "b"):
        with Studio(Settings(home=tmp_path / name)) as studio:
            receipt = made(studio, echo())[0].receipt
            assert receipt is not None
            receipts.append(receipt)
    assert receipts[0].id == receipts[1].id
    assert receipts[0].pixels_sha256 == receipts[1].pixels_sha256


def test_one_liner_for_notebooks() -> None:
    from fantascope import imagine

    artifact = imagine("a pink elephant", model="echo", seed=1)
    assert artifact._repr_png_() == artifact.data
    webp = imagine("a pink elephant", model="echo", seed=1, format="webp")
    assert "data:image/webp" in (webp._repr_html_() or "")
