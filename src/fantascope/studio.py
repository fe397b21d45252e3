"""The one path: a request becomes sealed, kept artifacts.

1 resolve   pictures taken in, instructions read, defaults from the Spec, size checked, seed drawn
2 judge     every text, the Spec's licence, the cost quoted
3 hold      the ledger reserves the quote
4 perform   TASKS[request.task](request, engine, open) -> Step* Output*
5 judge     what came out
6 seal      invisible mark -> container metadata -> signed manifest; receipt closed
7 keep      gallery.put(artifact, receipt) and charge for it; yield it
8 finally   return the engine, refund what was held and not kept
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fantascope.artifact import MEDIA_TYPES, Artifact, Output, Step
from fantascope.docket import Case, Docket
from fantascope.errors import FantascopeError, InvalidValue, NotFound, ProvenanceError
from fantascope.lineage import inherited, is_composite, is_private, public_facts, sheet_draft
from fantascope.receipt import Batch, Receipt, Verdict, receipt_id
from fantascope.replay import compare, replayable
from fantascope.request import PICTURE, TEXT, Imagine, Request
from fantascope.resolve import Admitted, Job, adapters_of, resolve
from fantascope.settings import Settings
from fantascope.spec import Spec, catalogue

if TYPE_CHECKING:
    from fantascope.engines.base import Engine
    from fantascope.engines.load import Engines
    from fantascope.gallery import Gallery
    from fantascope.policy import Judge, Policy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Replay:
    """What `Studio.again` made: an artifact whose pixels are those of the record."""

    artifact: Artifact
    recorded: Receipt


class Studio:
    """Wires Specs, engines, policy, provenance and gallery, and owns the only path through them.

    Args:
        settings: Where things are; read from the environment when not given.
        judges: Callables that judge pictures, in order; where None, the classifier that was installed, if it was.
        read_only: Look, and write nothing: works on a read-only disk.
        files: Whether a request may name a file of this machine as its picture, beside ids of the gallery.

    Example:
        >>> from fantascope import Imagine, Studio
        >>> for event in Studio().run(Imagine(prompt="a pink elephant")):
        ...     print(event)
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        judges: Sequence[Judge] | None = None,
        read_only: bool = False,
        files: bool = True,
    ) -> None:
        self.settings = settings if settings is not None else Settings.from_env()
        self._judges = judges
        self.read_only = read_only
        self.files = files
        self._lent: tuple[str, ...] = ()

    def of(self, account: str, plan: str, *, guest: bool = True) -> Studio:
        """Return a studio for another account, with the same engines, keys and open gallery, good while this is open.

        It sees what that account owns, its ledger is that account's, the rules have the strictness of the plan, and
        a picture is named by its id alone, never by a file of this machine. Who is no `guest` sees all adapters.
        """
        other = Studio(replace(self.settings, user=account, plan=plan, guest=guest), judges=self._judges, files=False)
        other.__dict__ |= {"gallery": self.gallery.of(account, plan), "engines": self.engines}
        other._lent = ("gallery", "engines")
        return other

    @property
    def specs(self) -> dict[str, Spec]:
        """The models of the catalogue, the user's own included."""
        return catalogue(self.settings.models)

    @cached_property
    def gallery(self) -> Gallery:
        """The gallery, opened (and migrated) when first used."""
        from fantascope.gallery import Gallery

        told, url = self.settings, self.settings.database or None
        return Gallery.open(told.gallery, url=url, plan=told.plan, read_only=self.read_only, account=told.user)

    @cached_property
    def engines(self) -> Engines:
        """The cache of loaded weights."""
        from fantascope.engines.load import Engines

        return Engines(self.settings)

    @cached_property
    def policy(self) -> Policy:
        """The rules in force."""
        from fantascope.policy import Policy

        return Policy.of(self.settings)

    @cached_property
    def judges(self) -> tuple[Judge, ...]:
        """Who looks at pictures; nobody, where no classifier is installed: the verdicts say so.

        Raises:
            BrokenModelFile: what is installed is not the classifier that is known.
        """
        from fantascope.engines.classifier import Classifier, installed

        if self._judges is not None or not installed(self.settings):
            return tuple(self._judges or ())
        eye = Classifier.load(self.settings)
        return tuple(self.policy.picture_judges(eye.facts.classes, eye.classify))

    @cached_property
    def docket(self) -> Docket:
        """Where refusals are logged, and what was allowed on appeal is found."""
        return Docket(self.gallery, self.settings, self.policy.data.final)

    def embed(self, texts: Sequence[str]) -> Any:
        """Return sentence embeddings `(N, 384)` float32 of unit length, by the embedded text encoder."""
        from fantascope.engines.words import shared_words

        return shared_words(self.settings).embed(texts)

    def run(self, request: Request) -> Iterator[Step | Artifact]:
        """Yield a `Step` for progress and an `Artifact` for every picture kept. Closing it cancels.

        Raises:
            RequestError: the request is wrong; nothing was changed.
            PolicyRefused: a rule refused it; nothing was charged.
            CreditError: the ledger cannot hold the quote.
            ModelError: the weights are missing, unsafe or broken.
        """
        return self.perform(self.admit(request))

    def resolve(self, request: Request, *, typed: bool = True) -> Job:
        """Take the pictures of a request in, read its words (a record's stay as they are), fill open fields."""
        from fantascope.intake import known_words, read_words, take_in

        request, given = take_in(request, self.gallery, files=self.files)
        spec = self.specs.get(getattr(request, "model", None) or self.settings.model)
        follows = spec is not None and spec.follows
        read = read_words(request, given, self.embed, self.describe, self._ask(), follows=follows)
        if typed:
            keep = [word for one in adapters_of(read, self.settings) for word in one.trigger]
            read = known_words(read, spec, self.embed, keep)
        return resolve(read, self.specs, self.settings, given)

    def _ask(self) -> Any:
        """Return what reads an instruction with the language model that is set, or None."""
        if not self.settings.language_url:
            return None
        from fantascope.prompt.instruct.language import LanguageModel, read_with_model

        told = self.settings
        model = LanguageModel(told.language_url, told.language_model, told.language_key or None)
        return lambda words, before: ((read_with_model(words, before, model),), told.language_model)

    def describe(self, ref: str, words: str = "") -> str:
        """Say in a prompt what a picture of the gallery shows, as far as the embedded detector knows it.

        Raises:
            InvalidValue: it knows nothing in it; the caller has to say what the picture shows.
        """
        from fantascope.engines.detector import Detector
        from fantascope.tasks.describe import describe
        from fantascope.tasks.pixels import open_pixels

        return describe(open_pixels(self.gallery.get(ref)), Detector.load(self.settings), words)

    def admit(self, request: Request, *, typed: bool = True) -> Admitted:
        """Walk the first half of the path: resolve, judge and price. Nothing is held, painted or charged.

        Args:
            typed: Whether a person wrote the words; those of a record, or of a resolved request, stay as they are.

        Raises:
            As `run` does before anything is made.
        """
        return self._admit(self.resolve(request, typed=typed))

    def _admit(self, job: Job) -> Admitted:
        self.engines.prefetch(job.spec, job.choice, job.request)
        _import_ahead()
        verdicts = (*self.judge(job.request, job.spec), *self._judge_pictures(job.request))
        return Admitted(job, verdicts, self.quote(job, job.request.n))

    def hold(self, admitted: Admitted, ticket: str | None = None) -> str:
        """Reserve what an admitted request costs and return the hold; with a ticket it outlives this process.

        Raises:
            CreditError: the account has less.
        """
        request, quote = admitted.job.request, admitted.quote
        what = f"{request.task} x{request.n} {admitted.job.spec.name}"
        return self.gallery.hold(self.settings.user, quote, what, job=ticket)

    def perform(
        self, admitted: Admitted, *, ticket: str | None = None, recorded: Receipt | None = None
    ) -> Iterator[Step | Artifact]:
        """Walk the second half of the path: hold, paint, judge, seal, keep. Closing it cancels.

        Args:
            ticket: Names a job that may be begun again after a crash: what was kept under it is yielded as it is, and
                neither kept nor charged a second time.
            recorded: Keep the one picture of this receipt alone, and only if it has the recorded pixels.
        """
        started = time.perf_counter()
        job, verdicts = admitted.job, admitted.verdicts
        wanted = job.request.n if recorded is None else 1
        quote = admitted.quote if recorded is None else self.quote(job, 1)
        done = {} if ticket is None else self.gallery.outcomes(ticket)
        if ticket is not None and len(done) == wanted:
            yield from (self.gallery.get(done[index]) for index in sorted(done))
            return
        hold = self.hold(replace(admitted, quote=quote), ticket)
        try:
            yield Step(step=0, steps=getattr(job.request, "steps", 1), stage="load", total=job.request.n)
            private = is_private(job.request, (self.gallery.get(ref) for _, ref in job.request.walk(PICTURE)))
            with self.engines.lease(job.spec, job.choice, job.request) as engine:
                for event in self._perform(job, engine):
                    if isinstance(event, Step):
                        yield self._looked_at(event, private)
                    elif ticket is not None and event.index in done:
                        yield self.gallery.get(done[event.index])
                    elif recorded is None or event.seed == recorded.request["seed"]:
                        share = self._share(quote, wanted, event.index if recorded is None else 0)
                        artifact = self._finish(job, engine, event, verdicts, share, time.perf_counter() - started)
                        if recorded is not None and artifact.receipt is not None:
                            compare(recorded, artifact.receipt)
                        place = None if ticket is None else (ticket, event.index)
                        yield self.gallery.put(artifact, hold=hold, credits=share, job=place)
                        started = time.perf_counter()
                        if recorded is not None:
                            return
        finally:
            self.gallery.release(hold)

    def judge(self, request: Request, spec: Spec, *, log: bool = True) -> tuple[Verdict, ...]:
        """Judge every text of a resolved request, and the licences of the Spec and of the adapters.

        Raises:
            PolicyRefused: the first verdict that refuses; with `log`, it can be appealed against.
        """
        used: list[Any] = [spec, *adapters_of(request, self.settings)]
        licences = [self.policy.check_licence(one, commercial=self.settings.commercial) for one in used]
        found = [*licences, *self.policy.judge_request(request, embed=self.embed)]
        case = Case.of_texts(request.task, request.walk(TEXT), private=getattr(request, "private", False))
        return self.docket.settle(found, case, log=log)

    def _judge_pictures(self, request: Request) -> tuple[Verdict, ...]:
        """Judge every picture that was handed in with a request."""
        from fantascope.tasks.pixels import open_pixels

        refs = dict.fromkeys(ref for _, ref in request.walk(PICTURE))
        if not refs:
            return ()
        return self.look_at([open_pixels(self.gallery.get(ref)) for ref in refs] if self.judges else [], request.task)

    def look_at(self, pictures: Sequence[Any], task: str = "given") -> tuple[Verdict, ...]:
        """Judge pictures `(H, W, 3 or 4)` uint8, handed in or made; raises `PolicyRefused` for the first refused."""
        found = self.policy.check_pictures(pictures, self.judges)
        if all(verdict.allowed for verdict in found):
            return tuple(found)
        return self.docket.settle(found, Case.of_pictures(task, list(pictures)))

    def _looked_at(self, step: Step, private: bool) -> Step:
        """Judge the pictures of a preview like finished ones: nothing is shown that would be refused."""
        if step.preview is None:
            return step
        for pixels in step.preview if self.judges else ():
            self.look_at([pixels], "preview")
        return replace(step, private=private)

    def again(self, source: str | Path) -> Iterator[Step | Replay]:
        """Run the record of a file, or of an id in the gallery, once more.

        Yields `Step`s and one `Replay` whose pixels equal the recorded ones. Where they do not, nothing is kept and
        nothing is charged.

        Raises:
            NotFound: neither the file nor the gallery holds a record that can be run.
            ProvenanceError: the file was changed after it was signed.
            ReplayDiffers: names the first thing that differs.
        """
        recorded = self.record(source)
        if recorded.request.get("task") == "sheet":
            raise NotFound(
                f"{source} is a contact sheet.",
                hint="Make its pictures again instead: " + " ".join(p[7:19] for p in recorded.parents),
            )
        for event in self.perform(self.admit(replayable(recorded), typed=False), recorded=recorded):
            yield event if isinstance(event, Step) else Replay(event, recorded)

    def record(self, source: str | Path) -> Receipt:
        """Return the receipt of a file (its own record, or the gallery's by its mark) or of a gallery id.

        Raises:
            NotFound: there is none.
            ProvenanceError: the file was changed after it was signed.
        """
        path = Path(source)
        if not _is_file(path):
            return self.gallery.receipt(str(source))
        from fantascope.provenance.verify import signed_record

        found = signed_record(path, self.settings.keys)
        if found.receipt is not None and not found.valid:
            raise ProvenanceError(
                f"{path} was changed after it was signed, so its record is not that of these pixels.",
                hint=f"fantascope verify {path}",
            )
        if found.receipt is not None:
            return found.receipt
        for entry in self.gallery.by_receipt(found.id) if found.id is not None else []:
            return self.gallery.receipt(entry.id)
        why = "is private: its record holds no prompt or settings" if found.private else "carries no record"
        raise NotFound(
            f"{path} {why}, and this gallery does not know it.",
            hint=f"fantascope verify {path}" if not found.private else "Run it where the picture was made.",
        )

    def sheet(self, artifacts: Sequence[Artifact], labels: Sequence[str] = ()) -> Artifact:
        """Seal and keep a contact sheet of pictures, over labels if given; their ids are its parents. It costs nothing.

        Raises:
            InvalidValue: there is no picture to show, or one of them has no record.
        """
        import numpy as np

        from fantascope.tasks.sheet import contact_sheet

        receipts = [artifact.receipt for artifact in artifacts if artifact.receipt is not None]
        if not receipts or len(receipts) != len(artifacts):
            raise InvalidValue("A contact sheet needs pictures that were made here.", param="artifacts")
        draft = sheet_draft(artifacts, receipts)
        pixels = contact_sheet([np.asarray(artifact.image()) for artifact in artifacts], labels)
        return self.gallery.put(self._seal(Output(pixels, 0, 0), draft, "png", 95, artifacts))

    def _perform(self, job: Job, engine: Engine) -> Iterator[Step | Output]:
        from fantascope.tasks import task_of

        with closing(task_of(job.request.task)(job.request, engine, self.gallery.get)) as events:  # type: ignore[type-var]
            yield from events

    @staticmethod
    def quote(job: Job, n: int) -> float:
        """Return what n pictures of a resolved request cost, credits."""
        from fantascope.policy.cost import quote

        return float(quote(job.request.replace(n=n), job.spec))

    @staticmethod
    def _share(quote: float, n: int, kept: int) -> float:
        """Split a quote over n artifacts in thousandths, so that the shares sum to it exactly."""
        total = round(quote * 1000)
        return (total * (kept + 1) // n - total * kept // n) / 1000

    def _finish(
        self,
        job: Job,
        engine: Engine,
        output: Output,
        verdicts: Sequence[Verdict],
        credits: float,
        seconds: float,
    ) -> Artifact:
        """Judge one output, write down what was done and seal it."""
        from fantascope.policy.energy import spent

        looked = self.look_at([output.pixels], job.request.task)
        request = job.request.replace(n=1, seed=output.seed, preview=False)
        parents = list(dict.fromkeys(ref for _, ref in request.walk(PICTURE)))
        opened = [self.gallery.get(ref) for ref in parents]
        # A mask says where: none of its pixels are in the picture.
        shown = {ref for name, ref in request.walk(PICTURE) if name != "mask"}
        ran = engine.ran() if output.painted else engine.ran().model_copy(update={"weights": ()})
        own = [reason for reason in ran.reasons if reason not in engine.choice.reasons]
        credit = filter(None, (job.spec.attribution, job.spec.licence.attribution)) if output.painted else ()
        draft = Receipt(
            id="",
            request=request.model_dump(mode="json"),
            spec=public_facts(job.spec),
            ran=ran.model_copy(update={"reasons": (*job.choice.reasons, *own)}),
            pixels_sha256="",
            parents=tuple(parents),
            verdicts=tuple(dict.fromkeys((*verdicts, *looked))),
            policy=self.policy.hash,
            cost=spent(credits, seconds, ran, batch=output.batch),
            attribution=tuple(dict.fromkeys((*credit, *inherited(opened)))),
            batch=Batch(n=output.batch, index=output.index, first=output.first),
            found=output.found,
            composite=any(is_composite(one) for one in opened if one.id in shown),
            private=is_private(request, opened),
        )
        return self._seal(output, draft, request.format, request.quality, opened)

    def _seal(
        self, output: Output, draft: Receipt, format: str, quality: int, parents: Sequence[Artifact] = ()
    ) -> Artifact:
        """Close a receipt: id, mark, proof, hash of the marked pixels, time; then describe and sign the file."""
        from fantascope import __version__
        from fantascope.proof import prove, soften
        from fantascope.provenance import mark_pixels, pixels_hash, seal

        name = receipt_id(draft)
        if draft.spec.get("family") == "annotator":
            marked, kept = output.pixels, None  # a map is no generated picture, and is read by machines
        elif output.kept is None:
            marked, kept = mark_pixels(output.pixels, name, format=format, quality=quality), None
            if draft.request.get("axes") is not None:
                marked = soften(output.pixels, marked, draft.request["axes"])
        else:
            marked, kept = prove(output, parents, name, self.gallery)
        receipt = draft.model_copy(
            update={
                "id": name,
                "pixels_sha256": pixels_hash(marked),
                "kept": kept,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
                "fantascope": __version__,
            }
        )
        data = seal(
            marked,
            receipt,
            keys=self.settings.keys,
            format=format,
            quality=quality,
            parents=[parent.data for parent in parents],
        )
        return Artifact(data=data, media_type=MEDIA_TYPES[format], receipt=receipt)

    def close(self) -> None:
        """Free the engines and close the gallery."""
        for name in ("engines", "gallery"):
            part = self.__dict__.pop(name, None)
            if part is not None and name not in self._lent:
                part.close()

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def imagine(prompt: str, **fields: Any) -> Artifact:
    """Paint one picture and return it: in a notebook the last line of a cell shows it.

    Args:
        prompt: What the picture should show.
        fields: Any field of `Imagine` but `n`.

    Example:
        >>> from fantascope import imagine
        >>> imagine("a pink elephant on a blue background", seed=7)
    """
    with Studio() as studio:
        for event in studio.run(Imagine(prompt=prompt, **(fields | {"n": 1}))):
            if isinstance(event, Artifact):
                return event
    raise FantascopeError("The engine gave no picture.")


@cache
def _import_ahead() -> None:
    """Import what every run needs later, while the text encoder loads: 0.2 s of a cold start, most of it SQLAlchemy."""
    names = ("fantascope.gallery.check", "fantascope.provenance.sealing", "c2pa")
    threading.Thread(target=lambda: [import_module(name) for name in names], name="imports", daemon=True).start()


def _is_file(path: Path) -> bool:
    """Say whether this is a file; a name the system cannot even look up is none."""
    try:
        return path.is_file()
    except OSError:
        return False
