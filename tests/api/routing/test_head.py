"""HEAD is answered wherever GET is, with the same status and headers."""

from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from api.routing.route_group import flatten
from tests.support.client import Client, MakeApp, MakeClient


def paths_of_get_routes(app: FastAPI) -> set[str]:
    routes = [route for route in flatten(app.routes) if isinstance(route, APIRoute)]
    return {route.path for route in routes if route.methods and "GET" in route.methods}


def headers(client: TestClient, method: str, path: str) -> dict[str, str]:
    answer = client.request(method, path, follow_redirects=False)
    different = {"x-request-id", "set-cookie"}
    found = {name: value for name, value in answer.headers.items() if name not in different}
    return {"status": str(answer.status_code), **found}


def test_every_get_route_answers_head_with_the_same_headers(
    make_client: MakeClient, make_app: MakeApp
) -> None:
    app = make_app(metrics="on")
    client = make_client(app)
    client.http.headers.update(client.sign_up().headers)
    paths = paths_of_get_routes(app)
    assert {"/users/me", "/health/ready", "/metrics", "/docs"} <= paths
    for path in [*paths - {"/metrics"}, "/openapi.json", "/sign-in", "/console/users"]:
        assert headers(client.http, "HEAD", path) == headers(client.http, "GET", path), path
    assert headers(client.http, "HEAD", "/metrics")["status"] == "200"


def test_the_description_does_not_list_head_for_each_route(client: Client) -> None:
    paths = client.http.get("/openapi.json").json()["paths"]
    assert [path for path, item in paths.items() if "head" in item] == []
