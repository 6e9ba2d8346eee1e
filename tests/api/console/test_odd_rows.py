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
