"""The rules as data: `rules.toml` and `artists.toml`, read and checked."""

from __future__ import annotations

import datetime
import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn

from fantascope.errors import InvalidValue
from fantascope.policy.own import STANDARD, laid_over, with_strictness
from fantascope.policy.phrases import Phrase, compile_phrase, fold

RULES = Path(__file__).with_name("rules.toml")
ARTISTS = Path(__file__).with_name("artists.toml")
TERM = 70
"""Years of protection after the year of death (Directive 2006/116/EC, article 1)."""

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""The categories of OpenAI's moderation (openai-python, `types/moderation.py`); a rules file needs each of them."""


@dataclass(frozen=True)
class Rule:
    """One rule. It refuses from the score `threshold` on; `finds` and `excuses` are its phrases, compiled.

    `abroad` are phrases in other languages than English.
    """

    id: str
    category: str
    reason: str
    offer: str
    threshold: float
    phrases: tuple[str, ...]
    abroad: tuple[str, ...]
    exceptions: tuple[str, ...]
    examples: tuple[str, ...]
    counterexamples: tuple[str, ...]
    finds: tuple[Phrase, ...] = field(default=(), repr=False)
    excuses: tuple[Phrase, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class PictureRule:
    """One rule for pixels: it refuses where the probabilities of its `classes` add up to `threshold`."""

    id: str
    category: str
    reason: str
    offer: str
    threshold: float
    classes: tuple[str, ...]


@dataclass(frozen=True)
class Artist:
    """Somebody whose style is asked for. `born` and `died` are years, None where unknown or not."""

    name: str
    offer: str
    born: int | None = None
    died: int | None = None
    names: tuple[str, ...] = ()
    surnames: tuple[str, ...] = ()

    def called(self, name: str) -> bool:
        """Tell whether this is a name or a surname of the artist, whatever its case and accents."""
        return _plain(name) in {_plain(each) for each in (self.name, *self.names, *self.surnames)}

    def free(self, year: int) -> bool:
        """Tell whether the works are in the public domain in this year."""
        return self.died is not None and year > self.died + TERM


@dataclass(frozen=True)
class Rules:
    """What the two files say, and the sha256 of their bytes (rules.toml, then artists.toml).

    `artists_source` says where the dates of artists come from, `artists_written` when they were written down.
    """

    version: str
    date: datetime.date
    encoder: str
    hash: str
    benign: tuple[str, ...]
    lists: Mapping[str, tuple[str, ...]]
    negative_fields: frozenset[str]
    negative_rules: frozenset[str]
    subtraction: Rule
    rules: tuple[Rule, ...]
    artists: tuple[Artist, ...]
    pictures: tuple[PictureRule, ...] = ()
    final: frozenset[str] = frozenset()
    artists_source: str = ""
    artists_written: datetime.date | None = None


def read_rules(
    path: Path, artists: Path, own: Path | None = None, *, loosen: bool = False, strictness: str = STANDARD
) -> Rules:
    """Read and check both files, and an organisation's own rules if there are any.

    The hash is of the bytes of the files, then of the strictness where it is not `standard`.

    Raises:
        InvalidValue: a file cannot be read or is malformed; the message names file, line and rule.
    """
    raw, named = _bytes(path), _bytes(artists)
    added = b"" if own is None else _bytes(own)
    data = _Reader(path, raw)
    if own is not None:
        mine = _Reader(own, added)
        data = _Reader(own, added, laid_over(data.table, mine.table, loosen, mine.fail))
    top = with_strictness(data.table, strictness)
    data.known(top, _TOP, "the file")
    lists = {
        name: data.texts(top.get("lists", {}), name, "[lists]") for name in data.get(top, "lists", dict, "the file")
    }
    rules = tuple(_rule(data, entry, n, lists) for n, entry in enumerate(data.get(top, "rule", list, "the file")))
    negatives = data.get(top, "negatives", dict, "the file")
    data.known(negatives, {"fields", "rules", "subtraction"}, "[negatives]")
    subtraction = _rule(data, data.get(negatives, "subtraction", dict, "[negatives]"), len(rules), lists)
    pictures = tuple(_picture(data, entry, n) for n, entry in enumerate(top.get("picture", ())))
    ids = [*(rule.id for rule in (*rules, subtraction)), *(rule.id for rule in pictures)]
    for id in ids:
        if ids.count(id) > 1:
            data.fail("is there twice", f"rule {id!r}")
    missing = sorted(set(CATEGORIES) - {rule.category for rule in rules})
    if missing:
        data.fail(f"has no rule of the category {', '.join(missing)}", "the file")
    strict = data.texts(negatives, "rules", "[negatives]")
    final = data.texts(top, "final", "the file") if "final" in top else ()
    for where, names in (("[negatives]", strict), ("final", final)):
        for name in names:
            if name not in ids:
                data.fail(f"names the rule {name!r}, which is not there", where)
    people = _Reader(artists, named)
    people.known(people.table, {"source", "written", "artists"}, "the file")
    named_strictness = b"" if strictness == STANDARD else strictness.encode()
    return Rules(
        version=data.get(top, "version", str, "the file"),
        date=data.get(top, "date", datetime.date, "the file"),
        encoder=data.get(top, "encoder", str, "the file"),
        hash=hashlib.sha256(raw + named + added + named_strictness).hexdigest(),
        benign=data.texts(top, "benign", "the file"),
        lists=lists,
        negative_fields=frozenset(data.texts(negatives, "fields", "[negatives]")),
        negative_rules=frozenset(strict),
        subtraction=subtraction,
        rules=rules,
        artists=_artists(people),
        pictures=pictures,
        final=frozenset(final),
        artists_source=people.get(people.table, "source", str, "the file"),
        artists_written=people.get(people.table, "written", datetime.date, "the file"),
    )


def _plain(name: str) -> str:
    return " ".join(fold(name)[0].split())


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidValue(f"The policy file {path} cannot be read: {error.strerror}.", param="policy") from error


class _Reader:
    """A TOML file whose errors name the line."""

    def __init__(self, path: Path, raw: bytes, table: dict[str, Any] | None = None) -> None:
        self.path = path
        try:
            self.text = raw.decode("utf-8")
            self.table: dict[str, Any] = tomllib.loads(self.text) if table is None else table
        except UnicodeDecodeError as error:
            raise InvalidValue(f"{path} is not UTF-8 text (byte {error.start}).", param="policy") from error
        except tomllib.TOMLDecodeError as error:
            raise InvalidValue(f"{path} is not valid TOML: {error}.", param="policy") from error

    def fail(self, said: str, where: str) -> NoReturn:
        """Raise an error that names the file, the place and the line the place begins at."""
        mark = where.split("'")[1] if "'" in where else where
        starts = (f'id = "{mark}"', f'"{mark}" =') if "'" in where else (mark,)
        lines = [n for n, line in enumerate(self.text.splitlines(), 1) if line.startswith(starts)]
        at = f", line {lines[0]}" if lines else ""
        raise InvalidValue(
            f"{self.path}{at}: {where} {said}.", param="policy", hint="docs/policy.md shows the form of a rule."
        )

    def known(self, table: Mapping[str, Any], names: set[str], where: str) -> None:
        """Refuse keys that mean nothing here: a misspelt key would silently do nothing."""
        for key in table:
            if key not in names:
                self.fail(f"has the unknown key {key!r}; known are {', '.join(sorted(names))}", where)

    def get(self, table: Mapping[str, Any], key: str, kind: type, where: str) -> Any:
        """Return a value of this kind."""
        if key not in table:
            self.fail(f"lacks {key!r}", where)
        value = table[key]
        if not isinstance(value, kind) or isinstance(value, bool) or value == "":
            self.fail(f"has {key} = {value!r}, which is not a {kind.__name__} with something in it", where)
        return value

    def texts(self, table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
        """Return a list of non-empty strings."""
        items = self.get(table, key, list, where)
        for item in items:
            if not isinstance(item, str) or not item.strip():
                self.fail(f"has {item!r} in {key}, where a text belongs", where)
        return tuple(items)


_TOP = {"version", "date", "encoder", "benign", "negatives", "lists", "rule", "picture", "final", "strictness"}
_KEYS = {each.name for each in fields(Rule)} - {"finds", "excuses"}


def _rule(data: _Reader, entry: Any, n: int, lists: Mapping[str, tuple[str, ...]]) -> Rule:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        data.fail("has no id", f"rule number {n + 1}")
    where = f"rule {entry['id']!r}"
    data.known(entry, _KEYS, where)
    threshold = _threshold(data, entry, where)
    phrases = data.texts(entry, "phrases", where) if "phrases" in entry else ()
    abroad = data.texts(entry, "abroad", where) if "abroad" in entry else ()
    exceptions = data.texts(entry, "exceptions", where) if "exceptions" in entry else ()
    examples = data.texts(entry, "examples", where) if "examples" in entry else ()
    if not examples and not phrases:
        data.fail("has neither phrases nor examples, so it would never refuse", where)
    return Rule(
        id=entry["id"],
        category=data.get(entry, "category", str, where),
        reason=data.get(entry, "reason", str, where),
        offer=data.get(entry, "offer", str, where),
        threshold=threshold,
        phrases=phrases,
        abroad=abroad,
        exceptions=exceptions,
        examples=examples,
        counterexamples=data.texts(entry, "counterexamples", where) if "counterexamples" in entry else (),
        finds=_compiled(data, phrases + abroad, lists, where),
        excuses=_compiled(data, exceptions, lists, where),
    )


def _threshold(data: _Reader, entry: Mapping[str, Any], where: str) -> float:
    threshold: Any = entry.get("threshold")
    if not isinstance(threshold, (int, float)) or isinstance(threshold, bool) or not 0 < threshold <= 1:
        data.fail(f"has threshold = {threshold!r}; it must be a number above 0 and at most 1", where)
    return float(threshold)


def _picture(data: _Reader, entry: Any, n: int) -> PictureRule:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        data.fail("has no id", f"picture rule number {n + 1}")
    where = f"rule {entry['id']!r}"
    data.known(entry, {each.name for each in fields(PictureRule)}, where)
    said = {key: data.get(entry, key, str, where) for key in ("id", "category", "reason", "offer")}
    classes = data.texts(entry, "classes", where)
    if not classes:
        data.fail("names no class, so it would never refuse", where)
    return PictureRule(**said, threshold=_threshold(data, entry, where), classes=classes)


def _compiled(
    data: _Reader, patterns: tuple[str, ...], lists: Mapping[str, tuple[str, ...]], where: str
) -> tuple[Phrase, ...]:
    phrases: list[Phrase] = []
    for pattern in patterns:
        try:
            phrases += compile_phrase(pattern, lists)
        except ValueError as error:
            data.fail(f"has the phrase {pattern!r}: {error}", where)
    return tuple(phrases)


def _artists(data: _Reader) -> tuple[Artist, ...]:
    rows = []
    for name, row in data.get(data.table, "artists", dict, "the file").items():
        where = f"artist {name!r}"
        if not isinstance(row, dict):
            data.fail("is not a table", where)
        data.known(row, {each.name for each in fields(Artist)} - {"name"}, where)
        born, died = (data.get(row, key, int, where) if key in row else None for key in ("born", "died"))
        if born is not None and died is not None and died < born:
            data.fail("died before being born", where)
        names, surnames = (data.texts(row, key, where) if key in row else () for key in ("names", "surnames"))
        rows.append(Artist(name, data.get(row, "offer", str, where), born, died, names, surnames))
    return tuple(rows)
