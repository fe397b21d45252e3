"""What is told of files, prompts and rules, without making anything; and appeals against refusals."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Request as Http

from fantascope.errors import InvalidValue
from fantascope.request import Imagine
from fantascope.serve.kit import Server, caller_of, off, server_of
from fantascope.serve.operations import operator_of
from fantascope.serve.own.asked import AppealBody, DecideBody, ExpandBody, JudgeBody, LimitQuery, PromptBody
from fantascope.serve.own.document import replies, takes, takes_file
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.shapes import (
    AddedShape,
    CheckShape,
    DecisionShape,
    ExpandedShape,
    Explained,
    Judged,
    PolicyShape,
    Refusals,
    RefusalShape,
    ReportShape,
    RuleShape,
)
from fantascope.serve.own.wire import PREFIX, checked_id, read_body, read_file
from fantascope.serve.people import Caller
from fantascope.serve.places import nowhere
from fantascope.spec import find_spec

router = APIRouter(prefix=PREFIX, route_class=PackedRoute)

REFUSAL_ID = re.compile(r"[0-9a-fA-F]{8}", re.ASCII)


@router.post(
    "/verify", response_model=ReportShape, responses=replies(), operation_id="verify", openapi_extra=takes_file()
)
async def verify(http: Http, caller: Caller = Depends(caller_of)) -> ReportShape:
    """Say of each claim in a file whether it holds. The file is not kept."""
    from fantascope.provenance.verify import verify as check

    server, data = server_of(http), await read_file(http)
    studio = server.studio_of(caller)
    told = studio.settings

    def known(receipt: str) -> bool:
        return bool(studio.gallery.by_receipt(receipt))

    found = await off(lambda: check(data, trust=told.keys, known=known, models=told.models))
    checks = [CheckShape(name=one.name, verdict=one.verdict, text=nowhere(one.text, told.home)) for one in found.checks]
    return ReportShape(ok=found.ok, empty=found.empty, receipt=found.receipt_id, checks=checks)


@router.post(
    "/prompt/explain",
    response_model=Explained,
    responses=replies(),
    operation_id="explain_prompt",
    openapi_extra=takes(PromptBody),
)
async def explain(http: Http, caller: Caller = Depends(caller_of)) -> Explained:
    """Say which words of a prompt are which part, what is missing, and which words the model does not know."""
    from fantascope.reports.explaining import found_in, problems

    body = await read_body(http, PromptBody)
    studio = server_of(http).studio_of(caller)

    def work() -> Explained:
        spec = find_spec(body.model if body.model is not None else studio.settings.model, studio.specs)
        told = found_in(body.prompt, spec, studio.embed, body.grammar)
        return Explained(**told, problems=problems(body.prompt, body.grammar))

    return await off(work)


@router.post(
    "/prompt/expand",
    response_model=ExpandedShape,
    responses=replies(403, 501, 502),
    operation_id="expand_prompt",
    openapi_extra=takes(ExpandBody),
)
async def expand(http: Http, caller: Caller = Depends(caller_of)) -> ExpandedShape:
    """Add to a prompt what it does not say, from the lexicon or by the language model that is set."""
    from fantascope.wording import expanded

    body = await read_body(http, ExpandBody)
    studio = server_of(http).studio_of(caller)

    def work() -> Any:
        spec = find_spec(body.model if body.model is not None else studio.settings.model, studio.specs)
        return expanded(body.prompt, body.strength, body.seed, studio, spec)

    found = await off(work)
    added = [AddedShape(part=one.part, phrase=one.phrase) for one in found.added]
    return ExpandedShape(prompt=found.prompt, said=found.said, by=found.by, added=added)


@router.post("/judge", response_model=Judged, responses=replies(), operation_id="judge", openapi_extra=takes(JudgeBody))
async def judge(http: Http, caller: Caller = Depends(caller_of)) -> Judged:
    """Say what every rule says of a text. Nothing is painted, and no refusal is logged."""
    body = await read_body(http, JudgeBody)
    studio = server_of(http).studio_of(caller)

    def work() -> Judged:
        found = studio.policy.explain(Imagine(prompt=body.text).prompt, studio.embed)
        return Judged(allowed=found.allowed, policy=studio.policy.hash, verdicts=list(found.verdicts))

    return await off(work)


@router.get("/policy", response_model=PolicyShape, responses=replies(), operation_id="get_policy")
async def policy(http: Http, caller: Caller = Depends(caller_of)) -> PolicyShape:
    """Return the rules in force: categories, thresholds, and the hash that verdicts cite."""
    studio = server_of(http).studio_of(caller)
    return await off(lambda: _policy(studio))


def _policy(studio: Any) -> PolicyShape:
    data = studio.policy.data
    texts = [(rule, "text") for rule in (*studio.policy.rules, data.subtraction)]
    rules = [
        RuleShape(
            id=rule.id,
            category=rule.category,
            threshold=rule.threshold,
            reason=rule.reason,
            offer=rule.offer,
            of=of,
            final=rule.id in data.final,
        )
        for rule, of in [*texts, *((seen, "pictures") for seen in data.pictures)]
    ]
    return PolicyShape(
        version=studio.policy.version,
        hash=studio.policy.hash,
        pictures_judged=bool(studio.judges),
        categories=sorted({rule.category for rule in rules}),
        rules=rules,
    )


@router.get("/refusals", response_model=Refusals, responses=replies(), operation_id="list_refusals")
async def refusals(http: Http, query: Annotated[LimitQuery, Query()], caller: Caller = Depends(caller_of)) -> Refusals:
    """List what was refused you, newest first."""
    gallery = server_of(http).studio_of(caller).gallery
    return Refusals(data=[_refusal(one) for one in await off(lambda: gallery.refusals.newest(query.limit))])


def _refusal(one: Any) -> RefusalShape:
    facts = asdict(one)
    for name in ("scope", "policy"):
        del facts[name]
    return RefusalShape(**facts | {"words": list(one.words)})


@router.post(
    "/refusals/{id}/appeal",
    response_model=RefusalShape,
    responses=replies(404, 507),
    operation_id="appeal",
    openapi_extra=takes(AppealBody),
)
async def appeal(http: Http, id: str, caller: Caller = Depends(caller_of)) -> RefusalShape:
    """Say why a refusal is wrong; the operator decides."""
    body = await read_body(http, AppealBody)
    gallery = server_of(http).studio_of(caller).gallery
    checked_id(id, REFUSAL_ID, "refusal")
    return _refusal(await off(lambda: gallery.refusals.appeal(id, body.why)))


@router.get("/appeals", response_model=Refusals, responses=replies(403), operation_id="list_appeals")
async def appeals(http: Http, query: Annotated[LimitQuery, Query()], caller: Caller = Depends(operator_of)) -> Refusals:
    """List the appeals of everybody that wait for a decision. For the operator."""
    log = server_of(http).studio.gallery.refusals
    return Refusals(data=[_refusal(one) for one in await off(lambda: log.newest(query.limit, appealed=True))])


@router.post(
    "/refusals/{id}/decide",
    response_model=DecisionShape,
    responses=replies(403, 404, 507),
    operation_id="decide",
    openapi_extra=takes(DecideBody),
)
async def decide(http: Http, id: str, caller: Caller = Depends(operator_of)) -> DecisionShape:
    """Decide an appeal: exactly this text passes under exactly this rule, or does not. For the operator."""
    body = await read_body(http, DecideBody)
    server: Server = server_of(http)
    checked_id(id, REFUSAL_ID, "refusal")
    if not body.why.strip():
        raise InvalidValue("A reason is needed.", param="why")
    made = await off(lambda: server.studio.docket.decide(id, body.verdict == "allow", body.why))
    facts = asdict(made)
    del facts["scope"]
    return DecisionShape(**facts)
