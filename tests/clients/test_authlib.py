"""Authlib, an OAuth client that no one here wrote, against a service in a process of its own."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from authlib.integrations.base_client import OAuthError
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata

from harness.server import Server
from tests.support.administrator import Sql, give_role
from tests.support.client import PASSWORD

pytestmark = pytest.mark.one_database

Open = Callable[..., Any]


@pytest.fixture
def server(database_url: str) -> Iterator[Server]:
    environment = {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with Server.launch(database_url, environment=environment) as running:
        yield running


@pytest.fixture
def open_session(server: Server) -> Iterator[Open]:
    opened = []

    def make(**settings: Any) -> Any:
        session = OAuth2Session("authlib", token_endpoint=f"{server.url}/token", **settings)
        opened.append(session)
        return session

    yield make
    for session in opened:
        session.close()


@pytest.fixture
def session(open_session: Open, server: Server, sql: Sql) -> Any:
    """Logged in as an administrator, as a client without a secret."""
    session = open_session(token_endpoint_auth_method="none")
    account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    answer = session.post(f"{server.url}/register", json=account, withhold_token=True)
    assert answer.status_code == 201
    give_role(sql, "admin")
    session.fetch_token(username="ada@example.org", password=PASSWORD)
    return session


def test_the_metadata_says_where_everything_is(session: Any, server: Server) -> None:
    found = session.get(f"{server.url}/.well-known/oauth-authorization-server").json()
    metadata = AuthorizationServerMetadata(found)
    metadata.validate_token_endpoint_auth_methods_supported()
    metadata.validate_grant_types_supported()
    metadata.validate_revocation_endpoint_auth_methods_supported()
    metadata.validate_introspection_endpoint_auth_methods_supported()


def test_a_password_gives_a_token_that_opens_and_refreshes(session: Any, server: Server) -> None:
    first = dict(session.token)
    assert session.get(f"{server.url}/users/me").json()["email"] == "ada@example.org"

    session.refresh_token()

    assert session.token["access_token"] != first["access_token"]
    assert session.get(f"{server.url}/users/me").status_code == 200
    session.token = first
    assert session.get(f"{server.url}/users/me").status_code == 401


def test_a_wrong_password_is_an_error_it_understands(session: Any) -> None:
    with pytest.raises(OAuthError) as refused:
        session.fetch_token(username="ada@example.org", password="wrong")
    assert refused.value.error == "invalid_grant"


def test_the_name_by_http_basic_is_the_client_of_the_session(
    session: Any, open_session: Open, server: Server
) -> None:
    by_basic = open_session(client_secret="ignored")
    by_basic.fetch_token(username="ada@example.org", password=PASSWORD)
    by_basic.refresh_token()
    found = session.get(f"{server.url}/sessions").json()
    assert [login["client_id"] for login in found] == ["authlib", "authlib"]


def test_it_introspects_and_revokes(session: Any, open_session: Open, server: Server) -> None:
    body = {"name": "Authlib", "scopes": ["introspect"]}
    key = session.post(f"{server.url}/api-keys", json=body).json()["key"]
    resource_server = open_session(client_secret=key)
    token = session.token

    def is_active() -> bool:
        url = f"{server.url}/introspect"
        answer = resource_server.introspect_token(url, token=token["access_token"])
        return bool(answer.json()["active"])

    assert is_active()
    revoked = session.revoke_token(f"{server.url}/revoke", token=token["refresh_token"])
    assert revoked.status_code == 200
    assert not is_active()
    with pytest.raises(OAuthError) as refused:
        session.refresh_token()
    assert refused.value.error == "invalid_grant"
