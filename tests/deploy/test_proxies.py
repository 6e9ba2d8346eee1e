"""Each proxy, run with the configuration that we ship for it: who passes, and what with them."""

from pathlib import Path

import httpx2
import pytest

from counterfoil.cookies import HEADER
from harness.echo import Echo, echo
from harness.processes import free_port
from harness.proxies import PROXIES, Caddy, Nginx, Proxy
from harness.server import Server
from tests.support.client import PASSWORD
from tests.support.proxied import IDENTITY, House, identity_headers

NAMES = ("user", "email", "roles", "scopes", "session", "client", "time", "acr", "amr")
HEADERS = {f"x-auth-{name}" for name in NAMES}


def test_a_live_token_passes_and_the_application_learns_whose_it_is(house: House) -> None:
    caller = house.sign_up(client_id="phone")
    # A login rejects such a name, but it may be older, or written by SQL.
    house.sql("UPDATE sessions SET client_id = ?", "Ada's phone\u2028ü")

    response = house.call("/some/page?x=1", headers=caller.headers)

    seen = identity_headers(response)
    assert set(seen) == HEADERS
    assert seen["x-auth-user"] == str(caller.user_id)
    assert seen["x-auth-email"] == caller.email
    assert seen["x-auth-roles"] == "user"
    assert seen["x-auth-scopes"] == "account"
    assert len(seen["x-auth-session"]) == 36
    assert seen["x-auth-client"] == "Ada's%20phone%E2%80%A8%C3%BC"
    assert (seen["x-auth-acr"], seen["x-auth-amr"]) == ("aal1", "pwd")
    assert int(seen["x-auth-time"]) > 1_700_000_000
    assert response.json()["path"] == "/some/page?x=1"


def test_the_application_never_sees_the_token(house: House) -> None:
    caller = house.sign_up()

    assert caller.token not in house.call(headers=caller.headers).text
    assert caller.token not in house.call(headers={"X-API-Key": caller.token}).text


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_a_request_passes_with_its_method_and_its_body(house: House, method: str) -> None:
    caller = house.sign_up()
    body = b"x" * 200_000 if method != "GET" else b""

    seen = house.call("/", method, content=body, headers=caller.headers).json()

    assert (seen["method"], seen["body_length"]) == (method, len(body))


@pytest.mark.parametrize("token", [None, "cfa_nonsense"])
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_nobody_passes_without_a_live_token(house: House, token: str | None, method: str) -> None:
    before = house.application.requests
    headers = {"Authorization": f"Bearer {token}"} if token else {}

    refused = house.call("/", method, headers=headers)

    assert refused.status_code == 401
    challenge = 'Bearer error="invalid_token"' if token else "Bearer"
    assert refused.headers.get_list("www-authenticate") == [challenge]
    assert house.application.requests == before


def test_a_session_in_a_cookie_passes_for_a_page_of_the_same_origin_alone(house: House) -> None:
    caller = house.sign_up()
    login = {"email": caller.email, "password": PASSWORD}
    own = {HEADER: "1", "Sec-Fetch-Site": "same-origin"}
    begun = httpx2.post(f"{house.service.url}/browser-session", json=login, headers=own)
    cookie = {"Cookie": begun.headers["set-cookie"].partition(";")[0]}

    passed = house.call("/", "POST", headers={**cookie, **own})
    assert identity_headers(passed)["x-auth-user"] == str(caller.user_id)
    for forged in (
        {},
        {"Sec-Fetch-Site": "same-origin"},
        {HEADER: "1", "Sec-Fetch-Site": "same-site"},
        {HEADER: "1", "Origin": "https://evil.example"},
    ):
        assert house.call("/", "POST", headers={**cookie, **forged}).status_code == 403


def test_a_revocation_holds_for_the_very_next_request(house: House) -> None:
    ended, deleted = house.sign_up(), house.sign_up()
    assert house.call(headers=ended.headers).status_code == 200
    assert house.call(headers=deleted.headers).status_code == 200
    before = house.application.requests

    httpx2.post(f"{house.service.url}/logout", headers=ended.headers)
    house.sql("DELETE FROM access_tokens WHERE user_id = ?", deleted.user_id)

    assert house.call(headers=ended.headers).status_code == 401
    assert house.call(headers=deleted.headers).status_code == 401
    assert house.application.requests == before


