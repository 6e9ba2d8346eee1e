"""The interactive documentation in a real browser, under its own content security policy."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from harness.server import Server
from tests.support import swagger
from tests.support.browser import Browser, open_browser
from tests.support.client import PASSWORD, Client


@pytest.fixture
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """On one database: what a page does in a browser is the same on both."""
    url, quick = f"sqlite:///{tmp_path}/docs.db", {"COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    with Server.launch(url, environment=quick) as server:
        yield server


def test_the_authorize_button_logs_in_and_a_protected_route_answers(
    browser: Browser, server: Server
) -> None:
    account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
    browser.page.goto(f"{server.url}/docs")

    swagger.authorize(browser.page, "ada@example.org", PASSWORD)
    swagger.read_me(browser.page)

    assert not browser.errors
    assert all(url.startswith(f"{server.url}/") for url in browser.requests), browser.requests


def test_without_the_setting_there_is_no_documentation(make_client: Callable[..., Client]) -> None:
    client = make_client(docs=False)
    for path in ("/docs", "/openapi.json", "/docs/static/start.js"):
        assert client.http.get(path).status_code == 404
