"""Routes without FastAPI's machinery still demand what they declare."""

from collections.abc import Callable
from typing import Annotated, Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient

from api.dependencies import CurrentIdentity, get_identity, requires, requires_role
from api.routing.fast_route import FastRoute
from counterfoil.identity import Identity
from tests.support.administrator import Sql, give_role
from tests.support.client import Client, MakeApp, MakeClient

pytestmark = pytest.mark.one_database


async def read_whoami(identity: CurrentIdentity) -> JSONResponse:
    return JSONResponse(identity.email)


async def read_balance(identity: Annotated[Identity, requires("balance")]) -> JSONResponse:
    return JSONResponse(identity.email)


async def read_path(request: Request) -> JSONResponse:
    return JSONResponse(request.url.path)


def fast_router() -> APIRouter:
    router = APIRouter(route_class=FastRoute)
    router.get("/whoami")(read_whoami)
    router.get("/balance")(read_balance)
    router.get("/paths/{path:path}")(read_path)
    return router


def put_in_front(app: FastAPI) -> None:
    app.router.routes.extend(fast_router().routes)


def include(app: FastAPI) -> None:
    app.include_router(fast_router())


@pytest.fixture(params=[put_in_front, include])
def reader(request: pytest.FixtureRequest, make_client: MakeClient, make_app: MakeApp) -> Client:
    app = make_app()
    request.param(app)
    return make_client(app)


def test_a_fast_route_knows_who_calls(reader: Client) -> None:
    tokens = reader.sign_up()
    assert reader.http.get("/whoami", headers=tokens.headers).json() == "ada@example.org"
    reader.http.post("/logout", headers=tokens.headers)
    assert reader.http.get("/whoami", headers=tokens.headers).status_code == 401
    assert reader.http.get("/whoami").status_code == 401


def test_a_fast_route_demands_its_scopes(reader: Client, sql: Sql) -> None:
    tokens = reader.sign_up()
    refusal = reader.http.get("/balance", headers=tokens.headers)
    assert (refusal.status_code, refusal.json()["code"]) == (403, "insufficient_scope")
    sql("UPDATE roles SET scopes = 'balance' WHERE name = 'moderator'")
    give_role(sql, "moderator")
    assert reader.http.get("/balance", headers=tokens.headers).status_code == 200


def test_a_fast_route_may_take_the_request(reader: Client) -> None:
    assert reader.http.get("/paths/a/b").json() == "/paths/a/b"
    assert reader.http.post("/paths/a").status_code == 405


def test_a_fast_route_is_described_like_any_other(reader: Client) -> None:
    paths = reader.http.get("/openapi.json").json()["paths"]
    assert {"Password": ["balance"]} in paths["/balance"]["get"]["security"]


async def asks_for_more(identity: CurrentIdentity, page: int) -> JSONResponse:
    return JSONResponse([identity.user_id, page])


async def asks_for_nothing() -> JSONResponse:
    return JSONResponse(None)


async def asks_for_a_parameter(page: int) -> JSONResponse:
    return JSONResponse(page)


def waits(identity: CurrentIdentity) -> JSONResponse:
    return JSONResponse(identity.user_id)


@pytest.mark.parametrize("endpoint", [asks_for_more, asks_for_nothing, asks_for_a_parameter, waits])
def test_a_fast_route_rejects_an_endpoint_that_it_could_not_call(
    endpoint: Callable[..., Any],
) -> None:
    with pytest.raises(TypeError, match="identity"):
        FastRoute("/", endpoint)


def test_a_fast_route_rejects_dependencies_that_it_would_not_solve() -> None:
    with pytest.raises(TypeError, match="dependencies"):
        FastRoute("/", read_whoami, dependencies=[requires_role("admin")])
    assert FastRoute("/", read_whoami).dependant.dependencies[0].call is get_identity


def test_dependencies_of_an_included_router_are_rejected_too() -> None:
    app = FastAPI()
    app.include_router(fast_router(), dependencies=[requires_role("admin")])
    with pytest.raises(TypeError, match="dependencies"):
        TestClient(app).get("/paths/a")
