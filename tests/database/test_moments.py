"""Moments that the database holds and Python's calendar does not have are survived everywhere."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI
from sqlalchemy import select
from typer.testing import CliRunner

from api.commands.cli import cli
from authentication.administration import operations, paging
from authentication.administration.operations import SessionFilter
from database import moments
from database.base import Base, UTCDateTime
from database.models import User
from database.queries.session_search import Order
from tests.support.administrator import Sql, give_role, user_id
from tests.support.client import Client, Tokens
from tests.support.console import ConsoleClient
from tests.support.mailbox import SENDER

# What the database takes, and how it is read.
POSTGRESQL = {
    "infinity": moments.LAST,
    "20000-01-01": moments.LAST,
    "0044-03-15 BC": moments.FIRST,
    "-infinity": moments.FIRST,
    "9999-12-31 23:59:59-12": moments.LAST,
    "0001-01-01 00:00:00+14": moments.FIRST,
}
SQLITE = {
    "infinity": moments.LAST,
    "": moments.FIRST,
    b"\x00": moments.LAST,
    1_700_000_000: moments.FIRST,
    "soon": moments.LAST,
    "20000-01-01": moments.FIRST,
    "9999-12-31 23:59:59-12:00": moments.LAST,
    "0001-01-01 00:00+14:00": moments.FIRST,
}
# Those that order as text as they are written can be paged on SQLite.
FAR = {"postgresql": ["20000-01-01", "0044-03-15 BC", "-infinity"], "sqlite": ["9999-12-31"]}

COMMANDS = [["sessions", "list"], ["api-keys", "list"], ["mail", "list"], ["clients", "list"]]
COMMANDS += [["prune", "--dry-run"]]

OWNERS = {
    "users": "id = {user}",
    "refresh_tokens": "session_id IN (SELECT id FROM sessions WHERE user_id = {user})",
    "audit_events": "subject = 'user:{user}'",
    "oauth_clients": "account_id = {user}",
    "authorization_requests": (
        "login_session_id IN (SELECT id FROM sessions WHERE user_id = {user})"
    ),
}
# What is set ends nothing by itself: then there would be nothing to see.
COLUMNS = {
    table.name: [
        column.name
        for column in table.columns
        if isinstance(column.type, UTCDateTime) and column.name != "revoked_at"
    ]
    for table in Base.metadata.sorted_tables
}
# Nothing reads these: the database alone compares them.
UNREAD = {"known_addresses", "released_names", "challenges", "recovery_codes", "reign"}
TABLES = [table for table, columns in COLUMNS.items() if columns and table not in UNREAD]


class Everything:
    """All places where moments are shown or reckoned with."""

    def __init__(self, app: FastAPI, sql: Sql, url: str, mail: dict[str, str]) -> None:
        self.console = ConsoleClient(app)
        self.api = Client(self.console.http)
        self.sql = sql
        self.url = url
        self.environment = {"DATABASE_URL": url}
        self.environment |= {f"COUNTERFOIL_{name.upper()}": value for name, value in mail.items()}

    def prepare(self) -> None:
        for email in ("ada@example.org", "root@example.org"):
            assert self.api.register(email).status_code == 201
        self.ada = user_id(self.sql, "ada@example.org")
        ada = self.api.log_in()
        for username in ("lovelace", "countess"):
            body = {"username": username}
            assert self.api.http.patch("/users/me", json=body, headers=ada.headers).is_success
        give_role(self.sql, "admin", "root@example.org")
        self.root = self.api.log_in("root@example.org")
        self.console.sign_in("root@example.org")

    def add_mail(self) -> None:
        """A link and a mail, which the worker must survive too."""
        self.sql(
            "INSERT INTO mail_tokens (kind, token_digest, user_id, address, expires_at) SELECT"
            " 'reset', token_digest, user_id, 'ada@example.org', expires_at FROM access_tokens"
            " WHERE true ON CONFLICT DO NOTHING"
        )
        values = f"'reset', {self.ada}, 'ada@example.org', 'en'"
        self.sql(f"INSERT INTO outbox (kind, user_id, address, locale) VALUES ({values})")

    def add_factors(self) -> None:
        """An app that logins ask for, and a passkey."""
        self.sql(
            "INSERT INTO totp_factors (id, user_id, name, secret_sealed, confirmed_at)"
            f" SELECT id, user_id, 'App', 'x', created_at FROM sessions WHERE user_id = {self.ada}"
        )
        self.sql(
            "INSERT INTO passkeys"
            " (id, user_id, credential_id, public_key, backup_eligible, backed_up, name)"
            " SELECT session_id, user_id, token_digest, token_digest, true, true, 'Passkey'"
            f" FROM access_tokens WHERE user_id = {self.ada} AND session_id NOT IN"
            " (SELECT id FROM passkeys)"
        )

    def add_clients(self) -> None:
        """A client that acts for her, and has what it can have of her."""
        self.sql(
            "INSERT INTO oauth_clients (id, name, grants, account_id, secret_digest,"
            " previous_secret_digest, previous_secret_expires_at)"
            " SELECT 'calendar', 'Calendar', 'authorization_code', user_id, token_digest,"
            f" token_digest, expires_at FROM access_tokens WHERE user_id = {self.ada} LIMIT 1"
        )
        self.sql(
            "INSERT INTO consents (user_id, client_id, scopes)"
            f" VALUES ({self.ada}, 'calendar', 'account')"
        )
        tail = f"FROM access_tokens WHERE user_id = {self.ada} LIMIT 1"
        self.sql(
            "INSERT INTO authorization_requests (transaction_digest, client_id, login_session_id,"
            " redirect_uri, scopes, code_challenge, expires_at) SELECT token_digest, 'calendar',"
            f" session_id, 'https://example.org/', 'account', 'x', expires_at {tail}"
        )
        self.sql(
            "INSERT INTO authorization_codes (code_digest, client_id, user_id, epoch,"
            " login_session_id, redirect_uri, scopes, code_challenge, expires_at)"
            " SELECT token_digest, 'calendar', user_id, 0, session_id, 'https://example.org/',"
            f" 'account', 'x', expires_at {tail}"
        )
        self.sql(
            "INSERT INTO device_codes (device_code_digest, user_code_digest, client_id, scopes,"
            " interval_seconds, expires_at, user_id, epoch, login_session_id)"
            " SELECT token_digest, token_digest, 'calendar', 'account', 5, expires_at, user_id, 0,"
            f" session_id {tail}"
        )

    def visit(self, tokens: Tokens, key: dict[str, Any]) -> Iterator[tuple[str, int]]:
        """What was asked for, and the status of the answer."""
        get, post = self.console.http.get, self.console.http.post
        of_a_user = ("/users/me", "/sessions", "/api-keys", "/factors", "/verify")
        for path in (*of_a_user, "/passkeys", "/users/me/applications"):
            yield path, get(path, headers=tokens.headers).status_code
        yield "key", get("/users/me", headers={"X-API-Key": key["key"]}).status_code
        for token in (tokens.access_token, key["key"]):
            asked = post("/introspect", data={"token": token}, headers=self.root.headers)
            yield "/introspect", asked.status_code
        for path in (
            "/admin/users",
            f"/admin/users/{self.ada}",
            f"/admin/users/{self.ada}/api-keys",
            f"/admin/users/{self.ada}/factors",
            "/admin/sessions",
            "/admin/audit-events",
            "/admin/clients",
        ):
            yield path, get(path, headers=self.root.headers).status_code
        for path in (
            "",
            "/account",
            "/users",
            f"/users/{self.ada}",
            "/sessions",
            "/events",
            "/outbox",
            "/clients",
            "/clients/calendar",
        ):
            yield f"console {path}", self.console.open(path).status_code
        rotated = post(f"/api-keys/{key['id']}/rotate", json={}, headers=tokens.headers)
        yield "rotate", rotated.status_code
        yield "refresh", self.api.refresh(tokens.refresh_token).status_code
        yield "login", self.api.try_to_log_in().status_code
        forgotten = post("/password/forgot", json={"email": "ada@example.org"})
        yield "forgot", forgotten.status_code
        for command in COMMANDS:
            done = CliRunner(env=self.environment).invoke(cli, command)
            yield " ".join(command), 200 if done.exit_code == 0 else 500

    def set(self, table: str, column: str, value: Any) -> int:
        """Write it into all rows that are Ada's. Returns how many these are."""
        whose = OWNERS.get(table, "user_id = {user}").format(user=self.ada)
        mark = "?" if self.url.startswith("sqlite") else "%s"
        # No row, no test: a counter without an end is one that has nobody's moment in it.
        self.sql(f"UPDATE {table} SET {column} = {mark} WHERE {whose}", (value,))
        return int(self.sql(f"SELECT count(*) FROM {table} WHERE {whose}")[0][0])


