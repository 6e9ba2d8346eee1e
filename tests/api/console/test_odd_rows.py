"""Rows that operators have written by SQL, as no code of the service would."""

import contextlib

import psycopg2
import pytest

from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.console import ConsoleClient

DEEP = "[" * 2000 + "]" * 2000
DETAILS: list[object] = [
    *('{"a": "\\ud800"}', '{"\\udfff": {"\\uDC00": ["\\ud800"]}}', '{"a": "\\ud83d\\ude00"}'),
    *(f'{{"a": {DEEP}}}', f'{{"a": {DEEP[1700:-1700]}}}', DEEP, "[" * 90_000),
    *('{"a": 1' + "0" * 5000 + "}", '{"a": 1e999}', '{"a": NaN}', '{"a": "\\u0000"}'),
    *("5", "5.5", "1e5", "true", "null", '"x"', "[]", "{", ""),
]
# SQLite accepts them in a column of any type.
OTHER_CLASSES = [5, 5.5, b"\xff\xfe", b'{"a": 1}']


def test_the_audit_log_can_be_read_whatever_a_detail_is(
    admin: ConsoleClient, api: Client, sql: Sql, database_url: str
) -> None:
    headers = api.log_in("root@example.org").headers
    is_sqlite = database_url.startswith("sqlite")
    sql("DELETE FROM audit_events")
    insert = "INSERT INTO audit_events (event, actor, subject, detail) VALUES"
    for one in [*DETAILS, *(OTHER_CLASSES if is_sqlite else [])]:
        # PostgreSQL rejects what is no JSON.
        with contextlib.suppress(psycopg2.Error):
            place = "?" if is_sqlite else "%s"
            sql(f"{insert} ('odd', 'user:1', 'user:1', {place})", (one,))
    [(written,)] = sql("SELECT count(*) FROM audit_events")
    assert written > len(DETAILS) / 2

    found = api.http.get("/admin/audit-events?event=odd", headers=headers)

    assert found.status_code == 200
    assert len(found.json()["items"]) == written
    for page in ("/events", "/account", "/users/1"):
        assert admin.open(page).status_code == 200, page


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ('{"a": "\\ud800"}', {"a": "?"}),
        ('{"a": "\\ud83d\\ude00"}', {"a": "\N{GRINNING FACE}"}),
        ("[1]", {"value": [1]}),
        (DEEP, {"value": DEEP}),
    ],
)
def test_what_can_be_read_of_a_detail_is_kept(
    admin: ConsoleClient, api: Client, sql: Sql, stored: str, read: object
) -> None:
    headers = api.log_in("root@example.org").headers
    sql(f"INSERT INTO audit_events (event, actor, detail) VALUES ('odd', 'x', '{stored}')")
    found = api.http.get("/admin/audit-events?event=odd", headers=headers)
    assert [one["detail"] for one in found.json()["items"]] == [read]


COLUMNS = {
    "users": ("name", "username", "surname", "website"),
    "roles": ("scopes", "description"),
    "sessions": ("client_id", "ip", "user_agent", "kind"),
    "api_keys": ("name", "hint", "scopes", "roles"),
    "access_tokens": ("scopes",),
    "refresh_tokens": ("scopes",),
    "audit_events": ("event", "actor", "subject", "ip"),
}
OWNERS = {
    **dict.fromkeys(("sessions", "api_keys", "access_tokens"), "user_id = 2"),
    "refresh_tokens": "session_id IN (SELECT id FROM sessions WHERE user_id = 2)",
    "users": "id = 2",
    "roles": "name = 'user'",
    "audit_events": "id > 0",
}
READ_BY_ROOT = [
    *("/users/me", "/verify", "/sessions", "/api-keys", "/admin/users", "/admin/users/2"),
    *("/admin/sessions", "/admin/users/2/api-keys", "/admin/roles", "/admin/audit-events"),
]
PAGES = ["/", "/users", "/users/2", "/sessions", "/events", "/account"]


def odd_texts(database_url: str) -> list[str]:
    """What the database stores in a column of text, though no code of the service would."""
    if database_url.startswith("sqlite"):
        return ["x'ff'", "CAST(x'ff61' AS TEXT)", "char(233)"]
    return ["chr(233)"]


@pytest.mark.parametrize("table", COLUMNS)
def test_an_odd_text_in_a_row_fails_no_request(
    admin: ConsoleClient, api: Client, sql: Sql, database_url: str, table: str
) -> None:
    root, eve = api.log_in("root@example.org"), api.sign_up("eve@example.org")
    key = {"X-API-Key": api.create_api_key(eve)["key"]}
    for text in odd_texts(database_url):
        changes = ", ".join(f"{column} = {text}" for column in COLUMNS[table])
        sql(f"UPDATE {table} SET {changes} WHERE {OWNERS[table]}")
        for path in READ_BY_ROOT:
            answer = api.http.get(path, headers=root.headers)
            assert answer.status_code == 200, (path, answer.text)
        for headers in (eve.headers, key):
            for path in ("/users/me", "/verify", "/sessions", "/api-keys"):
                answer = api.http.get(path, headers=headers)
                assert answer.status_code < 500, (path, answer.text)
        assert api.try_to_log_in("eve@example.org").status_code == 200
        assert api.refresh(eve.refresh_token).status_code < 500
        for page in PAGES:
            assert admin.open(page).status_code == 200, page
