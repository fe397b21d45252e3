"""What the loop makes of a prompt with marks: on every engine alike, from the request to the record and back."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.engines import adapters, tiny
from tests.homes import lend

from fantascope import Imagine, PolicyRefused, Settings, Studio
from fantascope.artifact import Artifact, Output, Step
from fantascope.cli.app import run as command
from fantascope.core.guidance import composed, guided
from fantascope.core.seeds import gathered, noise
from fantascope.engines.adapters.collection import add_adapter
from fantascope.engines.base import Choice, Inputs
from fantascope.engines.graph import GraphEngine
from fantascope.engines.load import choose
from fantascope.errors import InvalidValue, PromptError, UnknownName, Unsupported
from fantascope.policy import Policy
from fantascope.provenance.infotext import parse as parse_infotext
from fantascope.request import Edit, Upscale, Vary, parse_request
from fantascope.spec import SPECS
from fantascope.tasks.speech import said_of

SMALL: dict[str, Any] = {"n": 1, "width": 64, "height": 64, "upscale": 1, "steps": 4, "guidance": 4.0, "seed": 7}
SMALL |= {"guidance_rescale": 0.7, "sampler": "ddim", "schedule": "default"}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GraphEngine]:
    settings = Settings(home=lend(tmp_path_factory.mktemp("spoken")), threads=1)
    loaded = GraphEngine.load(SPECS["embedded"], Choice("graph", "cpu", "fp32", (), "openvino"), settings)
    yield loaded
    loaded.close()


def request(prompt: str, **more: Any) -> Imagine:
    return Imagine(**(SMALL | {"prompt": prompt} | more))


def painted(engine: Any, prompt: str, **more: Any) -> Any:
    """Paint by the grammar a1111, or plainly where `grammar` says so; `(H, W, 3)` int."""
    made = request(prompt, **({"grammar": "a1111"} | more))
    events = engine.render(made, Inputs(said=said_of(made)))
    return np.stack([event.pixels for event in events if isinstance(event, Output)]).astype(int)


def far(a: Any, b: Any) -> float:
    return float(np.abs(a - b).mean())


def test_a_prompt_without_marks_is_painted_as_ever(graph: GraphEngine) -> None:
    plain = painted(graph, "a red car on the grass", grammar="plain", negative_prompt="blurry")
    assert np.array_equal(painted(graph, "a red car on the grass", negative_prompt="blurry"), plain)
    assert np.array_equal(painted(graph, "a (red:1) car on the grass", negative_prompt="blurry"), plain)


def test_what_is_weighed_moves_the_picture_by_its_weight(graph: GraphEngine) -> None:
    plain = painted(graph, "a red car on the grass", grammar="plain")
    small, large = (far(painted(graph, f"a (red car:{w}) on the grass"), plain) for w in (1.1, 1.6))
    less = far(painted(graph, "a (red car:0.7) on the grass"), plain)
    assert 0 < small < large and less > 0


def test_a_schedule_is_the_one_text_and_then_the_other(graph: GraphEngine) -> None:
    cat, dog = (painted(graph, f"a {thing}", grammar="plain") for thing in ("cat", "dog"))
    assert np.array_equal(painted(graph, "a [cat:dog:4]"), cat) and np.array_equal(painted(graph, "a [cat:dog:0]"), dog)
    early, late = painted(graph, "a [cat:dog:0.25]"), painted(graph, "a [cat:dog:0.75]")
    assert far(early, dog) < far(late, dog) and far(late, cat) < far(early, cat)


def test_alternatives_are_schedules_of_one_step(graph: GraphEngine) -> None:
    once = painted(graph, "a [cat|dog]", steps=2)
    assert np.array_equal(once, painted(graph, "a [cat:dog:1]", steps=2))
    assert far(once, painted(graph, "a [dog|cat]", steps=2)) > 0


def test_and_guides_by_the_sum(graph: GraphEngine) -> None:
    alone = painted(graph, "a cat", grammar="plain", guidance_rescale=0.0)
    assert far(painted(graph, "a cat :0.5 AND a cat :0.5", guidance_rescale=0.0), alone) < 0.6
    assert far(painted(graph, "a cat :0 AND a dog", guidance_rescale=0.0),
               painted(graph, "a dog", grammar="plain", guidance_rescale=0.0)) < 0.6  # fmt: skip
    assert far(painted(graph, "a cat AND a red car at night", guidance_rescale=0.0), alone) > 1


def test_and_works_where_guidance_is_off(graph: GraphEngine) -> None:
    alone = painted(graph, "a cat", grammar="plain", guidance=1.0)
    assert far(painted(graph, "a cat :0.5 AND a cat :0.5", guidance=1.0), alone) < 0.6
    assert np.array_equal(painted(graph, "[a cat:a dog:9]", guidance=1.0), alone)


def test_the_negative_prompt_has_the_grammar_too(graph: GraphEngine) -> None:
    plain = painted(graph, "a cat", negative_prompt="grass")
    assert far(painted(graph, "a cat", negative_prompt="(grass:1.8)"), plain) > 0
    assert far(painted(graph, "a cat", negative_prompt="[grass::2]"), plain) > 0


def test_a_batch_is_its_pictures(graph: GraphEngine) -> None:
    both = painted(graph, "a (red:1.4) [cat|dog] in the snow", n=2)
    assert far(both[1:], painted(graph, "a (red:1.4) [cat|dog] in the snow", seed=8)) < 0.6


@pytest.mark.parametrize(("family", "guidance"), [("sd1", 4.0), ("sdxl", 1.0)])
def test_the_latent_engine_speaks_it_too(family: str, guidance: float, home: Path) -> None:
    from fantascope.engines.latent import TorchEngine

    folder = {"sd1": tiny.sd, "sdxl": tiny.xl}[family]()
    choice = Choice("latent", "cpu", "fp32", (), "torch")
    engine = TorchEngine.load(tiny.spec_of(folder, family), choice, Settings(home=home))
    plain = painted(engine, "a red cat", grammar="plain", guidance=guidance, sampler="heun", steps=2)
    assert np.array_equal(painted(engine, "a [red:green:9] cat", guidance=guidance, sampler="heun", steps=2), plain)
    texts = ("a (red:5) cat", "a (red:0.1) cat", "a [red:cat:0.5]", "a red AND cat :2", "a BREAK red cat")
    for text in texts:
        assert not np.array_equal(painted(engine, text, guidance=guidance, sampler="heun", steps=2), plain), text


def test_the_engines_agree(graph: GraphEngine, home: Path) -> None:
    """The embedded checkpoint, its weights and schedules, on OpenVINO and in torch."""
    from fantascope.engines.latent import TorchEngine

    latent = TorchEngine.load(SPECS["embedded"], Choice("latent", "cpu", "fp32", (), "torch"), Settings(home=home))
    for text in ("a (red car:1.4) on the grass, [cat|dog]", "a (cat:0.6) :0.7 AND a dog BREAK at [night:noon:2]"):
        assert far(painted(latent, text), painted(graph, text)) < 1.0


def test_stopping_early_gives_the_guess_so_far(graph: GraphEngine) -> None:
    made = request("a cat", steps=4, stop=0.5)
    events = list(graph.render(made))
    assert [event.step for event in events if isinstance(event, Step) and event.stage == "denoise"] == [1, 2]
    (early,) = [event.pixels for event in events if isinstance(event, Output)]
    whole = painted(graph, "a cat", grammar="plain")
    assert np.abs(early.astype(int) - whole).mean() > 0.5
    assert np.array_equal(painted(graph, "a cat", grammar="plain", stop=1.0), whole)


def test_chaos_says_how_far_apart_pictures_start(graph: GraphEngine) -> None:
    def spread(chaos: float) -> float:
        rows = painted(graph, "a cat", grammar="plain", n=2, chaos=chaos, anchor=7)
        return far(rows[0], rows[1])

    assert spread(0.0) == 0 < spread(0.3) < spread(0.8)
    first = painted(graph, "a cat", grammar="plain", n=2, chaos=0.3, anchor=7)
    assert np.array_equal(painted(graph, "a cat", grammar="plain", n=1, seed=8, chaos=0.3, anchor=7)[0], first[1])
    assert np.array_equal(painted(graph, "a cat", grammar="plain")[0], first[0]), "the first is its seed's own"


def test_gathered_noise_is_normal_and_between() -> None:
    shape = (4, 64, 64)
    rows, own = gathered([5, 6, 7], shape, 5, 0.6), noise([5, 6, 7], shape)
    assert rows.dtype == np.float32 and np.array_equal(rows[0], own[0])
    assert np.abs(rows.std((1, 2, 3)) - 1).max() < 0.02
    told = np.corrcoef(np.stack([rows[1].ravel(), own[1].ravel(), own[0].ravel()]))[0]
    assert told[1] == pytest.approx(0.6, abs=0.03) and told[2] == pytest.approx(0.8, abs=0.03)
    assert np.allclose(gathered([6], shape, 5, 1.0), own[1:2]) and np.allclose(gathered([6], shape, 5, 0.0), own[:1])


def test_composed_is_the_sum_of_the_ways() -> None:
    rows = noise(range(3), (2, 4, 4))
    x = noise([9], (2, 4, 4))
    pair = [lambda both, time, k=k: np.concatenate([rows[:1], rows[k : k + 1]]) + 0 * both for k in (1, 2)]
    due = rows[:1] + 3.0 * (0.7 * (rows[1:2] - rows[:1]) - 0.2 * (rows[2:3] - rows[:1]))
    assert np.allclose(composed(pair, [0.7, -0.2], 3.0)(x, 1.0), due, atol=1e-5)
    assert np.allclose(composed(pair[:1], [1], 3.0, 0.5)(x, 1.0), guided(pair[0], 3.0, 0.5)(x, 1.0))
    single = [lambda x, time, k=k: rows[k : k + 1] + 0 * x for k in (0, 1, 2)]
    assert np.allclose(composed(single, [0.7, 0.3], 1.0)(x, 1.0), 0.7 * rows[1:2] + 0.3 * rows[2:3], atol=1e-6)
    full = composed(pair, [0.7, -0.2], 9.0, 1.0)(x, 1.0)
    assert full.std() == pytest.approx((rows[:1] + (due - rows[:1]) / 3).std(), rel=1e-4)


# From the request to the record


@pytest.fixture
def studio() -> Iterator[Studio]:
    with Studio() as studio:
        yield studio


def echo(**fields: Any) -> Imagine:
    return Imagine(**({"prompt": "a pink elephant", "model": "echo", "seed": 7} | fields))


def resolved(studio: Studio, **fields: Any) -> Any:
    return studio.resolve(echo(**fields)).request


def made(studio: Studio, one: Any) -> Artifact:
    return next(event for event in studio.run(one) if isinstance(event, Artifact))


def test_marks_call_for_the_grammar_and_say_so(studio: Studio, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert resolved(studio, prompt="a (cat:1.3)").grammar == "a1111"
    assert "grammar a1111: a prompt holds marks of it" in caplog.text
    assert resolved(studio, negative_prompt="(bad:1.4)", guidance=3).grammar == "a1111"
    assert resolved(studio, prompt="a cat (asleep)").grammar is None
    assert resolved(studio, prompt="a (cat:1.3)", grammar="plain").grammar == "plain"
    assert resolved(studio, prompt="a cat (asleep)", grammar="a1111").grammar == "a1111"
    with pytest.raises(UnknownName, match="a1111"):
        echo(grammar="a111")


def test_records_from_before_keep_their_id(studio: Studio) -> None:
    plain = made(studio, echo())
    assert not {"grammar", "chaos", "anchor", "stop"} & set(plain.receipt.request)  # type: ignore[union-attr]
    for more in ({"grammar": "plain"}, {"stop": 1.0}, {"grammar": None}):
        assert made(studio, echo(**more)).receipt.id == plain.receipt.id  # type: ignore[union-attr]
    assert echo(grammar="plain").replace(n=1).grammar == "plain"


@pytest.mark.parametrize("told", ["plain", None, "a1111"])
def test_a_record_is_read_as_it_was(told: str | None, studio: Studio) -> None:
    """Also one from before, whose prompt has marks that were not read as such."""
    first = made(studio, echo(prompt="a (cat:1.3)", grammar=told))
    (replay,) = [event for event in studio.again(first.id) if hasattr(event, "recorded")]
    assert replay.artifact.receipt.request == first.receipt.request  # type: ignore[union-attr]
    assert (first.receipt.request.get("grammar") == "a1111") == (told != "plain")  # type: ignore[union-attr]


def test_a_wrong_prompt_costs_nothing(studio: Studio) -> None:
    with pytest.raises(PromptError) as caught:
        made(studio, echo(prompt="a (cat:1.3) (dog:99)"))
    assert caught.value.param == "prompt" and studio.gallery.list() == []
    with pytest.raises(PromptError, match="negative"):
        made(studio, echo(prompt="(a:1.2)", negative_prompt="<lora:x:1>", guidance=3))


def test_what_cannot_speak_it_says_so(studio: Studio) -> None:
    with pytest.raises(Unsupported, match="no grammar a1111"):
        choose(SPECS["flux-schnell"], {"grammar": "a1111"}, studio.settings)
    with pytest.raises(Unsupported, match="no chaos"):
        choose(SPECS["flux-schnell"], {"chaos": 0.5}, studio.settings)
    with pytest.raises(InvalidValue, match="plain words"):
        picture = made(studio, echo())
        studio.resolve(Edit(picture=picture.id, instruction="make it night", grammar="a1111", model="echo"))
    with pytest.raises(InvalidValue, match="no chaos is given"):
        resolved(studio, anchor=5)


def test_a_variation_speaks_its_pictures_grammar(studio: Studio) -> None:
    picture = made(studio, echo(prompt="a cat (asleep) in the snow", grammar="a1111"))
    told = studio.resolve(Vary(picture=picture.id, model="echo")).request
    assert (told.prompt, told.grammar) == ("a cat (asleep) in the snow", "a1111")
    assert studio.resolve(Upscale(picture=picture.id, detail=0.5, model="echo")).request.grammar == "a1111"
    edit = studio.resolve(Edit(picture=picture.id, instruction="change the cat to a dog", model="echo")).request
    assert edit.before == "a cat asleep in the snow" and edit.grammar is None


def test_policy_reads_what_is_said(studio: Studio) -> None:
    policy = Policy.load()

    def refused(prompt: str, **more: Any) -> set[str]:
        told = studio.resolve(echo(prompt=prompt, **more)).request
        return {verdict.rule for verdict in policy.judge_request(told, embed=None) if not verdict.allowed}

    due = refused("a pornographic photo")
    assert due
    for text in (
        "a (porno:1.2)(gra:1.1)(phic:1) photo", "a [porno|porno]graphic photo", "a [tree:pornographic photo:0.9]",
        "a cat AND a pornographic photo", "a <lora:x:1>porno<lora:y:1>graphic photo", "[tree|pornographic] photo",
    ):  # fmt: skip
        try:
            assert refused(text) == due, text
        except UnknownName:
            assert "lora" in text
    assert refused("a (pink:1.3) elephant [in the snow|on grass]") == set()
    with pytest.raises(PolicyRefused):
        made(studio, echo(prompt="a [tree:pornographic photo:0.9]"))


def test_an_adapter_in_the_prompt_is_one_of_the_request(home: Path, tmp_path: Path) -> None:
    settings = Settings(home=home)
    adapters.registered("embedded", settings)
    data = adapters.kohya("embedded", adapters.factors("embedded"))
    path = adapters.written(tmp_path / "ink.safetensors", data)
    add_adapter(path, name="ink", base="tiny-embedded", licence="CC0-1.0", settings=settings)
    small = {"width": 64, "height": 64, "steps": 2, "seed": 3, "model": "tiny-embedded"}
    with Studio(settings) as studio:
        tagged = made(studio, Imagine(prompt="a (pink:1.2) elephant <lora:ink:0.8>", **small))
        receipt = tagged.receipt
        assert receipt is not None and receipt.request["prompt"] == "a (pink:1.2) elephant"
        assert receipt.request["adapters"][0]["name"] == "ink" and receipt.request["adapters"][0]["weight"] == 0.8
        assert parse_infotext(tagged.image().info["parameters"]).prompt == "a (pink:1.2) elephant <lora:ink:0.8>"
        (replay,) = [event for event in studio.again(tagged.id) if hasattr(event, "recorded")]
        assert replay.artifact.receipt.pixels_sha256 == receipt.pixels_sha256  # type: ignore[union-attr]
        with pytest.raises(UnknownName, match="no adapter 'inc'"):
            made(studio, Imagine(prompt="a cat <lora:inc:1>", **small))
        with pytest.raises(InvalidValue, match="given twice"):
            made(studio, parse_request({"prompt": "a <lora:ink>", "adapters": ({"name": "ink"},), **small}))


@pytest.mark.parametrize("prompt", ["(a red car:1.4), [cat|dog]", r"a \(b\): c, 5:3 AND d :0.5", "a BREAK [x::3]"])
def test_the_settings_text_holds_the_prompt_as_written(prompt: str, studio: Studio) -> None:
    picture = made(studio, echo(prompt=prompt, negative_prompt="(bad:1.2)", guidance=3, grammar="a1111"))
    told = parse_infotext(picture.image().info["parameters"])
    assert (told.prompt, told.negative) == (prompt, "(bad:1.2)")


def test_the_command_line_reads_grammars(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def say(*words: str) -> tuple[int, str]:
        code = command(["imagine", *words, "--model", "echo", "--json"])
        told = capsys.readouterr()
        return code, told.out + told.err

    (home / "wildcards").mkdir(parents=True)
    (home / "wildcards" / "colours.txt").write_text("red\nblue\n", "utf-8")
    code, told = say("a {cat|dog} in __colours__", "--grammar", "dynamic", "--all", "--out", str(tmp_path / "all"))
    assert code == 0 and len(list((tmp_path / "all").glob("*.png"))) == 5, told
    code, told = say(
        "{a, b} --ar 3:2 --seed 4 --v 6", "--grammar", "midjourney", "-n", "1", "--out", str(tmp_path / "m.png")
    )
    assert code == 0 and sorted(path.name for path in tmp_path.glob("m*")) == ["m-1.png", "m-2.png", "m-sheet.png"], (
        told
    )
    assert "--v 6: none of Midjourney's models is here" in told
    code, told = say("a --sref 3", "--grammar", "midjourney")
    assert code != 0 and "prompt_error" in told and "nearest" in told
    assert say("a", "--all")[0] != 0 and say("a", "--all", "--grammar", "midjourney")[0] != 0
    assert say("a", "--grammar", "middle")[0] != 0
