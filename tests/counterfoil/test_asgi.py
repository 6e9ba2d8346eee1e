"""The middleware: who sent a request, for applications of any framework."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import httpx2
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient, WebSocketDenialResponse
from starlette.websockets import WebSocket, WebSocketDisconnect

from counterfoil.asgi import (
    CounterfoilMiddleware,
    find_identity,
    require,
    require_fresh,
    require_second_factor,
)
from counterfoil.cookies import NAME, SessionCookie
from counterfoil.errors import InsufficientRole, NotAuthenticated
from counterfoil.fastapi import CurrentIdentity
from counterfoil.testing import API_KEY, make_identity
from counterfoil.tokens import TokenKind, create
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.endpoints import NOTHING, Endpoint, described, response

DEADLINE = 20.0
TOKEN = create(TokenKind.ACCESS).text
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


async def whoami(request: Request) -> Response:
    identity = find_identity(request.scope)
    return JSONResponse(identity and identity.user_id)


async def orders(request: Request) -> Response:
    return JSONResponse(require(request.scope, scopes={"orders:read"}).user_id)


async def office(request: Request) -> Response:
    return JSONResponse(require(request.scope, roles={"clerk"}).user_id)


async def danger(request: Request) -> Response:
    return JSONResponse((await require_fresh(request.scope, seconds=60)).user_id)


async def vault(request: Request) -> Response:
    return JSONResponse((await require_second_factor(request.scope, seconds=60)).user_id)


async def feed(websocket: WebSocket) -> None:
    identity = require(websocket.scope)
    await websocket.accept()
    await websocket.send_json(identity.user_id)
    await websocket.receive_text()
    # Once it is open, an error is the application's own affair.
    require(websocket.scope, roles={"nobody"})


def starlette(**options: Any) -> Starlette:
    routes = [
        Route("/whoami", whoami),
        Route("/orders", orders),
        Route("/office", office),
        Route("/danger", danger),
        Route("/vault", vault),
        WebSocketRoute("/feed", feed),
    ]
    return Starlette(routes=routes, middleware=[Middleware(CounterfoilMiddleware, **options)])


async def get(app: Any, path: str, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.get(path, headers=headers)


def play(server: Endpoint, scene: Callable[[Any], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(DEADLINE), server:
            await scene(starlette(url=server.url, api_key=API_KEY, **options))

    asyncio.run(run())


def test_the_identity_is_in_the_scope() -> None:
    async def scene(app: Any) -> None:
        assert (await get(app, "/whoami", **HEADERS)).json() == 7
        assert (await get(app, "/whoami")).json() is None
        assert (await get(app, "/orders", **HEADERS)).json() == 7

    identity = make_identity(user_id=7, scopes={"orders:read"})
    play(Endpoint.answering(response(described(identity))), scene)


def test_the_cookie_of_a_page_counts_if_the_options_say_so() -> None:
    async def scene(app: Any) -> None:
        assert (await get(app, "/whoami", Cookie=f"{NAME}={TOKEN}")).json() == 7
        forged = await get(app, "/whoami", Cookie=f"{NAME}={TOKEN}", Origin="https://evil.example")
        assert (forged.status_code, forged.json()["code"]) == (403, "csrf_check_failed")

    told = described(make_identity(user_id=7), session_kind="browser")
    play(Endpoint.answering(response(told)), scene, session_cookie=SessionCookie())


def test_what_is_lacking_is_answered_as_by_the_service() -> None:
    async def scene(app: Any) -> None:
        for path, headers, status, challenge in (
            ("/orders", {}, 401, "Bearer"),
            ("/orders", HEADERS, 403, 'Bearer error="insufficient_scope", scope="orders:read"'),
            ("/office", HEADERS, 403, None),
            ("/danger", HEADERS, 401, 'Bearer error="insufficient_user_authentication", max_a'),
        ):
            answer = await get(app, path, **headers)
            assert answer.status_code == status
            assert (answer.headers.get("www-authenticate") or "").startswith(challenge or "")
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == status

    play(Endpoint.answering(response(described(make_identity(confirmed_at=0.0)))), scene)


def test_a_token_that_is_not_live_is_rejected_before_the_application_is_called() -> None:
    async def scene(app: Any) -> None:
        answer = await get(app, "/whoami", **HEADERS)
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        two = await get(app, "/whoami", **HEADERS, **{"X-API-Key": API_KEY})
        assert (two.status_code, two.json()["code"]) == (400, "ambiguous_credentials")

    play(Endpoint.answering(response(NOTHING)), scene)


def test_when_nothing_can_be_checked_it_is_503_and_without_a_token_all_is_well() -> None:
    async def scene(app: Any) -> None:
        answer = await get(app, "/whoami", **HEADERS)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["code"] == "introspection_unavailable"
        assert (await get(app, "/whoami")).status_code == 200

    play(Endpoint.answering(response(b"down", status="500 Internal Server Error")), scene)


def test_a_fresh_check_takes_no_stale_answer() -> None:
    async def scene(app: Any) -> None:
        assert (await get(app, "/danger", **HEADERS)).status_code == 401
        assert (await get(app, "/danger", **HEADERS)).json() == 1

    old = response(described(make_identity(confirmed_at=0.0)))
    new = response(described(make_identity()))
    play(Endpoint.answering(old, old, new), scene, max_staleness_seconds=60.0)


def test_a_second_factor_is_required_of_a_session_and_recently() -> None:
    async def scene(app: Any) -> None:
        assert (await get(app, "/vault", **HEADERS)).status_code == 401
        assert (await get(app, "/vault", **HEADERS)).status_code == 403
        assert (await get(app, "/vault", **HEADERS)).json() == 1

    now = make_identity().looked_up_at
    key = make_identity(api_key_id=UUID(int=7), second_factor_at=now)
    given = (make_identity(second_factor_at=now - 61), key, make_identity(second_factor_at=now))
    play(Endpoint.answering(*(response(described(one)) for one in given)), scene)


@pytest.mark.parametrize("with_lifespan", [True, False])
def test_a_database_is_asked_with_and_without_a_lifespan(
    client: Client, service_url: str, sql: Sql, with_lifespan: bool
) -> None:
    tokens = client.sign_up()
    for framework in (starlette(database_url=service_url), bare(database_url=service_url)):
        if with_lifespan:
            with TestClient(framework) as other:
                assert other.get("/whoami", headers=tokens.headers).json() == 1
        else:
            assert asyncio.run(get(framework, "/whoami", **tokens.headers)).json() == 1
    sql("UPDATE users SET is_active = false")
    answer = asyncio.run(get(starlette(database_url=service_url), "/whoami", **tokens.headers))
    assert answer.status_code == 401


def bare(**options: Any) -> CounterfoilMiddleware:
    """An application of no framework, which knows neither lifespans nor WebSockets."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"
        identity = find_identity(scope)
        body = str(identity.user_id if identity else None).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    class Guarded(CounterfoilMiddleware):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] != "lifespan":
                await super().__call__(scope, receive, send)
                return
            # As servers do: an application that raises has no lifespan.
            with pytest.raises(AssertionError):
                await super().__call__(scope, receive, send)
            await receive()
            await send({"type": "lifespan.startup.complete"})
            await receive()
            await send({"type": "lifespan.shutdown.complete"})

    return Guarded(app, **options)


