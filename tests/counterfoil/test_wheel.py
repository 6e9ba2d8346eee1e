"""The wheel, installed beside an application whose own packages are named like the service's."""

import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from counterfoil import __version__
from harness.server import REPOSITORY, Server
from tests.support.administrator import Sql
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
Counterfoil(app, database_url=environ["ORDERS_DATABASE_URL"])


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
    locked = (REPOSITORY / "requirements.lock").read_text()
    pins = folder / "constraints.txt"
    pins.write_text("\n".join(re.findall(r"^\S+==\S+", locked, re.MULTILINE)))
    run(*UV, "venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv" / "bin" / "python"
    wanted = f"counterfoil[fastapi,postgresql] @ {wheel.as_uri()}"
    run(*UV, "pip", "install", "--quiet", "--python", python, "-c", pins, wanted, "uvicorn")
    return folder / "venv"


@pytest.fixture
def application(environment: Path, tmp_path: Path, database_url: str) -> Iterator[Server]:
    for name, text in APPLICATION.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    # Started in its own folder and with a clean path, as by its own developers.
    serve = f"{environment}/bin/python -m uvicorn api.main:app --port {{port}}"
    with Server.launch(
        command=["sh", "-c", f"cd {tmp_path} && unset PYTHONPATH && exec {serve}"],
        environment={"ORDERS_DATABASE_URL": database_url},
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
