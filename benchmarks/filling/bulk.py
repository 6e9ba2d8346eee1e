"""Runs statements that fill a database quickly."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, make_url, text
from sqlalchemy.pool import NullPool

# All generated rows are consistent, so foreign keys need not be checked.
UNCHECKED = "SET session_replication_role = replica"

# The rows whose tokens are known are spread evenly over the table, not adjacent on a few pages.
SAMPLE = """
CREATE TEMPORARY TABLE sample AS
SELECT (position - 1) * (:rows / :sample_size) + 1
       + floor(random() * (:rows / :sample_size))::int AS row, token
FROM unnest(CAST(:sample AS text[])) WITH ORDINALITY AS given (token, position)
"""


def engine_of(url: str) -> Engine:
    """An engine in autocommit mode, because VACUUM cannot run inside a transaction."""
    address = make_url(url).set(drivername="postgresql+psycopg2")
    return create_engine(address, isolation_level="AUTOCOMMIT", poolclass=NullPool)


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    with engine_of(url).connect() as connection:
        yield connection


def parameters_of(rows: int, users: int, sample: list[str]) -> dict[str, Any]:
    return {
        "rows": rows,
        "users": users,
        "sample": sample,
        "sample_size": len(sample),
        "seed": secrets.token_hex(16),
    }


def fill(url: str, statements: list[str], parameters: Mapping[str, Any]) -> None:
    """Run the statements in order, then VACUUM ANALYZE."""
    with connected(url) as connection:
        connection.execute(text(UNCHECKED))
        connection.execute(text("SET synchronous_commit = off"))
        for statement in statements:
            connection.execute(text(statement), parameters)
        connection.execute(text("VACUUM ANALYZE"))
        connection.execute(text("CHECKPOINT"))
