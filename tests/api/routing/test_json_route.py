"""A member that is repeated in JSON is rejected, as programs differ in which one they take."""

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

import api
from api.routing.route_group import flatten
from api.settings import Settings
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient

pytestmark = pytest.mark.one_database

EVERYTHING = {"browser_sessions": True, "mail_url": "file:///tmp/x", "mail_from": "a@example.org"}
JSON = {"Content-Type": "application/json"}
REPEATED = {
    '{"name": "Ada", "name": "Eve"}': "name",
    '{"name": "Ada", "n\\u0061me": "Eve"}': "name",
    '{"name": "Ada", "name": "Ada"}': "name",
    '[{"deep": [{"scopes": [], "scopes": ["admin"]}]}]': "scopes",
    # What may be a secret is not named.
    '{"cfa_31415": 1, "cfa_31415": 2}': "body",
}


def errors(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 422, answer.text
    found: list[dict[str, str]] = answer.json()["errors"]
    return found


def test_every_endpoint_that_takes_json_rejects_a_repeated_member(
    make_app: MakeApp, make_client: MakeClient
) -> None:
    app = make_app(**EVERYTHING)
    client = make_client(app)
    routes = [one for one in flatten(app.routes) if isinstance(one, APIRoute) and one.body_field]
    assert len(routes) >= 30
    for route in routes:
        for body, name in REPEATED.items():
            for method in route.methods or ():
                answer = client.http.request(method, route.path, content=body, headers=JSON)
                assert errors(answer) == [{"field": name, "message": "Repeated member"}]


def test_a_member_may_occur_once_in_each_of_several_objects(client: Client) -> None:
    tokens = client.sign_up()
    body = '{"label": {"name": 1}, "name": "Augusta"}'
    answer = client.http.patch("/users/me", content=body, headers={**tokens.headers, **JSON})
    assert errors(answer)[0]["field"] == "label"
    answer = client.http.patch(
        "/users/me", content='{"name": "Augusta"}', headers={**tokens.headers, **JSON}
    )
    assert answer.json()["name"] == "Augusta"


def test_the_application_that_the_service_is_attached_to_reads_json_as_before(
    make_settings: Any,
) -> None:
    settings: Settings = make_settings()
    host = FastAPI()
    api.attach(host, settings=settings)

    @host.post("/items")
    async def create(item: dict[str, int]) -> dict[str, int]:
        return item

    with TestClient(host) as client:
        answer = client.post("/items", content='{"a": 1, "a": 2}', headers=JSON)
        assert answer.json() == {"a": 2}
        login = f'{{"email": "a@example.org", "password": "x", "password": "{PASSWORD}"}}'
        assert errors(client.post("/auth/login", content=login, headers=JSON)) == [
            {"field": "password", "message": "Repeated member"}
        ]
