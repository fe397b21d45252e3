"""What the server says is there in Spanish: errors, rules, tasks and the fields of every form."""

from __future__ import annotations

import re
from typing import Any

import pytest
from tests.serve.studio.sentences import (
    HOLE,
    NAMED,
    SENTENCES,
    Ear,
    bare,
    catalogue,
    claim_templates,
    codes,
    error_templates,
    names,
)

from fantascope.annotate.table import ANNOTATORS
from fantascope.gallery.plans import read_plans
from fantascope.policy.rules import ARTISTS, RULES, read_rules
from fantascope.request import REQUESTS
from fantascope.serve.own.jobs import _task
from fantascope.serve.own.schema import schema_of

SPANISH = catalogue("es")
SHAPES = {bare(one) for one in SPANISH}
heard = Ear(SPANISH).heard
COMMANDS = re.compile(r"^(?:fantascope|pip|mkdir|GET) |--[a-z]|fantascope [a-z]+ [a-z]+|chmod|np\.")
"""What belongs into a terminal or a program, not into a page."""


def parts(schema: Any) -> Any:
    """Yield (name, schema) of every field in a schema, of its parts too."""
    if isinstance(schema, dict):
        yield from schema.get("properties", {}).items()
        for value in schema.values():
            yield from parts(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from parts(value)


def test_every_error_has_a_spanish_name() -> None:
    assert not codes() - set(names("es")["codes"])


def test_every_sentence_of_an_error_is_there_in_spanish() -> None:
    told = list(error_templates())
    assert len(told) > 300
    assert sorted({(module, text) for module, _, text in told if text not in SHAPES and not heard(text)}) == []
    assert not {one for one in NAMED.values() if not heard(one)}


def test_no_hint_of_a_terminal_is_shown_in_the_page() -> None:
    shown = {bare(one): text for one, text in catalogue("en").items()}
    hints = {text for _, kind, text in error_templates() if kind == "hint" and COMMANDS.search(text)}
    assert len(hints) > 15
    assert sorted(hints - set(shown)) == []
    assert not [text for text in (*shown.values(), *SPANISH.values()) if re.search(r"fantascope [a-z]+ [a-z]+", text)]


def test_every_rule_is_there_in_spanish() -> None:
    read = read_rules(RULES, ARTISTS)
    rules = [read.subtraction, *read.rules, *read.pictures]
    assert len(rules) > 15
    assert not [(one.id, text) for one in rules for text in (one.reason, one.offer) if not heard(text)]


@pytest.mark.parametrize("task", REQUESTS)
def test_every_field_of_a_task_is_there_in_spanish(task: str) -> None:
    told = names("es")
    assert told["tasks"][task]
    assert heard(_task(task, REQUESTS[task]).about)
    fields = [(name, part) for name, part in parts(schema_of(REQUESTS[task])) if "const" not in part]
    assert not {name for name, _ in fields} - set(told["fields"])
    helps = [(name, part["description"]) for name, part in fields if "description" in part]
    assert len(helps) > 9
    assert not [one for one in helps if not heard(one[1])]


def test_maps_and_plans_are_there_in_spanish() -> None:
    assert not [one.kind for one in ANNOTATORS.values() if not heard(one.about)]
    assert not [plan.name for plan in read_plans().values() if not heard(plan.terms())]


def test_every_claim_of_a_file_is_there_in_spanish() -> None:
    told = set(claim_templates())
    assert len(told) > 40
    assert sorted(text for text in told if text not in SHAPES and not heard(text)) == []


@pytest.mark.parametrize("language", ["en", "es"])
def test_a_translation_fills_what_its_sentence_has(language: str) -> None:
    every = catalogue(language)
    assert len(every) > 40
    for english, said in every.items():
        known = {hole[1:-1].partition(":")[0] for hole in HOLE.findall(english)}
        assert {hole[1:-1] for hole in re.findall(r"\{\w+\}", said)} <= known, english
    per_file = [set(catalogue(language, one)) for one in SENTENCES]
    assert sum(map(len, per_file)) == len(every), "a sentence stands once"
