"""The command that takes live tokens along: their clients go on, and are logged out by SQL."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from hashlib import sha256, sha512
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from tests.support.administrator import Sql, count, events, give_role, insert_user
from tests.support.client import Client

Command = Callable[..., Result]
MakeClient = Callable[..., Client]

UNTIL = (datetime.now(UTC) + timedelta(days=40)).date()
DRF = "9801e40493f6270daad3876916d522fee347922a"
FASTAPI_USERS = "zQeof2_UUnIlTZQyrNlPdlH3Yf2fpSrnuDtRXVLqt-A"
KNOX = "3c9ae23274bfcfab7435047769f26701f93be4f63b8d90d262606c01fccb6508"
SANCTUM = "42|" + "a1B2" * 10 + "0f0f0f0f"
# What Laravel makes of Sanctum's migration on SQLite, and of that of its users.
LARAVEL = """
CREATE TABLE "users" ("id" integer not null primary key autoincrement, "name" varchar not null,
  "email" varchar not null, "email_verified_at" datetime, "password" varchar not null,
  "remember_token" varchar, "created_at" datetime, "updated_at" datetime);
CREATE TABLE "personal_access_tokens" ("id" integer not null primary key autoincrement,
  "tokenable_type" varchar not null, "tokenable_id" integer not null, "name" text not null,
  "token" varchar not null, "abilities" text, "last_used_at" datetime, "expires_at" datetime,
  "created_at" datetime, "updated_at" datetime);
