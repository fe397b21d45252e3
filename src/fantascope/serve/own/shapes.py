"""What our own wire sends: one frozen class for each object."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fantascope.receipt import Receipt, Verdict
from fantascope.serve.fair import Priority


class Shape(BaseModel):
    """Base of all: frozen, nothing beside what is listed."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ErrorFacts(BaseModel):
    """What went wrong; some errors say more, as a refusal its `verdict`."""

    model_config = ConfigDict(frozen=True, extra="allow")

    code: str = Field(description="a name that does not change, as not_found")
    status: int = Field(ge=400, le=599, description="the HTTP status")
    message: str = Field(description="what was wrong, and what is allowed")
    param: str | None = Field(description="the field, query parameter or header that is meant")
    hint: str | None = Field(description="what helps")


class Error(Shape):
    """The body of every reply with a status from 400 on."""

    error: ErrorFacts


class JobShape(Shape):
    """A job: a request that was accepted."""

    id: str
    object: Literal["job"]
    task: str
    status: Literal["queued", "running", "done", "failed", "cancelled"]
    created: datetime
    priority: Priority
    quote: float = Field(description="credits that are held for it, at most")
    n: int = Field(description="how many pictures it makes")
    artifacts: list[str] = Field(description="ids of what was kept so far, in order")
    progress: dict[str, Any] | None = Field(description="of the last step: step, steps, stage, index, count, total")
    error: dict[str, Any] | None = Field(description="why it failed, as the `error` of a reply")
    taught: dict[str, Any] | None = Field(None, description="of a lesson that is done: name, kind, bytes, samples …")
    request: dict[str, Any] = Field(description="the request, resolved: every default filled in")


class Result(Shape):
    """A picture that a job made."""

    id: str
    media_type: str
    size: int = Field(description="bytes")
    url: str = Field(description="address of the file that needs no token, for an hour")
    receipt: Receipt


class Finished(JobShape):
    """A job that is done, with what it made."""

    results: list[Result]


class Jobs(Shape):
    data: list[JobShape]


class EntryShape(Shape):
    """What the gallery's index knows of a picture."""

    id: str
    media_type: str
    size: int = Field(description="bytes")
    kept: datetime
    given: bool = Field(description="handed in, not made here: it has no receipt, prompt, model or seed")
    task: str | None
    receipt_id: str | None
    prompt: str | None
    model: str | None
    seed: int | None
    width: int | None
    height: int | None


class Entries(Shape):
    data: list[EntryShape]


class AlikeShape(EntryShape):
    """A picture that looks like the one asked for."""

    distance: float = Field(ge=0, description="0: the same; about 1: nothing in common")


class Alikes(Shape):
    """Pictures that look like one, nearest first."""

    data: list[AlikeShape]
    unseen: int = Field(description="pictures that were not looked at yet; ask again to have them looked at")
    model: str = Field(description="sha256 of the weights that looked")


class Removed(Shape):
    """The id of what is gone."""

    id: str
    removed: Literal[True] = True


class Link(Shape):
    """An address of a picture that works without a token until it expires."""

    url: str
    expires_in: int = Field(description="seconds")


class TreeNode(Shape):
    """A picture in the tree of what was made from what."""

    id: str
    parent: str | None
    depth: int
    task: str
    done: str = Field(description="what was done, in few words")


class Tree(Shape):
    """The tree that a picture belongs to, each before its children."""

    id: str
    root: str
    parents: list[str] = Field(description="what it was made from")
    children: list[str] = Field(description="what was made from it")
    data: list[TreeNode]


class LikeThing(Shape):
    """A thing in a picture, and the training drawings it is most like."""

    kind: str
    score: float
    box: tuple[float, float, float, float] = Field(description="left, top, right, bottom, of 128")
    near: list[dict[str, Any]] = Field(description="each with distance, author, licence and package")


class Attributed(Shape):
    """Whose training drawings the things in a picture look like. Likeness is no proof of use."""

    id: str
    things: list[LikeThing]
    origin: str
    means: str
    ledger: str
    calibrated_on: int


class DescribedShape(Shape):
    """Prompts for a picture, the likeliest first, and what was seen."""

    id: str
    readings: list[dict[str, Any]]
    things: list[dict[str, Any]]
    background: list[dict[str, Any]]
    style: list[dict[str, Any]]
    light: list[dict[str, Any]]
    near: list[str]
    better: str


class CheckShape(Shape):
    name: str
    verdict: Literal["holds", "absent", "fails", "unknown"]
    text: str


