"""The interactive documentation in a real browser, under its own content security policy."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI

from counterfoil.fastapi import Counterfoil, CurrentIdentity
from harness.pages import serve_pages
from harness.server import REPOSITORY, Server
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


def test_the_authorize_button_logs_in_here_and_in_an_application_of_another_origin(
    browser: Browser, server: Server
) -> None:
    account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
    assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
    browser.page.goto(f"{server.url}/docs")

    swagger.authorize(browser.page, "ada@example.org", PASSWORD)
    swagger.read_me(browser.page)

    assert not browser.errors
    assert all(url.startswith(f"{server.url}/") for url in browser.requests), browser.requests

    with serve_pages(pages_beside(server)) as origin:
        browser.page.goto(f"{origin}/docs.html")
        swagger.authorize(browser.page, "ada@example.org", PASSWORD)


def pages_beside(service: Server) -> dict[str, str]:
    """The documentation of an application whose users log in at the service."""
    app = FastAPI()
    Counterfoil(app, database_url="sqlite:///x", token_url=f"{service.url}/token")

    @app.get("/orders")
    async def orders(identity: CurrentIdentity) -> int:
        return identity.user_id

    folder = REPOSITORY / "api" / "static"
    files = ("start.js", "swagger-ui/swagger-ui.css", "swagger-ui/swagger-ui-bundle.js")
    return {
        "/docs.html": (folder / "docs.html").read_text(),
        "/openapi.json": json.dumps(app.openapi()),
        **{f"/docs/static/{name}": (folder / name).read_text() for name in files},
    }


def test_without_the_setting_there_is_no_documentation(make_client: Callable[..., Client]) -> None:
    client = make_client(docs=False)
    for path in ("/docs", "/openapi.json", "/docs/static/start.js"):
        assert client.http.get(path).status_code == 404
