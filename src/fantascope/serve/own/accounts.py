"""The caller's account and ledger; for the operator, everybody's names, plans, tokens and top-ups."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi import Request as Http
from starlette.responses import JSONResponse, Response

from fantascope.errors import NotFound
from fantascope.gallery import Balance
from fantascope.gallery.plans import Plan, plan_of, read_plans
from fantascope.policy.own import strictness_of
from fantascope.serve.kit import Server, caller_of, off, server_of
from fantascope.serve.operations import operator_of
from fantascope.serve.own.asked import ChangeBody, LimitQuery, TokenBody, TopupBody, UserBody
from fantascope.serve.own.document import replies, takes
from fantascope.serve.own.packed import PackedRoute
from fantascope.serve.own.shapes_account import (
    Account,
    Ledger,
    Limits,
    LineShape,
    LoginLink,
    NewToken,
    Plans,
    PlanShape,
    RolloverShape,
    Tokens,
    TokenShape,
    TopupShape,
    Users,
    UserShape,
)
from fantascope.serve.own.wire import PREFIX, checked_id, read_body
from fantascope.serve.people import Caller
from fantascope.serve.sessions import CODE_LIFE

router = APIRouter(prefix=PREFIX, route_class=PackedRoute)

NAME = re.compile(r"[a-z0-9._-]{1,64}", re.ASCII)
TOKEN_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@router.get("/account", response_model=Account, responses=replies(), operation_id="get_account")
async def account(http: Http, caller: Caller = Depends(caller_of)) -> Account:
    """Return your balance and plan, and what expires when."""
    gallery = server_of(http).studio_of(caller).gallery
    return _account(await off(lambda: gallery.balance(caller.account)), caller.operator)


def _account(balance: Balance, operator: bool) -> Account:
    facts = asdict(balance)
    return Account(**facts, operator=operator, terms=plan_of(balance.plan).terms())


@router.post(
    "/account/login", status_code=201, response_model=LoginLink, responses=replies(), operation_id="login_link"
)
async def login(http: Http, caller: Caller = Depends(caller_of)) -> Response:
    """Return an address that opens the studio in a browser in your name, once, within five minutes."""
    server = server_of(http)
    made = LoginLink(url=f"{server.base(http)}/login?code={server.sessions.code(caller)}", expires_in=CODE_LIFE)
    return JSONResponse(made.model_dump(), 201, {"Cache-Control": "no-store"})


@router.get("/plans", response_model=Plans, responses=replies(), operation_id="list_plans")
async def plans(http: Http, caller: Caller = Depends(caller_of)) -> Plans:
    """List the plans with what an account on each gets, and what this server takes of every account."""
    told = server_of(http).options
    rate, most = told.rate or None, told.most_bytes
    limits = Limits(requests_a_minute=rate, jobs=told.waiting, streams=told.streams, body_bytes=most)
    return Plans(data=await off(lambda: [_plan(one) for one in read_plans().values()]), limits=limits)


def _plan(plan: Plan) -> PlanShape:
    rolls = RolloverShape(credits=plan.rollover / 1000, months=plan.rollover_months) if plan.rollover else None
    return PlanShape(
        name=plan.name,
        title=plan.title,
        about=plan.about,
        terms=plan.terms(),
        allowance=plan.allowance / 1000,
        rollover=rolls,
        topups=[TopupShape(credits=size.credits / 1000, months=size.months) for size in plan.topups],
        strictness=strictness_of(plan.name),
    )


@router.get("/ledger", response_model=Ledger, responses=replies(), operation_id="get_ledger")
async def ledger(http: Http, query: Annotated[LimitQuery, Query()], caller: Caller = Depends(caller_of)) -> Ledger:
    """List the newest lines of your ledger, newest first."""
    gallery = server_of(http).studio_of(caller).gallery
    lines = [asdict(line) for line in await off(lambda: gallery.entries(caller.account, query.limit))]
    return Ledger(data=[LineShape(**{key: v for key, v in line.items() if key != "account"}) for line in lines])


@router.get("/users", response_model=Users, responses=replies(403), operation_id="list_users")
async def users(http: Http, caller: Caller = Depends(operator_of)) -> Users:
    """List everybody who may use this server. For the operator."""
    people = server_of(http).studio.gallery.people
    return Users(data=[_user(one) for one in await off(people.list)])


def _user(person: Any) -> UserShape:
    return UserShape(**asdict(person))


@router.post(
    "/users",
    status_code=201,
    response_model=UserShape,
    responses=replies(403, 507),
    operation_id="add_user",
    openapi_extra=takes(UserBody),
)
async def add(http: Http, caller: Caller = Depends(operator_of)) -> UserShape:
    """Add somebody; a token is issued apart from that. For the operator."""
    body = await read_body(http, UserBody)
    people = server_of(http).studio.gallery.people
    return _user(await off(lambda: people.add(body.name, body.plan, operator=body.operator)))


@router.patch(
    "/users/{name}",
    response_model=UserShape,
    responses=replies(403, 404, 507),
    operation_id="change_user",
    openapi_extra=takes(ChangeBody),
)
async def change(http: Http, name: str, caller: Caller = Depends(operator_of)) -> UserShape:
    """Change somebody's plan, or shut them out. For the operator."""
    body = await read_body(http, ChangeBody)
    people = server_of(http).studio.gallery.people
    checked_id(name, NAME, "person")
    return _user(await off(lambda: people.change(name, body.plan, body.disabled, operator=body.operator)))


