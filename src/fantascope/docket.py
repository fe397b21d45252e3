"""The docket: refusals are logged, and a text that the operator allowed on appeal passes, under that rule alone.

A decision is bound to the sha256 of exactly what was refused and to the rule that refused it, and signed with the
studio's key. One whose signature does not hold is ignored with a warning. Some rules are final: nobody can allow what
they refuse (`final` in rules.toml).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fantascope.errors import GalleryError, InvalidValue, PolicyRefused
from fantascope.receipt import Verdict
from fantascope.settings import Settings

if TYPE_CHECKING:
    from fantascope.gallery import Decision, Gallery

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Case:
    """What is judged: the task, what stands in each field, and whether texts may be written into the log.

    `scopes` maps what verdicts call their subject to the sha256 of what is meant; what has no scope has no appeal.
    """

    task: str
    scopes: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    private: bool = False

    @staticmethod
    def of_texts(task: str, texts: Iterable[tuple[str, str]], *, private: bool) -> Case:
        """Return the case of the texts of a request; several texts of one field are one."""
        joined: dict[str, list[str]] = {}
        for name, text in texts:
            joined.setdefault(name, []).append(text)
        said = {name: "\0".join(parts) for name, parts in joined.items()}
        return Case(task, {n: hashlib.sha256(t.encode()).hexdigest() for n, t in said.items()}, said, private)

    @staticmethod
    def of_pictures(task: str, pictures: Sequence[Any]) -> Case:
        """Return the case of pictures `(H, W, C)` uint8, called `picture 0` …"""
        hashed = (hashlib.sha256(repr(one.shape).encode() + one.tobytes()).hexdigest() for one in pictures)
        return Case(task, {f"picture {k}": digest for k, digest in enumerate(hashed)})


class Docket:
    """Settles verdicts with the log of refusals of a gallery."""

    def __init__(self, gallery: Gallery, settings: Settings, final: Collection[str] = ()) -> None:
        self._gallery, self._settings, self._final = gallery, settings, frozenset(final)

    def settle(self, verdicts: Sequence[Verdict], case: Case, *, log: bool = True) -> tuple[Verdict, ...]:
        """Return the verdicts; those that refuse what was allowed on appeal allow, and cite the decision.

        Args:
            log: Whether refusals are logged. Of what is only asked, such as a quote at every pause of a typist, they
                are not: nothing was refused to anybody yet.

        Raises:
            PolicyRefused: the first verdict that refuses; where it is logged, the hint says how to appeal.
        """
        settled = tuple(verdict if verdict.allowed else self._reviewed(verdict, case) for verdict in verdicts)
        refused = [verdict for verdict in settled if not verdict.allowed]
        if refused:
            appeals = [self._logged(verdict, case) for verdict in refused] if log else [""]
            said = " ".join(filter(None, (refused[0].offer, appeals[0])))
            raise PolicyRefused(refused[0], param=refused[0].subject or None, hint=said or None)
        return settled

    def decide(self, id: str, allow: bool, why: str) -> Decision:
        """Decide an appeal as the operator, signed with the studio's key.

        Raises:
            NotFound, InvalidValue: there is no such refusal, nobody appealed, or its rule is final.
        """
        from fantascope.provenance.statement import sign_statement

        log_of = self._gallery.refusals
        rule = log_of.get(id).rule
        if allow and rule in self._final:
            raise InvalidValue(
                f"What {rule} refuses cannot be allowed.", param="id", hint=f"fantascope policy decide {id} uphold"
            )
        return log_of.decide(id, allow, why, lambda data: sign_statement(self._settings.keys, data))

    def _reviewed(self, verdict: Verdict, case: Case) -> Verdict:
        """Return a refusal, or the verdict that a decision of the operator makes of it."""
        from fantascope.provenance.statement import statement_holds

        scope = case.scopes.get(verdict.subject)
        made = None if scope is None else self._gallery.refusals.decided(verdict.rule, scope)
        if made is None or not made.allow or verdict.rule in self._final:
            return verdict
        if not statement_holds(self._settings.keys, made.statement(), made.signature):
            log.warning("decision %s is ignored: its signature does not hold, so it was changed", made.id)
            return verdict
        said = f"Allowed on appeal: decision {made.id} of {made.at:%Y-%m-%d}, signature {made.signature}."
        return verdict.model_copy(update={"allowed": True, "reason": said, "offer": None})

    def _logged(self, verdict: Verdict, case: Case) -> str:
        """Log a refusal and return how to appeal; a log that cannot be written does not change the refusal."""
        from fantascope.gallery import Refusal

        scope = case.scopes.get(verdict.subject)
        if scope is None:
            return ""
        refusal = Refusal(
            id="",
            at=datetime.now(UTC),
            account=self._settings.user,
            task=case.task,
            rule=verdict.rule,
            score=verdict.score,
            threshold=verdict.threshold,
            subject=verdict.subject,
            scope=scope,
            text="" if case.private else case.texts.get(verdict.subject, ""),
            words=() if case.private else verdict.words,
            reason=f"Rule {verdict.rule} refused a private text." if case.private else verdict.reason,
            offer=verdict.offer or "",
            policy=verdict.policy,
        )
        try:
            new = self._gallery.refusals.record(refusal)
        except GalleryError as error:
            log.warning("the refusal is not logged: %s", error)
            return ""
        return "" if verdict.rule in self._final else f'Appeal: fantascope policy appeal {new.id} "why"'
