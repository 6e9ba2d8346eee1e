"""The metadata of RFC 8414: true, complete, and from the settings alone."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Client, MakeClient

pytestmark = pytest.mark.one_database

PATH = "/.well-known/oauth-authorization-server"
GRANTS = [
    "authorization_code",
    "refresh_token",
    "urn:ietf:params:oauth:grant-type:device_code",
    "client_credentials",
    "password",
]
METHODS = ["client_secret_basic", "client_secret_post", "none"]


def test_the_metadata_lists_what_there_is(client: Client) -> None:
    answer = client.http.get(PATH)

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "issuer": "http://127.0.0.1:8000",
        "authorization_endpoint": "http://127.0.0.1:8000/authorize",
        "token_endpoint": "http://127.0.0.1:8000/token",
        "token_endpoint_auth_methods_supported": METHODS,
        "device_authorization_endpoint": "http://127.0.0.1:8000/device_authorization",
        "introspection_endpoint": "http://127.0.0.1:8000/introspect",
        "introspection_endpoint_auth_methods_supported": ["Bearer", *METHODS[:2]],
        "revocation_endpoint": "http://127.0.0.1:8000/revoke",
        "revocation_endpoint_auth_methods_supported": METHODS,
        "grant_types_supported": GRANTS,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": ["account", "admin", "introspect"],
    }


def test_a_grant_that_is_off_is_not_listed(make_client: Callable[..., Client]) -> None:
    client = make_client(password_grant=False)
    assert client.http.get(PATH).json()["grant_types_supported"] == GRANTS[:-1]
    form = {"grant_type": "password", "username": "a", "password": "b"}
    assert client.http.post("/token", data=form).json()["error"] == "unsupported_grant_type"


def test_without_pages_no_grant_is_listed_that_needs_them(make_client: MakeClient) -> None:
    found = make_client(pages=False, console=False).http.get(PATH).json()
    assert found["grant_types_supported"] == ["refresh_token", "client_credentials", "password"]
    assert found["response_types_supported"] == []
    assert not {"authorization_endpoint", "device_authorization_endpoint"} & found.keys()


def test_the_host_header_changes_nothing(client: Client) -> None:
    forged: dict[str, Any] = {
        "Host": "evil.example",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "host=evil.example",
    }
    assert client.http.get(PATH, headers=forged).json() == client.http.get(PATH).json()


@pytest.mark.parametrize(
    "issuer", ["https://example.org/auth/tokens", "https://example.org/auth/tokens/"]
)
def test_the_path_of_an_issuer_comes_after_the_well_known_one(
    make_client: Callable[..., Client], issuer: str
) -> None:
    client = make_client(issuer=issuer)

    found = client.http.get(f"{PATH}/auth/tokens").json()

    assert found["issuer"] == "https://example.org/auth/tokens"
    assert found["token_endpoint"] == "https://example.org/auth/tokens/token"
    # A proxy that takes the issuer's path away asks for the rest.
    assert client.http.get(PATH).json() == found
    assert client.http.get(f"{PATH}/auth").status_code == 404
    assert client.http.get(f"{PATH}/").status_code == 404


def test_an_issuer_without_a_path_has_its_metadata_at_one_place(client: Client) -> None:
    assert client.http.get(f"{PATH}/auth").status_code == 404
