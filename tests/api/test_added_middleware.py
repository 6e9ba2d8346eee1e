"""Middleware that is added to the application sees every response; its own failures are a 500."""

import asyncio
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.middleware import EARLY_RESPONSE
from counterfoil.errors import DatabaseUnavailable
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient

ORIGIN = "https://app.example.org"
ALLOWED = "access-control-allow-origin"


def with_cors(app: FastAPI) -> FastAPI:
    app.add_middleware(CORSMiddleware, allow_origins=[ORIGIN], allow_methods=["*"])

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    @app.get("/down")
    async def down() -> None:
        raise DatabaseUnavailable("it is down")

    return app


@pytest.fixture
def browser(make_client: MakeClient, make_app: MakeApp) -> Client:
    client = make_client(with_cors(make_app(login_attempts_per_account=1)))
    client.http.headers["Origin"] = ORIGIN
    return client


def test_every_error_has_the_headers_that_a_browser_asks_for(browser: Client) -> None:
    http = browser.http
    browser.register()
    wrong = {"email": "ada@example.org", "password": "wrong"}
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = {
        200: [http.get("/health/live")],
        401: [http.get("/users/me"), http.post("/login", json=wrong)],
        404: [http.get("/nowhere")],
        405: [http.get("/login")],
        413: [
            http.post("/login", content=b" " * 70_000),
            http.post("/token", content=b" " * 70_000, headers=form),
            http.post("/login", content=iter([b" " * 70_000])),
        ],
        415: [http.post("/login", content=b"x", headers={"Content-Type": "text/plain"})],
        422: [http.post("/login", json={}), http.post("/login?x=1", json=wrong)],
        429: [http.post("/login", json=wrong)],
        500: [http.get("/broken")],
        503: [http.get("/down")],
    }
    for status, found in answers.items():
        for answer in found:
            assert answer.status_code == status, answer.text
            # Pages of every origin may get tokens, whatever else is added.
            allowed = "*" if answer.request.url.path == "/token" else ORIGIN
            assert answer.headers.get_list(ALLOWED) == [allowed], answer.text
            assert "x-request-id" in answer.headers
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_preflight_is_answered(browser: Client) -> None:
    answer = browser.http.options("/login", headers={"Access-Control-Request-Method": "POST"})
    assert answer.status_code == 200
    assert answer.headers[ALLOWED] == ORIGIN
    assert "x-request-id" in answer.headers


async def ask(app: ASGIApp, receive: Receive, **scope: Any) -> dict[str, Any]:
    """The first message of the response to a POST to /login of a browser."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"origin", ORIGIN.encode()), (b"content-type", b"application/json")]
    common = {"type": "http", "method": "POST", "path": "/login", "query_string": b""}
    full = {**common, "headers": headers, "root_path": "", "http_version": "1.1", **scope}
    await app(full, receive, send)
    found: dict[str, Any] = sent[0]
    return found


async def never() -> Any:
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("status", "scope"),
    [(408, {}), (503, {EARLY_RESPONSE: errors.too_many_connections})],
    ids=["slow", "busy"],
)
def test_a_slow_body_and_too_many_connections_are_seen_as_well(
    make_client: MakeClient, make_app: MakeApp, status: int, scope: Scope
) -> None:
    app = with_cors(make_app(request_body_seconds=0.05))
    make_client(app)

    found = asyncio.run(ask(app, never, **scope))

    assert found["status"] == status
    assert (ALLOWED.encode(), ORIGIN.encode()) in found["headers"]


def test_what_fails_in_added_middleware_is_a_500_that_shows_nothing(
    make_client: MakeClient, make_app: MakeApp
) -> None:
    class Failing:
        def __init__(self, app: ASGIApp) -> None:
            self.app = app

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                raise RuntimeError(PASSWORD)
            await self.app(scope, receive, send)

    app = make_app()
    app.add_middleware(Failing)
    answer = make_client(app).http.get("/health/live")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert PASSWORD not in answer.text


def test_the_last_middleware_that_is_added_is_the_outermost(
    make_client: MakeClient, make_app: MakeApp
) -> None:
    seen: list[str] = []

    class Noting:
        def __init__(self, app: ASGIApp, name: str) -> None:
            self.app, self.name = app, name

        async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                seen.append(self.name)
            await self.app(scope, receive, send)

    app = make_app()
    app.add_middleware(Noting, name="first")
    app.add_middleware(Noting, name="second")
    make_client(app).http.get("/health/live")
    assert seen == ["second", "first"]
