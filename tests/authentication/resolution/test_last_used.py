"""Uses are recorded in the background, in batches; rolling tokens are extended."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from fastapi.testclient import TestClient

from tests.support.administrator import Sql
from tests.support.client import Client, MakeApp, MakeClient, Tokens
from tests.support.waiting import flush_deferred_writes

LONG_AGO = "'2020-01-01 00:00:00'"


def last_used(sql: Sql) -> str:
    return str(sql("SELECT max(last_used_at) FROM sessions")[0][0])


def test_a_use_is_recorded_in_the_background(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql(f"UPDATE sessions SET last_used_at = {LONG_AGO}")
    client.me(tokens)
    assert last_used(sql).startswith("2020")
    flush_deferred_writes(client)
    assert not last_used(sql).startswith("2020")
    assert not client.sessions(tokens)[0]["last_used_at"].startswith("2020")


def test_a_use_is_not_recorded_again_within_a_minute(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    before = last_used(sql)
    client.me(tokens)
    flush_deferred_writes(client)
    assert last_used(sql) == before


def test_how_often_is_a_setting(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(last_used_seconds=86_400)
    tokens = client.sign_up()
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    sql(f"UPDATE sessions SET last_used_at = '{an_hour_ago:%Y-%m-%d %H:%M:%S}'")
    before = last_used(sql)
    client.me(tokens)
    flush_deferred_writes(client)
    assert last_used(sql) == before


def test_noting_can_be_switched_off(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(track_last_used=False)
    tokens = client.sign_up()
    sql(f"UPDATE sessions SET last_used_at = {LONG_AGO}")
    client.me(tokens)
    flush_deferred_writes(client)
    assert last_used(sql).startswith("2020")


def test_what_waits_is_written_when_the_service_stops(make_app: MakeApp, sql: Sql) -> None:
    with TestClient(make_app()) as http:
        client = Client(http)
        tokens = client.sign_up()
        sql(f"UPDATE sessions SET last_used_at = {LONG_AGO}")
        client.me(tokens)
    assert not last_used(sql).startswith("2020")


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_write_that_the_database_refuses_does_not_end_the_writing(
    client: Client, sql: Sql
) -> None:
    """As after a failover, when a standby takes no writes, or while a table is being changed."""
    tokens = client.sign_up()
    sql(f"UPDATE sessions SET last_used_at = {LONG_AGO}")
    sql("ALTER TABLE sessions RENAME COLUMN last_used_at TO away")
    try:
        client.http.app.state.service.last_used._sessions.add(UUID(int=1))  # type: ignore[attr-defined]
        flush_deferred_writes(client)
    finally:
        sql("ALTER TABLE sessions RENAME COLUMN away TO last_used_at")
    client.me(tokens)
    flush_deferred_writes(client)
    assert not last_used(sql).startswith("2020")


class Rolling:
    """A service with rolling tokens, and a token that can be aged."""

    def __init__(self, client: Client, sql: Sql) -> None:
        self.client, self.sql = client, sql
        self.tokens: Tokens = client.sign_up()

    def expire_in(self, seconds: int, table: str = "access_tokens") -> None:
        if self.is_sqlite():
            end = f"strftime('%Y-%m-%d %H:%M:%f', 'now', '{seconds} seconds')"
        else:
            end = f"now() + interval '{seconds} seconds'"
        self.sql(f"UPDATE {table} SET expires_at = {end}")

    def is_sqlite(self) -> bool:
        settings = self.client.http.app.state.settings  # type: ignore[attr-defined]
        return str(settings.database.database_url).startswith("sqlite")

    def seconds_left(self) -> float:
        if self.is_sqlite():
            left = "(julianday(expires_at) - julianday('now')) * 86400"
        else:
            left = "extract(epoch from expires_at - now())"
        return float(self.sql(f"SELECT max({left}) FROM access_tokens")[0][0])

    def use(self) -> int:
        status = self.client.me(self.tokens).status_code
        flush_deferred_writes(self.client)
        return status


@pytest.fixture
def rolling(make_client: MakeClient, sql: Sql) -> Rolling:
    return Rolling(make_client(rolling_tokens=True), sql)


def test_a_rolling_token_used_in_the_second_half_of_its_life_is_extended(rolling: Rolling) -> None:
    rolling.expire_in(1700)
    assert rolling.use() == 200
    assert rolling.seconds_left() > 3500


def test_in_the_first_half_it_is_left_alone(rolling: Rolling) -> None:
    rolling.expire_in(1900)
    assert rolling.use() == 200
    assert rolling.seconds_left() < 1900


def test_rolling_never_goes_past_the_end_of_the_session(rolling: Rolling) -> None:
    rolling.expire_in(1000)
    rolling.expire_in(2000, "sessions")
    assert rolling.use() == 200
    assert 1900 < rolling.seconds_left() < 2001


def test_an_expired_token_is_not_brought_back(rolling: Rolling) -> None:
    rolling.expire_in(-1)
    assert rolling.use() == 401
    assert rolling.use() == 401


def test_without_the_setting_nothing_rolls(client: Client, sql: Sql) -> None:
    fixed = Rolling(client, sql)
    fixed.expire_in(1000)
    assert fixed.use() == 200
    assert fixed.seconds_left() < 1000


@pytest.mark.parametrize(
    "end",
    [
        "UPDATE access_tokens SET expires_at = CURRENT_TIMESTAMP",
        "DELETE FROM access_tokens",
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP",
        "UPDATE users SET session_epoch = 1",
    ],
)
def test_a_token_that_ended_before_its_extension_was_written_stays_ended(
    rolling: Rolling, sql: Sql, end: str
) -> None:
    rolling.expire_in(1000)
    assert rolling.client.me(rolling.tokens).status_code == 200
    sql(end)
    flush_deferred_writes(rolling.client)
    assert rolling.use() == 401


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_extension_that_began_before_a_refresh_does_not_undo_it(rolling: Rolling) -> None:
    """By the clock of its own transaction, the token has not expired yet."""
    service = rolling.client.http.app.state.service  # type: ignore[attr-defined]
    [(token,)] = rolling.sql("SELECT id FROM access_tokens")
    with service.database.transaction() as late:
        late.connection()
        assert rolling.client.refresh(rolling.tokens.refresh_token).status_code == 200
        service.last_used._store(late, [], [], {token: service.settings})
    assert rolling.client.me(rolling.tokens).status_code == 401
