"""An application beside the service checks tokens in either mode, whatever runs its lifespan."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import httpx2
import pytest
from fastapi import FastAPI, Request, WebSocket
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from sqlalchemy.engine import make_url
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from counterfoil import Identity
from counterfoil.cookies import NAME, SessionCookie
from counterfoil.errors import CounterfoilError, InvalidToken
from counterfoil.fastapi import (
    Counterfoil,
    CurrentIdentity,
    OptionalIdentity,
    fresh,
    requires,
    requires_role,
    second_factor,
)
from counterfoil.testing import API_KEY, acting_as, make_identity
from counterfoil.tokens import TokenKind, create
from harness.postgresql import DatabaseServer
from harness.server import REPOSITORY
from tests.support import documentation
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.endpoints import NOTHING, Endpoint, described, response

DEADLINE = 20.0
SHORT = 0.5
TOKEN = create(TokenKind.ACCESS).text
HEADERS = {"Authorization": f"Bearer {TOKEN}"}


def application(**options: Any) -> FastAPI:
    """Somebody's application, with Counterfoil's options."""
    app = FastAPI()
    Counterfoil(app, **{"deadline_seconds": DEADLINE, **options})

    @app.get("/me")
    async def read_me(identity: CurrentIdentity) -> int:
        return identity.user_id

    @app.get("/greeting")
    async def greet(identity: OptionalIdentity) -> str:
        return f"hello {identity.email}" if identity else "hello"

    @app.get("/orders")
    async def list_orders(identity: Annotated[Identity, requires("orders:read")]) -> list[str]:
        return sorted(identity.scopes)

    @app.get("/office", dependencies=[requires_role("clerk")])
    async def read_office() -> None: ...

    @app.get("/danger")
    async def read_danger(
        identity: CurrentIdentity, again: Annotated[Identity, fresh(seconds=60)]
    ) -> None: ...

    for path, demanded in ("/vault", second_factor()), ("/safe", second_factor(seconds=60)):
        app.add_api_route(path, read_office, dependencies=[demanded])

    @app.websocket("/feed")
    async def feed(websocket: WebSocket, identity: CurrentIdentity) -> None:
        await websocket.accept()
        await websocket.send_json(identity.user_id)

    return app


async def get(app: Any, path: str, **headers: str) -> httpx2.Response:
    """Without the application's lifespan, as httpx calls it."""
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://app") as client:
        return await client.get(path, headers=headers)


def play(server: Endpoint, scene: Callable[[FastAPI], Awaitable[None]], **options: Any) -> None:
    async def run() -> None:
        async with asyncio.timeout(DEADLINE), server:
            await scene(application(url=server.url, api_key=API_KEY, **options))

    asyncio.run(run())


