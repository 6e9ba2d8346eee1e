"""The description of the API says what a reader needs, and no more than is true."""

from collections.abc import Iterator
from typing import Any

import pytest

from api.openapi import TAGS
from tests.support.client import Client

PROBLEM = "application/problem+json"


@pytest.fixture
def description(client: Client) -> dict[str, Any]:
    found: dict[str, Any] = client.http.get("/openapi.json").json()
    return found


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
    assert "users_read_me" in identifiers


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
