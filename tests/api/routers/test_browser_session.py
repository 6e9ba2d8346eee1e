"""A session in a cookie: logged in, used, extended and revoked without a token in JavaScript."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response
from pydantic import ValidationError

from api.settings import ApiSettings
from counterfoil.cookies import HEADER, NAME, SessionCookie
from counterfoil.fastapi import Counterfoil, CurrentIdentity
from harness.pages import serve_pages
from harness.server import Server
from tests.support.administrator import Sql, give_role
from tests.support.browser import open_browser
from tests.support.client import PASSWORD, Client, MakeClient
from tests.support.clock import Clock
from tests.support.waiting import flush_deferred_writes

pytestmark = pytest.mark.one_database

PATH = "/browser-session"
LOGIN = {"email": "ada@example.org", "password": PASSWORD}
TOKEN = re.compile("cf[ark]_")
OWN = {"Sec-Fetch-Site": "same-origin", HEADER: "1"}


class Browser:
    """Sends the cookie, and the headers that a browser and a page of the same origin add."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.http = client.http
        self.token = ""

    def send(self, method: str, path: str, **request: Any) -> Response:
        headers = {**OWN, **request.pop("headers", {})}
        if self.token:
            headers["Cookie"] = f"{NAME}={self.token}"
        answer = self.http.request(method, path, headers=headers, **request)
        self.http.cookies.clear()
        if (sent := answer.headers.get("set-cookie")) is not None:
            self.token = sent.partition(";")[0].partition("=")[2].strip('"')
        assert not TOKEN.search(answer.text), answer.text
        return answer

    def log_in(self) -> Response:
        answer = self.send("POST", PATH, json=LOGIN)
        assert answer.status_code == 200, answer.text
        return answer


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(browser_sessions=True, session_seconds=86_400, refresh_token_seconds=7200)


@pytest.fixture
def browser(client: Client) -> Browser:
    """Ada's, logged in."""
    client.register()
    browser = Browser(client)
    browser.log_in()
    return browser


def test_logging_in_sets_a_cookie_that_no_script_and_no_other_site_can_use(client: Client) -> None:
    client.register()
    answer = Browser(client).log_in()
    named, *attributes = answer.headers["set-cookie"].split("; ")
    assert named.startswith("__Host-counterfoil_browser_session=cfa_")
    kept = {attribute.lower() for attribute in attributes}
    assert kept == {"httponly", "secure", "path=/", "samesite=strict", "max-age=86400"}
    body = answer.json()
    assert (body["email"], body["scopes"]) == ("ada@example.org", ["account"])
    assert answer.headers["cache-control"] == "no-store"


def test_the_cookie_works_for_protected_routes(browser: Browser) -> None:
    assert browser.send("GET", "/users/me").json()["email"] == "ada@example.org"
    assert browser.send("PATCH", "/users/me", json={"surname": "King"}).status_code == 200
    (session,) = browser.send("GET", "/sessions").json()
    assert (session["current"], session["client_id"]) == (True, "browser")
    who = browser.send("GET", PATH).json()
    assert (who["surname"], who["session_id"]) == ("King", session["id"])
    assert browser.send("GET", "/admin/users").json()["code"] == "insufficient_scope"


def test_the_password_and_all_that_takes_a_recent_one_work_by_cookie(browser: Browser) -> None:
    confirm = browser.send("POST", "/sessions/confirm", json={"password": PASSWORD})
    assert confirm.status_code == 204
    before = browser.token
    change = {"current_password": PASSWORD, "new_password": "a bernoulli number by engine"}
    answer = browser.send("PUT", "/users/me/password", json=change)
    assert (answer.status_code, answer.text) == (204, "")
    assert browser.token != before
    assert browser.send("GET", "/users/me").status_code == 200
    browser.token = before
    assert browser.send("GET", "/users/me").json()["code"] == "invalid_token"


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM access_tokens",
        "DELETE FROM sessions",
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP",
        "UPDATE users SET session_epoch = session_epoch + 1",
        "UPDATE users SET is_active = false",
    ],
)
def test_a_revocation_by_sql_holds_for_the_next_request(
    browser: Browser, sql: Sql, statement: str
) -> None:
    assert browser.send("GET", PATH).status_code == 200
    sql(statement)
    for path in (PATH, "/users/me"):
        answer = browser.send("GET", path)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_token")


