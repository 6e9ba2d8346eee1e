"""The description of the API says what a reader needs, and no more than is true."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from api import oauth_errors
from api.openapi.description import TAGS
from authentication.audit import Event
from harness.server import REPOSITORY
from scripts.docs import endpoint_reference
from tests.support.client import Client

pytestmark = pytest.mark.one_database

PROBLEM = "application/problem+json"


@pytest.fixture
def description() -> dict[str, Any]:
    return endpoint_reference.description()


def operations(description: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for path in description["paths"].values():
        yield from path.values()


def test_every_operation_is_named_explained_and_filed(description: dict[str, Any]) -> None:
    tags = {tag["name"] for tag in TAGS}
    identifiers = []
    for operation in operations(description):
        assert set(operation["tags"]) <= tags
        assert operation["summary"]
        assert operation["description"]
        answers = [answer["description"] for answer in operation["responses"].values()]
        assert "Successful Response" not in answers, operation["summary"]
        identifiers.append(operation["operationId"])
    assert len(set(identifiers)) == len(identifiers)
    assert {"users_read_me", "list_sessions", "verify"} <= set(identifiers)


def test_no_operation_names_its_subject_twice(description: dict[str, Any]) -> None:
    for operation in operations(description):
        words = operation["operationId"].removesuffix("s").split("_")
        singular = [word.removesuffix("s") for word in words]
        assert len(singular) == len(set(singular)), operation["operationId"]


def test_every_property_and_every_parameter_has_a_description(description: dict[str, Any]) -> None:
    for name, schema in description["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description"), f"{name}.{field}"
    for operation in operations(description):
        for parameter in operation.get("parameters", []):
            assert parameter.get("description"), operation["operationId"]


def test_the_form_of_the_token_endpoint_is_that_of_one_grant(description: dict[str, Any]) -> None:
    body = description["paths"]["/token"]["post"]["requestBody"]["content"]
    (form,) = body.values()
    kinds = [one["$ref"].rpartition("/")[2] for one in form["schema"]["oneOf"]]
    assert kinds == [
        "PasswordGrant",
        "RefreshTokenGrant",
        "AuthorizationCodeGrant",
        "DeviceCodeGrant",
        "ClientCredentialsGrant",
    ]
    schemas = [description["components"]["schemas"][kind] for kind in kinds]
    assert [one["properties"]["grant_type"]["const"] for one in schemas] == [
        "password",
        "refresh_token",
        "authorization_code",
        "urn:ietf:params:oauth:grant-type:device_code",
        "client_credentials",
    ]


def test_the_codes_of_errors_are_those_of_their_page(description: dict[str, Any]) -> None:
    page = (REPOSITORY / "docs" / "reference" / "errors.md").read_text()
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \| \d", line)]
    sent = {row.split("`")[1] for row in rows if "Only the command" not in row}
    assert set(enumerated(description, "Problem", "code")) == sent


def test_the_events_of_the_audit_log_are_listed(description: dict[str, Any]) -> None:
    assert enumerated(description, "AuditEventRead", "event") == sorted(Event)


def enumerated(description: dict[str, Any], model: str, field: str) -> list[str]:
    """The values that a property may have, which are listed in a schema of their own."""
    schemas = description["components"]["schemas"]
    name = schemas[model]["properties"][field]["$ref"].rpartition("/")[2]
    values: list[str] = schemas[name]["enum"]
    return values


def test_any_method_of_forward_auth_is_one_operation(description: dict[str, Any]) -> None:
    for path in ("/verify", "/verify/{path}"):
        assert list(description["paths"][path]) == ["get"]


def test_the_example_of_an_error_has_the_status_of_the_error(description: dict[str, Any]) -> None:
    for operation in operations(description):
        for status, answer in operation["responses"].items():
            if PROBLEM in answer.get("content", {}):
                assert answer["content"][PROBLEM]["example"]["status"] == int(status)


def test_api_keys_are_not_offered_where_they_are_refused(description: dict[str, Any]) -> None:
    account, me = description["paths"]["/sessions"]["get"], description["paths"]["/users/me"]["get"]
    assert account["security"] == [{"Password": ["account"]}, {"Bearer": ["account"]}]
    assert {"X-API-Key": []} in me["security"]
    assert {"Token": []} in me["security"]


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        yield from [node["$ref"]] if "$ref" in node else []
        node = list(node.values())
    for part in node if isinstance(node, list) else []:
        yield from references(part)


def test_every_reference_leads_somewhere(description: dict[str, Any]) -> None:
    schemas = description["components"]["schemas"]
    assert {ref.rpartition("/")[2] for ref in references(description)} <= set(schemas)


def test_every_way_to_send_a_credential_is_described_and_used(description: dict[str, Any]) -> None:
    used = {
        name
        for operation in operations(description)
        for requirement in operation.get("security", [])
        for name in requirement
    }
    schemes = set(description["components"]["securitySchemes"])
    assert used == schemes == {"Password", "Bearer", "Basic", "X-API-Key", "Token"}


def test_the_header_names_of_the_settings_are_described(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(api_key_headers="X-Robot")
    schemes = client.http.get("/openapi.json").json()["components"]["securitySchemes"]
    assert set(schemes) == {"Password", "Bearer", "Basic", "X-Robot"}


def test_introspection_is_described_though_it_is_a_plain_route(description: dict[str, Any]) -> None:
    operation = description["paths"]["/introspect"]["post"]
    assert {"Basic": ["introspect"]} in operation["security"]
    assert {"X-API-Key": ["introspect"]} in operation["security"]
    assert "security" not in description["paths"]["/revoke"]["post"]


def test_errors_are_described_in_the_form_they_have(description: dict[str, Any]) -> None:
    for path, methods in description["paths"].items():
        if path.startswith("/verify"):
            # Its answers have no body at all.
            continue
        for status, answer in next(iter(methods.values()))["responses"].items():
            if status.startswith(("4", "5")):
                speaks_oauth = path in oauth_errors.PATHS
                [(media_type, content)] = answer["content"].items()
                assert media_type == ("application/json" if speaks_oauth else PROBLEM)
                schema = "OAuthError" if speaks_oauth else "Problem"
                assert content["schema"]["$ref"].endswith(f"/{schema}")
