"""Requests of several people in one batch: the same events and pixels as alone, whoever comes, goes or fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.homes import lend

from fantascope.artifact import Output, Step
from fantascope.core.schedules import SCHEDULES
from fantascope.engines import together
from fantascope.engines.base import Choice, Inputs, Rowwise
from fantascope.engines.graph import GraphEngine
from fantascope.engines.graph_runtime import open_runtime
from fantascope.engines.paint import (
    AGREE,
    FREE,
    PLAIN,
    PREVIEWS,
    batch_key,
    company,
    paint_together,
    previewed,
    shares,
)
from fantascope.engines.together import Seat, SharedEngines, Ticket
from fantascope.errors import InvalidValue, UnknownName, Unsupported
from fantascope.request import Imagine, Vary
from fantascope.settings import Settings
from fantascope.spec import SPECS

SPEC = SPECS["embedded"]
FP32 = Choice("graph", "cpu", "fp32", (), "openvino")
ECHO = Choice("echo", "cpu", "fp32")
FIELDS: dict[str, Any] = {"n": 1, "width": 96, "height": 96, "upscale": 1, "steps": 3, "guidance": 4.0}
FIELDS |= {"guidance_rescale": 0.7, "sampler": "ddim", "schedule": "default", "format": "png", "quality": 95}
PROMPTS = ("a pink elephant", "a green frog on a red background", "two cats beside a blue car at night", "a tree")
LONG = "an elephant and a frog " * 12


def wish(k: int = 0, **fields: Any) -> Imagine:
    plain = {"prompt": f"{PROMPTS[k % 4]} {k}", "seed": 100 * k, "negative_prompt": (None, "dark, blurry")[k % 2]}
    return Imagine(**(FIELDS | plain | fields))


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(home=lend(tmp_path_factory.mktemp("together")), threads=1)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[GraphEngine]:
    loaded = GraphEngine.load(SPEC, FP32, settings)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def engines(settings: Settings) -> Iterator[SharedEngines]:
    made = SharedEngines(settings)
    yield made
    made.close()


def same(a: Step | Output, b: Step | Output) -> bool:
    """Say whether two events are equal to the last byte."""
    name = "pixels" if isinstance(a, Output) else "preview"
    one, other = getattr(a, name), getattr(b, name, None)
    equal = (one is None) == (other is None) and (one is None or np.array_equal(one, other))
    return bool(type(a) is type(b) and equal and replace(a, **{name: None}) == replace(b, **{name: None}))  # type: ignore[type-var]


def pixels(events: list[Any]) -> list[bytes]:
    return [event.pixels.tobytes() for event in events if isinstance(event, Output)]


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.002)


def test_every_field_of_a_request_is_accounted_for() -> None:
    """A new field cannot be forgotten: it must agree, be plain, or be free."""
    named = [*AGREE, *PLAIN, *FREE]
    assert sorted(named) == sorted(Imagine.model_fields)


@pytest.mark.parametrize(
    "change",
    [
        *({"width": 128}, {"height": 128}, {"steps": 4}, {"sampler": "euler"}, {"schedule": sorted(SCHEDULES)[-1]}),
        *({"guidance": 1.0}, {"guidance_rescale": 0.0}, {"clip_skip": 1}, {"upscale": 4, "width": 384, "height": 384}),
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_must_agree_is_in_the_key(change: dict[str, Any]) -> None:
    assert batch_key(wish(**change)) not in (None, batch_key(wish()))


def test_what_may_differ_is_not_in_the_key() -> None:
    free = {"n": 3, "preview": True, "format": "webp", "quality": 50, "private": True, "said": "x", "chaos": 1.0}
    assert batch_key(wish(1, **free)) == batch_key(wish(2)) != None  # noqa: E711


@pytest.mark.parametrize(
    "request_",
    [
        wish(grammar="a1111"),
        wish(chaos=0.5),
        wish(stop=0.5),
        wish(adapters=[{"name": "a"}]),
        wish(n=None),
        wish(seed=None),
        Vary(picture="sha256:" + "0" * 64, n=1, seed=1),
        None,
    ],
    ids=["grammar", "chaos", "stop", "adapters", "n", "seed", "vary", "none"],
)
def test_what_must_be_painted_alone_has_no_key(request_: Any) -> None:
    assert batch_key(request_) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("runtime", "precision", "threads"),
    [
        ("openvino", "fp32", 1),
        ("openvino", "fp32", 2),
        ("openvino", "bf16", 1),
        ("openvino", "int8", 1),
        ("onnxruntime", "fp32", 1),
        ("onnxruntime", "int8", 1),
    ],
)
def test_rows_do_not_depend_on_their_company(runtime: str, precision: str, threads: int, settings: Settings) -> None:
    """What `rowwise` promises: raw predictions of eight rows equal those of the same rows by two, to the last bit."""
    if precision not in open_runtime(runtime, settings).precisions:
        pytest.skip("this processor has no bfloat16")
    own = Settings(home=settings.home, threads=threads)
    loaded = GraphEngine.load(SPEC, Choice("graph", "cpu", precision, (), runtime), own)
    with closing(loaded):
        assert isinstance(loaded, Rowwise) and loaded.rowwise
        x = np.random.default_rng(1).standard_normal((8, loaded.latent_channels, 12, 12)).astype(np.float32)
        states = loaded.encode_text(["", *PROMPTS, "dark", "a bird", "a house by a lake"], wish())
        for noise in (999.0, 20.0):
            found = loaded.network(wish(), states)(x, noise)
            for pair in ([0, 1], [5, 2], [7, 6], [4, 3]):
                assert np.array_equal(loaded.network(wish(), states.rows(pair))(x[pair], noise), found[pair])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"guidance": 1.0, "sampler": "euler_ancestral"},
        {"guidance_rescale": 0.0, "sampler": "dpmpp_2m"},
        {"upscale": 4, "width": 384, "height": 384},
    ],
    ids=["plain", "unguided", "two steps back", "upscaled"],
)
def test_events_and_pixels_are_those_of_each_alone(engine: GraphEngine, fields: dict[str, Any]) -> None:
    requests = [
        wish(0, **fields),
        wish(1, n=5, preview=True, **fields),
        wish(2, n=3, **fields),
        wish(3, prompt=LONG, negative_prompt=None, preview=True, **fields),
        wish(4, n=2, prompt=LONG, **fields),
    ]
    found: list[list[Any]] = [[] for _ in requests]
    for k, event in paint_together(engine, requests):
        found[k].append(event)
    for request, mine in zip(requests, found, strict=True):
        alone = list(engine.render(request))
        assert len(mine) == len(alone)
        assert all(same(a, b) for a, b in zip(mine, alone, strict=True))


def test_previews_are_decoded_for_those_who_asked(engine: GraphEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, decode = [], engine.decode
    monkeypatch.setattr(engine, "decode", lambda latents: (rows.append(len(latents)), decode(latents))[1])
    events = [event for _, event in paint_together(engine, [wish(0), wish(1, n=2, preview=True), wish(2)])]
    assert sum(rows) == 3 * 2 + 4
    assert sum(isinstance(event, Step) and event.preview is not None for event in events) == 3


def test_previews_are_few_and_even() -> None:
    def shown(total: int) -> list[int]:
        return [step for step in range(1, total + 1) if previewed(step, total)]

    assert shown(1) == [1] and shown(6) == [1, 2, 3, 4, 5, 6]
    assert shown(7) == [1, 3, 4, 5, 6, 7] and shown(20) == [1, 5, 8, 11, 15, 18]
    for total in range(8, 200):
        steps = shown(total)
        gaps = [b - a for a, b in zip(steps, [*steps[1:], total + 1], strict=True)]
        assert len(steps) == PREVIEWS and max(gaps) - min(gaps) <= 1, total


def test_who_goes_together(engine: GraphEngine) -> None:
    """First come first, what fits beside it, never more than the limit, and no count that would need a new program."""

    def together_(*requests: Imagine) -> list[int]:
        return company(engine, [part for request in requests for part in shares(engine, request)])

    assert together_(wish(n=4), wish()) == [0]
    assert together_(wish(), wish(n=4), wish(), wish(), wish(), wish()) == [0, 2, 3, 4]
    assert together_(wish(), wish(), wish()) == [0, 1]
    assert together_(wish(n=3), wish(n=2), wish()) == [0, 2]
    assert together_(wish(n=3)) == [0]
    assert together_(wish(), wish(prompt=LONG), wish()) == [0, 2]
    assert together_(wish(), wish(), wish(n=2)) == [0, 1, 2]
    assert together_(wish(), wish(), wish(), wish(n=2)) == [0, 1, 3], "the most pictures, then who came first"


@contextmanager
def gate(engines: SharedEngines) -> Iterator[None]:
    """Keep the engine busy, so that what is asked for in the meantime waits in its line."""
    with engines.lease(SPEC, FP32):
        yield


def line(engines: SharedEngines) -> Any:
    return next(slot.line for slot in engines._slots.values() if slot.key[0] is SPEC)


class Asking(threading.Thread):
    """A thread that asks for a request and keeps what comes back."""

    def __init__(self, engines: SharedEngines, request: Imagine, stop: int | None = None) -> None:
        super().__init__()
        self.engines, self.request, self.stop = engines, request, stop
        self.events: list[Any] = []
        self.error: BaseException | None = None
        self.ran: Any = None
        self.start()

    def run(self) -> None:
        try:
            with (
                self.engines.lease(SPEC, FP32, self.request) as engine,
                closing(engine.render(self.request)) as events,  # type: ignore[type-var]
            ):
                for event in events:
                    self.events.append(event)
                    if isinstance(event, Step) and event.step == self.stop:
                        return
                self.ran = engine.ran()
        except BaseException as error:
            self.error = error


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """The seeds of each batch that is painted."""
    seen: list[list[int]] = []
    real = together.batch

    def counted(engine: Any, work: Any, parts: Any) -> Any:
        seen.append([seed for part in parts for seed in part.seeds])
        return real(engine, work, parts)

    monkeypatch.setattr(together, "batch", counted)
    return seen


def asked(engines: SharedEngines, requests: list[Imagine], stops: dict[int, int] | None = None) -> list[Asking]:
    """Ask for requests in threads of their own, while the engine is busy, in their order; wait for all."""
    threads = []
    with gate(engines):
        for k, request in enumerate(requests):
            threads.append(Asking(engines, request, (stops or {}).get(k)))
            until(lambda: len(line(engines).waiting()) == len(threads))
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return threads


def test_eight_threads_get_what_each_gets_alone(
    engines: SharedEngines, engine: GraphEngine, batches: list[list[int]]
) -> None:
    requests = [wish(k, preview=k == 5, n=2 if k == 7 else 1) for k in range(8)]
    threads = asked(engines, requests)
    assert batches == [[0, 100, 200, 300], [400, 500, 700, 701], [600]]
    for thread in threads:
        alone = list(engine.render(thread.request))
        assert thread.error is None
        mine = [replace(event, preview=None) if isinstance(event, Step) else event for event in thread.events]
        plain = [replace(event, preview=None) if isinstance(event, Step) else event for event in alone]
        assert len(mine) == len(plain) and all(same(a, b) for a, b in zip(mine, plain, strict=True))
        assert thread.ran.weights == engine.ran().weights and thread.ran.exactness == "bit-exact"


def test_those_who_cancel_leave_the_others_as_they_were(
    engines: SharedEngines, engine: GraphEngine, batches: list[list[int]]
) -> None:
    requests = [wish(k) for k in range(8)]
    threads = asked(engines, requests, {1: 1, 6: 0})
    assert [len(pixels(thread.events)) for thread in threads] == [1, 0, 1, 1, 1, 1, 0, 1]
    for k in (0, 2, 3, 4, 5, 7):
        assert pixels(threads[k].events) == pixels(list(engine.render(requests[k])))


def test_nothing_more_is_painted_when_nobody_is_left(
    engines: SharedEngines, batches: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[float] = []
    real = GraphEngine.network

    def counted(self: Any, request: Any, conditions: Any) -> Any:
        network = real(self, request, conditions)
        return lambda x, time: (calls.append(time), network(x, time))[1]

    monkeypatch.setattr(GraphEngine, "network", counted)
    threads = asked(engines, [wish(k, steps=200) for k in range(2)], {0: 1, 1: 2})
    assert all(not pixels(thread.events) for thread in threads)
    with engines.lease(SPEC, FP32):
        assert len(batches) == 1 and 2 <= len(calls) < 150


def test_leaving_the_line_costs_nothing(engines: SharedEngines, batches: list[list[int]]) -> None:
    """Who is gone before the turn came is not painted, and the turn goes on."""
    with gate(engines), engines.lease(SPECS["echo"], ECHO):
        slot = next(slot for slot in engines._slots.values() if slot.key[0] is SPEC)
        tickets = [Ticket(engines, slot, ("key",), part) for part in shares(slot.engine, wish(n=6))]  # type: ignore[arg-type]
        for ticket in tickets:
            ticket.enter()
        tickets[0].cancel()
        assert slot.line.waiting() == (tickets[1],)
        tickets[1].cancel()
        assert slot.line.waiting() == ()
    with engines.lease(SPEC, FP32):
        assert batches == []


def test_an_error_reaches_everybody_as_their_own(engines: SharedEngines, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, request: Any, conditions: Any) -> Any:
        raise UnknownName("colour", "mauvr", ["mauve"], param="prompt")

    with monkeypatch.context() as patch:
        patch.setattr(GraphEngine, "network", broken)
        threads = asked(engines, [wish(k) for k in range(3)])
    errors = [thread.error for thread in threads]
    assert all(
        type(error) is UnknownName and error.nearest == ["mauve"] and error.param == "prompt" for error in errors
    )
    assert len({id(error) for error in errors}) == 3
    assert str(errors[0]) == str(errors[1])
    assert len(pixels(asked(engines, [wish()])[0].events)) == 1, "the engine works on"


def test_a_text_that_cannot_be_read_is_no_matter_of_the_others(
    engines: SharedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = GraphEngine.encode_text

    def picky(self: Any, texts: Any, request: Any) -> Any:
        if "bad" in texts:
            raise InvalidValue("This prompt is bad.", param="prompt")
        return real(self, texts, request)

    monkeypatch.setattr(GraphEngine, "encode_text", picky)
    threads = asked(engines, [wish(0), wish(1, prompt="bad"), wish(2), wish(3, prompt="bad")])
    assert [type(thread.error) for thread in threads] == [type(None), InvalidValue, type(None), InvalidValue]
    assert all(len(pixels(threads[k].events)) == 1 for k in (0, 2))


def test_a_slow_reader_holds_up_nobody_and_keeps_one_preview(engines: SharedEngines) -> None:
    request = wish(1, n=6, steps=12, preview=True)
    with engines.lease(SPEC, FP32, request) as seat, closing(seat.render(request)) as events:  # type: ignore[type-var]
        first = next(events)
        other = Asking(engines, wish(2))
        other.join(60)
        assert len(pixels(other.events)) == 1 and isinstance(first, Step)
        rest = list(events)
    steps = [event for event in rest if isinstance(event, Step) and event.stage == "denoise"]
    assert [step.step for step in steps] == [*range(1, 13), *range(1, 13)], "all steps come, in order"
    assert len(pixels(rest)) == 6
    assert [step.preview is not None for step in steps[:12]].count(True) < PREVIEWS


def test_first_come_first_served_between_keys_and_the_lone(engines: SharedEngines, batches: list[list[int]]) -> None:
    """Many of one key do not starve another key, nor who wants the engine alone; a large request waits again."""
    order: list[str] = []

    def alone() -> None:
        with engines.lease(SPEC, FP32) as engine:
            order.append(f"alone after {len(batches)}")
            assert not isinstance(engine, Seat)

    with gate(engines):
        many = [Asking(engines, wish(0, n=8))]
        until(lambda: len(line(engines).waiting()) == 1)
        many.append(Asking(engines, wish(1, steps=4)))
        until(lambda: len(line(engines).waiting()) == 2)
        thread = threading.Thread(target=alone)
        thread.start()
        until(lambda: len(line(engines).waiting()) == 3)
        many += [Asking(engines, wish(k)) for k in (2, 3, 4, 5)]
        until(lambda: len(line(engines).waiting()) == 7)
    for one in (*many, thread):
        one.join(60)
        assert not one.is_alive()
    assert batches[0] == [0, 1, 2, 3] and batches[1] == [100] and order == ["alone after 2"]
    assert sorted(batches[2]) == [200, 300, 400, 500] and batches[3] == [4, 5, 6, 7]


def test_what_is_not_plain_is_rendered_alone_from_a_seat(engines: SharedEngines, engine: GraphEngine) -> None:
    picture = np.full((1, 96, 96, 3), 90, np.uint8)
    inputs = Inputs(pictures=picture, strength=0.5)
    with engines.lease(SPEC, FP32, wish()) as seat:
        assert isinstance(seat, Seat) and seat.supports == engine.supports
        found = list(seat.render(wish(), inputs))
        assert "encoder" in {weight.part.split()[0] for weight in seat.ran().weights}
        assert pixels(found) == pixels(list(engine.render(wish(), inputs)))
        tight = wish(stop=0.5)
        assert pixels(list(seat.render(tight))) == pixels(list(engine.render(tight)))


def test_only_engines_that_promise_it_share(engines: SharedEngines) -> None:
    with engines.lease(SPECS["echo"], ECHO, wish()) as engine:
        assert not isinstance(engine, Seat)
    with engines.lease(SPEC, FP32, wish(chaos=0.5)) as engine:
        assert isinstance(engine, GraphEngine)


def test_a_thread_that_has_the_engine_is_refused_a_seat(engines: SharedEngines) -> None:
    with engines.lease(SPEC, FP32), pytest.raises(Unsupported, match="busy"), engines.lease(SPEC, FP32, wish()):
        pass


def test_no_thread_to_paint_in_is_an_error_and_no_deadlock(
    engines: SharedEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engines.lease(SPEC, FP32, wish()) as seat:
        with monkeypatch.context() as patch:

            def refuse(self: Any) -> None:
                raise RuntimeError("can't start new thread")

            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(RuntimeError, match="new thread"):
                list(seat.render(wish()))
        assert len(pixels(list(seat.render(wish())))) == 1


def test_closing_waits_for_nobody_and_those_at_work_finish(settings: Settings) -> None:
    engines = SharedEngines(settings)
    threads = [Asking(engines, wish(k, steps=6)) for k in range(3)]
    until(lambda: all(thread.events for thread in threads))
    engines.close()
    for thread in threads:
        thread.join(60)
        assert thread.error is None and len(pixels(thread.events)) == 1
    until(lambda: len(engines) == 0)
    with pytest.raises(AssertionError, match="after close"), engines.lease(SPEC, FP32, wish()):
        pass


def test_prefetch_leaves_an_engine_at_work_alone(settings: Settings) -> None:
    engines = SharedEngines(settings)
    engines.prefetch(SPEC, FP32, wish())
    ahead = engines._ahead
    assert ahead is not None
    ahead.join()
    assert len(engines) == 1
    with gate(engines):
        engines.prefetch(SPEC, FP32, wish())
        assert engines._ahead is ahead and len(line(engines).waiting()) == 0
    engines.close()