def test_logging_out_revokes_the_session_and_deletes_the_cookie(browser: Browser) -> None:
    token = browser.token
    answer = browser.send("DELETE", PATH)
    assert answer.status_code == 204
    assert "max-age=0" in answer.headers["set-cookie"].lower()
    assert browser.token == ""
    assert browser.send("GET", PATH).json()["code"] == "not_authenticated"
    browser.token = token
    assert browser.send("GET", PATH).json()["code"] == "invalid_token"
    # Once more, and without a cookie.
    assert browser.send("DELETE", PATH).status_code == 204
    assert browser.send("DELETE", PATH).status_code == 204


def test_logging_out_ends_a_session_whose_token_has_expired(browser: Browser, sql: Sql) -> None:
    sql("UPDATE access_tokens SET expires_at = created_at")
    assert browser.send("DELETE", PATH).status_code == 204
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(0,)]


def test_logging_in_again_ends_the_session_before(browser: Browser, sql: Sql) -> None:
    before = browser.token
    browser.log_in()
    assert browser.send("GET", PATH).status_code == 200
    browser.token = before
    assert browser.send("GET", PATH).status_code == 401
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(1,)]


def test_use_extends_the_session_in_the_second_half_of_its_life(
    browser: Browser, sql: Sql, database_url: str
) -> None:
    clock = Clock(database_url)

    def left() -> float:
        ((seconds,),) = sql(f"SELECT {clock.seconds_until('expires_at')} FROM access_tokens")
        return float(str(seconds))

    for seconds, is_extended in ((3700, False), (3500, True)):
        sql(f"UPDATE access_tokens SET expires_at = {clock.in_seconds(seconds)}")
        browser.send("GET", "/users/me")
        flush_deferred_writes(browser.client)
        assert (left() > 7100) is is_extended


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", PATH, LOGIN),
        ("DELETE", PATH, None),
        ("PATCH", "/users/me", {"surname": "King"}),
        ("DELETE", "/sessions", None),
    ],
)
@pytest.mark.parametrize(
    "forged",
    [{HEADER: ""}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}],
    ids=["no header", "another site", "a sibling"],
)
def test_another_site_can_neither_log_in_nor_out_nor_change_anything(
    browser: Browser, sql: Sql, method: str, path: str, body: Any, forged: dict[str, str]
) -> None:
    before = browser.token
    answer = browser.send(method, path, headers=forged, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "csrf_check_failed")
    assert "set-cookie" not in answer.headers
    assert browser.token == before
    assert browser.send("GET", PATH).json()["surname"] is None


def test_nobody_is_logged_in_by_another_site_without_a_cookie_either(client: Client) -> None:
    client.register()
    for forged in ({HEADER: ""}, {"Sec-Fetch-Site": "cross-site"}):
        answer = Browser(client).send("POST", PATH, headers=forged, json=LOGIN)
        assert answer.json()["code"] == "csrf_check_failed"


def test_the_token_in_the_cookie_works_nowhere_else(browser: Browser) -> None:
    bearer = {"Authorization": f"Bearer {browser.token}"}
    http = browser.http
    assert http.get("/users/me", headers=bearer).status_code == 401
    assert http.get(PATH, headers=bearer).status_code == 401
    assert http.post("/logout", headers=bearer).status_code == 401
    assert http.get("/users/me", headers={"X-API-Key": browser.token}).status_code == 401
    console = {"Cookie": f"__Host-counterfoil_session={browser.token}"}
    page = http.get("/account", headers=console, follow_redirects=False)
    assert "/sign-in" in page.headers["location"]
    assert browser.send("GET", PATH).status_code == 200


def test_no_other_credential_works_in_the_cookie(browser: Browser) -> None:
    tokens = browser.client.log_in()
    key = browser.client.create_api_key(tokens)["key"]
    for credential in (tokens.access_token, tokens.refresh_token, key, "cfa_x", "nonsense"):
        browser.token = credential
        answer = browser.send("GET", "/users/me")
        assert answer.json()["code"] == "invalid_token"


