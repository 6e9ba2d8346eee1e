"""The wheel, installed beside an application whose own packages are named like the service's."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from counterfoil import __version__
from harness.server import REPOSITORY, Server
from tests.support.administrator import Sql, give_role
from tests.support.client import Client, Tokens

UV = [sys.executable, "-m", "uv"]

# Each package of the application has a name that the service uses for one of its own.
APPLICATION = {
    "api/__init__.py": "",
    "database/__init__.py": "NAME = 'orders'\n",
    "schemas/__init__.py": """
from pydantic import BaseModel


class Order(BaseModel):
    buyer: int
""",
    "api/main.py": """
from os import environ
from typing import Annotated

from counterfoil import Identity
from counterfoil.fastapi import Counterfoil, CurrentIdentity, OptionalIdentity, requires
from fastapi import FastAPI

from database import NAME
from schemas import Order

app = FastAPI()
if "ORDERS_DATABASE_URL" in environ:
    Counterfoil(app, database_url=environ["ORDERS_DATABASE_URL"])
else:
    Counterfoil(app, url=environ["ORDERS_AUTH_URL"], api_key=environ["ORDERS_AUTH_KEY"])


@app.get("/live")
async def live() -> str:
    return NAME


@app.get("/order")
async def read_order(identity: CurrentIdentity) -> Order:
    return Order(buyer=identity.user_id)


@app.get("/greeting")
async def greet(identity: OptionalIdentity) -> str:
    return f"hello {identity.email}" if identity else "hello"


@app.get("/ledger")
async def read_ledger(identity: Annotated[Identity, requires("ledger:read")]) -> str:
    return "ledger"
""",
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(*UV, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", folder, REPOSITORY)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A venv with nothing in it but the wheel, its extras and a server."""
    folder = tmp_path_factory.mktemp("venv")
    return install(folder, f"counterfoil[fastapi,http,postgresql] @ {wheel.as_uri()}", "uvicorn")


def install(folder: Path, *wanted: str) -> Path:
    """A new venv with these packages and what they need, in the versions of the lock."""
    locked = (REPOSITORY / "requirements.lock").read_text()
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(re.findall(r"^\S+==\S+", locked, re.MULTILINE)))
    run(*UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    run(*UV, "pip", "install", "--quiet", "--python", python, "-c", pins, *wanted)
    return folder / "venv"


@pytest.fixture
def application(environment: Path, tmp_path: Path, database_url: str) -> Iterator[Server]:
    with launch(environment, tmp_path, {"ORDERS_DATABASE_URL": database_url}) as server:
        yield server


@contextmanager
def launch(environment: Path, folder: Path, settings: dict[str, str]) -> Iterator[Server]:
    for name, text in APPLICATION.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    # Started in its own folder and with a clean path, as by its own developers.
    serve = f"{environment}/bin/python -m uvicorn api.main:app --port {{port}}"
    with Server.launch(
        command=["sh", "-c", f"cd {folder} && unset PYTHONPATH && exec {serve}"],
        environment=settings,
        live_path="/live",
    ) as server:
        yield server


def run(*command: object) -> None:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def get(application: Server, path: str, tokens: Tokens | None = None) -> httpx2.Response:
    return httpx2.get(application.url + path, headers=tokens.headers if tokens else {})


def test_the_wheel_holds_counterfoil_alone_at_its_one_version(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        folders = {name.partition("/")[0] for name in archive.namelist()}
    assert folders == {"counterfoil", f"counterfoil-{__version__}.dist-info"}


def test_a_protected_route_of_another_application_asks_the_database(
    client: Client, application: Server, sql: Sql
) -> None:
    tokens = client.sign_up()
    answer = get(application, "/order", tokens)
    assert (answer.status_code, answer.json()) == (200, {"buyer": 1})
    assert get(application, "/greeting", tokens).json() == "hello ada@example.org"
    assert get(application, "/ledger", tokens).status_code == 403
    sql("DELETE FROM access_tokens WHERE user_id = 1")
    rejected = get(application, "/order", tokens)
    assert rejected.status_code == 401
    assert rejected.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert rejected.json()["code"] == "invalid_token"


def test_without_a_token_a_protected_route_says_that_it_needs_one(application: Server) -> None:
    answer = get(application, "/order")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert get(application, "/greeting").json() == "hello"


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_protected_route_of_another_application_asks_the_service(
    client: Client, environment: Path, tmp_path: Path, database_url: str, sql: Sql
) -> None:
    root = client.sign_up("root@example.org")
    give_role(sql, "admin", "root@example.org")
    key = client.create_api_key(root, scopes=["introspect"])["key"]
    tokens = client.sign_up()
    with (
        Server.launch(database_url) as service,
        launch(
            environment, tmp_path, {"ORDERS_AUTH_URL": service.url, "ORDERS_AUTH_KEY": key}
        ) as application,
    ):
        answer = get(application, "/order", tokens)
        assert (answer.status_code, answer.json()) == (200, {"buyer": 2})
        assert get(application, "/greeting", tokens).json() == "hello ada@example.org"
        assert get(application, "/ledger", tokens).status_code == 403
        sql("DELETE FROM access_tokens WHERE user_id = 2")
        assert get(application, "/order", tokens).status_code == 401
        other = client.log_in()
        assert get(application, "/order", other).status_code == 200
        service.stop()
        answer = get(application, "/order", other)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert get(application, "/greeting").json() == "hello"


# Run without a framework: what a server calls is called by hand.
BARE = """
import asyncio
import importlib.util
import sys

from counterfoil.asgi import CounterfoilMiddleware, find_identity
from counterfoil.testing import API_KEY, acting_as
from counterfoil.tokens import TokenKind, create

for name in ("fastapi", "starlette", "psycopg2"):
    assert importlib.util.find_spec(name) is None


async def app(scope, receive, send):
    identity = find_identity(scope)
    status = 200 if identity else 204
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def ask(app, *headers):
    sent = []

    async def send(message):
        sent.append(message)

    await app({"type": "http", "headers": list(headers)}, None, send)
    return sent[0]["status"]


async def main(options):
    guarded = CounterfoilMiddleware(app, **options)
    token = (b"authorization", b"Bearer " + create(TokenKind.ACCESS).text.encode())
    assert await ask(guarded) == 204
    assert await ask(guarded, token) == int(sys.argv[1])
    with acting_as(guarded, user_id=7):
        assert await ask(guarded, token) == 200


asyncio.run(main({"url": "http://127.0.0.1:1", "api_key": API_KEY}))
asyncio.run(main({"database_url": "sqlite:///missing.db"}))
"""


def test_the_middleware_needs_no_framework(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bare")
    environment = install(folder, f"counterfoil[http] @ {wheel.as_uri()}")
    (folder / "bare.py").write_text(BARE)
    run(environment / "bin" / "python", "-I", "-W", "error", folder / "bare.py", 503)