class ReportShape(Shape):
    """What a file says of itself, and what of it holds."""

    ok: bool = Field(description="all that is present holds")
    empty: bool = Field(description="the file says nothing of where it came from")
    receipt: str | None = Field(description="id of the receipt it names")
    checks: list[CheckShape]


class Explained(Shape):
    """A prompt in its parts, and the words that the model does not know."""

    prompt: str
    model: str
    pieces: list[dict[str, Any]]
    missing: list[str]
    readings: list[str]
    changes: list[dict[str, Any]]
    unknown: list[dict[str, Any]]
    untaught: list[str]
    problems: list[str]


class AddedShape(Shape):
    part: str
    phrase: str


class ExpandedShape(Shape):
    """A prompt before and after, and what was added."""

    prompt: str
    said: str
    by: str
    added: list[AddedShape]


class Judged(Shape):
    """What every rule says of a text."""

    allowed: bool
    policy: str = Field(description="sha256 of the rules in force")
    verdicts: list[Verdict]


class RuleShape(Shape):
    id: str
    category: str
    threshold: float = Field(description="it refuses from this score on")
    reason: str
    offer: str
    of: Literal["text", "pictures"]
    final: bool = Field(description="nobody can allow on appeal what it refuses")


class PolicyShape(Shape):
    """The rules in force for this account."""

    version: str
    hash: str
    pictures_judged: bool
    categories: list[str]
    rules: list[RuleShape]


class RefusalShape(Shape):
    """A refusal that can be appealed against."""

    id: str
    at: datetime
    account: str
    task: str
    rule: str
    score: float
    threshold: float
    subject: str
    text: str
    words: list[str]
    reason: str
    offer: str
    appeal: str | None
    decision: str | None


class Refusals(Shape):
    data: list[RefusalShape]


class DecisionShape(Shape):
    """What the operator decided of an appeal."""

    id: str
    refusal: str
    rule: str
    allow: bool
    why: str
    at: datetime
    signature: str


class ModelShape(Shape):
    """A model of the catalogue."""

    name: str
    title: str
    source: str
    family: str
    licence: dict[str, Any]
    commercial: bool | None
    sizes: dict[str, int]
    defaults: dict[str, Any]
    default: bool = Field(description="what a request gets that names none")
    bytes: int | None = Field(description="of its weights; null: they are not on this machine yet")
    weights: dict[str, str] = Field(
        description="file: the sha256 it must have; empty where no file is pinned: a receipt says what was loaded"
    )
    training_ledger: str | None = Field(description="root hash of the ledger of its training pictures")
    card: str | None = Field(description="sha256 of its model card")


class Models(Shape):
    data: list[ModelShape]


class AdapterShape(Shape):
    """An adapter of the collection."""

    name: str
    title: str
    base: str
    family: str
    kind: str
    layers: int
    trigger: list[str]
    licence: dict[str, Any]
    doubts: list[str]
    consent: str
    parents: list[str]
    sha256: str
    created: str
    owner: str = Field(description="account whose it is; empty where it is everybody's")
    size: int | None = Field(description="bytes of its file; null: the file is gone")
    samples: str | None = Field(description="address of a grid of sample pictures, where there is one")


class Adapters(Shape):
    data: list[AdapterShape]


class ParameterShape(Shape):
    name: str
    default: int | float | str
    allowed: str
    low: float | None
    high: float | None
    choices: list[str]
    about: str


class AnnotatorShape(Shape):
    """A kind of control map."""

    kind: str
    about: str
    licence: str
    network: bool = Field(description="whether it needs weights")
    document: bool = Field(description="whether it can be made from a document of joints or strokes")
    parameters: list[ParameterShape]


class Annotators(Shape):
    data: list[AnnotatorShape]


class TaskShape(Shape):
    """A task, and the JSON schema of its request."""

    task: str
    about: str
    path: str
    request: dict[str, Any] = Field(description="JSON schema, draft 2020-12")


class Tasks(Shape):
    data: list[TaskShape]


class Expires(Shape):
    credits: float
    kind: Literal["allowance", "rollover", "topup"]
    expires: datetime


class Quoted(Shape):
    """What a request would cost. Nothing was painted, held or charged."""

    task: str
    model: str
    n: int
    credits: float
    passes: int | None
    work: str
    account: str
    plan: str
    left: float
    left_of: dict[str, float]
    expiring: list[Expires]
    allowance: float
    left_after: float
    renews: datetime
    enough: bool
    energy_wh: float | None
    energy_method: str


class QueueShape(Shape):
    """The queue, of everybody."""

    paused: bool
    queued: int
    running: int
