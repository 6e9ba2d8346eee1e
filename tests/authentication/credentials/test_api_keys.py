"""API keys below HTTP: what a request that was allowed a moment ago may still do."""

from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

import pytest

from authentication import policies
from authentication.audit import Origin
from authentication.credentials import api_keys
from authentication.credentials.actor import Actor
from authentication.credentials.api_keys import KeyRequest
from authentication.settings import AuthenticationSettings
from counterfoil.errors import InvalidToken
from counterfoil.identity import CredentialKind, Identity
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql
from tests.support.client import Client


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(DatabaseSettings(database_url=database_url))
    yield opened
    opened.close()


def resolved(session_id: str) -> Actor:
    """The actor of a request, as the lookup at its start has found them."""
    identity = Identity(
        kind=CredentialKind.ACCESS_TOKEN,
        user_id=1,
        email="ada@example.org",
        username=None,
        name="Ada",
        surname=None,
        website=None,
        user_created_at=0,
        user_updated_at=0,
        user_roles=("user",),
        roles=("user",),
        scopes=frozenset({"account"}),
        session_id=UUID(session_id),
        access_token_id=1,
        api_key_id=None,
        client_id=None,
        issued_at=0,
        expires_at=None,
        confirmed_at=None,
        looked_up_at=0,
    )
    return Actor(identity, Origin("user:1"), identity.scopes, fresh_seconds=300)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE sessions SET revoked_at = created_at",
        "UPDATE users SET session_epoch = session_epoch + 1",
        "UPDATE users SET is_active = false",
        "DELETE FROM sessions",
        "DELETE FROM access_tokens",
        "UPDATE access_tokens SET expires_at = created_at",
    ],
)
def test_no_key_comes_of_a_session_that_ended_after_the_request_began(
    client: Client, database: Database, sql: Sql, statement: str
) -> None:
    actor = resolved(client.sessions(client.sign_up())[0]["id"])
    sql(statement)

    request = KeyRequest(name="Too late", lifetime=timedelta(days=1))
    with database.transaction() as db, pytest.raises(InvalidToken):
        api_keys.create(db, AuthenticationSettings(), actor, request)

    assert sql("SELECT count(*) FROM api_keys") == [(0,)]


def test_the_settings_can_say_that_keys_have_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_API_KEY_SECONDS", "none")
    assert policies.api_key_lifetime(AuthenticationSettings()) == timedelta(days=365)
    monkeypatch.setenv("COUNTERFOIL_MAX_API_KEY_DAYS", "0")
    settings = AuthenticationSettings()
    assert policies.api_key_lifetime(settings) is None
    assert policies.api_key_lifetime(settings, days=1) == timedelta(days=1)
