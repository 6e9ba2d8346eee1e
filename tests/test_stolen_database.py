"""Whoever steals the database, or a backup of it, holds nothing that opens a door."""

import pytest

from tests.support import factors
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD, Client, MakeClient

TABLES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    "postgresql": "SELECT tablename FROM pg_tables WHERE schemaname = 'public'",
}


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(secret_keys=(factors.SECRET_KEY,))


@pytest.fixture
def secrets(client: Client, sql: Sql) -> list[str]:
    """Everything that was ever shown to a user, live, replaced and refused."""
    client.register()
    give_role(sql, "admin")
    tokens = client.log_in(client_id="Ada's phone")
    key = client.create_api_key(client.log_in())["key"]
    successor = client.refresh(tokens.refresh_token, client_id="Ada's phone").json()
    client.try_to_log_in(password="a wrong guess")
    client.http.post("/revoke", data={"token": key})
    app = factors.enrol(client, client.log_in(), sql)
    return [
        *(app.secret, app.secret_bytes.hex(), *app.recovery_codes),
        *(code.replace("-", "") for code in app.recovery_codes),
        factors.mfa_token(client.try_to_log_in()),
        PASSWORD,
        "a wrong guess",
        key,
        tokens.access_token,
        tokens.refresh_token,
        successor["access_token"],
        successor["refresh_token"],
    ]


def dump(sql: Sql, database_url: str) -> str:
    names = [name for (name,) in sql(TABLES[database_url.partition(":")[0]])]
    assert {"users", "access_tokens", "api_keys", "audit_events"} <= set(names)
    rows = [row for name in names for row in sql(f"SELECT * FROM {name}")]
    return "\n".join(str([_text(value) for value in row]) for row in rows)


def _text(value: object) -> str:
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def test_a_dump_holds_no_token_and_no_password(
    sql: Sql, database_url: str, secrets: list[str]
) -> None:
    found = dump(sql, database_url)
    for secret in secrets:
        assert secret not in found
        assert secret.encode().hex() not in found


def test_what_a_dump_holds_opens_nothing(client: Client, sql: Sql, secrets: list[str]) -> None:
    stored = [
        *(digest for (digest,) in sql("SELECT token_digest FROM access_tokens")),
        *(digest for (digest,) in sql("SELECT token_digest FROM refresh_tokens")),
        *(digest for (digest,) in sql("SELECT key_digest FROM api_keys")),
    ]
    for digest in stored:
        for token in (bytes(digest).hex(), "cfa_" + bytes(digest).hex()):
            assert client.me(token).status_code == 401
    (hashed,) = sql("SELECT hashed_password FROM users")[0]
    assert hashed.startswith("$bcrypt-sha256$")
    assert client.try_to_log_in(password=hashed).status_code == 401