@pytest.fixture
def everything(
    make_app: Callable[..., FastAPI], sql: Sql, database_url: str, tmp_path: Path
) -> Iterator[Everything]:
    mail = {"mail_url": f"file:{tmp_path}/mail", "mail_from": SENDER}
    # Rolling tokens reckon with two moments of the lookup.
    rolling = {"rolling_tokens": True, "refresh_grace_seconds": 60}
    app = make_app(**rolling, **mail, max_sessions_per_user=200)
    found = Everything(app, sql, database_url, mail)
    with found.console.http:
        found.prepare()
        yield found


def readings(url: str) -> dict[Any, datetime]:
    return SQLITE if url.startswith("sqlite") else POSTGRESQL


def test_each_moment_is_read_as_one_of_the_calendar(
    client: Client, sql: Sql, database_url: str
) -> None:
    client.register()
    database = client.http.app.state.service.database  # type: ignore[attr-defined]
    mark = "?" if database_url.startswith("sqlite") else "%s"
    for value, expected in readings(database_url).items():
        sql(f"UPDATE users SET created_at = {mark}", (value,))
        with database.transaction(read_only=True) as db:
            assert db.scalar(select(User.created_at)) == expected


@pytest.mark.one_database
@pytest.mark.parametrize("table", TABLES)
def test_no_moment_in_the_database_is_an_error(
    everything: Everything, database_url: str, table: str
) -> None:
    # All are read by the same code, so that each place is tried with one of them, in turn, and on
    # one database.
    values = list(readings(database_url))
    first = TABLES.index(table)
    everything.api.try_to_log_in(password="wrong")
    tokens = everything.api.log_in()
    key = everything.api.create_api_key(tokens)
    everything.add_mail()
    everything.add_factors()
    everything.add_clients()
    for number, column in enumerate(COLUMNS[table], first):
        assert everything.set(table, column, values[number % len(values)])
    wrong = [(what, status) for what, status in everything.visit(tokens, key) if status >= 500]
    assert not wrong


