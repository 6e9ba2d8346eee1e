"""Every error has a status and a documented code, and none of them shows the inside."""

import logging
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api import errors as http_errors
from api.not_started import NotStarted
from api.openapi import names
from counterfoil.errors import CounterfoilError, DatabaseUnavailable
from database.engine.disk import DiskFull
from tests.support.client import Client

pytestmark = pytest.mark.one_database

REPOSITORY = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(\w+)` \| (\d{3}) \|", re.MULTILINE)
DOCUMENTED = {
    code: int(status)
    for code, status in ROW.findall((REPOSITORY / "docs" / "reference" / "errors.md").read_text())
}


def tree(error: type[CounterfoilError] = CounterfoilError) -> Iterator[type[CounterfoilError]]:
    for child in error.__subclasses__():
        yield child
        yield from tree(child)


def codes_of_the_tree() -> dict[str, HTTPStatus]:
    """Without those that only stand for their children."""
    # Those of OAuth alone are on the page of that.
    others = {CounterfoilError.code, *(one.code for one in names._OF_OAUTH)}
    concrete = [one for one in tree() if one.code not in others]
    codes = {one.code: status_of(one) for one in concrete}
    # Not of the tree, as they are no rejections.
    outages = (DatabaseUnavailable, DiskFull, NotStarted)
    return codes | {one.code: HTTPStatus.SERVICE_UNAVAILABLE for one in outages}


def status_of(error: type[CounterfoilError]) -> HTTPStatus:
    return next(
        http_errors.STATUSES[kind] for kind in error.__mro__ if kind in http_errors.STATUSES
    )


def codes_in_the_source() -> set[str]:
    """Those that api/ gives by themselves, as the first string after a status."""
    folders = [REPOSITORY / "api", REPOSITORY / "counterfoil"]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    source = "\n".join(path.read_text() for path in files)
    problems = re.findall(r"HTTPStatus\.[A-Z_]+,\s*\"(\w+)\"", source)
    return set(problems) | set(http_errors._CODES.values())


def test_every_code_is_documented_with_its_status() -> None:
    for code, status in codes_of_the_tree().items():
        assert DOCUMENTED.get(code) == status, code
    assert codes_in_the_source() <= set(DOCUMENTED)


def test_nothing_is_documented_that_cannot_happen() -> None:
    # What the framework refuses without a code of ours is called by the name of its status.
    of_the_framework = {HTTPStatus.BAD_REQUEST.name.lower()}
    assert set(DOCUMENTED) <= set(codes_of_the_tree()) | codes_in_the_source() | of_the_framework


@pytest.fixture
def broken(make_app: Callable[..., FastAPI]) -> Iterator[TestClient]:
    app = make_app()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError("the password is hunter2")

    with TestClient(app, raise_server_exceptions=False) as http:
        yield http


def test_the_last_resort_shows_nothing_and_logs_once_by_the_id_of_the_request(
    broken: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        response = broken.get("/broken", headers={"X-Request-ID": "abc-123"})
    assert response.status_code == 500
    assert response.headers["x-request-id"] == "abc-123"
    assert response.json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal_error",
        "detail": "Something went wrong on our side.",
    }
    (record,) = caplog.records
    assert "abc-123" in record.getMessage()
    assert record.exc_info is not None
    assert "hunter2" in str(record.exc_info[1])


def test_the_server_has_nothing_left_to_log(make_app: Callable[..., FastAPI]) -> None:
    """Starlette hands on what it has answered; the frame is where that ends."""
    app = make_app()

    @app.get("/broken")
    def broken() -> None:
        raise RuntimeError

    with TestClient(app, raise_server_exceptions=True) as http:
        assert http.get("/broken").status_code == 500


def test_every_answer_has_the_headers_that_keep_browsers_from_harm(client: Client) -> None:
    tokens = client.sign_up()
    answers = [
        client.me(tokens),
        client.me("nonsense"),
        client.http.get("/nowhere"),
        client.http.post("/login", content=b"x" * 100_000),
        client.refresh("nonsense"),
        client.http.get("/health/live"),
        client.http.get("/docs"),
        client.http.get("/openapi.json"),
    ]
    for answer in answers:
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-request-id"]
        assert "server" not in answer.headers


@pytest.mark.parametrize("path", ["/docs", "/docs/static/start.js", "/openapi.json", "/redoc"])
def test_the_documentation_can_be_switched_off(
    make_client: Callable[..., Client], path: str
) -> None:
    assert make_client(docs="off").http.get(path).status_code == 404


def test_the_documentation_loads_nothing_from_elsewhere(client: Client) -> None:
    page = client.http.get("/docs")
    assert page.status_code == 200
    assert "http" not in re.sub(r"<!--.*?-->", "", page.text, flags=re.DOTALL)
    for path in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert client.http.get(path).status_code == 200, path
