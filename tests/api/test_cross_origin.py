"""COUNTERFOIL_CORS_ORIGINS: pages of listed origins read every response, others read none."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from httpx2 import Response
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from api import errors
from api.middleware import EARLY_RESPONSE
from api.settings import ApiSettings
from counterfoil.errors import DatabaseUnavailable
from harness.pages import serve_pages
from harness.server import Server
from tests.support.browser import open_browser
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient

pytestmark = pytest.mark.one_database

ORIGIN = "https://app.example.org"
OTHER = "capacitor://localhost"
ALLOWED = "access-control-allow-origin"
EXPOSED = "Retry-After, WWW-Authenticate, X-Request-ID"


class Failing:
    """Middleware of an application that raises before there is a response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/added":
            raise RuntimeError
        await self._app(scope, receive, send)


def with_faults(app: FastAPI) -> FastAPI:
    app.add_middleware(Failing)

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    @app.get("/down")
    async def down() -> None:
        raise DatabaseUnavailable("it is down")

    return app


@pytest.fixture
def browser(make_client: MakeClient, make_app: MakeApp) -> Client:
    app = make_app(cors_origins=f"{ORIGIN}, {OTHER}", login_attempts_per_account=1)
    client = make_client(with_faults(app))
    client.http.headers["Origin"] = ORIGIN
    return client


def preflight(client: Client, path: str, **headers: str) -> Response:
    asked = {"Access-Control-Request-Method": "PATCH", **headers}
    return client.http.options(path, headers=asked)


def test_a_listed_origin_can_read_every_response_and_its_headers(browser: Client) -> None:
    http = browser.http
    browser.register()
    wrong = {"email": "ada@example.org", "password": "wrong"}
    answers = {
        200: [http.get("/health/live"), http.get("/openapi.json")],
        401: [http.get("/users/me"), http.post("/login", json=wrong)],
        404: [http.get("/nowhere")],
        405: [http.options("/login")],
        413: [
            http.post("/login", content=b" " * 70_000),
            http.post("/login", content=iter([b" " * 70_000])),
        ],
        415: [http.post("/login", content=b"x", headers={"Content-Type": "text/plain"})],
        422: [http.post("/login", json={})],
        429: [http.post("/login", json=wrong)],
        500: [http.get("/broken"), http.get("/added")],
        503: [http.get("/down")],
    }
    for status, found in answers.items():
        for answer in found:
            assert answer.status_code == status, answer.text
            assert answer.headers.get_list(ALLOWED) == [ORIGIN], answer.text
            assert answer.headers["access-control-expose-headers"] == EXPOSED
            assert "Origin" in answer.headers["vary"]
            assert "access-control-allow-credentials" not in answer.headers


async def ask(app: ASGIApp, **scope: Any) -> dict[str, Any]:
    """The first message of the response to a POST to /login, whose body never arrives."""
    sent: list[Any] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"origin", ORIGIN.encode()), (b"content-type", b"application/json")]
    common = {"type": "http", "method": "POST", "path": "/login", "query_string": b""}
    await app(
        {**common, "headers": headers, "root_path": "", "http_version": "1.1", **scope},
        receive,
        send,
    )
    found: dict[str, Any] = sent[0]
    return found


@pytest.mark.parametrize(
    ("status", "scope"),
    [(408, {}), (503, {EARLY_RESPONSE: errors.too_many_connections})],
    ids=["slow", "busy"],
)
def test_a_slow_body_and_too_many_connections_can_be_read_as_well(
    make_client: MakeClient, make_app: MakeApp, status: int, scope: Scope
) -> None:
    app = make_app(cors_origins=ORIGIN, request_body_seconds=0.05)
    make_client(app)

    found = asyncio.run(ask(app, **scope))

    assert found["status"] == status
    assert (ALLOWED.encode(), ORIGIN.encode()) in found["headers"]


def test_a_preflight_allows_the_methods_and_headers_that_routes_take(browser: Client) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"):
        answer = preflight(
            browser,
            "/users/me",
            **{
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": "authorization,if-match",
            },
        )
        assert answer.status_code == 200
        assert answer.headers[ALLOWED] == ORIGIN
        assert answer.headers["access-control-allow-headers"] == "authorization,if-match"
        assert "access-control-allow-credentials" not in answer.headers
        assert "x-request-id" in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://app.example.org.evil.example", "http://app.example.org", "null", "*"]
)
def test_another_origin_can_read_nothing(browser: Client, origin: str) -> None:
    answer = browser.http.get("/health/live", headers={"Origin": origin})
    assert answer.status_code == 200
    assert ALLOWED not in answer.headers
    assert answer.headers["vary"] == "Origin"
    refused = preflight(browser, "/login", Origin=origin)
    assert refused.status_code == 400
    assert ALLOWED not in refused.headers