CREATE UNIQUE INDEX "personal_access_tokens_token_unique" on "personal_access_tokens" ("token");
"""
TABLES = ("authtoken_token", "accesstoken", "knox_authtoken", "personal_access_tokens")


@pytest.fixture(autouse=True)
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_FOREIGN_TOKENS_UNTIL", UNTIL.isoformat())


@pytest.fixture
def moved(make_client: MakeClient) -> Client:
    """A client of the service that accepts such tokens, with two users."""
    client = make_client(foreign_tokens_until=UNTIL)
    client.register()
    client.register("other@example.org")
    return client


@pytest.fixture
def django(sql: Sql) -> Iterator[None]:
    sql("CREATE TABLE auth_user (id INTEGER PRIMARY KEY, email VARCHAR(254))")
    sql("INSERT INTO auth_user VALUES (1, 'Ada@example.org'), (2, 'nobody@example.org')")
    sql(
        "CREATE TABLE knox_authtoken"
        " (digest VARCHAR(128), created TIMESTAMP, expiry TIMESTAMP, user_id INTEGER)"
    )
    sql("CREATE TABLE authtoken_token (key VARCHAR(40), created TIMESTAMP, user_id INTEGER)")
    yield
    for table in ("auth_user", "knox_authtoken", "authtoken_token"):
        sql(f"DROP TABLE {table}")


def knox(sql: Sql, token: str, user: int, expiry: str) -> None:
    digest = sha512(token.encode()).hexdigest()
    sql(f"INSERT INTO knox_authtoken VALUES ('{digest}', '2026-01-02 03:04:05', {expiry}, {user})")


def me(client: Client, token: str, scheme: str = "Bearer") -> int:
    headers = {"Authorization": f"{scheme} {token}"}
    return int(client.http.get("/users/me", headers=headers).status_code)


def test_a_client_of_knox_goes_on_until_its_token_is_deleted(
    command: Command, moved: Client, sql: Sql, django: None
) -> None:
    knox(sql, KNOX, 1, "'2999-01-01 00:00:00'")
    knox(sql, "f" + KNOX[1:], 1, "'2020-01-01 00:00:00'")
    knox(sql, "e" + KNOX[1:], 2, "NULL")
    assert me(moved, KNOX, "Token") == 401
    result = command("import-tokens", "--from", "knox")
    assert (result.exit_code, result.stdout) == (0, "1\n")
    assert "1 have expired." in result.stderr
    assert "1 belong to no active user." in result.stderr
    for scheme in ("Token", "Bearer"):
        assert me(moved, KNOX, scheme) == 200
    [(created, expires, label)] = sql("SELECT created_at, expires_at, client_id FROM sessions")
    assert str(created)[:19] == "2026-01-02 03:04:05"
    assert str(expires)[:10] == (UNTIL + timedelta(days=1)).isoformat()
    assert label == "Moved from knox"
    assert "session.imported" in events(sql)
    assert command("import-tokens", "--from", "knox").stdout == "0\n"
    assert count(sql, "sessions") == 1
    sql("DELETE FROM access_tokens")
    assert me(moved, KNOX) == 401


def test_tokens_belong_to_the_account_whose_address_is_spelt_so_or_means_the_same(
    command: Command, moved: Client, sql: Sql, django: None
) -> None:
    both = ("zoe\u0308@example.org", "zo\u00eb@example.org", "\u00c9VE@example.org")
    typed = ("ren\u00e9@example.org", *both)
    stored = ("rene\u0301@example.org", *both)
    owners = {3 + number: insert_user(sql, email) for number, email in enumerate(stored)}
    tokens = {user: f"{user}{DRF[1:]}" for user in owners}
    for (user, token), email in zip(tokens.items(), typed, strict=True):
        sql(f"INSERT INTO auth_user VALUES ({user}, '{email}')")
        sql(f"INSERT INTO authtoken_token VALUES ('{token}', '2026-01-02 03:04:05', {user})")
    assert command("import-tokens", "--from", "drf").stdout == "4\n"
    for user, token in tokens.items():
        found = moved.http.get("/users/me", headers={"Authorization": f"Token {token}"}).json()
        assert found["id"] == owners[user]


def test_a_client_of_drf_logs_out_and_is_found_by_its_token(
    command: Command, moved: Client, sql: Sql, django: None
) -> None:
    sql(f"INSERT INTO authtoken_token VALUES ('{DRF}', '2026-01-02 03:04:05', 1)")
    assert command("import-tokens", "--from", "drf", "--dry-run").stdout == "1\n"
    assert count(sql, "sessions") == 0
    assert command("import-tokens", "--from", "drf").stdout == "1\n"
    assert me(moved, DRF, "Token") == 200
    revoked = command("sessions", "revoke", "--token", "-", stdin=DRF + "\n")
    assert (revoked.exit_code, revoked.stdout) == (0, "1\n")
    assert me(moved, DRF, "Token") == 401


def write(path: Path, *tokens: dict[str, Any]) -> str:
    path.write_text(json.dumps(tokens))
    return str(path)


def test_a_token_of_fastapi_users_ends_with_its_lifetime_and_is_revoked_by_its_holder(
    command: Command, moved: Client, sql: Sql, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    path = write(
        tmp_path / "tokens.json",
        {
            "token": FASTAPI_USERS,
            "email": "ADA@example.org",
            "created_at": (now - timedelta(hours=1)).isoformat(),
        },
        {
            "token": "A" + FASTAPI_USERS[1:],
            "email": "ada@example.org",
            "created_at": (now - timedelta(hours=3)).isoformat(),
        },
    )
    words = ("import-tokens", path, "--from", "fastapi-users", "--lifetime-seconds", "7200")
    assert command(*words).stdout == "1\n"
    assert me(moved, FASTAPI_USERS) == 200
    assert me(moved, "A" + FASTAPI_USERS[1:]) == 401
    assert moved.http.post("/revoke", data={"token": FASTAPI_USERS}).status_code == 200
    assert me(moved, FASTAPI_USERS) == 401
    assert "token.revoked" in events(sql)


def test_a_token_of_sanctum_may_do_what_its_abilities_and_its_user_may(
    command: Command, moved: Client, sql: Sql, tmp_path: Path
) -> None:
    give_role(sql, "admin")
    digests = {}
    for number, abilities in enumerate(('["*"]', '["admin", "other"]', "[]", '["a b"]')):
        token = f"{number}|" + f"{number}1B2" * 10 + "0f0f0f0f"
        digests[token] = (sha256(token.partition("|")[2].encode()).hexdigest(), abilities)
    path = write(
        tmp_path / "tokens.json",
        *(
            {"token": digest, "email": "ada@example.org", "abilities": abilities}
            for digest, abilities in digests.values()
        ),
        {"token": digests["0|" + "01B2" * 10 + "0f0f0f0f"][0], "email": "ada@example.org"},
        {"token": "00", "email": "ada@example.org"},
    )
    result = command("import-tokens", path, "--from", "sanctum")
    assert (result.exit_code, result.stdout) == (1, "3\n")
    assert [line[:12] for line in result.stderr.splitlines() if line.startswith("row")] == [
        *("row 4: abili", "row 6: token"),
    ]
    statuses = []
    for token in digests:
        headers = {"Authorization": f"Bearer {token}"}
        listed = moved.http.get("/admin/users", headers=headers)
        account = moved.http.get("/sessions", headers=headers)
        statuses.append((listed.status_code, account.status_code))
    assert statuses == [(200, 200), (200, 403), (403, 403), (401, 401)]


def test_tokens_are_read_from_the_tables_of_sanctum_and_revoked_by_sql(
    command: Command, moved: Client, sql: Sql, tmp_path: Path
) -> None:
    """One in the form of Sanctum before 4, one as later, one that is over, one of another model."""
    entropy = "9sEQrz3IbkHJ7uhDstYpZGGxm2Lwg4fbNwsCV7u3"
    plain = [entropy, f"{entropy}3e30017e", f"{entropy}d77a22a1", f"{entropy}35bdd0b8"]
    user, team = "App\\Models\\User", "App\\Models\\Team"
    rows = [
        (user, None),
        (user, "2999-01-01 13:11:20"),
        (user, "2020-11-25 13:11:20"),
        (team, None),
    ]
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, old:
        old.executescript(LARAVEL)
        old.execute("INSERT INTO users (name, email, password) VALUES ('A', 'ada@example.org', '')")
        for token, (model, expires_at) in zip(plain, rows, strict=True):
            old.execute(
                "INSERT INTO personal_access_tokens VALUES (NULL, ?, 1, 'phone', ?, '[\"*\"]',"
                " NULL, ?, '2026-01-02 03:04:05', '2026-01-02 03:04:05')",
                (model, sha256(token.encode()).hexdigest(), expires_at),
            )
    imported = command("import-tokens", f"sqlite:///{tmp_path}/old.db", "--from", "sanctum")
    assert (imported.exit_code, imported.stdout) == (0, "2\n"), imported.stderr
    assert "1 have expired." in imported.stderr

    def seen() -> list[int]:
        return [me(moved, f"{number}|{token}") for number, token in enumerate(plain, 1)]

    assert seen() == [200, 200, 401, 401]
    [(created,)] = {(str(row[0])[:19],) for row in sql("SELECT created_at FROM sessions")}
    assert created == "2026-01-02 03:04:05"
    sql("DELETE FROM access_tokens")
    assert seen() == [401, 401, 401, 401]


def test_without_a_last_day_nothing_is_imported_or_accepted(
    command: Command,
    make_client: MakeClient,
    sql: Sql,
    django: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    client = make_client(foreign_tokens_until=None)
    client.register()
    knox(sql, KNOX, 1, "NULL")
    assert command("import-tokens", "--from", "knox").stdout == "1\n"
    assert me(client, KNOX) == 401
    assert me(client, KNOX, "Token") == 401
    monkeypatch.delenv("COUNTERFOIL_FOREIGN_TOKENS_UNTIL")
    refused = command("import-tokens", "--from", "knox")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "COUNTERFOIL_FOREIGN_TOKENS_UNTIL" in refused.stderr


def test_a_database_that_is_not_there_is_not_created(
    command: Command, moved: Client, tmp_path: Path
) -> None:
    for origin in (f"sqlite:///{tmp_path}/none.db", "sqlite:///none.db", "mysql://x/y", "://"):
        result = command("import-tokens", origin, "--from", "knox")
        assert (result.exit_code, result.stdout) == (1, ""), origin
        assert result.stderr.splitlines()[-1].startswith("counterfoil: ")
    assert not (tmp_path / "none.db").exists()
    assert command("import-tokens", "--from", "knox").exit_code == 1
