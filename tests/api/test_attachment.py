"""The service attached to another application: both answer as they would by themselves."""

import logging
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRouter
from fastapi.testclient import TestClient
from httpx2 import Response
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.responses import PlainTextResponse

import api
from api.application import create_app
from api.not_started import NOT_STARTED
from api.settings import Settings
from counterfoil.errors import InsufficientScope, Unavailable
from counterfoil.testing import acting_as
from tests.support.administrator import Sql, events
from tests.support.client import PASSWORD, Tokens
from tests.support.host import REQUESTS, make_host, protected
from tests.support.waiting import until

pytestmark = pytest.mark.one_database

MakeSettings = Callable[..., Settings]
Run = Callable[[FastAPI], TestClient]


@pytest.fixture
def run() -> Iterator[Run]:
    """Starts an application, and returns its client."""
    with ExitStack() as running:
        yield lambda app: running.enter_context(TestClient(app, raise_server_exceptions=False))


@pytest.fixture
def host(make_settings: MakeSettings) -> FastAPI:
    app = make_host()
    api.attach(app, settings=make_settings())
    app.include_router(protected)
    return app


@pytest.fixture
def http(host: FastAPI, run: Run) -> TestClient:
    return run(host)


def sign_up(http: TestClient, prefix: str = "/auth") -> Tokens:
    account = {"email": "ada@example.org", "password": PASSWORD}
    assert http.post(f"{prefix}/register", json={**account, "name": "Ada"}).status_code == 201
    body = http.post(f"{prefix}/login", json=account).json()
    return Tokens(body["access_token"], body["refresh_token"], body["scope"], body["expires_in"])


def shown(response: Response) -> tuple[int, list[tuple[str, str]], bytes]:
    """All that a client sees."""
    return response.status_code, response.headers.multi_items(), response.content


@pytest.mark.parametrize("with_handlers", [False, True])
def test_the_application_answers_as_before(
    run: Run, make_settings: MakeSettings, *, with_handlers: bool
) -> None:
    alone, host = make_host(with_handlers=with_handlers), make_host(with_handlers=with_handlers)
    api.attach(host, settings=make_settings())
    before, after = run(alone), run(host)
    for method, path, options in REQUESTS:
        expected = shown(before.request(method, path, **options))
        assert shown(after.request(method, path, **options)) == expected, path
    assert after.post("/auth/token").headers["Content-Type"] == "application/json"


def test_the_requests_show_what_an_application_does_differently(run: Run) -> None:
    """Or the comparison above would compare nothing."""
    http = run(make_host())
    answers = {path: http.request(method, path, **more) for method, path, more in REQUESTS}
    assert answers["/detail"].json() == {"detail": {"why": ["tea", 1]}}
    assert answers["/items?count=many&unknown=1"].json()["detail"][0]["input"] == "many"
    assert answers["/upload"].json() == {"bytes": 200_000}
    assert "content-security-policy" not in answers["/page"].headers
    assert answers["/cached"].headers["Cache-Control"] == "public, max-age=60"
    assert answers["/folder"].status_code == 307
    assert answers["/tenant"].json() == "one"
    assert answers["/error"].status_code == 500
    assert answers["/state"].json() == ["of the host", "orders", ["pool"]]
    assert answers["/openapi.json"].json()["info"]["title"] == "Orders"
    assert answers["/page"].headers.get_list("X-Marked-By") == ["inner", "outer"]


def test_a_websocket_of_the_application_works_as_before(http: TestClient) -> None:
    with http.websocket_connect("/echo") as socket:
        socket.send_text("hello")
        assert socket.receive_text() == "hello"
        assert socket.receive()["code"] == 4000


