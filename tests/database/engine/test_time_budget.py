"""What takes too long is given up, and the transaction goes on, on both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from database.engine import deadlines
from database.engine.session import Database
from database.engine.time_budget import Attempts
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


def test_what_takes_too_long_is_given_up_and_the_rest_is_not(db: Session) -> None:
    attempts = Attempts(db, 3, seconds=0.6)
    assert [attempts.make(work) for work in (never, soon, never)] == [None, 42, None]
    assert soon(db) == 42


def test_what_is_left_of_the_deadline_is_the_limit(db: Session) -> None:
    with deadlines.deadline(1.0):
        assert Attempts(db, 2).make(never) is None
        # There is time left for the answer.
        assert soon(db) == 42


def test_the_limit_of_an_attempt_is_gone_after_it(db: Session) -> None:
    attempts = Attempts(db, 1, seconds=0.01)
    attempts.make(soon)
    numbers = ENDLESS.replace("1000000000", "200000")
    assert db.scalar(text(numbers)) == 200_000


def test_another_failure_is_not_hidden(db: Session) -> None:
    with pytest.raises(DBAPIError):
        Attempts(db, 1, seconds=1.0).make(lambda db: db.execute(text("SELECT x")))
