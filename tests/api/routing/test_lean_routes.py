"""Routes without FastAPI's machinery still demand what they declare."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse

from api.dependencies import CurrentIdentity, get_identity, requires, requires_role
from api.routing.lean_routes import LeanRoute
from counterfoil.identity import Identity
from tests.support.administrator import Sql, give_role
from tests.support.client import Client, MakeApp, MakeClient


async def read_whoami(identity: CurrentIdentity) -> JSONResponse:
    return JSONResponse(identity.email)


async def read_balance(identity: Annotated[Identity, requires("balance")]) -> JSONResponse:
    return JSONResponse(identity.email)


def lean_router() -> APIRouter:
    router = APIRouter(route_class=LeanRoute)
    router.get("/whoami")(read_whoami)
    router.get("/balance")(read_balance)
    return router


def put_in_front(app: FastAPI) -> None:
    app.router.routes.extend(lean_router().routes)


def include(app: FastAPI) -> None:
    app.include_router(lean_router())


@pytest.fixture(params=[put_in_front, include])
def reader(request: pytest.FixtureRequest, make_client: MakeClient, make_app: MakeApp) -> Client:
    app = make_app()
    request.param(app)
    return make_client(app)


def test_a_lean_route_knows_who_calls(reader: Client) -> None:
    tokens = reader.sign_up()
    assert reader.http.get("/whoami", headers=tokens.headers).json() == "ada@example.org"
    reader.http.post("/logout", headers=tokens.headers)
    assert reader.http.get("/whoami", headers=tokens.headers).status_code == 401
    assert reader.http.get("/whoami").status_code == 401


def test_a_lean_route_demands_its_scopes(reader: Client, sql: Sql) -> None:
    tokens = reader.sign_up()
    refusal = reader.http.get("/balance", headers=tokens.headers)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "insufficient_scope")
    sql("UPDATE roles SET scopes = 'balance' WHERE name = 'moderator'")
    give_role(sql, "moderator")
    assert reader.http.get("/balance", headers=tokens.headers).status_code == 200


def test_a_lean_route_is_described_like_any_other(reader: Client) -> None:
    paths = reader.http.get("/openapi.json").json()["paths"]
    assert {"Password": ["balance"]} in paths["/balance"]["get"]["security"]


async def asks_for_more(identity: CurrentIdentity, page: int) -> JSONResponse:
    return JSONResponse([identity.user_id, page])


async def asks_for_the_request(request: Request) -> JSONResponse:
    return JSONResponse(str(request.url))


def waits(identity: CurrentIdentity) -> JSONResponse:
    return JSONResponse(identity.user_id)


@pytest.mark.parametrize("endpoint", [asks_for_more, asks_for_the_request, waits])
def test_what_a_lean_route_would_leave_out_it_refuses(endpoint: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="identity"):
        LeanRoute("/", endpoint)


def test_a_lean_route_refuses_demands_that_it_would_not_make() -> None:
    with pytest.raises(TypeError, match="dependencies"):
        LeanRoute("/", read_whoami, dependencies=[requires_role("admin")])
    assert LeanRoute("/", read_whoami).dependant.dependencies[0].call is get_identity
