"""Below a prefix that a proxy strips, or at which another application mounts ours."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from api.request import prefix
from harness.proxies import PlainNginx
from harness.server import Server
from tests.support import swagger
from tests.support.browser import open_browser
from tests.support.client import PASSWORD, MakeApp

pytestmark = pytest.mark.one_database

ACCOUNT = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
TOO_LARGE = b"x" * 70_000


@pytest.mark.parametrize(
    ("path", "root", "below"),
    [
        ("/token", "", "/token"),
        ("/rp/token", "/rp", "/token"),
        ("/rp/token", "/rp/", "/token"),
        ("/rp", "/rp", "/"),
        ("/rpx/token", "/rp", "/rpx/token"),
        ("/token", "/rp", "/token"),
    ],
)
def test_a_path_is_read_without_what_the_server_has_added(path: str, root: str, below: str) -> None:
    assert prefix.path_of({"path": path, "root_path": root}) == below
    assert prefix.path_of({"path": path}) == path


@pytest.fixture
def mounted(make_app: MakeApp) -> Iterator[TestClient]:
    """Our application at /rp of another one."""
    inner = make_app()

    @asynccontextmanager
    async def run_inner(_: FastAPI) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=run_inner)
    outer.mount("/rp", inner)
    with TestClient(outer, follow_redirects=False) as client:
        yield client


def test_a_body_that_is_too_large_is_answered_in_the_form_of_its_endpoint(
    mounted: TestClient, make_app: MakeApp
) -> None:
    with TestClient(make_app(), root_path="/rp") as behind:
        for client in (mounted, behind):
            for path in ("/rp/token", "/rp/introspect", "/rp/revoke"):
                answer = client.post(path, content=TOO_LARGE)
                assert (answer.status_code, answer.json()["error"]) == (413, "invalid_request")
            answer = client.post("/rp/login", content=TOO_LARGE)
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


def test_where_it_is_mounted_the_description_and_the_console_say_so(mounted: TestClient) -> None:
    description = mounted.get("/rp/openapi.json").json()
    assert description["servers"] == [{"url": "/rp"}]
    assert token_url(description) == "/rp/token"
    assert mounted.get("/rp/console").headers["location"] == "/rp/console/"
    assert "/rp/sign-in" in mounted.get("/rp/console/").headers["location"]


@pytest.mark.parametrize(
    ("issuer", "servers", "url"),
    [
        ("https://example.org", None, "token"),
        ("https://example.org/auth", [{"url": "/auth"}], "/auth/token"),
        ("https://example.org/a/b/", [{"url": "/a/b"}], "/a/b/token"),
    ],
)
def test_the_servers_in_the_description_follow_the_path_of_the_issuer(
    make_app: MakeApp, issuer: str, servers: object, url: str
) -> None:
    with TestClient(make_app(issuer=issuer)) as client:
        for _ in range(2):
            description = client.get("/openapi.json").json()
            assert description.get("servers") == servers
            assert token_url(description) == url


def token_url(description: dict[str, object]) -> str:
    schemes = description["components"]["securitySchemes"]  # type: ignore[index]
    return str(schemes["Password"]["flows"]["password"]["tokenUrl"])


def test_swagger_works_behind_a_prefix_that_a_proxy_strips(tmp_path: Path) -> None:
    environment = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_ISSUER": "https://example.org/auth",
    }
    with (
        Server.launch(f"sqlite:///{tmp_path}/docs.db", environment=environment) as server,
        StrippingNginx(tmp_path, service_port=server.port) as proxy,
        open_browser() as browser,
    ):
        below = f"{proxy.app_url}/auth"
        assert httpx2.post(f"{below}/register", json=ACCOUNT).status_code == 201
        browser.page.goto(f"{below}/docs")
        swagger.authorize(browser.page, "ada@example.org", PASSWORD)
        swagger.read_me(browser.page)

        assert all(url.startswith(f"{below}/") for url in browser.requests), browser.requests


class StrippingNginx(PlainNginx):
    """Serves what is below /auth, and nothing else."""

    def configure(self, shipped: Path) -> Path:
        configuration = super().configure(shipped)
        text = configuration.read_text().replace("location / ", "location /auth/ ")
        configuration.write_text(text.replace("http://service;", "http://service/;"))
        return configuration
