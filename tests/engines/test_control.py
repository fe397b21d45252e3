"""Control networks on the latent engine: tiny random ones of the real classes, and errors that name what is wrong."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.engines import tiny

from fantascope.artifact import Output
from fantascope.engines.base import Choice, Inputs, Steer
from fantascope.engines.latent import TorchEngine
from fantascope.engines.load import choose, construct
from fantascope.errors import UnknownName, Unsupported
from fantascope.request import Control
from fantascope.settings import Settings
from fantascope.spec import SPECS, Defaults, Licence, Sizes, Spec

CPU = Choice("latent", "cpu", "fp32", (), "torch")


@cache
def network(family: str) -> Path:
    """Build a random control network for a tiny checkpoint as a diffusers folder; its zero layers are not zero."""
    from diffusers import ControlNetModel, UNet2DConditionModel

    base = {"sd1": tiny.sd, "sdxl": tiny.xl}[family]()
    unet = UNet2DConditionModel.from_pretrained(base / "unet")
    model = ControlNetModel.from_unet(unet, conditioning_channels=3)
    torch.manual_seed(5)
    for name, parameter in model.named_parameters():
        if name.startswith(("controlnet_down", "controlnet_mid", "controlnet_cond_embedding.conv_out")):
            torch.nn.init.normal_(parameter, std=0.2)
    folder = base.parent / f"{base.name}-control"
    model.save_pretrained(folder)
    return folder


def home_with(home: Path, family: str) -> Settings:
    """Return settings whose catalogue has the network as `lines`."""
    settings = Settings(home=home)
    settings.models.mkdir(parents=True, exist_ok=True)
    spec = Spec(
        name="lines",
        title="lines",
        source=f"dir:{network(family)}",
        family="control",
        licence=Licence(spdx="CC0-1.0"),
        sizes=Sizes(native=32, min=8, max=64, multiple=8),
        defaults=Defaults(width=32, height=32, steps=1, guidance=1.0, sampler="control"),
    )
    (settings.models / "lines.json").write_text(spec.model_dump_json(), "utf-8")
    return settings


def lines(seed: int) -> Any:
    return np.random.default_rng(seed).integers(0, 2, (tiny.SIDE, tiny.SIDE, 1), np.uint8).repeat(3, 2) * 255


def painted(engine: TorchEngine, *steers: Steer, **more: Any) -> Any:
    events = engine.render(tiny.ask(**more), Inputs(steers=steers))
    return next(event.pixels for event in events if isinstance(event, Output)).astype(int)


@pytest.fixture(params=["sd1", "sdxl"])
def engine(request: pytest.FixtureRequest, home: Path) -> TorchEngine:
    place = {"sd1": tiny.sd, "sdxl": tiny.xl}[request.param]()
    return TorchEngine.load(tiny.spec_of(place, request.param), CPU, home_with(home, request.param))


def test_a_map_steers_as_strongly_as_its_weight_says(engine: TorchEngine) -> None:
    plain = painted(engine)
    steer = Steer("canny", lines(1), network="lines")
    full = painted(engine, steer)
    assert (full == painted(engine, steer)).all()
    assert (full != plain).any() and (full != painted(engine, Steer("canny", lines(2), network="lines"))).any()
    assert (painted(engine, Steer("canny", lines(1), 0.0, network="lines")) == plain).all(), "weight 0 is none"
    half = painted(engine, Steer("canny", lines(1), 0.5, network="lines"))
    assert 0 < np.abs(half - plain).mean() < np.abs(full - plain).mean() * 1.2
    part = next(weight for weight in engine.ran().weights if weight.part == "control canny")
    assert part.licence == "CC0-1.0" and len(part.sha256) == 64
    painted(engine)
    assert not any(weight.part.startswith("control") for weight in engine.ran().weights), "of the last request only"


def test_it_works_between_start_and_end(engine: TorchEngine) -> None:
    plain, full = painted(engine, steps=4), painted(engine, Steer("canny", lines(1), network="lines"), steps=4)
    early = painted(engine, Steer("canny", lines(1), end=0.4, network="lines"), steps=4)
    late = painted(engine, Steer("canny", lines(1), start=0.6, network="lines"), steps=4)
    for one in (early, late):
        assert (one != plain).any() and (one != full).any()
    assert (early != late).any()


def test_guess_mode_and_several_at_once(engine: TorchEngine) -> None:
    one, two = (Steer("canny", lines(seed), 0.7, network="lines") for seed in (1, 2))
    both = painted(engine, one, two)
    assert (both != painted(engine, one)).any() and (both != painted(engine, two)).any()
    guessed = painted(engine, Steer("canny", lines(1), 0.7, guess=True, network="lines"))
    assert (guessed != painted(engine, one)).any() and (guessed != painted(engine)).any()


def test_diffusers_agrees(home: Path) -> None:
    """One step of the network under a map is what diffusers' own pipeline adds."""
    from diffusers import ControlNetModel

    engine = TorchEngine.load(tiny.spec_of(tiny.sd(), "sd1"), CPU, home_with(home, "sd1"))
    request = tiny.ask(guidance=1.0)
    conditions = engine.encode_text([request.prompt], request)
    x = torch.randn(1, 4, tiny.SIDE // 8, tiny.SIDE // 8, generator=torch.Generator().manual_seed(0))
    ours = engine.steered(request, conditions, [Steer("canny", lines(1), 0.8, network="lines")])(x, 500.0)
    control = ControlNetModel.from_pretrained(network("sd1"))
    given = torch.from_numpy(lines(1)).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        down, mid = control(x, 500, conditions.states, given, 0.8, return_dict=False)
        theirs = engine.parts.unet(
            x, 500, conditions.states, down_block_additional_residuals=down, mid_block_additional_residual=mid
        ).sample
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_what_does_not_fit_is_refused_by_name(home: Path) -> None:
    settings = home_with(home, "sd1")
    engine = TorchEngine.load(tiny.spec_of(tiny.xl(), "sdxl"), CPU, settings)
    with pytest.raises(Unsupported, match="made for another model"):
        painted(engine, Steer("canny", lines(1), network="lines"))
    with pytest.raises(UnknownName, match="linse"):
        painted(engine, Steer("canny", lines(1), network="linse"))
    with pytest.raises(Unsupported, match="paints, not a control network"):
        painted(engine, Steer("canny", lines(1), network="embedded"))
    plain = TorchEngine.load(tiny.spec_of(tiny.sd(2), "sd2"), CPU, settings)
    with pytest.raises(Unsupported, match="there is for canny"):
        painted(plain, Steer("hough", lines(1)))


def test_engines_that_cannot_be_steered_are_passed_over(home: Path) -> None:
    asked = {"controls": [Control(kind="canny", picture="x").model_dump()]}
    with pytest.raises(Unsupported, match="not steered"):
        choose(SPECS["flux-schnell"], asked, Settings(home=home))
    with pytest.raises(Unsupported, match="not steered"):
        choose(SPECS["echo"], asked, Settings(home=home))


@pytest.mark.slow
def test_both_engines_steer_the_embedded_checkpoint_alike(warm: Path) -> None:
    """The network that ships, on graphs and on modules: the same picture."""
    spec = SPECS["embedded"]
    map_ = np.zeros((128, 128, 3), np.uint8)
    map_[30:90, 40:44] = 255
    steers = [(), (Steer("canny", map_),), (Steer("sketch", map_, 0.8, 0.2, 0.9, guess=True),)]
    made = []
    for name in ("graph", "latent"):
        asked_for = {"engine": name, "precision": "fp32", "controls": [{"kind": "canny", "network": None}]}
        choice = choose(spec, asked_for, Settings(home=warm))
        engine = construct(spec, choice, Settings(home=warm))
        asked = tiny.ask("a cat", width=128, height=128, steps=3)
        made.append([_only(engine.render(asked, Inputs(steers=one))) for one in steers])
        engine.close()
    for ours, theirs in zip(*made, strict=True):
        assert np.abs(ours - theirs).mean() < 0.5
    assert np.abs(made[0][0] - made[0][1]).mean() > 1 and np.abs(made[0][1] - made[0][2]).mean() > 1
    with pytest.raises(Unsupported, match="takes canny"):
        _only(construct(spec, choice, Settings(home=warm)).render(asked, Inputs(steers=(Steer("normal", map_),))))


@pytest.mark.parametrize("kind", ["canny", "fake_scribble"])
def test_the_network_that_ships_is_followed(warm: Path, kind: str) -> None:
    """A painted thing's map, moved to where it is never painted by itself: what is painted lies on its lines."""
    from fantascope.annotate import annotate
    from fantascope.evaluate.control import agreement

    settings = Settings(home=warm)
    engine = construct(SPECS["embedded"], choose(SPECS["embedded"], {"engine": "graph"}, settings), settings)
    free, led = [], []
    for prompt in ("a camel", "a castle", "three pears"):
        drawn = tiny.ask(prompt, width=128, height=128, steps=12, seed=5)
        map_ = annotate(kind, np.roll(_only(engine.render(drawn)).astype(np.uint8), (22, -26), (0, 1)))
        other = drawn.replace(seed=11)
        for found, steers in ((free, ()), (led, (Steer(kind, map_),))):
            picture = _only(engine.render(other, Inputs(steers=steers))).astype(np.uint8)
            found.append(agreement("scribble" if kind == "fake_scribble" else kind, map_, picture))
    engine.close()
    assert sum(led) > sum(free) + 0.05, f"under the map {led}, without {free}"


def _only(events: Any) -> Any:
    return next(event.pixels for event in events if isinstance(event, Output)).astype(int)