def test_a_cookie_and_a_bearer_token_at_once_are_ambiguous(browser: Browser) -> None:
    headers = browser.client.log_in().headers
    answer = browser.send("GET", "/users/me", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (400, "ambiguous_credentials")


def test_a_proxy_that_asks_for_others_needs_the_header_for_every_method(browser: Browser) -> None:
    assert browser.send("GET", "/verify").headers["x-auth-email"] == "ada@example.org"
    answer = browser.send("GET", "/verify", headers={HEADER: ""})
    assert (answer.status_code, answer.headers["x-auth-user"]) == (403, "")
    other = browser.send("GET", "/verify", headers={"Sec-Fetch-Site": "cross-site"})
    assert (other.status_code, other.headers["x-auth-user"]) == (403, "")


def test_a_missing_scope_is_recorded(browser: Browser, sql: Sql) -> None:
    browser.send("GET", "/admin/users")
    flush_deferred_writes(browser.client)
    assert sql("SELECT count(*) FROM audit_events WHERE event = 'access.denied'") == [(1,)]


def test_an_administrator_administers_by_cookie(browser: Browser, sql: Sql) -> None:
    give_role(sql, "admin")
    (user,) = browser.send("GET", "/admin/users").json()["items"]
    change = browser.send("PATCH", f"/admin/users/{user['id']}", json={"roles": ["admin", "user"]})
    assert change.status_code == 200


def test_without_the_setting_there_is_no_cookie(make_client: MakeClient) -> None:
    client = make_client()
    client.register()
    assert Browser(client).send("POST", PATH, json=LOGIN).status_code == 404
    token = client.log_in().access_token
    answer = client.http.get("/users/me", headers={"Cookie": f"{NAME}={token}", **OWN})
    assert answer.json()["code"] == "not_authenticated"


def test_no_origin_may_send_the_cookie_from_elsewhere(make_client: MakeClient) -> None:
    app_origin = "https://app.example.org"
    client = make_client(browser_sessions=True, cors_origins=app_origin)
    client.register()
    browser = Browser(client)
    browser.log_in()
    for path in (PATH, "/users/me"):
        headers = {"Origin": app_origin, "Sec-Fetch-Site": "same-site"}
        answer = browser.send("GET", path, headers=headers)
        assert answer.json()["code"] == "csrf_check_failed"
        assert "access-control-allow-credentials" not in answer.headers
    asked = {"Origin": app_origin, "Access-Control-Request-Method": "POST"}
    preflight = client.http.options(PATH, headers=asked)
    assert "access-control-allow-origin" not in preflight.headers


@pytest.mark.parametrize("issuer", ["https://example.org/auth", "http://localhost:8000"])
def test_it_needs_an_issuer_that_browsers_trust_with_secure_cookies(issuer: str) -> None:
    assert ApiSettings(browser_sessions=True, issuer=issuer).browser_sessions
    with pytest.raises(ValidationError, match="BROWSER_SESSIONS needs an ISSUER with https"):
        ApiSettings(browser_sessions=True, issuer="http://auth.example.org")


def test_the_description_offers_the_cookie_only_with_the_setting(
    browser: Browser, make_client: MakeClient
) -> None:
    described = browser.http.get("/openapi.json").json()
    assert described["components"]["securitySchemes"]["Cookie"]["name"] == NAME
    assert {"Cookie": []} in described["paths"]["/users/me"]["get"]["security"]
    assert {"Cookie": ["introspect"]} not in described["paths"]["/introspect"]["post"]["security"]
    other = make_client().http.get("/openapi.json").json()
    assert "Cookie" not in other["components"]["securitySchemes"]
    assert PATH not in other["paths"]


@pytest.fixture
def beside(service_url: str, browser: Browser) -> Iterator[TestClient]:
    """An application of its own, in the same database, that accepts the cookie."""
    app = FastAPI()
    Counterfoil(app, database_url=service_url, session_cookie=SessionCookie())

    @app.api_route("/orders", methods=["GET", "POST"])
    async def orders(identity: CurrentIdentity) -> str:
        return identity.email

    with TestClient(app) as client:
        yield client


def test_an_application_beside_the_service_accepts_it_if_it_says_so(
    beside: TestClient, browser: Browser, service_url: str
) -> None:
    cookie = {"Cookie": f"{NAME}={browser.token}"}
    assert beside.post("/orders", headers={**cookie, **OWN}).json() == "ada@example.org"
    forged = beside.post("/orders", headers=cookie)
    assert (forged.status_code, forged.json()["code"]) == (403, "csrf_check_failed")
    bearer = {"Authorization": f"Bearer {browser.token}"}
    assert beside.get("/orders", headers=bearer).status_code == 401

    without = FastAPI()
    Counterfoil(without, database_url=service_url)

    @without.get("/orders")
    async def orders(identity: CurrentIdentity) -> str:
        return identity.email

    with TestClient(without) as client:
        answer = client.get("/orders", headers={**cookie, **OWN})
    assert answer.json()["code"] == "not_authenticated"


def test_it_is_introspected_only_by_who_says_that_it_was_in_a_cookie(
    browser: Browser, sql: Sql, make_client: MakeClient
) -> None:
    def ask(token: str, by: Client = browser.client, **form: str) -> Any:
        return by.http.post("/introspect", headers=key, data={"token": token, **form}).json()

    root = browser.client.sign_up("root@example.org")
    give_role(sql, "admin", "root@example.org")
    made = browser.client.create_api_key(root, scopes=["introspect"])["key"]
    key = {"X-API-Key": made}
    told = ask(browser.token, session_kind="browser")
    assert (told["active"], told["sub"], told["session_kind"]) == (True, "1", "browser")
    assert "token_type" not in told
    inactive = {"active": False}
    assert ask(browser.token) == ask(browser.token, session_kind="api") == inactive
    for other in (root.access_token, root.refresh_token, made):
        assert ask(other, session_kind="browser") == inactive
    assert "session_kind" not in ask(root.access_token, session_kind="api")
    assert ask(browser.token, session_kind="console")["error"] == "invalid_request"
    assert ask(browser.token, make_client(), session_kind="browser") == inactive
    sql("UPDATE users SET session_epoch = session_epoch + 1 WHERE id = 1")
    assert ask(browser.token, session_kind="browser") == inactive


# Called in a page, by a script of its origin: the status and the body, or that it gets neither.
_FETCH = """async ([url, options]) => {
  try {
    const response = await fetch(url, options)
    return [response.status, await response.text()]
  } catch (error) {
    return error.name
  }
}"""


def test_in_chromium_only_pages_of_the_same_origin_use_the_cookie(tmp_path: Path) -> None:
    environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4", "COUNTERFOIL_BROWSER_SESSIONS": "on"}
    with (
        Server.launch(f"sqlite:///{tmp_path}/service.db", environment=environment) as server,
        # A sibling: another origin, but the same site, so that the browser sends the cookie along.
        serve_pages({"/index.html": "<!doctype html><title>A sibling</title>"}) as sibling,
        open_browser() as opened,
    ):
        account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        httpx2.post(f"{server.url}/register", json=account).raise_for_status()
        page = opened.page

        def fetch(method: str, path: str, **options: object) -> Any:
            return page.evaluate(_FETCH, [server.url + path, {"method": method, **options}])

        page.goto(f"{server.url}/docs")
        json_with_header = {"Content-Type": "application/json", HEADER: "1"}
        body = json.dumps(LOGIN)
        assert (
            fetch("POST", PATH, headers={"Content-Type": "application/json"}, body=body)[0] == 403
        )
        assert fetch("POST", PATH, headers=json_with_header, body=body)[0] == 200
        assert page.evaluate("document.cookie") == ""
        (cookie,) = page.context.cookies()
        assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == (NAME, True, True)
        assert fetch("GET", "/users/me")[0] == 200

        page.goto(f"{sibling}/index.html")
        assert fetch("GET", "/users/me", credentials="include") == "TypeError"
        assert fetch("DELETE", PATH, credentials="include", headers={HEADER: "1"}) == "TypeError"
        assert fetch("POST", PATH, mode="no-cors", credentials="include", body=body) == [0, ""]
        page.evaluate("url => { location = url }", f"{server.url}/users/me")
        page.wait_for_url(f"{server.url}/users/me")
        assert "csrf_check_failed" in page.content()

        page.goto(f"{server.url}/docs")
        assert fetch("GET", "/users/me")[0] == 200
        assert fetch("DELETE", PATH, headers={HEADER: "1"})[0] == 204
        assert page.context.cookies() == []
        assert fetch("GET", "/users/me")[0] == 401
