"""CHECK constraints: alembic compares none of them, so these tests do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from database import migrations
from database.base import Base
from database.settings import parse_url

pytestmark = pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression")

Checks = dict[str, set[tuple[str, str]]]


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(parse_url(url), poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection


def checks_in(connection: sa.Connection) -> Checks:
    """The constraints of each table by name, in the words of the database."""
    inspector = sa.inspect(connection)
    return {
        table: {_described(check) for check in inspector.get_check_constraints(table)}
        for table in inspector.get_table_names()
        if table != "counterfoil_alembic_version"
    }


def _described(check: Any) -> tuple[str, str]:
    return str(check["name"]), re.sub(r"\s+", " ", check["sqltext"])


def test_the_migrations_make_the_check_constraints_of_the_models(empty_url: str) -> None:
    with connected(empty_url) as connection:
        Base.metadata.create_all(connection)
        declared = checks_in(connection)
        Base.metadata.drop_all(connection)
    migrations.upgrade(empty_url)
    with connected(empty_url) as connection:
        assert checks_in(connection) == declared
    assert {name for name, _ in declared["users"]} == {"ck_users_username_is_no_number"}


def test_a_constraint_that_a_migration_has_forgotten_is_noticed(empty_url: str) -> None:
    with connected(empty_url) as connection:
        Base.metadata.create_all(connection)
        declared = checks_in(connection)
    assert sum(map(len, declared.values())) == sum(
        isinstance(constraint, sa.CheckConstraint)
        for table in Base.metadata.sorted_tables
        for constraint in table.constraints
    )