SEPARATORS = "!#$%&'*+.^`|~"
SPELLINGS = [
    *("X-Auth-{}", "X_Auth_{}", "X-Auth_{}", "x_auth-{}", "x.Auth~{}", "X-Auth.{}"),
    *(f"X{one}Auth{one}{{}}" for one in SEPARATORS),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_client_cannot_say_who_it_is(house: House, spelling: str) -> None:
    caller = house.sign_up()
    smuggled = [(spelling.format(name), "admin") for name in IDENTITY] * 2

    seen = identity_headers(house.call(headers=[*caller.headers.items(), *smuggled]))

    assert seen["x-auth-user"] == str(caller.user_id)
    assert seen.get("x-auth-client", "") == ""
    assert "admin" not in seen.values()

    before = house.application.requests
    assert house.call(headers=smuggled).status_code == 401
    assert house.application.requests == before


@pytest.mark.parametrize(
    "path",
    [
        "/orders",
        "/orders/7",
        "/orders?scope=account",
        "/orders?scope=&role=user",
        "//orders",
        "/%6frders/7",
        "/x/../orders",
        "/x/%2e%2e/orders",
        "/x/..%2forders",
        "/./orders",
    ],
)
def test_a_demand_cannot_be_got_round(house: House, path: str) -> None:
    caller = house.sign_up()
    before = house.application.requests

    assert house.call_literally(path, caller.headers)[0] in {400, 403}
    assert house.application.requests == before


def test_a_demand_is_met_from_the_moment_the_user_has_the_scope(house: House) -> None:
    caller = house.sign_up()
    assert house.call("/orders/7", headers=caller.headers).status_code == 403

    role = f"clerk{caller.user_id}"
    house.sql("INSERT INTO roles (name, scopes) VALUES (?, 'orders:read')", role)
    house.sql("INSERT INTO user_roles SELECT ?, id FROM roles WHERE name = ?", caller.user_id, role)
    assert identity_headers(house.call("/orders/7", headers=caller.headers))["x-auth-roles"] == (
        f"{role},user"
    )

    house.sql("DELETE FROM user_roles WHERE user_id = ?", caller.user_id)
    assert house.call("/orders/7", headers=caller.headers).status_code == 403


def test_parameters_of_the_application_are_not_taken_for_demands(house: House) -> None:
    caller = house.sign_up()

    response = house.call("/search?scope=everything&role=boss", headers=caller.headers)

    assert response.status_code == 200
    assert response.json()["path"] == "/search?scope=everything&role=boss"


@pytest.mark.parametrize("proxy", [Nginx, Caddy], ids=lambda proxy: proxy.program)
def test_the_service_itself_is_reached_and_learns_the_true_address(
    proxy: type[Proxy], service: Server, tmp_path: Path
) -> None:
    with proxy(tmp_path, service_port=service.port, application_port=free_port()) as running:
        url, forged = running.auth_url, {"X-Forwarded-For": "203.0.113.9"}
        credentials = {"email": f"{running.program}@example.org", "password": PASSWORD}
        httpx2.post(f"{url}/register", json={**credentials, "name": "Ada"})

        tokens = httpx2.post(f"{url}/login", json=credentials, headers=forged).json()

        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert httpx2.get(f"{url}/sessions", headers=headers).json()[0]["ip"] == "127.0.0.1"
        assert httpx2.get(f"{url}/metrics").status_code == 404


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda proxy: proxy.program)
@pytest.mark.parametrize("service_answers", [False, True], ids=["down", "in trouble"])
def test_without_the_service_nobody_passes(
    proxy: type[Proxy], service_answers: bool, application: Echo, tmp_path: Path
) -> None:
    before = application.requests
    with echo(status=503) as troubled:
        port = troubled.port if service_answers else free_port()
        with proxy(tmp_path, service_port=port, application_port=application.port) as running:
            headers = {"Authorization": "Bearer cfa_anything"}
            refused = httpx2.get(running.app_url, headers=headers, timeout=20)

    assert refused.status_code in {502, 503}
    assert application.requests == before
