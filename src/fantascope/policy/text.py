"""Judging texts: by phrases, by meaning and by the names of artists; one verdict for every rule."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fantascope.policy.artists import THRESHOLD, Artists, Named
from fantascope.policy.licence import check_licence
from fantascope.policy.meaning import Embed, Floats, Meaning
from fantascope.policy.mend import mended, words_of
from fantascope.policy.own import STANDARD, strictness_of
from fantascope.policy.phrases import Cover, Index, Span, Token, tokenise
from fantascope.policy.picture import Classify, Judge, check_pictures, classifier_judges, not_judged
from fantascope.policy.pieces import grouped, pieces
from fantascope.policy.rules import ARTISTS, RULES, Rule, Rules, read_rules
from fantascope.prompt.grammar.speech import MOST_STEPS, readings
from fantascope.receipt import Verdict
from fantascope.request import TEXT, Request
from fantascope.settings import Settings
from fantascope.spec import Spec

if TYPE_CHECKING:
    from fantascope.adapter import Adapter

RECORDED = 0.05
"""Score from which a rule that allows is written into a request's record."""

LIVING, PROTECTED, FREE = "artist/living", "artist/protected", "artist/public-domain"

_ITEM = re.compile(r"[^,;.|\n]+")
_MOST_WORDS = 5


@dataclass(frozen=True)
class Explanation:
    """Everything the policy has to say of one text: a verdict for every rule, the refusing ones first.

    `near` names, by rule, the rule's own sentence that is nearest to the text; it is empty without an encoder.
    """

    text: str
    policy: str
    verdicts: tuple[Verdict, ...]
    near: dict[str, str] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        """Whether no rule refuses."""
        return all(verdict.allowed for verdict in self.verdicts)


_Words = list[tuple[int, list[Token]]]


@dataclass(frozen=True)
class _Reading:
    """A text, its pieces, their vectors `(pieces, 384)` and scores `(pieces, rules)`; no scores without an encoder."""

    field: str
    text: str
    spans: list[Span]
    vectors: Floats | None = None
    scores: Floats | None = None


