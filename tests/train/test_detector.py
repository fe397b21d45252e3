"""The detector's data, net, loss, training and export, in miniature."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("pyvips")

from tests.data.conftest import CONCEPTS, composer, root  # noqa: E402, F401

from fantascope.data.compose import Composer  # noqa: E402
from fantascope.data.detect import NAMES, PLACES, Pictures  # noqa: E402
from fantascope.engines.detector import DETECTOR, DYES, Detector, write_labels  # noqa: E402
from fantascope.engines.dyes import Dyes, Seen, lessons  # noqa: E402
from fantascope.settings import Settings  # noqa: E402
from fantascope.train.detector import (  # noqa: E402
    CELL,
    FEATURE,
    DetectorConfig,
    detector_loss,
    heat_loss,
    heat_map,
    make_net,
    train_detector,
    trained,
)
from fantascope.train.detector_export import export_detector, facts  # noqa: E402
from fantascope.train.dyes import train_dyes  # noqa: E402
from fantascope.train.fit import FitConfig  # noqa: E402


@pytest.fixture
def pictures(composer: Composer) -> Pictures:  # noqa: F811
    return Pictures(composer, CONCEPTS, ["flat", "clipart"])


def test_pictures_follow_from_their_number(pictures: Pictures, root: Path) -> None:  # noqa: F811
    assert pictures.kinds == ("box", "disc", "leaf")
    again = Pictures(pictures._composer, CONCEPTS, ["flat", "clipart"])
    assert again.fingerprint == pictures.fingerprint
    for number in (0, 17):
        pixels, targets = pictures.picture(number)
        other, same = again.picture(number)
        assert pixels.shape == (128, 128, 3) and pixels.dtype == np.uint8
        assert np.array_equal(pixels, other) and targets == same
    assert not np.array_equal(pictures.picture(0)[0], pictures.picture(1)[0])


def test_boxes_hold_what_is_drawn(pictures: Pictures) -> None:
    seen = set()
    for number in range(60):
        for target in pictures.picture(number)[1]:
            left, top, right, bottom = target.box
            assert 0 <= left < right <= 128 and 0 <= top < bottom <= 128
            assert target.colour in NAMES
            seen.add(target.kind)
    assert seen == {"box", "disc", "leaf"}


def test_batches_of_a_step(pictures: Pictures) -> None:
    source = pictures.batches(4)
    first = source(0)
    next(first)
    second, again = next(first), next(source(1))
    assert all(np.array_equal(second[name], again[name]) for name in second)
    assert second["picture"].shape == (4, 128, 128, 3) and second["box"].shape == (4, PLACES, 4)
    assert ((second["kind"] >= 0) == (second["colour"] >= 0)).all()


def test_heat_map_peaks_in_the_middle_cell() -> None:
    boxes = torch.tensor([[[32.0, 48.0, 64.0, 80.0], [0.0, 0.0, 0.0, 0.0]]])
    heat = heat_map(boxes, torch.tensor([[True, False]]))[0]
    assert heat.shape == (16, 16) and heat[64 // CELL, 48 // CELL] == 1
    assert (heat == 1).sum() == 1 and heat[0, 0] < 1e-6
    right = heat_loss(torch.where(heat == 1, 9.0, -9.0)[None], heat[None])
    wrong = heat_loss(torch.where(heat == 1, -9.0, 9.0)[None], heat[None])
    assert right < 0.01 < wrong


def test_a_net_that_knows_loses_little(pictures: Pictures) -> None:
    """The loss falls on one batch, learned by heart."""
    net = make_net(3, len(NAMES))
    batch = {name: torch.as_tensor(array) for name, array in pictures.batch(range(8)).items()}
    config = DetectorConfig(FitConfig(1, 8))
    optimiser = torch.optim.AdamW(net.parameters(), 3e-3)
    losses = []
    for step in range(24):
        value, figures = detector_loss(net, config, batch, torch.Generator().manual_seed(step))
        optimiser.zero_grad()
        value.backward()
        optimiser.step()
        losses.append(float(value.detach()))
    assert losses[-1] < 0.5 * losses[0]
    assert set(figures) == {"heat", "box", "kind", "colour"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_train_export_and_look(pictures: Pictures, tmp_path: Path) -> None:
    """A killed run goes on where it was, and the exported graph says what the net says."""
    config = DetectorConfig(FitConfig(4, 4, save_every=2, report_every=2))
    source, run = pictures.batches(4), tmp_path / "run"
    events = train_detector(config, run, source, pictures.kinds, NAMES)
    next(events)
    events.close()
    assert [event.step for event in train_detector(config, run, source, pictures.kinds, NAMES)] == [4]
    net = trained(run, source, 3, len(NAMES), rounds=2)
    folder = tmp_path / "detector"
    weights = export_detector(net, folder)
    labels = facts(pictures.kinds, NAMES, net)
    shutil.copyfile(DETECTOR / DYES, folder / DYES)
    weights[DYES] = hashlib.sha256((folder / DYES).read_bytes()).hexdigest()
    write_labels(folder, **labels, weights=weights, threshold=0.3, objects=["box"], ceiling={}, version=1)
    detector = Detector.load(Settings(threads=1), folder)
    shown = pictures.batch(range(3))["picture"]
    with torch.no_grad():
        due = net(torch.as_tensor(shown).permute(0, 3, 1, 2).float() / 127.5 - 1).numpy()
    got = np.stack(list(detector._maps(shown)))
    assert np.abs(due - got).max() < 0.02 * np.abs(due).max()
    assert due.shape[1] == FEATURE + 1 + 4 + len(NAMES) + labels["whole"]  # type: ignore[operator]


def test_the_reader_of_colours_learns(pictures: Pictures, tmp_path: Path) -> None:
    """A few hundred things teach more than half of twelve colours, and the file reads as it was trained."""

    def seen() -> Iterator[Seen]:
        for number in range(450):
            pixels, targets = pictures.picture(number)
            yield pixels, [(target.colour, target.box) for target in targets]

    rows, colours = lessons(seen())
    right = train_dyes(rows, colours, tmp_path / DYES)
    assert len(rows) == len(colours) > 300 and right > 0.5
    assert train_dyes(rows, colours, tmp_path / "again") == right
    assert (tmp_path / "again").read_bytes() == (tmp_path / DYES).read_bytes()
    reader, hits, tried = Dyes.load(tmp_path / DYES), 0, 0
    for number in range(100):
        pixels, targets = pictures.picture(10_000 + number)
        for target in targets:
            if target.colour != "own":
                hits += NAMES[int(reader.read(pixels, target.box).argmax())] == target.colour
                tried += 1
    assert hits > 0.5 * tried > 20
