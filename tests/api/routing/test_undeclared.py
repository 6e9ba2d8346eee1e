"""A misspelt field or parameter of a request that changes something is rejected, not ignored."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.client import PASSWORD, Client

pytestmark = pytest.mark.one_database

CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/register", {"email": "b@example.org", "password": PASSWORD, "name": "Ada"}),
    ("POST", "/login", {"email": "ada@example.org", "password": PASSWORD}),
    ("PATCH", "/users/me", {"surname": "King"}),
    (
        "PUT",
        "/users/me/password",
        {"current_password": PASSWORD, "new_password": "another correct horse"},
    ),
    ("POST", "/api-keys", {"name": "Nightly report"}),
]


def call(client: Client, method: str, path: str, **options: Any) -> tuple[int, list[str]]:
    answer = client.http.request(method, path, **options)
    fields = [one["field"] for one in answer.json()["errors"]] if answer.status_code == 422 else []
    return answer.status_code, fields


@pytest.mark.parametrize(("method", "path", "body"), CHANGES, ids=lambda value: str(value)[:20])
def test_an_unknown_field_of_a_body_is_rejected_and_nothing_is_changed(
    client: Client, method: str, path: str, body: dict[str, Any]
) -> None:
    tokens = client.sign_up()
    before = client.me(tokens).json()
    sent = {**body, "mispelt": True}

    answer = call(client, method, path, json=sent, headers=tokens.headers)

    assert answer == (422, ["mispelt"])
    assert client.me(tokens).json() == before
    client.log_in()
    assert client.http.get("/api-keys", headers=tokens.headers).json() == []


SECRETS = [
    *("k" * 60_000, "31415926", "cfa_" + "x" * 40, "Tr0ub4dor", "correct horse"),
    *("\ud800", "é", "", "a.b"),
]


@pytest.mark.parametrize("name", SECRETS, ids=lambda name: ascii(name)[:20])
def test_an_unknown_field_is_named_only_if_it_can_hold_no_secret(client: Client, name: str) -> None:
    tokens = client.sign_up()
    body = json.dumps({name: 1})
    headers = {**tokens.headers, "Content-Type": "application/json"}
    assert call(client, "PATCH", "/users/me", content=body, headers=headers) == (422, ["body"])

    path = f"/users/me?{urlencode({name[:2000]: 1}, errors='replace')}"
    assert call(client, "PATCH", path, json={}, headers=tokens.headers)[1][0] == "query"


def test_a_thousand_unknown_fields_have_a_short_answer(client: Client) -> None:
    tokens = client.sign_up()
    body = {"a" * (1 + number % 30) + "b" * (number // 30): 1 for number in range(900)}
    status, fields = call(client, "PATCH", "/users/me", json=body, headers=tokens.headers)
    assert (status, len(fields)) == (422, 20)


def test_a_misspelt_end_api_keys_leaves_the_password_as_it_was(client: Client) -> None:
    tokens = client.sign_up()
    body = {
        "current_password": PASSWORD,
        "new_password": "another correct horse",
        "end_apikeys": True,
    }
    answer = call(client, "PUT", "/users/me/password", json=body, headers=tokens.headers)
    assert answer == (422, ["end_apikeys"])
    client.log_in()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/sessions"),
        ("DELETE", "/users/me"),
        ("DELETE", "/sessions/6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57"),
        ("DELETE", "/api-keys/6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57"),
        ("POST", "/api-keys/6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57/rotate"),
        ("PATCH", "/users/me"),
        ("DELETE", "/admin/users/1/sessions"),
        ("DELETE", "/admin/api-keys/6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57"),
        ("DELETE", "/admin/sessions/6f1c2a52-3c55-4a43-8a3e-0d6a6a1f4f57"),
        ("POST", "/admin/sessions/revoke"),
    ],
)
@pytest.mark.parametrize("query", ["keep_curent=true", "keep_current=true&Keep_Current=1", "x="])
def test_an_unknown_parameter_of_a_changing_request_is_rejected(
    client: Client, method: str, path: str, query: str
) -> None:
    tokens = client.sign_up()
    status, fields = call(client, method, f"{path}?{query}", headers=tokens.headers)
    assert status == 422
    assert query.rpartition("&")[2].partition("=")[0] in fields
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize("query", ["keep_current=true&keep_current=false", "keep_current=1&" * 9])
def test_a_repeated_parameter_of_a_changing_request_is_rejected(client: Client, query: str) -> None:
    tokens = client.sign_up()
    answer = call(client, "DELETE", f"/sessions?{query}", headers=tokens.headers)
    assert answer == (422, ["keep_current"])
    assert client.me(tokens).status_code == 200


def test_the_name_of_a_part_of_the_path_is_no_parameter(client: Client) -> None:
    tokens = client.sign_up()
    session_id = client.sessions(tokens)[0]["id"]
    path = f"/sessions/{session_id}?session_id={session_id}"
    assert call(client, "DELETE", path, headers=tokens.headers) == (422, ["session_id"])
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize("body", [b'{"keep_current": true}', b"keep_current=true", [b"{", b"}"]])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain"])
def test_a_body_is_rejected_where_none_is_taken(
    client: Client, body: bytes | list[bytes], content_type: str
) -> None:
    tokens = client.sign_up()
    headers = {**tokens.headers, "Content-Type": content_type}
    content = iter(body) if isinstance(body, list) else body
    answer = call(client, "DELETE", "/sessions", headers=headers, content=content)
    assert answer == (422, ["body"])
    assert client.me(tokens).status_code == 200


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b'""'])
def test_a_body_that_says_nothing_is_no_error(client: Client, body: bytes) -> None:
    tokens = client.sign_up()
    headers = {**tokens.headers, "Content-Length": str(len(body))}
    answer = client.http.request("DELETE", "/sessions", headers=headers, content=body)
    assert (answer.status_code, answer.json()) == (200, {"ended": 1})


def test_a_known_parameter_is_taken_and_reading_is_not_so_strict(client: Client) -> None:
    tokens = client.sign_up()
    client.log_in()
    ended = client.http.delete("/sessions?keep_current=true", headers=tokens.headers)
    assert ended.json() == {"ended": 1}
    assert client.http.get("/users/me?utm_source=x", headers=tokens.headers).status_code == 200


def test_oauth_ignores_unknown_parameters(client: Client) -> None:
    client.register()
    form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
    sent = client.http.post("/token?x=1", data={**form, "audience": "x"})
    assert sent.status_code == 200
    assert client.http.post("/revoke?x=1", data={"token": "x", "y": "z"}).status_code == 200


def test_another_method_is_still_answered_by_405(client: Client) -> None:
    assert client.http.delete("/login?x=1").status_code == 405
