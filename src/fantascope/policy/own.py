"""An organisation's own rules, and how strict a plan is: both laid over the shipped rules before they are read.

Own rules only add or tighten: new rules, more phrases and examples for one there is, a lower threshold, longer lists.
What loosens (exceptions, counterexamples, a higher threshold) is refused unless that is explicitly allowed.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from fantascope.errors import InvalidValue, UnknownName

PLANS = Path(__file__).parent.parent / "plans.toml"
STANDARD = "standard"
TIGHTER, LOOSER = ("phrases", "abroad", "examples"), ("exceptions", "counterexamples")
_FLAG = "Set FANTASCOPE_RULES_LOOSEN=1 if that is what you want."

Fail = Callable[[str, str], NoReturn]


def strictness_of(plan: str) -> str:
    """Return how strict a plan is (`plans.toml`).

    Raises:
        UnknownName: there is no such plan.
    """
    plans = tomllib.loads(PLANS.read_text("utf-8"))
    if plan not in plans:
        raise UnknownName("plan", plan, plans)
    return str(plans[plan].get("strictness", STANDARD))


def laid_over(table: dict[str, Any], own: Mapping[str, Any], loosen: bool, fail: Fail) -> dict[str, Any]:
    """Return the rules with an organisation's laid over them; both as read from TOML.

    Args:
        loosen: What loosens is allowed.
        fail: Raises an error that names the own file; called with what is wrong and where.
    """
    for key in own:
        if key not in ("lists", "rule"):
            fail(f"has the key {key!r}; own rules have [lists] and [[rule]]", "the file")
    lists = dict(table.get("lists", {}))
    for name, items in dict(own.get("lists", {})).items():
        if not isinstance(items, list):
            fail(f"has {name} = {items!r}, where a list belongs", "[lists]")
        if not loosen and any(
            f"<{name}>" in phrase for rule in table.get("rule", ()) for phrase in rule.get("exceptions", ())
        ):
            fail(f"lengthens {name}, which exceptions use, so it loosens. {_FLAG}", "[lists]")
        lists[name] = [*lists.get(name, ()), *items]
    rules = [dict(rule) for rule in table.get("rule", ())]
    place = {rule["id"]: n for n, rule in enumerate(rules)}
    for entry in own.get("rule", ()):
        name = entry.get("id") if isinstance(entry, dict) else None
        if name in place:
            _tighten(rules[place[name]], entry, loosen, fail)
        else:
            rules.append(entry)
    return table | {"lists": lists, "rule": rules}


def _tighten(rule: dict[str, Any], entry: Mapping[str, Any], loosen: bool, fail: Fail) -> None:
    where = f"rule {entry['id']!r}"
    for key, value in entry.items():
        if key == "id":
            continue
        if key == "threshold":
            if isinstance(value, (int, float)) and value > rule["threshold"] and not loosen:
                fail(f"raises the threshold from {rule['threshold']} to {value}, which loosens it. {_FLAG}", where)
            rule["threshold"] = value
        elif key in TIGHTER or (key in LOOSER and loosen):
            if not isinstance(value, list):
                fail(f"has {key} = {value!r}, where a list belongs", where)
            rule[key] = [*rule.get(key, ()), *value]
        elif key in LOOSER:
            fail(f"has {key}, which loosen it. {_FLAG}", where)
        else:
            fail(f"has {key!r}, which a rule that ships keeps; allowed are threshold, {', '.join(TIGHTER)}", where)


def with_strictness(table: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the rules with the thresholds of a strictness; `standard` are those the rules state.

    Raises:
        UnknownName: there is none of this name.
        InvalidValue: it names a rule that is not there.
    """
    known = dict(table.get("strictness", {}))
    if name == STANDARD:
        return table
    if name not in known:
        raise UnknownName("strictness", name, [STANDARD, *known])
    thresholds = dict(known[name])
    ids = {rule.get("id") for key in ("rule", "picture") for rule in table.get(key, ())}
    for rule in thresholds:
        if rule not in ids:
            raise InvalidValue(f"[strictness.{name}] names the rule {rule!r}, which is not there.", param="policy")
    changed = {
        key: [dict(rule) | {"threshold": thresholds.get(rule.get("id"), rule.get("threshold"))} for rule in table[key]]
        for key in ("rule", "picture")
        if key in table
    }
    return table | changed