def test_the_service_answers_as_it_does_by_itself(
    run: Run, make_settings: MakeSettings, http: TestClient
) -> None:
    alone = run(create_app(make_settings(issuer="http://127.0.0.1:8000/auth")))
    large = {"content": b"x" * 70_000, "headers": {"Content-Type": "application/json"}}
    requests: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/users/me", {}),
        ("GET", "/nowhere", {}),
        ("DELETE", "/login", {}),
        ("POST", "/login", {"json": {}}),
        ("POST", "/login?x=1", {"json": {"email": "a@example.org", "password": "x"}}),
        ("POST", "/login", large),
        ("POST", "/token", {"data": {"grant_type": "password"}}),
        ("POST", "/token", {"data": {"grant_type": "x" * 70_000}}),
        ("GET", "/verify", {}),
        ("GET", "/console", {"follow_redirects": False}),
        ("GET", "/console/", {"follow_redirects": False}),
        ("GET", "/console/nowhere", {}),
        ("GET", "/account", {"follow_redirects": False}),
        ("GET", "/docs", {}),
        ("GET", "/openapi.json", {}),
        ("GET", "/.well-known/oauth-authorization-server", {}),
    ]
    alone.headers["X-Request-ID"] = http.headers["X-Request-ID"] = "1"
    own = {"x-marked-by", "x-timed"}
    for method, path, options in requests:
        status, headers, body = shown(alone.request(method, path, **options))
        found_status, found_headers, found = shown(http.request(method, f"/auth{path}", **options))
        assert (found_status, found) == (status, body), path
        kept = [pair for pair in headers if pair[0] not in own]
        assert [pair for pair in found_headers if pair[0] not in own] == kept, path


def test_the_description_of_the_application_says_how_its_routes_accept_credentials(
    http: TestClient,
) -> None:
    described = http.get("/openapi.json").json()
    schemes = described["components"]["securitySchemes"]
    assert schemes.keys() == {"Bearer", "X-API-Key", "Token", "Login"}
    flow = schemes["Login"]["flows"]["password"]
    assert flow["tokenUrl"].endswith("/auth/token")
    accepted = described["paths"]["/protected/orders"]["get"]["security"]
    assert accepted == [{name: ["orders:read"]} for name in schemes]


