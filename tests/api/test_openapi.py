"""The OpenAPI description: complete, and true of what the service answers."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import Client


@pytest.fixture
def description(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.http.get("/openapi.json").json()
    return found


def operations(description: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        node = list(node.values())
    for part in node if isinstance(node, list) else []:
        yield from references(part)


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in references(description)} <= set(schemas)


def test_every_security_scheme_that_is_used_is_defined(description: dict[str, Any]) -> None:
    schemes = description["components"]["securitySchemes"]
    used = {
        name
        for _, operation in operations(description)
        for requirement in operation.get("security", [])
        for name in requirement
    }
    assert used == set(schemes)
    assert schemes["Password"]["flows"]["password"]["tokenUrl"] == "token"
    assert schemes["X-API-Key"] == {"type": "apiKey", "in": "header", "name": "X-API-Key"}


def test_the_description_tells_where_an_api_key_will_do(description: dict[str, Any]) -> None:
    security = {name: operation.get("security") for name, operation in operations(description)}
    any_credential: list[dict[str, list[str]]] = [
        {"Password": []},
        {"Bearer": []},
        {"X-API-Key": []},
        {"Token": []},
    ]
    assert security["GET /users/me"] == any_credential
    assert security["GET /api-keys"] == [{"Password": ["account"]}, {"Bearer": []}]
    assert {"Basic": []} in (security["POST /introspect"] or [])
    assert security["POST /revoke"] is None


def test_the_header_names_of_the_settings_are_described(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(api_key_headers="X-Robot")
    schemes = client.http.get("/openapi.json").json()["components"]["securitySchemes"]
    assert set(schemes) == {"Password", "Bearer", "Basic", "X-Robot"}


def test_errors_are_described_in_the_form_they_have(description: dict[str, Any]) -> None:
    for name, operation in operations(description):
        for status, answer in operation["responses"].items():
            if status.startswith(("4", "5")):
                [(media_type, content)] = answer["content"].items()
                speaks_oauth = name.endswith(("/token", "/introspect", "/revoke"))
                is_oauth = speaks_oauth and status != "413"
                assert (media_type == "application/json") is is_oauth, (name, status)
                schema = "OAuthError" if is_oauth else "Problem"
                assert content["schema"]["$ref"].endswith(f"/{schema}")