def test_a_token_without_an_end_has_none_where_it_is_shown(client: Client, sql: Sql) -> None:
    client.register()
    give_role(sql, "admin")
    tokens = client.log_in()
    key = client.create_api_key(tokens)
    sql("UPDATE access_tokens SET expires_at = 'infinity'")
    sql("UPDATE sessions SET expires_at = 'infinity'")
    sql("UPDATE api_keys SET expires_at = 'infinity'")
    assert client.me(tokens).status_code == 200
    for token in (tokens.access_token, key["key"]):
        asked = client.http.post("/introspect", data={"token": token}, headers=tokens.headers)
        assert asked.json()["active"] is True
        assert "exp" not in asked.json()
    (session,) = client.sessions(tokens)
    assert datetime.fromisoformat(session["expires_at"]) == datetime.max.replace(tzinfo=UTC)
    (listed,) = client.http.get("/api-keys", headers=tokens.headers).json()
    assert listed["expires_at"].startswith("9999-12-31")


@pytest.mark.parametrize("order", list(Order))
def test_sessions_are_paged_past_moments_beyond_the_calendar(
    client: Client, sql: Sql, order: Order
) -> None:
    client.register()
    for _ in range(4):
        client.log_in()
    for column in ("created_at", "last_used_at", "expires_at"):
        sql(f"UPDATE sessions SET {column} = 'infinity'")
    client.log_in()
    wanted = SessionFilter(user_id=user_id(sql), order=order)
    service = client.http.app.state.service  # type: ignore[attr-defined]
    ids: list[UUID] = []
    cursor = None
    with service.database.transaction(read_only=True) as db:
        while len(ids) < 20:
            page = operations.list_sessions(db, wanted, limit=2, cursor=cursor)
            ids += [item.session.id for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
    assert len(ids) == len(set(ids)) == 5


def test_the_audit_log_is_paged_past_moments_beyond_the_calendar(
    client: Client, sql: Sql, database_url: str
) -> None:
    client.register()
    give_role(sql, "admin")
    for _ in range(5):
        client.log_in()
    for number, moment in enumerate(("infinity", *FAR[database_url.partition(":")[0]])):
        sql(f"UPDATE audit_events SET at = '{moment}' WHERE id % 5 = {number}")
    tokens = client.log_in()
    ids: list[int] = []
    cursor = None
    for _ in range(20):
        query: dict[str, str | int] = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = client.http.get("/admin/audit-events", params=query, headers=tokens.headers).json()
        ids += [event["id"] for event in page["items"]]
        cursor = page["next_cursor"]
        if not cursor:
            break
    expected = [id_ for (id_,) in sql("SELECT id FROM audit_events ORDER BY at DESC, id DESC")]
    assert ids == expected


@pytest.mark.parametrize(
    "moment",
    [
        *("2026-02-30 00:00:00+00", "0000-01-01 00:00:00+00", "300000-01-01 00:00:00+00"),
        *("19999-02-30 00:00:00+00", "5000-01-01 00:00:00+00 BC", "2026-11-25 24:00:00+00"),
        *("soon", "", "infinite", "20000-01-01", "0044-03-15 00:00:00+00 AD"),
    ],
)
def test_a_cursor_with_a_moment_that_there_is_not_is_rejected(
    client: Client, sql: Sql, moment: str
) -> None:
    client.register()
    give_role(sql, "admin")
    query = {"cursor": paging.encode(moment, 1)}
    answer = client.http.get("/admin/audit-events", params=query, headers=client.log_in().headers)
    assert answer.status_code == 422
