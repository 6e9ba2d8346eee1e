"""Sets up the product: a migrated and filled database, an API key, and servers on it."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.filling.product import fill_product
from benchmarks.messages import get, post_form
from benchmarks.options import ROOT
from benchmarks.servers import Server, clean_environment, uvicorn
from benchmarks.targets import Target, make_target
from benchmarks.workspace import Workspace
from database import migrations
from tests.support.processes import free_port

USERS_ME, VERIFY, INTROSPECT = "users-me", "verify", "introspect"
LABELS = {
    USERS_ME: "Counterfoil, GET /users/me",
    VERIFY: "Counterfoil, GET /verify",
    INTROSPECT: "Counterfoil, POST /introspect",
}
PYTHON = Path(sys.executable)
ADMINISTRATOR = "administrator@example.org"
# The command checks new passwords against a blocklist, so it must not be a common one.
ADMINISTRATOR_PASSWORD = "correct-pony-battery-benchmark-7"


@dataclass(frozen=True)
class Product:
    """A filled database, and some of the access tokens in it."""

    url: str
    tokens: list[str]

    @property
    def environment(self) -> dict[str, str]:
        return {"DATABASE_URL": self.url}


def set_up_product(
    work: Workspace, database: str, rows: int, users: int, sample: int, hashed_password: str = "!"
) -> Product:
    url = work.postgres.create_database(database)
    migrations.upgrade(url)
    return Product(url, fill_product(url, rows, users, sample, hashed_password))


def create_api_key(url: str) -> str:
    """One that may introspect, made by the product's own commands."""
    user = ["create-user", ADMINISTRATOR, "--name", "Admin", "--role", "admin", "--password-stdin"]
    run_command(url, user, ADMINISTRATOR_PASSWORD)
    key = ["create-api-key", ADMINISTRATOR, "--name", "benchmark", "--scope", "introspect"]
    return run_command(url, key).strip()


def run_command(url: str, arguments: list[str], standard_input: str = "") -> str:
    done = subprocess.run(
        [PYTHON, "api.py", *arguments],
        cwd=ROOT,
        env=clean_environment() | {"DATABASE_URL": url},
        input=standard_input,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def start_product(
    work: Workspace,
    product: Product,
    *,
    name: str = "counterfoil",
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Server:
    port = free_port()
    command = uvicorn(PYTHON, "api:app", port, workers)
    environment = product.environment | dict(settings or {})
    probe = get("/users/me", product.tokens[0])
    return work.start(Server(name, command, environment, port, probe))


def make_targets(work: Workspace, server: Server, product: Product) -> list[Target]:
    """The wanted ways to check a token, each over all the tokens of the sample."""
    return [
        make_target(work.folder, name, server, make_requests(name, product))
        for name in LABELS
        if work.options.wants(name)
    ]


def make_requests(name: str, product: Product) -> list[bytes]:
    if name == INTROSPECT:
        key = create_api_key(product.url)
        return [post_form("/introspect", {"token": token}, key) for token in product.tokens]
    path = "/verify" if name == VERIFY else "/users/me"
    return [get(path, token) for token in product.tokens]
