"""Administrators register clients, and users take back what they have allowed them."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.administrator import Sql, count, events, give_role
from tests.support.client import Client, Tokens
from tests.support.oauth import CALLBACK, Application

pytestmark = pytest.mark.one_database

FIELDS = {"id": "calendar", "name": "Calendar", "redirect_uris": [CALLBACK], "scopes": ["account"]}


def administrator(api: Client, sql: Sql) -> Tokens:
    api.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    return api.log_in("root@example.org")


@pytest.mark.both_databases
def test_an_administrator_registers_changes_and_deletes_a_client(client: Client, sql: Sql) -> None:
    root, ada, http = administrator(client, sql), client.sign_up(), client.http

    def send(method: str, path: str = "", body: Any = None, tokens: Tokens = root) -> Any:
        return http.request(method, f"/admin/clients{path}", json=body, headers=tokens.headers)

    assert send("POST", body=FIELDS, tokens=ada).status_code == 403
    created = send("POST", body={**FIELDS, "is_confidential": True})
    assert created.status_code == 201
    secret = created.json()["client_secret"]
    assert secret.startswith("cfs_")
    assert created.json()["grants"] == ["authorization_code"]
    assert send("POST", body=FIELDS).json()["code"] == "client_exists"
    assert secret not in send("GET", "/calendar").text
    assert [one["id"] for one in send("GET").json()["items"]] == ["calendar"]
    changed = send("PATCH", "/calendar", {"name": "Team", "access_token_seconds": 60})
    assert (changed.json()["name"], changed.json()["access_token_seconds"]) == ("Team", 60)
    assert (
        send("PATCH", "/calendar", {"access_token_seconds": 0}).json()["access_token_seconds"]
        is None
    )
    assert send("PATCH", "/calendar", {"disabled": True}).json()["disabled_at"] is not None
    assert send("PATCH", "/calendar", {"disabled": False}).json()["disabled_at"] is None
    rotated = send("POST", "/calendar/secret", {"overlap_seconds": 60}).json()
    assert rotated["client_secret"] not in ("", secret)
    assert sql("SELECT previous_secret_digest IS NULL FROM oauth_clients") in ([(0,)], [(False,)])
    assert send("DELETE", "/calendar").status_code == 204
    assert send("DELETE", "/calendar").status_code == 404
    assert send("GET", "/calendar").status_code == 404
    recorded = [event for event in events(sql) if event.startswith("client.")]
    assert recorded == [
        "client.created",
        *["client.changed"] * 2,
        "client.disabled",
        "client.enabled",
        "client.secret_rotated",
        "client.deleted",
    ]


def test_what_cannot_be_registered_is_rejected(client: Client, sql: Sql) -> None:
    root = administrator(client, sql)

    def rejected(**fields: Any) -> str:
        body = {**FIELDS, **fields}
        answer = client.http.post("/admin/clients", json=body, headers=root.headers)
        assert answer.status_code == 422, (fields, answer.text)
        return str(answer.json()["errors"][0]["field"])

    for address in (
        "http://calendar.example.org/cb",
        f"{CALLBACK}#x",
        "https://*.example.org/cb",
        "https://user@example.org/cb",
        "https://example.org/a/../b",
        "https://example.org/%2e%2e",
        "https://example.org/a b",
        "https://EXAMPLE.org/",
        "https://example.org:0/",
        "https://example.org:65536/",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp:/cb",
        "/callback",
        "",
    ):
        assert rejected(redirect_uris=[address]) == "redirect_uris", address
    assert rejected(redirect_uris=[]) == "redirect_uris"
    for client_id in ("a b", "ü", "console", "x" * 65, ""):
        assert rejected(id=client_id) in ("client_id", "id"), client_id
    assert rejected(name="\u200b") == "name"
    assert rejected(scopes=["a b"]) == "scopes"
    assert rejected(grants=["implicit"]) == "grants.0"
    assert rejected(grants=["client_credentials"]) == "grants"
    machine = {"grants": ["client_credentials"], "is_confidential": True}
    assert rejected(**machine) == "account_id"
    assert rejected(**machine, account_id=999) == "account_id"
    assert rejected(access_token_seconds=-1) == "access_token_seconds"
    assert rejected(unknown=1) == "unknown"
    for address in ("http://localhost:3000/cb", "http://[::1]/cb", "com.example.app:/cb", CALLBACK):
        body = {**FIELDS, "id": None, "redirect_uris": [address]}
        body.pop("id")
        answer = client.http.post("/admin/clients", json=body, headers=root.headers)
        assert answer.status_code == 201, address


@pytest.mark.both_databases
def test_odd_ids_and_cursors_find_nothing(client: Client, sql: Sql) -> None:
    root = administrator(client, sql)
    for path in ("/admin/clients/{}", "/users/me/applications/{}"):
        for client_id in ("%00", "a%20b", "%F0%9F%90%8C", "x" * 64, "nobody"):
            for method in ("GET", "DELETE"):
                answer = client.http.request(method, path.format(client_id), headers=root.headers)
                assert answer.status_code in (404, 405), (method, path, client_id)
    for cursor in ("x", "WyJcdTAwMDAiXQ", "W10"):
        answer = client.http.get(f"/admin/clients?cursor={cursor}", headers=root.headers)
        assert answer.status_code == 422, cursor


def test_both_secrets_work_while_one_is_rotated(server: Application, api: Client, sql: Sql) -> None:
    root = administrator(api, sql)
    path, old = "/admin/clients/server/secret", server.secret
    server.secret = api.http.post(path, headers=root.headers).json()["client_secret"]
    for secret in (old, server.secret):
        assert server.post("/device_authorization", client_secret=secret).status_code == 200
    sql("UPDATE oauth_clients SET previous_secret_expires_at = created_at")
    assert server.post("/device_authorization", client_secret=old).status_code == 401
    body = {"overlap_seconds": 0}
    latest = api.http.post(path, json=body, headers=root.headers).json()["client_secret"]
    assert server.post("/device_authorization").status_code == 401
    assert server.post("/device_authorization", client_secret=latest).status_code == 200


def test_disabling_a_client_ends_its_sessions(calendar: Application, api: Client, sql: Sql) -> None:
    root = administrator(api, sql)
    tokens = calendar.log_in()
    api.http.patch("/admin/clients/calendar", json={"disabled": True}, headers=root.headers)
    assert calendar.call(tokens) == 401
    assert calendar.open().status_code == 400
    api.http.patch("/admin/clients/calendar", json={"disabled": False}, headers=root.headers)
    assert calendar.call(tokens) == 401
    assert calendar.call(calendar.log_in()) == 200


def test_users_see_their_applications_and_take_consents_back(
    calendar: Application, server: Application, api: Client, register: Callable[..., None], sql: Sql
) -> None:
    register("own", name="Ours", is_first_party=True)
    own = Application(calendar.browser, "own")
    tokens, others, ours = calendar.log_in(), server.log_in(), own.log_in()
    code = calendar.get_code()
    mine = api.log_in().headers
    grace = api.sign_up("grace@example.org").headers

    def listed() -> list[tuple[str, Any, int]]:
        found = api.http.get("/users/me/applications", headers=mine).json()
        return [(one["client_id"], one["scopes"], one["live_sessions"]) for one in found]

    assert listed() == [("calendar", ["account"], 1), ("own", None, 1), ("server", ["account"], 1)]
    assert api.http.get("/users/me/applications", headers=grace).json() == []
    path = "/users/me/applications/calendar"
    assert api.http.delete(path, headers=grace).status_code == 404
    assert api.http.delete(path, headers=mine).status_code == 204
    assert api.http.delete(path, headers=mine).status_code == 404
    assert (calendar.call(tokens), server.call(others), own.call(ours)) == (401, 200, 200)
    # What was approved and not exchanged is void as well, and the user is asked again.
    assert calendar.redeem(code).json()["error"] == "invalid_grant"
    assert "transaction" in calendar.open().text
    assert api.http.delete("/users/me/applications/own", headers=mine).status_code == 204
    assert own.call(ours) == 401
    assert listed() == [("server", ["account"], 1)]
    assert count(sql, "consents") == 1
    assert events(sql).count("consent.revoked") == 2
