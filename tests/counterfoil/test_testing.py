"""acting_as: every check works in an application's own tests, without a database or a service."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Annotated, Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.dependencies import CurrentIdentity as ServiceIdentity
from counterfoil import CredentialKind, Identity, acting
from counterfoil.asgi import CounterfoilMiddleware, require, require_fresh
from counterfoil.authenticator import RESOLVED
from counterfoil.fastapi import (
    Counterfoil,
    CurrentIdentity,
    OptionalIdentity,
    fresh,
    requires,
    requires_role,
)
from counterfoil.testing import API_KEY, acting_as, make_identity
from tests.support.client import MakeApp

# Nothing listens there: a lookup gets a 503.
NOWHERE: dict[str, Any] = {"url": "http://127.0.0.1:1", "api_key": API_KEY}


def orders_app(**options: Any) -> FastAPI:
    app = FastAPI()
    Counterfoil(app, **(options or NOWHERE))

    @app.get("/me")
    async def read_me(identity: CurrentIdentity) -> int:
        return identity.user_id

    @app.get("/greeting")
    async def greet(identity: OptionalIdentity) -> str:
        return identity.email if identity else "nobody"

    @app.get("/orders")
    async def list_orders(identity: Annotated[Identity, requires("orders:read")]) -> int:
        return identity.user_id

    @app.get("/office", dependencies=[requires_role("clerk")])
    async def read_office() -> None: ...

    @app.get("/danger", dependencies=[fresh()])
    async def read_danger() -> None: ...

    return app


async def get(app: Any, path: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.get(path, headers={"Authorization": "Bearer whatever"})


def status(app: Any, path: str) -> int:
    return asyncio.run(get(app, path)).status_code


def test_every_dependency_knows_who_the_test_acts_as() -> None:
    app = orders_app()
    with acting_as(app, user_id=7, scopes={"orders:read"}, roles=["clerk"]) as identity:
        assert identity.user_id == 7
        assert asyncio.run(get(app, "/me")).json() == 7
        assert asyncio.run(get(app, "/greeting")).json() == "user7@example.org"
        for path in ("/orders", "/office", "/danger"):
            assert status(app, path) == 200
    assert status(app, "/me") == 401
    assert acting.entries == []


def test_what_the_user_may_not_do_is_rejected_as_always() -> None:
    app = orders_app()
    with acting_as(app, user_id=7, scopes={"orders:write"}, roles=["guest"], confirmed_at=0.0):
        assert status(app, "/me") == 200
        answer = asyncio.run(get(app, "/orders"))
        assert answer.status_code == 403
        assert 'scope="orders:read"' in answer.headers["www-authenticate"]
        assert status(app, "/office") == 403
        assert status(app, "/danger") == 401


@pytest.mark.parametrize("argument", [{"scopes": "orders:read"}, {"roles": "clerk"}])
def test_a_text_in_place_of_several_is_an_error(argument: dict[str, Any]) -> None:
    with (
        pytest.raises(ValueError, match="must be a list, such as"),
        acting_as(orders_app(), **argument),
    ):
        pass
    with pytest.raises(ValueError, match="must be a list, such as"):
        require({RESOLVED: make_identity()}, **argument)


def test_an_api_key_acts_without_a_session() -> None:
    app = orders_app()
    with acting_as(app, api_key_id=uuid4()) as identity:
        assert (identity.kind, identity.session_id) == (CredentialKind.API_KEY, None)
        assert status(app, "/danger") == 200


@pytest.fixture
def ada() -> Iterator[Identity]:
    with acting_as(APP, user_id=7) as identity:
        yield identity


APP = orders_app(database_url="postgresql://nobody@127.0.0.1:1/nothing")


def test_a_fixture_acts_for_a_client_that_runs_the_lifespan(ada: Identity) -> None:
    with TestClient(APP) as client:
        assert client.get("/me").json() == ada.user_id
        with acting_as(APP, user_id=8):
            assert client.get("/me").json() == 8
            with acting_as(APP, user_id=9):
                assert client.get("/me").json() == 9
            assert client.get("/me").json() == 8
        assert client.get("/me").json() == ada.user_id


def test_a_client_that_was_there_before_acts_as_well() -> None:
    with TestClient(APP) as client:
        assert client.get("/me").status_code == 401
        with acting_as(APP, user_id=8):
            assert client.get("/me").json() == 8
        assert client.get("/me").status_code == 401


def test_a_fixture_that_ran_in_another_context_acts_for_the_test() -> None:
    """As asynchronous fixtures of some plugins do, which also end in another context."""

    async def run() -> None:
        block = acting_as(APP, user_id=8)
        await asyncio.create_task(enter(block))
        assert (await get(APP, "/me")).json() == 8
        await asyncio.create_task(leave(block))
        assert (await get(APP, "/me")).status_code == 401

    async def enter(block: Any) -> None:
        block.__enter__()

    async def leave(block: Any) -> None:
        block.__exit__(None, None, None)

    asyncio.run(run())


def test_tasks_and_threads_that_act_at_the_same_time_do_not_notice_each_other() -> None:
    async def act(user_id: int, everybody: asyncio.Barrier) -> None:
        with acting_as(APP, user_id=user_id):
            await everybody.wait()
            assert (await get(APP, "/me")).json() == user_id
            await everybody.wait()

    async def run() -> None:
        everybody = asyncio.Barrier(5)
        await asyncio.gather(*(act(number, everybody) for number in range(1, 6)))

    asyncio.run(run())
    both = threading.Barrier(2)
    seen: dict[int, int] = {}

    def act_in_thread(user_id: int) -> None:
        with acting_as(APP, user_id=user_id):
            both.wait()
            seen[user_id] = asyncio.run(get(APP, "/me")).json()
            both.wait()

    threads = [threading.Thread(target=act_in_thread, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {1: 1, 2: 2}


def test_a_task_that_outlives_the_block_no_longer_acts() -> None:
    async def run() -> None:
        is_over = asyncio.Event()

        async def ask_later() -> int:
            await is_over.wait()
            return (await get(APP, "/me")).status_code

        with acting_as(APP, user_id=8):
            later = asyncio.create_task(ask_later())
            await asyncio.sleep(0)
        is_over.set()
        assert await later == 401

    asyncio.run(run())


def test_an_error_in_the_block_ends_it() -> None:
    with pytest.raises(ZeroDivisionError), acting_as(APP, user_id=8):
        _ = 1 / 0
    assert status(APP, "/me") == 401


def test_another_application_is_not_acted_in() -> None:
    other = orders_app()
    with acting_as(APP, user_id=8):
        assert status(other, "/me") == 401
        with acting_as(other, user_id=9):
            assert asyncio.run(get(APP, "/me")).json() == 8
            assert asyncio.run(get(other, "/me")).json() == 9


def test_a_mounted_application_is_acted_in_with_the_one_around_it() -> None:
    outer, inner = FastAPI(), orders_app()
    outer.mount("/v1", inner)
    with acting_as(outer, user_id=8):
        assert asyncio.run(get(outer, "/v1/me")).json() == 8


async def orders(request: Request) -> Response:
    return JSONResponse(require(request.scope, scopes={"orders:read"}).user_id)


async def danger(request: Request) -> Response:
    return JSONResponse((await require_fresh(request.scope)).user_id)


def test_the_middleware_knows_who_the_test_acts_as() -> None:
    routes = [Route("/orders", orders), Route("/danger", danger)]
    options: dict[str, Any] = {**NOWHERE, "max_staleness_seconds": 60.0}
    inside = Starlette(routes=routes, middleware=[Middleware(CounterfoilMiddleware, **options)])
    around = CounterfoilMiddleware(Starlette(routes=routes), **NOWHERE)
    for app in (inside, around):
        with acting_as(app, user_id=7, scopes={"orders:read"}):
            assert asyncio.run(get(app, "/orders")).json() == 7
            assert asyncio.run(get(app, "/danger")).json() == 7
            with TestClient(app) as client:
                assert client.get("/orders").json() == 7
        assert status(app, "/orders") == 401
    with acting_as(inside, user_id=7):
        assert status(inside, "/orders") == 403


def test_routes_in_the_service_itself_are_acted_in_without_its_lifespan(make_app: MakeApp) -> None:
    app = make_app()

    @app.get("/mine")
    async def read_mine(identity: ServiceIdentity, again: CurrentIdentity) -> int:
        return identity.user_id + again.user_id

    with acting_as(app, user_id=4):
        assert asyncio.run(get(app, "/mine")).json() == 8


def test_an_identity_has_defaults_by_which_it_may_do_nothing() -> None:
    identity = Identity(user_id=7)
    assert (identity.roles, identity.scopes, identity.session_id) == ((), frozenset(), None)


def test_dependencies_of_ones_own_can_be_called_with_an_identity() -> None:
    app = orders_app()

    def account_of(identity: CurrentIdentity) -> str:
        return f"account {identity.user_id}"

    @app.get("/account")
    async def read_account(account: Annotated[str, Depends(account_of)]) -> str:
        return account

    assert account_of(Identity(user_id=3)) == "account 3"
    with acting_as(app, user_id=3):
        assert asyncio.run(get(app, "/account")).json() == "account 3"
