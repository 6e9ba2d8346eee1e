"""Revocation of an access token while its renewal is in progress."""

from collections.abc import Iterator

import pytest

from counterfoil.tokens import digest
from database import clock, queries
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql
from tests.support.client import Client


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(DatabaseSettings(database_url=database_url))
    yield opened
    opened.close()


# On SQLite, writing transactions run one after the other.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_renewal_that_began_before_a_revocation_does_not_undo_it(
    client: Client, database: Database, sql: Sql
) -> None:
    token = client.sign_up().access_token
    [(token_id,)] = sql("SELECT id FROM access_tokens")

    with database.transaction() as renewal:
        clock.read(renewal)
        with database.transaction() as revocation:
            assert queries.access_tokens.expire(revocation, digest(token))

        assert queries.access_tokens.lock_unexpired(renewal, [token_id]) == []


def test_a_token_is_expired_only_once(client: Client, database: Database) -> None:
    tokens = client.sign_up()
    with database.transaction() as db:
        assert queries.access_tokens.expire(db, digest(tokens.access_token))
        assert not queries.access_tokens.expire(db, digest(tokens.access_token))
    assert client.me(tokens).status_code == 401


def test_a_token_that_was_revoked_stays_so_if_the_clock_is_set_back(
    client: Client, database: Database, sql: Sql
) -> None:
    tokens = client.sign_up()
    with database.transaction() as db:
        queries.access_tokens.expire(db, digest(tokens.access_token))
    # At no time since there is the token has it been unexpired.
    assert sql("SELECT expires_at = created_at FROM access_tokens") in ([(True,)], [(1,)])