def test_a_websocket_is_opened_or_denied() -> None:
    app = starlette(url="http://127.0.0.1:1", api_key=API_KEY)
    client = TestClient(app)
    for headers, status in (({}, 401), (HEADERS, 503)):
        with pytest.raises(WebSocketDenialResponse) as denied:
            client.websocket_connect("/feed", headers=headers).__enter__()
        assert denied.value.status_code == status

    async def without_extensions(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": None}, receive, send)

    client = TestClient(without_extensions)
    for headers, code in (({}, 1008), (HEADERS, 1013)):
        with pytest.raises(WebSocketDisconnect) as closed:
            client.websocket_connect("/feed", headers=headers).__enter__()
        assert closed.value.code == code


def test_an_error_after_the_beginning_of_the_response_is_left_to_the_server(
    client: Client, service_url: str
) -> None:
    def talk() -> None:
        with other.websocket_connect("/feed", headers=tokens.headers) as websocket:
            assert websocket.receive_json() == 1
            websocket.send_text("more")
            websocket.receive_text()

    tokens = client.sign_up()
    with TestClient(starlette(database_url=service_url)) as other, pytest.raises(InsufficientRole):
        talk()


def test_the_dependencies_of_fastapi_use_what_the_middleware_found() -> None:
    app = FastAPI()

    @app.get("/me")
    async def read_me(identity: CurrentIdentity) -> int:
        return identity.user_id

    async def run() -> None:
        async with Endpoint.answering(response(described(make_identity(user_id=7)))) as server:
            app.add_middleware(CounterfoilMiddleware, url=server.url, api_key=API_KEY)
            assert (await get(app, "/me", **HEADERS)).json() == 7
            assert (await get(app, "/me")).status_code == 401
            assert len(server.requests) == 1

    asyncio.run(run())


def test_without_the_middleware_there_is_no_identity_to_find() -> None:
    with pytest.raises(LookupError):
        find_identity({"type": "http"})
    with pytest.raises(NotAuthenticated):
        require({"type": "http", "counterfoil.identity": None})