def test_a_response_to_no_origin_varies_by_it_as_well(browser: Client) -> None:
    del browser.http.headers["Origin"]
    assert browser.http.get("/health/live").headers["vary"] == "Origin"


def test_an_app_on_a_phone_has_an_origin_too(browser: Client) -> None:
    answer = browser.http.get("/health/live", headers={"Origin": OTHER})
    assert answer.headers[ALLOWED] == OTHER


@pytest.mark.parametrize(
    "path", ["/console", "/sign-in", "/account", "/console/nowhere", "/metrics"]
)
def test_pages_with_cookies_and_metrics_are_closed(browser: Client, path: str) -> None:
    assert ALLOWED not in browser.http.get(path, follow_redirects=False).headers
    answer = preflight(browser, path)
    assert answer.status_code >= 400
    assert ALLOWED not in answer.headers


@pytest.mark.parametrize("path", ["/verify", "/verify/login", "/verify/"])
def test_a_preflight_does_not_pass_for_a_request_that_a_proxy_may_forward(
    browser: Client, path: str
) -> None:
    answer = preflight(browser, path)
    assert answer.status_code == 401
    assert ALLOWED not in answer.headers


def test_without_the_setting_there_is_no_cors(client: Client) -> None:
    answer = client.http.get("/health/live", headers={"Origin": ORIGIN})
    assert ALLOWED not in answer.headers
    assert "vary" not in answer.headers
    assert preflight(client, "/login", Origin=ORIGIN).status_code == 405


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("*", "pages of anybody"),
        ("null", "pages of anybody"),
        ("https://app.example.org/", "without a path"),
        ("https://app.example.org/app", "without a path"),
        ("https://*.example.org", "without a path"),
        ("https://ada:secret@app.example.org", "without a path"),
        ("https://App.example.org", "in lower case"),
        ("https://bücher.example", "in lower case"),
        ("app.example.org", "scheme://host"),
        ("file://", "scheme://host"),
        ("https://app.example.org:443", "leave out the port 443"),
        ("http://app.example.org:80", "leave out the port 80"),
        ("https://app.example.org:99999", "out of range"),
    ],
)
def test_what_no_browser_sends_as_an_origin_is_rejected(value: str, reason: str) -> None:
    with pytest.raises(ValidationError, match="cors_origins") as caught:
        ApiSettings(cors_origins=("https://other.example.org", value))
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "https://app.example.org",
        "http://localhost:5173",
        "http://127.0.0.1:8080",
        "http://[::1]:8080",
        "https://xn--bcher-kva.example",
        "https://app.example.org:8443",
        "capacitor://localhost",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
    ],
)
def test_what_browsers_send_as_an_origin_is_accepted(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERFOIL_CORS_ORIGINS", f" {value} ,https://other.example.org,")
    assert ApiSettings().cors_origins == (value, "https://other.example.org")


# Called in a page: what a script there learns of a response, or that it may not read it.
_FETCH = """async ([url, options]) => {
  try {
    const response = await fetch(url, options)
    const named = ['x-request-id', 'www-authenticate', 'retry-after']
    const headers = named.filter((name) => response.headers.has(name))
    return [response.status, headers, await response.text()]
  } catch (error) {
    return error.name
  }
}"""


def test_in_chromium_a_page_of_a_listed_origin_logs_in_and_that_of_another_reads_nothing(
    tmp_path: Path,
) -> None:
    pages = {"/index.html": "<!doctype html><title>An application</title>"}
    with serve_pages(pages) as listed, serve_pages(pages) as other, open_browser() as browser:
        environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4", "COUNTERFOIL_CORS_ORIGINS": listed}
        url = f"sqlite:///{tmp_path}/cors.db"
        with Server.launch(url, environment=environment) as server:
            account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
            assert httpx2.post(f"{server.url}/register", json=account).status_code == 201

            def fetch(path: str, **options: object) -> Any:
                return browser.page.evaluate(_FETCH, [server.url + path, options])

            browser.page.goto(f"{listed}/index.html")
            assert _log_in(fetch)[0] == 200
            unknown = {"Authorization": "Bearer cfa_unknown"}
            status, headers, _ = fetch("/users/me", headers=unknown)
            assert (status, headers) == (401, ["x-request-id", "www-authenticate"])
            assert fetch("/login", method="POST", body="x" * 70_000)[0] == 413
            assert fetch("/users/me", credentials="include") == "TypeError"
            assert fetch("/sign-in") == "TypeError"

            browser.page.goto(f"{other}/index.html")
            assert _log_in(fetch) == "TypeError"
            assert fetch("/health/live") == "TypeError"


def _log_in(fetch: Callable[..., Any]) -> Any:
    body = f'{{"email": "ada@example.org", "password": "{PASSWORD}"}}'
    headers = {"Content-Type": "application/json"}
    return fetch("/login", method="POST", headers=headers, body=body)