def test_rejections_of_the_dependencies_are_those_of_the_service(
    http: TestClient, sql: Sql
) -> None:
    tokens = sign_up(http)
    assert http.get("/protected/me", headers=tokens.headers).status_code == 200
    assert http.get("/protected/maybe").json() is None
    assert http.get("/protected/careful", headers=tokens.headers).status_code == 200
    sql("UPDATE sessions SET confirmed_at = '2001-01-01'")
    two = {**tokens.headers, "X-API-Key": "another"}
    bad = {"Authorization": "Bearer cfa_unknown"}
    for path, headers, status, code, challenge in (
        ("me", {}, 401, "not_authenticated", "Bearer"),
        ("me", bad, 401, "invalid_token", 'Bearer error="invalid_token"'),
        ("maybe", bad, 401, "invalid_token", 'Bearer error="invalid_token"'),
        ("me", two, 400, "ambiguous_credentials", None),
        (
            *("orders", tokens.headers, 403, "insufficient_scope"),
            'Bearer error="insufficient_scope", scope="orders:read"',
        ),
        ("office", tokens.headers, 403, "insufficient_role", None),
        (
            *("careful", tokens.headers, 401, "insufficient_user_authentication"),
            'Bearer error="insufficient_user_authentication", max_age="60"',
        ),
    ):
        answer = http.get(f"/protected/{path}", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers.get("WWW-Authenticate") == challenge
        # The rest of the response is the application's own.
        assert answer.headers["X-Timed"] == "yes"
        assert "x-frame-options" not in answer.headers


def test_what_is_revoked_by_sql_is_rejected_by_the_next_request(http: TestClient, sql: Sql) -> None:
    tokens = sign_up(http)
    assert http.get("/protected/me", headers=tokens.headers).json()["roles"] == ["user"]
    sql("UPDATE users SET session_epoch = session_epoch + 1")
    assert http.get("/protected/me", headers=tokens.headers).status_code == 401


def test_a_missing_scope_is_recorded(http: TestClient, sql: Sql) -> None:
    http.get("/protected/orders", headers=sign_up(http).headers)
    until(lambda: "access.denied" in events(sql))


def test_a_handler_of_the_application_for_our_errors_is_kept(
    run: Run, make_settings: MakeSettings
) -> None:
    host = make_host()

    @host.exception_handler(InsufficientScope)
    async def of_scope(request: object, error: object) -> PlainTextResponse:
        return PlainTextResponse("ours", 403)

    @host.exception_handler(Unavailable)
    async def of_outage(request: object, error: object) -> PlainTextResponse:
        return PlainTextResponse("down", 503)

    api.attach(host, settings=make_settings())
    host.include_router(protected)
    http = run(host)
    tokens = sign_up(http)
    assert http.get("/protected/orders", headers=tokens.headers).text == "ours"
    assert http.get("/protected/me").json()["code"] == "not_authenticated"
    host.state.counterfoil.resolver = NOT_STARTED
    assert http.get("/protected/me", headers=tokens.headers).text == "down"


PREFIXES = {
    "http://127.0.0.1:8000": "/auth",
    "https://example.org/auth": "/auth",
    "https://example.org/shop/": "/id/v1",
}


@pytest.mark.parametrize(("issuer", "prefix"), PREFIXES.items())
def test_every_link_and_address_leads_below_the_prefix(
    make_settings: MakeSettings, run: Run, issuer: str, prefix: str
) -> None:
    host = make_host()
    api.attach(host, prefix, settings=make_settings(issuer=issuer))
    http = run(host)
    public = issuer.rstrip("/").removesuffix(prefix) + prefix
    path = urlsplit(public).path
    metadata = http.get(f"{prefix}/.well-known/oauth-authorization-server").json()
    assert metadata["issuer"] == public
    assert metadata["token_endpoint"] == f"{public}/token"
    # Where RFC 8414, 3.1 has the metadata of an issuer with a path.
    assert http.get(f"/.well-known/oauth-authorization-server{path}").json() == metadata
    assert http.get(f"{prefix}/openapi.json").json()["servers"] == [{"url": path}]
    landing = http.get(f"{prefix}/console", follow_redirects=False)
    assert landing.headers["Location"] == f"{path}/console/"
    page = http.get(f"{prefix}/sign-in").text
    targets = re.findall(r'(?:href|src|action)="(/[^"]*)"', page)
    assert targets
    for target in targets:
        assert target.startswith((f"{path}/account/", f"{path}/sign-in"))
        inside = target.removeprefix(path).removesuffix("/").partition("#")[0]
        assert http.get(f"{prefix}{inside}").status_code in {200, 405}, target
    documentation = http.get(f"{prefix}/docs").text
    for target in re.findall(r'(?:href|src)="([^"]*)"', documentation):
        assert not target.startswith("/")
        assert http.get(f"{prefix}/{target}").status_code == 200, target


def test_signing_in_works_below_the_prefix(host: FastAPI) -> None:
    with TestClient(host, base_url="https://testserver") as http:
        sign_up(http)
        page = http.get("/auth/sign-in")
        token = re.search(r'name="csrf_token" value="([^"]*)"', page.text)
        assert token
        form = {"csrf_token": token[1], "username": "ada@example.org", "password": PASSWORD}
        done = http.post("/auth/sign-in", data=form, follow_redirects=False)
        assert done.status_code == 303, done.text
        assert done.headers["Location"] == "/auth/account"
        # A name with this prefix is accepted only with this path.
        (cookie,) = [one for one in done.headers.get_list("Set-Cookie") if "_session=" in one]
        assert cookie.startswith("__Host-counterfoil_")
        assert "Path=/;" in cookie
        assert http.get(done.headers["Location"]).status_code == 200


def test_both_lifespans_run_one_inside_the_other(make_settings: MakeSettings) -> None:
    happened: list[str] = []
    host = make_host(happened)
    api.attach(host, settings=make_settings())
    lifespan = host.router.lifespan_context

    @asynccontextmanager
    async def observed(app: FastAPI) -> AsyncIterator[Any]:
        async with lifespan(app) as state:
            happened.append("running")
            await app.state.counterfoil.resolver.check()
            yield state

    host.router.lifespan_context = observed
    # A second time, because test suites start an application more than once.
    for _ in range(2):
        with TestClient(host) as http:
            assert http.get("/auth/health/ready").status_code == 200
        assert host.state.counterfoil.resolver is NOT_STARTED
    assert happened == ["host started", "running", "host stopped"] * 2


@pytest.mark.parametrize("fails_at", ["start", "stop"])
def test_the_service_stops_if_the_application_fails(
    make_settings: MakeSettings, fails_at: str
) -> None:
    looked_up = []

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        await app.state.counterfoil.resolver.check()
        looked_up.append(app.state.counterfoil)
        if fails_at == "start":
            raise RuntimeError("the host failed")
        yield
        await app.state.counterfoil.resolver.check()
        raise RuntimeError("the host failed")

    host = FastAPI(lifespan=lifespan)
    api.attach(host, settings=make_settings())
    with pytest.raises(RuntimeError, match="the host failed"), TestClient(host):
        pass
    assert looked_up
    assert host.state.counterfoil.resolver is NOT_STARTED


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_the_application_does_not_start_if_the_service_fails(make_settings: MakeSettings) -> None:
    happened: list[str] = []
    host = make_host(happened)
    missing = "sqlite:////nowhere/at/all.db"
    api.attach(host, settings=make_settings(database_url=missing))
    with pytest.raises(Exception, match="cannot be used"), TestClient(host):
        pass
    assert happened == []


def test_a_mounted_application_without_its_lifespan_says_what_to_do(
    make_settings: MakeSettings, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    host = make_host()
    host.mount("/auth", create_app(make_settings()))
    http = run(host)
    with caplog.at_level(logging.WARNING):
        for answer in (http.get("/auth/users/me"), http.get("/auth/health/ready")):
            assert answer.status_code == 503
        assert http.post("/auth/token", data={"grant_type": "password"}).status_code == 503
    said = {record.getMessage() for record in caplog.records if "attach" in record.getMessage()}
    assert len(said) == 1
    assert not any(record.exc_info for record in caplog.records)


def test_a_mounted_application_whose_lifespan_is_run_works(
    make_settings: MakeSettings, run: Run
) -> None:
    service = create_app(make_settings())

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with service.router.lifespan_context(service):
            yield

    host = FastAPI(lifespan=lifespan)
    host.mount("/auth", service)
    http = run(host)
    headers = sign_up(http).headers
    assert http.get("/auth/users/me", headers=headers).status_code == 200


def test_a_request_before_the_start_is_503(host: FastAPI) -> None:
    """As of a client whose transport runs no lifespan."""
    http = TestClient(host)
    for path in ("/protected/me", "/auth/users/me"):
        answer = http.get(path, headers={"Authorization": "Bearer cfa_x"})
        assert (answer.status_code, answer.json()["code"]) == (503, "not_started")


def test_a_test_acts_as_a_user_before_the_start(host: FastAPI) -> None:
    http = TestClient(host)
    made_up = {"Authorization": "Bearer cfa_x"}
    assert http.get("/protected/me").status_code == 401
    with acting_as(host, user_id=7):
        assert http.get("/protected/me").json()["user_id"] == 7
        for headers in ({}, made_up):
            answer = http.get("/protected/orders", headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.parametrize("path", ["/auth", "/auth/token", "/auth/callback", "/auth/{rest:path}"])
@pytest.mark.parametrize("is_included", [False, True])
def test_a_route_that_the_prefix_hides_is_an_error(
    make_settings: MakeSettings, path: str, *, is_included: bool
) -> None:
    host = make_host()
    api.attach(host, settings=make_settings())
    router = APIRouter() if is_included else host
    router.add_api_route(path, lambda: "hidden")
    if isinstance(router, APIRouter) and is_included:
        host.include_router(router)
    with pytest.raises(ValueError, match=re.escape(f"{path!r} of the application is hidden")):
        TestClient(host).__enter__()


def test_a_route_for_every_path_does_not_hide_the_service(
    make_settings: MakeSettings, run: Run
) -> None:
    host = make_host()
    host.add_api_route("/{rest:path}", lambda rest: f"page {rest}")
    api.attach(host, settings=make_settings())
    http = run(host)
    assert http.get("/auth/health/live").status_code == 200
    assert http.get("/authors").json() == "page authors"


NO_PREFIXES = [
    *("", "/", "auth", "/auth/", "/{tenant}", "/auth?x=1", "//x", "/a//b", "/auth\n"),
    *("/..", "/a/./b", "/a b", "/ä", "/a%20b", "/a;b", "/\\a", "http://x/a"),
]


@pytest.mark.parametrize("prefix", NO_PREFIXES)
def test_what_is_no_prefix_is_rejected(make_settings: MakeSettings, prefix: str) -> None:
    with pytest.raises(ValueError, match="prefix"):
        api.attach(make_host(), prefix, settings=make_settings())


def test_an_application_is_attached_to_once_and_before_it_starts(
    make_settings: MakeSettings, host: FastAPI, run: Run
) -> None:
    with pytest.raises(ValueError, match="already"):
        api.attach(host, "/other", settings=make_settings())
    running = make_host()
    run(running)
    with pytest.raises(ValueError, match="before the application starts"):
        api.attach(running, settings=make_settings())


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_two_applications_in_one_process_have_a_service_each(
    make_settings: MakeSettings, run: Run, tmp_path: Any
) -> None:
    first, second = make_host(), make_host()
    api.attach(first, settings=make_settings())
    other = f"sqlite:///{tmp_path / 'other.db'}"
    api.attach(second, "/id", settings=make_settings(database_url=other))
    for app in (first, second):
        app.include_router(protected)
    clients = [run(first), run(second)]
    tokens = [sign_up(clients[0]), sign_up(clients[1], "/id")]
    for number, http in enumerate(clients):
        answers = [http.get("/protected/me", headers=one.headers).status_code for one in tokens]
        assert answers == ([200, 401] if number == 0 else [401, 200])


def test_dependency_overrides_of_the_application_hold_for_our_dependencies_too(
    host: FastAPI, run: Run
) -> None:
    from counterfoil.fastapi import get_identity

    host.dependency_overrides[get_identity] = lambda: type("Fake", (), {"user_id": 7, "roles": []})
    assert run(host).get("/protected/me").json() == {"user_id": 7, "roles": []}


@pytest.mark.parametrize("is_instrumented_first", [True, False])
def test_opentelemetry_sees_the_same_spans(
    make_settings: MakeSettings, run: Run, *, is_instrumented_first: bool
) -> None:
    def instrument(app: FastAPI) -> InMemorySpanExporter:
        exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)
        return exporter

    alone, host = make_host(), make_host()
    expected = instrument(alone)
    if is_instrumented_first:
        found = instrument(host)
    api.attach(host, settings=make_settings())
    if not is_instrumented_first:
        found = instrument(host)
    before, after = run(alone), run(host)
    for method, path, options in REQUESTS[:12]:
        before.request(method, path, **options)
        after.request(method, path, **options)
    names = [span.name for span in expected.get_finished_spans()]
    assert [span.name for span in found.get_finished_spans()] == names
    found.clear()
    assert after.get("/auth/health/live").status_code == 200
    assert any(span.name.startswith("GET /auth") for span in found.get_finished_spans())
    for app in (alone, host):
        FastAPIInstrumentor.uninstrument_app(app)