def live(*, session_kind: str | None = None, **fields: Any) -> bytes:
    return response(described(make_identity(user_id=7, **fields), session_kind=session_kind))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "either url and api_key, or database_url"),
        ({"url": "https://a", "api_key": API_KEY, "database_url": "sqlite:///x"}, "either"),
        ({"url": "https://auth.example.org"}, "complete API key"),
        ({"url": "https://auth.example.org", "api_key": API_KEY[:-1]}, "complete API key"),
        ({"url": "https://auth.example.org", "api_key": TOKEN}, "complete API key"),
        ({"url": "auth.example.org", "api_key": API_KEY}, "https://auth.example.org"),
        ({"url": "ftp://auth.example.org", "api_key": API_KEY}, "https://auth.example.org"),
        ({"url": "https://me@auth.example.org", "api_key": API_KEY}, "user"),
        ({"url": "https://auth.example.org/?x", "api_key": API_KEY}, "query"),
        ({"url": "https://auth.example.org/a b", "api_key": API_KEY}, "ASCII"),
        ({"database_url": "sqlite:///x", "max_staleness_seconds": 5}, "belong to url"),
        ({"database_url": "sqlite:///x", "api_key": API_KEY}, "belong to url"),
        ({"url": "https://a", "api_key": API_KEY, "standby_urls": ["postgresql://b/c"]}, "standby"),
        ({"url": "https://a", "api_key": API_KEY, "prepared_statements": False}, "prepared"),
        ({"database_url": "sqlite:///x", "api_key_headers": "X-Key"}, "must be a list"),
        ({"database_url": "mysql://x"}, "postgresql://"),
        ({"database_url": "sqlite:///x", "deadline_seconds": 0}, "deadline_seconds"),
        ({"url": "https://a", "api_key": API_KEY, "max_staleness_seconds": -1}, "staleness"),
        ({"url": "https://a", "api_key": API_KEY, "max_connections": 0}, "max_connections"),
    ],
)
def test_exactly_one_mode_is_configured_and_rightly(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        Counterfoil(FastAPI(), **options)
    assert options.get("api_key", "none") not in str(raised.value)


def test_an_application_has_one_counterfoil_and_has_it_before_it_starts() -> None:
    app = application(database_url="sqlite:///x")
    with pytest.raises(ValueError, match="already"):
        Counterfoil(app, database_url="sqlite:///y")
    late = FastAPI()
    with running(late), pytest.raises(ValueError, match="before the application starts"):
        Counterfoil(late, database_url="sqlite:///x")


@pytest.mark.parametrize("error", [InvalidToken, CounterfoilError])
@pytest.mark.parametrize("is_first", [True, False])
def test_an_application_can_answer_rejected_tokens_in_its_own_way(
    error: type[Exception], *, is_first: bool
) -> None:
    async def answer(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse(type(error).__name__, 418)

    app = FastAPI()
    if is_first:
        app.add_exception_handler(error, answer)
    Counterfoil(app, database_url="sqlite:///x")
    if not is_first:
        app.add_exception_handler(error, answer)

    @app.get("/me")
    async def read_me(identity: CurrentIdentity) -> int:
        return identity.user_id

    rejected = asyncio.run(get(app, "/me", Authorization="Bearer x"))
    assert (rejected.status_code, rejected.json()) == (418, "InvalidToken")


def test_a_mounted_application_needs_one_of_its_own_and_says_so() -> None:
    app, mounted = application(database_url="sqlite:///x"), FastAPI(title="Archive")
    mounted.add_api_route("/me", lambda: "me", dependencies=[requires("orders:read")])
    app.mount("/archive", mounted)
    with pytest.raises(LookupError, match="'Archive' has no Counterfoil"):
        TestClient(app).get("/archive/me", headers=HEADERS)
    with acting_as(app, scopes={"orders:read"}):
        assert TestClient(app).get("/archive/me").json() == "me"


COOKIE = {"Cookie": f"{NAME}={TOKEN}"}
BY_COOKIE = f"token={TOKEN}&session_kind=browser".encode()


def test_the_cookie_of_a_page_is_asked_about_as_such_and_never_if_forged() -> None:
    async def scene(app: FastAPI) -> None:
        assert (await get(app, "/me", **COOKIE)).json() == 7
        forged = await get(app, "/me", **COOKIE, **{"Sec-Fetch-Site": "same-site"})
        assert (forged.status_code, forged.json()["code"]) == (403, "csrf_check_failed")
        two = await get(app, "/me", **COOKIE, **{"X-API-Key": API_KEY})
        assert (two.status_code, two.json()["code"]) == (400, "ambiguous_credentials")
        assert [body for _, body in server.requests] == [BY_COOKIE]

    server = Endpoint.answering(live(session_kind="browser"))
    play(server, scene, session_cookie=SessionCookie())


def test_a_bearer_token_and_the_same_text_in_a_cookie_are_two_questions() -> None:
    async def scene(app: FastAPI) -> None:
        # At once, and then within the time for which answers are kept.
        for _ in range(2):
            found = await asyncio.gather(get(app, "/me", **HEADERS), get(app, "/me", **COOKIE))
            assert [one.status_code for one in found] == [401, 200]
        asked = [body for _, body in server.requests]
        assert asked == [f"token={TOKEN}".encode(), BY_COOKIE, f"token={TOKEN}".encode()]

    kept = {"session_cookie": SessionCookie(), "max_staleness_seconds": DEADLINE}
    server = Endpoint.answering(response(NOTHING), live(session_kind="browser"), response(NOTHING))
    play(server, scene, max_connections=1, **kept)


def test_a_service_that_knows_no_cookies_lets_none_pass() -> None:
    async def scene(app: FastAPI) -> None:
        assert (await get(app, "/me", **COOKIE)).status_code == 503
        assert (await get(app, "/me", **HEADERS)).status_code == 503

    # The first is about a bearer token, and the second about a cookie.
    server = Endpoint.answering(live(), live(session_kind="browser"))
    play(server, scene, session_cookie=SessionCookie())


def test_the_answers_are_those_of_the_service() -> None:
    async def scene(app: FastAPI) -> None:
        assert (await get(app, "/me", **HEADERS)).json() == 7
        assert (await get(app, "/me", **{"X-API-Key": TOKEN})).json() == 7
        assert (await get(app, "/orders", **HEADERS)).json() == ["orders:read"]
        for path, status, challenge in (
            ("/office", 403, None),
            ("/danger", 401, 'Bearer error="insufficient_user_authentication", max_age="60"'),
        ):
            answer = await get(app, path, **HEADERS)
            assert (answer.status_code, answer.headers.get("www-authenticate")) == (
                status,
                challenge,
            )
            assert answer.headers["content-type"] == "application/problem+json"

    stale = make_identity(user_id=7).looked_up_at - 61
    play(Endpoint.answering(live(scopes={"orders:read"}, confirmed_at=stale)), scene)


def test_an_inactive_token_is_401_and_a_missing_scope_403() -> None:
    async def scene(app: FastAPI) -> None:
        answer = await get(app, "/orders", **HEADERS)
        assert answer.status_code == 403
        assert 'scope="orders:read"' in answer.headers["www-authenticate"]
        answer = await get(app, "/greeting", **HEADERS)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'

    play(Endpoint.answering(live(), response(NOTHING)), scene)


def test_without_a_token_nobody_is_asked() -> None:
    async def scene(app: FastAPI) -> None:
        assert (await get(app, "/greeting")).json() == "hello"
        answer = await get(app, "/me")
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
        answer = await get(app, "/me", Authorization="Bearer cfa_x")
        assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert server.connections == 0

    server = Endpoint.answering(live())
    play(server, scene)


def test_our_own_rejected_key_is_a_503_to_the_caller() -> None:
    async def scene(app: FastAPI) -> None:
        for path in ("/me", "/greeting"):
            answer = await get(app, path, **HEADERS)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            assert answer.json()["code"] == "introspection_unavailable"
            assert "www-authenticate" not in answer.headers

    play(Endpoint.answering(response(b"{}", status="401 Unauthorized")), scene)


def test_a_fresh_route_takes_no_stale_answer_whoever_asked_first() -> None:
    """Otherwise who has just given the password would be asked for it again."""

    async def scene(app: FastAPI) -> None:
        assert (await get(app, "/danger", **HEADERS)).status_code == 401
        assert (await get(app, "/me", **HEADERS)).status_code == 200
        assert (await get(app, "/danger", **HEADERS)).status_code == 200

    old = make_identity(user_id=7).looked_up_at - 61
    server = Endpoint.answering(live(confirmed_at=old), live(confirmed_at=old), live())
    play(server, scene, max_staleness_seconds=60.0)


ACR = 'Bearer error="insufficient_user_authentication", acr_values="aal2"'


def test_a_second_factor_is_demanded_of_the_service() -> None:
    async def scene(app: FastAPI) -> None:
        assert [(await get(app, "/vault", **HEADERS)).status_code for _ in range(3)] == [
            401,
            200,
            403,
        ]
        answer = await get(app, "/safe", **HEADERS)
        assert answer.headers["www-authenticate"] == f'{ACR}, max_age="60"'

    now = make_identity(user_id=7).looked_up_at
    key = live(api_key_id=uuid4(), second_factor_at=now)
    old = live(second_factor_at=now - 61)
    play(Endpoint.answering(live(), live(second_factor_at=now), key, old), scene)


def test_a_second_factor_and_a_fresh_session_are_demanded_of_the_database(
    client: Client, service_url: str, sql: Sql
) -> None:
    tokens = client.sign_up()
    with running(application(database_url=service_url)) as other:

        def ask(path: str) -> tuple[int, str | None]:
            answer = other.get(path, headers=tokens.headers)
            return answer.status_code, answer.headers.get("www-authenticate")

        assert ask("/vault") == (401, ACR)
        sql("UPDATE sessions SET second_factor_at = '2020-01-01 00:00:00', amr = 'mfa otp pwd'")
        assert ask("/vault") == (200, None)
        assert ask("/safe") == (401, f'{ACR}, max_age="60"')
        sql("UPDATE sessions SET second_factor_at = confirmed_at")
        assert ask("/safe") == (200, None)
        assert ask("/danger") == (200, None)
        for odd in "'2020-01-01 00:00:00'", "NULL":
            sql(f"UPDATE sessions SET confirmed_at = {odd}")
            assert ask("/danger") == (401, f'{ACR.rpartition(", ")[0]}, max_age="60"')


def test_a_websocket_is_opened_for_a_live_token_and_denied_without() -> None:
    app = application(url="https://auth.example.org", api_key=API_KEY)
    with TestClient(app) as client:
        with pytest.raises(WebSocketDenialResponse) as denied:
            client.websocket_connect("/feed").__enter__()
        assert denied.value.status_code == 401
        assert denied.value.headers["www-authenticate"] == "Bearer"


def test_where_a_websocket_cannot_be_denied_it_is_closed() -> None:
    async def without_extensions(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {}}, receive, send)

    app = application(url="http://127.0.0.1:1", api_key=API_KEY)
    client = TestClient(without_extensions)
    for headers, code in (({}, 1008), (HEADERS, 1013)):
        with pytest.raises(WebSocketDisconnect) as closed:
            client.websocket_connect("/feed", headers=headers).__enter__()
        assert closed.value.code == code


@contextmanager
def running(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def test_a_database_is_asked_with_and_without_a_lifespan_and_on_one_loop_after_the_other(
    client: Client, service_url: str, sql: Sql
) -> None:
    tokens = client.sign_up()
    app = application(database_url=service_url)
    for _ in range(2):
        assert asyncio.run(get(app, "/me", **tokens.headers)).json() == 1
        with running(app) as other:
            assert other.get("/me", headers=tokens.headers).json() == 1
            with other.websocket_connect("/feed", headers=tokens.headers) as websocket:
                assert websocket.receive_json() == 1
    sql("DELETE FROM sessions WHERE user_id = 1")
    assert asyncio.run(get(app, "/me", **tokens.headers)).status_code == 401


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_role_that_may_read_the_two_views_and_nothing_else_can_check_tokens(
    client: Client, database_url: str, sql: Sql, worker_id: str
) -> None:
    tokens = client.sign_up()
    role = f"application_{worker_id}"
    database = make_url(database_url).database
    page = REPOSITORY / "docs" / "how-to" / "another-process.md"
    statements = "; ".join(documentation.statements(page, "Ask the database", "postgresql"))
    statements = statements.replace("DATABASE counterfoil", f'DATABASE "{database}"')
    sql(f"DROP ROLE IF EXISTS {role}")
    sql(statements.replace("orders", role).replace("'secret'", f"'{role}'"))
    url = make_url(database_url).set(username=role, password=role)
    app = application(database_url=url.render_as_string(hide_password=False))
    try:
        with running(app) as other:
            assert other.get("/me", headers=tokens.headers).json() == 1
    finally:
        sql(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example.org ESMTP\r\n")
    await hang(reader, writer)


async def ask_a_hundred_times(database_url: str) -> None:
    app = application(database_url=database_url, deadline_seconds=SHORT)
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await asyncio.gather(*(get(app, "/me", **HEADERS) for _ in range(100)))
    assert {(one.status_code, one.headers["retry-after"]) for one in found} == {(503, "1")}
    assert loop.time() - began < 10 * SHORT
    await app.state.counterfoil.resolver.close()


@pytest.mark.parametrize("handler", [hang, greet, None], ids=["hung", "wrong", "stopped"])
def test_what_is_no_database_lets_nothing_pass(handler: Any) -> None:
    async def run() -> None:
        async with Endpoint(handler or hang) as server:
            if handler is None:
                await server.stop()
            await ask_a_hundred_times(f"postgresql://u:p@127.0.0.1:{server.port}/counterfoil")

    asyncio.run(run())


def test_another_database_lets_nothing_pass(postgresql: DatabaseServer, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    asyncio.run(ask_a_hundred_times(postgresql.url("postgres")))
    asyncio.run(ask_a_hundred_times(f"sqlite:///{tmp_path}/empty.db"))
    asyncio.run(ask_a_hundred_times(f"sqlite:///{tmp_path}/missing.db"))


MODES = [{"url": "https://auth.example.org", "api_key": API_KEY}, {"database_url": "sqlite:///x"}]


@pytest.mark.parametrize("options", MODES, ids=["introspection", "database"])
def test_the_authorize_button_knows_every_way_to_send_a_credential(options: Any) -> None:
    app = application(
        **options, token_url="https://auth.example.org/token", api_key_headers=["X-Key"]
    )
    assert app.openapi() == app.openapi()
    schemes = app.openapi()["components"]["securitySchemes"]
    assert schemes["Bearer"]["scheme"] == "bearer"
    assert (schemes["X-Key"]["in"], schemes["X-Key"]["name"]) == ("header", "X-Key")
    flow = schemes["Login"]["flows"]["password"]
    assert flow == {"tokenUrl": "https://auth.example.org/token", "scopes": {"orders:read": ""}}
    scopes = ["orders:read"]
    (operation,) = app.openapi()["paths"]["/orders"].values()
    assert operation["security"] == [{"Bearer": scopes}, {"X-Key": scopes}, {"Login": scopes}]


def test_the_description_has_the_cookie_where_the_application_takes_it() -> None:
    app = application(database_url="sqlite:///x", session_cookie=SessionCookie())
    description = app.openapi()
    assert description["components"]["securitySchemes"]["Cookie"]["name"] == NAME
    assert {"Cookie": []} in description["paths"]["/me"]["get"]["security"]


def test_without_a_url_for_it_the_button_offers_no_login() -> None:
    app = application(database_url="sqlite:///x")
    assert set(app.openapi()["components"]["securitySchemes"]) == {"Bearer", "X-API-Key", "Token"}


def test_an_application_without_protected_routes_describes_no_credentials() -> None:
    app = FastAPI()
    Counterfoil(app, database_url="sqlite:///x")
    assert "components" not in app.openapi()
