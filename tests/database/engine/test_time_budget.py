"""A query that is too slow is skipped, and the transaction continues, on both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from database.engine import deadlines
from database.engine.session import Database
from database.engine.time_budget import TimeBudget
from database.settings import DatabaseSettings

# Would take minutes.
ENDLESS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 1000000000)
SELECT count(*) FROM numbers
"""


@pytest.fixture
def db(database_url: str) -> Iterator[Session]:
    database = Database(DatabaseSettings(database_url=database_url))
    with database.transaction(read_only=True) as db:
        yield db
    database.close()


def never(db: Session) -> Any:
    return db.scalar(text(ENDLESS))


def soon(db: Session) -> Any:
    return db.scalar(text("SELECT 42"))


def test_a_query_that_takes_too_long_is_skipped_and_others_are_not(db: Session) -> None:
    budget = TimeBudget(db, 3, seconds=0.6)
    assert [budget.run(work) for work in (never, soon, never)] == [None, 42, None]
    assert soon(db) == 42


def test_what_is_left_of_the_deadline_is_the_limit(db: Session) -> None:
    with deadlines.deadline(1.0):
        assert TimeBudget(db, 2).run(never) is None
        # There is time left for the answer.
        assert soon(db) == 42


def test_the_limit_of_a_query_does_not_apply_to_the_next(db: Session) -> None:
    budget = TimeBudget(db, 1, seconds=0.01)
    budget.run(soon)
    numbers = ENDLESS.replace("1000000000", "200000")
    assert db.scalar(text(numbers)) == 200_000


def test_another_failure_is_not_hidden(db: Session) -> None:
    with pytest.raises(DBAPIError):
        TimeBudget(db, 1, seconds=1.0).run(lambda db: db.execute(text("SELECT x")))