@router.get("/users/{name}/tokens", response_model=Tokens, responses=replies(403, 404), operation_id="list_tokens")
async def tokens(http: Http, name: str, caller: Caller = Depends(operator_of)) -> Tokens:
    """List the tokens ever issued to somebody, without what would let anybody use them. For the operator."""
    people = server_of(http).studio.gallery.people
    checked_id(name, NAME, "person")
    return Tokens(data=[_token(one) for one in await off(lambda: people.tokens(name))])


def _token(one: Any) -> TokenShape:
    return TokenShape(**{key: value for key, value in asdict(one).items() if key != "name"})


@router.post(
    "/users/{name}/tokens",
    status_code=201,
    response_model=NewToken,
    responses=replies(403, 404, 507),
    operation_id="issue_token",
    openapi_extra=takes(TokenBody),
)
async def issue(http: Http, name: str, caller: Caller = Depends(operator_of)) -> Response:
    """Issue a token to somebody. It is told this once. For the operator."""
    body = await read_body(http, TokenBody)
    people = server_of(http).studio.gallery.people
    checked_id(name, NAME, "person")

    def work() -> NewToken:
        token = people.issue(name, body.label, body.days)
        return NewToken(**_token(people.token(token)).model_dump(), token=token)

    made = (await off(work)).model_dump(mode="json")
    return JSONResponse(made, 201, {"Cache-Control": "no-store"})


@router.delete(
    "/users/{name}/tokens/{id}",
    response_model=TokenShape,
    responses=replies(403, 404, 507),
    operation_id="revoke_token",
)
async def revoke(http: Http, name: str, id: str, caller: Caller = Depends(operator_of)) -> TokenShape:
    """Make a token useless from now on. For the operator."""
    people = server_of(http).studio.gallery.people
    checked_id(name, NAME, "person")
    checked_id(id, TOKEN_ID, "token")

    def work() -> Any:
        if id not in {one.id for one in people.tokens(name)}:
            raise NotFound(f"{name} has no token {id!r}.", param="id")
        return people.revoke(id)

    return _token(await off(work))


@router.post(
    "/users/{name}/topup",
    response_model=Account,
    responses=replies(403, 404, 507),
    operation_id="topup",
    openapi_extra=takes(TopupBody),
)
async def topup(http: Http, name: str, caller: Caller = Depends(operator_of)) -> Account:
    """Add credits to somebody's account: a size that their plan has. For the operator."""
    body = await read_body(http, TopupBody)
    server: Server = server_of(http)
    checked_id(name, NAME, "person")

    def work() -> Account:
        whose = server.people.operator
        if name != whose.account:
            person = server.studio.gallery.people.get(name)
            whose = Caller(person.name, person.plan, person.operator)
        gallery = server.people.studio(whose).gallery
        return _account(gallery.topup(name, body.credits, body.note), whose.operator)

    return await off(work)
