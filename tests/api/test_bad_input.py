"""Whatever is sent, the answer is a clear 4xx in the right form, and repeats nothing of it."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import pytest
from httpx2 import Response

from counterfoil import tokens
from counterfoil.tokens import TokenKind
from tests.support.client import PASSWORD, Client, Tokens

pytestmark = pytest.mark.one_database

SECRET = "Tr0ub4dor-and-3"
JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def assert_problem(response: Response, *statuses: int) -> None:
    assert response.status_code in statuses, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert body["status"] == response.status_code
    assert isinstance(body["code"], str)
    assert isinstance(body["detail"], str)
    assert SECRET not in response.text


def assert_oauth_error(response: Response, error: str, status: int = 400) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert response.json()["error"] == error
    assert SECRET not in response.text
    assert response.text.isascii()


BODIES: dict[str, bytes] = {
    "nothing": b"",
    "no JSON": b"{" + SECRET.encode(),
    "not UTF-8": b'{"password": "\xff\xfe"}',
    "NaN": b"NaN",
    "NaN inside": b'{"email": NaN, "password": "' + SECRET.encode() + b'"}',
    "infinity": b'{"email": -Infinity, "password": Infinity}',
    "a huge number": b'{"email": ' + b"9" * 4000 + b', "password": 1e999}',
    "a number of too many digits": b"9" * 20_000,
    "deep": b"[" * 30_000 + b"]" * 30_000,
    "deep and open": b'{"email":' * 6_000,
    "an array": b"[]",
    "a string": json.dumps(SECRET).encode(),
    "null": b"null",
    "wrong types": b'{"email": {"a": 1}, "password": ["' + SECRET.encode() + b'"], "name": true}',
    "a field missing": b'{"password": "' + SECRET.encode() + b'", "name": 5}',
    "NUL": b'{"email": "a\\u0000@example.org", "password": "x", "name": "\\u0000"}',
    "a lone surrogate": b'{"email": "a@example.org", "password": "\\ud800", "name": "\\udfff"}',
    "too long": b'{"email": "' + b"a" * 60_000 + b'@example.org", "password": "x", "name": "x"}',
}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/login"),
        ("POST", "/register"),
        ("PATCH", "/users/me"),
        ("PUT", "/users/me/password"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused(client: Client, method: str, path: str) -> None:
    headers = {**JSON, **client.sign_up().headers}
    for body in BODIES.values():
        response = client.http.request(method, path, content=body, headers=headers)
        assert_problem(response, 400, 422)


def test_a_hundred_thousand_brackets_are_refused(make_client: Callable[..., Client]) -> None:
    client = make_client(max_body_bytes=1_000_000)
    for body in (b"[" * 100_000, b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000):
        assert_problem(client.http.post("/login", content=body, headers=JSON), 400, 422)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data", ""]
)
def test_a_body_of_another_type_is_refused(client: Client, content_type: str) -> None:
    body = json.dumps({"email": "ada@example.org", "password": SECRET, "name": "Ada"})
    headers = {"Content-Type": content_type}
    assert_problem(client.http.post("/register", content=body, headers=headers), 415)
    for path in ("/token", "/revoke"):
        answer = client.http.post(path, content=body, headers=headers)
        assert_oauth_error(answer, "invalid_request", 415)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_compressed_body_is_rejected_with_415(client: Client, encoding: str) -> None:
    tokens = client.sign_up()
    packed = gzip.compress(json.dumps({"name": "Augusta"}).encode())
    headers = {**tokens.headers, **JSON, "Content-Encoding": encoding}
    rejected = client.http.patch("/users/me", content=packed, headers=headers)
    assert_problem(rejected, 415)
    assert rejected.json()["code"] == "unsupported_media_type"
    assert rejected.headers["accept-encoding"] == "identity"
    # Neither is one that only claims to be compressed.
    assert_problem(client.http.patch("/users/me", json={"name": "Augusta"}, headers=headers), 415)
    assert client.me(tokens).json()["name"] == "Ada"

    form = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": encoding}
    for path in ("/token", "/revoke"):
        answer = client.http.post(path, content=packed, headers=form)
        assert_oauth_error(answer, "invalid_request", 415)


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/scim+json"])
def test_json_is_read_under_each_of_its_names(client: Client, kind: str) -> None:
    client.register()
    body = json.dumps({"email": "ada@example.org", "password": PASSWORD})
    headers = {"Content-Type": kind, "Content-Encoding": "identity"}
    assert client.http.post("/login", content=body, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "form",
    [
        b"",
        b"grant_type",
        b"grant_type=password",
        b"grant_type=password&username=ada",
        b"grant_type=password&username=a&username=b&password=" + SECRET.encode(),
        b"grant_type=password&username=%00&password=" + SECRET.encode(),
        b"grant_type=password&username=%ff&password=" + SECRET.encode(),
        b"grant_type=password&username=%ED%A0%80&password=" + SECRET.encode(),
        b"grant_type=password&username=a&password=x&client_id=" + b"c" * 500,
        b"grant_type=password&username=a&password=x&client_id=a%0d%0aX-Auth-User:+1",
        b"&".join(b"a%d=1" % n for n in range(10_000))[:60_000],
        b'{"grant_type": "password"}',
        b"\xff\xfe",
    ],
)
def test_a_form_that_makes_no_sense_is_refused_in_the_form_of_oauth(
    client: Client, form: bytes
) -> None:
    assert_oauth_error(client.http.post("/token", content=form, headers=FORM), "invalid_request")


@pytest.mark.parametrize("text", ["Basic !!!", "Basic /w==", "Basic YQ==", "Basic"])
def test_an_unreadable_client_is_refused_in_the_form_of_oauth(client: Client, text: str) -> None:
    form = {"grant_type": "password", "username": "ada", "password": SECRET}
    response = client.http.post("/token", data=form, headers={"Authorization": text})
    assert_oauth_error(response, "invalid_request")


def test_a_body_larger_than_the_limit_is_refused_before_it_is_read(client: Client) -> None:
    huge = {**JSON, "Content-Length": "200000000"}
    for path in ("/login", "/register", "/nowhere"):
        response = client.http.post(path, content=b"{}", headers=huge)
        assert_problem(response, 413)
        assert response.headers["connection"] == "close"
        assert response.json()["code"] == "body_too_large"
    form = client.http.post(
        "/token", content=b"a=b", headers={**FORM, "Content-Length": "99999999"}
    )
    assert_oauth_error(form, "invalid_request", 413)


def test_a_body_that_does_not_say_how_large_it_is_is_refused_once_it_is_too_large(
    client: Client,
) -> None:
    def pieces() -> Any:
        for _ in range(100):
            yield b"x" * 1000

    assert_problem(client.http.post("/login", content=pieces(), headers=JSON), 413)
    form = client.http.post("/token", content=pieces(), headers=FORM)
    assert_oauth_error(form, "invalid_request", 413)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/users/me", "DELETE, GET, HEAD, PATCH"),
        ("TRACE", "/users/me", "DELETE, GET, HEAD, PATCH"),
        ("QUERY", "/sessions", "DELETE, GET, HEAD"),
        ("GET", "/login", "POST"),
        ("PROPFIND", "/token", "POST"),
        ("DELETE", "/health/live", "GET, HEAD"),
        ("POST", "/openapi.json", "GET, HEAD"),
        ("POST", "/docs/static/start.js", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_and_told_which_there_are(
    client: Client, method: str, path: str, allowed: str
) -> None:
    refused = client.http.request(method, path)
    assert_problem(refused, 405)
    assert refused.headers["allow"] == allowed
    assert refused.json()["code"] == "method_not_allowed"


@pytest.mark.parametrize("path", ["/nowhere", "/users/me/", "//users/me", "/docs/static/../../api"])
def test_a_path_that_is_none_is_not_found_and_leads_nowhere(client: Client, path: str) -> None:
    response = client.http.get(path, headers={"Host": "evil.example"}, follow_redirects=False)
    assert_problem(response, 404)
    assert "evil" not in str(response.headers)


@pytest.mark.parametrize("identifier", ["1", "9" * 30, "x" * 2000, "%00", "..%2f", "-1", "1e400"])
def test_an_identifier_that_is_none_is_refused(client: Client, identifier: str) -> None:
    bearer = client.sign_up().headers
    assert_problem(client.http.delete(f"/sessions/{identifier}", headers=bearer), 404, 422)


@pytest.mark.parametrize("value", ["9" * 30, "2", "", "NaN", "%00", "%ff"])
def test_a_flag_that_is_none_is_refused(client: Client, value: str) -> None:
    bearer = client.sign_up().headers
    assert_problem(client.http.delete(f"/sessions?keep_current={value}", headers=bearer), 422)
    assert client.http.get("/sessions", headers=bearer).status_code == 200


def _forged(kind: TokenKind) -> str:
    text = tokens.create(kind).text
    return text[:-1] + ("a" if text[-1] != "a" else "b")


MALFORMED = [
    "x",
    "cfa_",
    "cfa_" + "a" * 49,
    _forged(TokenKind.ACCESS),
    _forged(TokenKind.API_KEY),
    tokens.create(TokenKind.REFRESH).text,
    tokens.create(TokenKind.ACCESS).text + "\u00e4",
    "Bearer " + tokens.create(TokenKind.ACCESS).text,
    "e" * 8000,
    "' OR 1=1 --",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
]


# Named by number, as some are made anew by each process that runs the tests.
@pytest.mark.parametrize("token", MALFORMED, ids=map(str, range(len(MALFORMED))))
def test_a_malformed_token_is_refused_without_a_query(
    client: Client, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = client.http.app.state.service.resolver  # type: ignore[attr-defined]
    asked: list[object] = []
    monkeypatch.setattr(resolver, "_find", lambda *query: asked.append(query))
    for name, value in ((b"Authorization", f"Bearer {token}"), (b"X-API-Key", token)):
        response = client.http.get("/users/me", headers={name: value.encode("latin-1")})
        assert_problem(response, 401)
        assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert asked == []


def test_a_well_formed_token_does_take_a_query(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the test above could not fail."""
    live: Tokens = client.sign_up()
    resolver = client.http.app.state.service.resolver  # type: ignore[attr-defined]
    find, asked = resolver._find, []

    def count(*query: object) -> object:
        asked.append(query)
        return find(*query)

    monkeypatch.setattr(resolver, "_find", count)
    assert client.me(live).status_code == 200
    assert len(asked) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Request-ID": "a\tb"},
        {"X-Request-ID": "x" * 5000},
        {"User-Agent": "\u00e4" * 3000},
        {"X-Forwarded-For": "a, b, c"},
        {"Content-Length": "-5"},
        {"Content-Length": "\u0661"},
        {"Host": "evil.example"},
    ],
)
def test_odd_headers_do_no_harm(client: Client, headers: dict[str, str]) -> None:
    client.register()
    raw = {name.encode(): value.encode() for name, value in {**JSON, **headers}.items()}
    body = json.dumps({"email": "ada@example.org", "password": "wrong"})
    response = client.http.post("/login", content=body, headers=raw)
    assert_problem(response, 401)
    assert len(response.headers["x-request-id"]) <= 64
