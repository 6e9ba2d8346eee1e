"""The overview, counted from rows on both databases."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from authentication.administration import statistics
from authentication.administration.statistics import Period
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.clock import Clock

Sql = Callable[..., list[tuple[Any, ...]]]
DAY = 86_400


@pytest.fixture
def db(database_url: str) -> Iterator[Session]:
    database = Database(DatabaseSettings(database_url=database_url))
    with database.transaction(read_only=True) as db:
        yield db
    database.close()


@pytest.fixture
def clock(database_url: str) -> Clock:
    return Clock(database_url)


def add_session(sql: Sql, number: int, begun: str, ends: str, revoked: str = "NULL") -> None:
    session_id = f"00000000-0000-4000-8000-{number:012}"
    columns = "id, user_id, epoch, created_at, last_used_at, expires_at, revoked_at"
    values = f"'{session_id}', 1, 0, {begun}, {begun}, {ends}, {revoked}"
    sql(f"INSERT INTO sessions ({columns}) VALUES ({values})")


def test_open_sessions_are_counted_at_the_end_of_each_bucket(
    sql: Sql, clock: Clock, db: Session
) -> None:
    sql("INSERT INTO users (email, name, hashed_password) VALUES ('a@example.org', 'A', 'x')")
    before, later = clock.in_seconds(-40 * DAY), clock.in_seconds(40 * DAY)
    add_session(sql, 1, before, later)
    add_session(sql, 2, before, clock.in_seconds(-10 * DAY))
    add_session(sql, 3, before, later, revoked=clock.in_seconds(-20 * DAY))
    add_session(sql, 4, clock.in_seconds(-5 * DAY), later)
    add_session(sql, 5, before, clock.in_seconds(-35 * DAY))
    add_session(sql, 6, clock.in_seconds(-8 * DAY), later, revoked=clock.in_seconds(-3 * DAY))
    # Revoked by SQL after it had expired.
    over = clock.in_seconds(-12 * DAY)
    add_session(sql, 7, before, over, revoked=clock.in_seconds(-2 * DAY))

    overview = statistics.read_overview(db, Period.MONTH)
    opened = [bucket.open for bucket in overview.buckets]
    assert len(opened) == 30
    # A bucket is a day, and the last one is today.
    assert opened[0] == 4
    assert opened[15] == 3
    assert opened[18] == 2
    assert opened[20] == 1
    assert opened[22] == 2
    assert opened[25] == 3
    assert opened[-1] == 2
    # None of them has a token that its client could use.
    assert overview.live == 0


def test_an_event_about_many_sessions_counts_for_all_of_them(
    sql: Sql, clock: Clock, db: Session
) -> None:
    for event, detail in (
        ("sessions.revoked", '{"count": 7}'),
        ("session.revoked", "{}"),
        ("token.refresh_reused", "{}"),
        ("user.created", "{}"),
    ):
        sql(
            "INSERT INTO audit_events (at, event, actor, detail)"
            f" VALUES ({clock.in_seconds(-2 * DAY)}, '{event}', 'command', '{detail}')"
        )
    assert statistics.read_overview(db, Period.WEEK).total("revoked") == 9
    assert statistics.read_overview(db, Period.DAY).total("revoked") == 0