class Policy:
    """The rules in force, ready to judge. Get one with `Policy.load()`.

    Attributes:
        version: Of the rules file.
        hash: sha256 of the bytes of rules.toml followed by artists.toml, hex: what stands in `Verdict.policy`.
        rules: In the order of the file.
    """

    def __init__(self, data: Rules) -> None:
        self.data = data
        self.version, self.hash = data.version, data.hash
        self.rules: tuple[Rule, ...] = data.rules
        self._meaning: Meaning | None = None

    @staticmethod
    def load(
        path: Path | None = None,
        artists: Path | None = None,
        *,
        own: Path | None = None,
        loosen: bool = False,
        strictness: str = STANDARD,
    ) -> Policy:
        """Return the policy of these files (the shipped ones where None), read once while they stay as they are.

        Args:
            own: An organisation's own rules, which add and tighten; `loosen` lets them loosen, too.
            strictness: Which thresholds hold, see `[strictness]` in rules.toml.

        Raises:
            InvalidValue: a file is missing or malformed; the message names file, line and rule.
        """
        files = (path if path is not None else RULES, artists if artists is not None else ARTISTS)
        return _load(*map(_stamp, files), None if own is None else _stamp(own), loosen, strictness)

    @staticmethod
    def of(settings: Settings) -> Policy:
        """Return the policy of an installation: its own rules, and the strictness of its plan."""
        own, strictness = settings.rules, strictness_of(settings.plan)
        return Policy.load(own=own, loosen=settings.rules_loosen, strictness=strictness)

    def check_text(self, text: str, *, field: str, embed: Embed | None) -> list[Verdict]:
        """Judge one text.

        Args:
            text: Any text.
            field: The request's field it stands in: a negative prompt is judged by the strict rules only, item by item.
            embed: The text encoder; None judges by phrases and names alone.

        Returns:
            Refusals first, the highest score first; behind them every other rule's verdict, for the record.
        """
        return _ordered(_merged(map(self._verdicts, self._read(self._variants([(field, text)]), embed))))

    def judge_request(self, request: Request, *, embed: Embed | None) -> list[Verdict]:
        """Judge every text of a request, with one call of `embed`.

        Returns:
            Every refusal; behind them, for the record, every artist that is named, and each other rule's verdict of the
            highest score where that is at least `RECORDED`: a rule that is not there saw nothing.
        """
        refused: list[Verdict] = []
        artists: list[Verdict] = []
        record: dict[str, Verdict] = {}
        for reading in self._read(self._variants(_said(request)), embed):
            for verdict in self._verdicts(reading):
                if not verdict.allowed:
                    refused.append(verdict)
                elif verdict.rule in (LIVING, PROTECTED, FREE):
                    artists.append(verdict)
                elif verdict.score >= RECORDED:
                    best = record.setdefault(verdict.rule, verdict)
                    record[verdict.rule] = verdict if verdict.score > best.score else best
        named = {verdict.rule for verdict in refused}
        return refused + artists + [verdict for rule, verdict in record.items() if rule not in named]

    def explain(self, text: str, embed: Embed | None = None, *, field: str = "prompt") -> Explanation:
        """Judge one text and say everything: what `fantascope policy test` prints."""
        readings = self._read(self._variants([(field, text)]), embed)
        reading = readings[0]
        near: dict[str, str] = {}
        if self._meaning is not None and reading.scores is not None and reading.vectors is not None and reading.spans:
            for n, rule in self._judging(field):
                near[rule.id] = self._meaning.nearest(reading.vectors[reading.scores[:, n].argmax()], n)
        return Explanation(text, self.hash, tuple(_ordered(_merged(map(self._verdicts, readings)))), near)

    def check_licence(self, spec: Spec | Adapter, *, commercial: bool | None = None) -> Verdict:
        """Judge a model's licence against the use, see `fantascope.policy.licence`."""
        return check_licence(spec, commercial=commercial, policy=self.hash)

    def check_pictures(self, pixels: Any, judges: Sequence[Judge]) -> list[Verdict]:
        """Let every judge look at every picture, see `fantascope.policy.picture`; verdicts say where none did."""
        found = check_pictures(pixels, judges, policy=self.hash)
        return found if judges else not_judged(self.data.pictures, policy=self.hash)

    def picture_judges(self, classes: Sequence[str], classify: Classify) -> list[Judge]:
        """Return a judge for every rule of pixels that asks this classifier."""
        return classifier_judges(self.data.pictures, classes, classify)

    @cached_property
    def _artists(self) -> Artists:
        return Artists(self.data.artists, self.data.date.year)

    @cached_property
    def _phrases(self) -> Index[tuple[int, bool]]:
        """Phrases (True) and exceptions (False) of all rules, by the rule's number."""
        index: Index[tuple[int, bool]] = Index()
        for n, rule in enumerate(self.rules):
            for refuses, phrases in ((True, rule.finds), (False, rule.excuses)):
                for phrase in phrases:
                    index.add((n, refuses), phrase)
        return index

    @cached_property
    def _wanted(self) -> dict[int, dict[str, None]]:
        return words_of(phrase for rule in self.rules for phrase in rule.finds)

    def _variants(self, texts: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Return each text, and behind it what it reads as once its spelling is undone, where that is another."""
        out: dict[tuple[str, str], None] = {}
        for name, text in texts:
            out[name, text] = None
            read = mended(text, self._wanted)
            if read is not None:
                out[name, read] = None
        return list(out)

    @cached_property
    def _subtraction(self) -> Index[bool]:
        """Phrases (True) and exceptions (False) of the rule against nudity by subtraction."""
        index: Index[bool] = Index()
        for refuses, phrases in ((True, self.data.subtraction.finds), (False, self.data.subtraction.excuses)):
            for phrase in phrases:
                index.add(refuses, phrase)
        return index

    def _negative(self, field: str) -> bool:
        return field in self.data.negative_fields

    def _judging(self, field: str) -> Iterator[tuple[int, Rule]]:
        """Yield the rules that judge this field, with their numbers."""
        for n, rule in enumerate(self.rules):
            if not self._negative(field) or rule.id in self.data.negative_rules:
                yield n, rule

    def _cut(self, field: str, text: str) -> list[Span]:
        return grouped(_items(text)) if self._negative(field) else pieces(text)

    def _read(self, texts: Sequence[tuple[str, str]], embed: Embed | None) -> list[_Reading]:
        """Cut (field, text) pairs into pieces and embed all of them at once."""
        readings = [_Reading(field, text, self._cut(field, text)) for field, text in texts]
        parts = [reading.text[span.start : span.end] for reading in readings for span in reading.spans]
        if embed is None or not parts:
            return readings
        if self._meaning is None:
            self._meaning = Meaning(self.data, embed)
        distinct = list(dict.fromkeys(parts))
        place = {part: n for n, part in enumerate(distinct)}
        vectors = embed(distinct)[[place[part] for part in parts]]
        scores = self._meaning.scores(vectors)
        out, at = [], 0
        for reading in readings:
            rows = slice(at, at + len(reading.spans))
            out.append(_Reading(reading.field, reading.text, reading.spans, vectors[rows], scores[rows]))
            at = rows.stop
        return out

    def _words(self, reading: _Reading) -> _Words:
        """Return every reading of the words of the text, or of each item of a list, with the place it begins at."""
        whole = Span(0, len(reading.text))
        parts = _items(reading.text) if self._negative(reading.field) else [whole]
        return [(part.start, tokens) for part in parts for tokens in tokenise(reading.text[part.start : part.end])]

    def _hits(self, words: _Words) -> dict[int, list[Span]]:
        """Return where phrases stand that no exception excuses, by rule number."""
        hits: dict[int, list[Span]] = {}
        excused: dict[int, list[Span]] = {}
        for at, tokens in words:
            for (n, refuses), span, _, _ in self._phrases.find(tokens):
                (hits if refuses else excused).setdefault(n, []).append(Span(span.start + at, span.end + at))
        covers = {n: Cover(spans) for n, spans in excused.items()}
        return {
            n: left
            for n, spans in hits.items()
            if (left := [span for span in spans if n not in covers or not covers[n].touches(span)])
        }

    def _taken_away(self, words: _Words) -> list[Span]:
        """Return the items that are nothing but phrases of the rule against nudity by subtraction, if none excuses."""
        found: list[Span] = []
        for at, tokens in words:
            spoken = [token for token in tokens if not token.word.isdigit()]
            seen: dict[bool, set[int]] = {True: set(), False: set()}
            for refuses, _, first, end in self._subtraction.find(spoken):
                seen[refuses].update(range(first, end))
            if spoken and len(seen[False]) == len(spoken):
                return []
            if spoken and len(seen[True]) == len(spoken):
                found.append(Span(spoken[0].start + at, spoken[-1].end + at))
        return found

    def _verdicts(self, reading: _Reading) -> list[Verdict]:
        words = self._words(reading)
        hits = self._hits(words)
        verdicts = [self._verdict(reading, rule, hits.get(n, []), n) for n, rule in self._judging(reading.field)]
        if self._negative(reading.field):
            verdicts.append(self._verdict(reading, self.data.subtraction, self._taken_away(words)))
        else:
            verdicts += self._named(reading, words)
        return _ordered(verdicts)

    def _verdict(self, reading: _Reading, rule: Rule, hits: list[Span], n: int | None = None) -> Verdict:
        """Judge by hits, and where there are none by the scores of column n."""
        score, spans = 0.0, sorted(hits, key=lambda span: (span.start, span.end))
        if hits:
            score = 1.0
        elif n is not None and reading.scores is not None and reading.spans:
            column = np.round(reading.scores[:, n].astype(np.float64), 3)
            score = float(column.max())
            over = [span for span, value in zip(reading.spans, column, strict=True) if value >= rule.threshold]
            spans = sorted(over, key=lambda span: span.end - span.start)[:1]
        refuses = score >= rule.threshold
        words = tuple(dict.fromkeys(reading.text[span.start : span.end] for span in spans))[:_MOST_WORDS]
        return Verdict(
            allowed=not refuses,
            rule=rule.id,
            score=score,
            threshold=rule.threshold,
            reason=_reason(rule.reason, rule.id, score, rule.threshold, words) if refuses else "Below the threshold.",
            subject=reading.field,
            words=words if refuses else (),
            offer=_offer(rule.offer) if refuses else None,
            policy=self.hash,
        )

    def _named(self, reading: _Reading, words: _Words) -> Iterator[Verdict]:
        """Yield a verdict for every artist the text names, by the heaviest use of the name."""
        found: dict[str, Named] = {}
        for _, tokens in words:
            for named in self._artists.find(tokens):
                if named.artist.name not in found or named.score > found[named.artist.name].score:
                    found[named.artist.name] = named
        for named in found.values():
            refuses = not named.free and named.score >= THRESHOLD
            rule = FREE if named.free else LIVING if named.artist.died is None else PROTECTED
            said = (reading.text[named.span.start : named.span.end],)
            why = named.why()
            yield Verdict(
                allowed=not refuses,
                rule=rule,
                score=named.score,
                threshold=THRESHOLD,
                reason=_reason(why, rule, named.score, THRESHOLD, said) if refuses else why,
                subject=reading.field,
                words=said,
                offer=_offer(named.artist.offer) if refuses else None,
                policy=self.hash,
            )


def _said(request: Request) -> Iterator[tuple[str, str]]:
    """Yield every text of a request by its field, and every plain text that its grammar makes of a prompt."""
    grammar = getattr(request, "grammar", None)
    for name, text in request.walk(TEXT):
        yield name, text
        if grammar is not None and name in ("prompt", "negative_prompt"):
            steps, share = (getattr(request, key, None) for key in ("steps", "strength"))
            share = getattr(request, "detail", None) if share is None else share
            told = readings(
                text,
                grammar,
                negative=name == "negative_prompt",
                steps=MOST_STEPS if steps is None else steps,
                share=1.0 if share is None else share,
            )
            yield from ((name, one) for one in told if one != text)


def _merged(readings: Iterable[Sequence[Verdict]]) -> list[Verdict]:
    """Return one verdict for every rule, and artist, that readings of one text were judged by: the highest score."""
    best: dict[tuple[str, tuple[str, ...]], Verdict] = {}
    for verdicts in readings:
        for verdict in verdicts:
            key = (verdict.rule, verdict.words if verdict.rule in (LIVING, PROTECTED, FREE) else ())
            if key not in best or verdict.score > best[key].score:
                best[key] = verdict
    return list(best.values())


def _ordered(verdicts: Iterable[Verdict]) -> list[Verdict]:
    return sorted(verdicts, key=lambda verdict: (verdict.allowed, 0.0 if verdict.allowed else -verdict.score))


def _reason(why: str, rule: str, score: float, threshold: float, words: Sequence[str]) -> str:
    said = ", ".join(f"“{' '.join(word.split())}”" for word in words)
    return f"{why} Rule {rule}, score {score:.2f} (refused from {threshold:.2f}), the words: {said}."


def _offer(offer: str) -> str:
    return f"Allowed instead: {offer}."


def _items(text: str) -> list[Span]:
    """Return the items of a list of things that must not be seen."""
    return [Span(*match.span()) for match in _ITEM.finditer(text) if not match.group().isspace()]


def _stamp(path: Path) -> tuple[Path, int, int]:
    try:
        stat = path.stat()
    except OSError:
        return path, 0, 0
    return path, stat.st_mtime_ns, stat.st_size


_Stamp = tuple[Path, int, int]


@lru_cache(maxsize=8)
def _load(rules: _Stamp, artists: _Stamp, own: _Stamp | None, loosen: bool, strictness: str) -> Policy:
    where = None if own is None else own[0]
    return Policy(read_rules(rules[0], artists[0], where, loosen=loosen, strictness=strictness))
