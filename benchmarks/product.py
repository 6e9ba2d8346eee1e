"""Sets up the product: a migrated and filled database, an API key, and servers."""

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
from harness.processes import free_port

USERS_ME, OWN_ROUTE = "users-me", "own-route"
VERIFY, INTROSPECT = "verify", "introspect"
LABELS = {
    USERS_ME: "Counterfoil, GET /users/me",
    OWN_ROUTE: "Counterfoil, an application's route",
    VERIFY: "Counterfoil, GET /verify",
    INTROSPECT: "Counterfoil, POST /introspect",
}
PATHS = {USERS_ME: "/users/me", OWN_ROUTE: "/account", VERIFY: "/verify"}
PYTHON = Path(sys.executable)
ADMINISTRATOR = "administrator@example.org"
# The command rejects common passwords.
ADMINISTRATOR_PASSWORD = "correct-pony-battery-benchmark-7"


@dataclass(frozen=True)
class Product:
    """A filled database, and a sample of its access tokens."""

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
    """Create an API key with the scope introspect by the product's commands."""
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
    application: str = "benchmarks.tuned:app",
    workers: int = 1,
    settings: Mapping[str, str] | None = None,
) -> Server:
    port = free_port()
    command = uvicorn(PYTHON, application, port, workers)
    environment = product.environment | dict(settings or {})
    probe = get("/users/me", product.tokens[0])
    return work.start(Server(name, command, environment, port, probe))


def make_targets(work: Workspace, product: Product) -> list[Target]:
    """The selected routes that check a token, each with requests for all tokens of the sample."""
    names = [name for name in LABELS if work.options.wants(name)]
    servers = {}
    if any(name != OWN_ROUTE for name in names):
        servers = dict.fromkeys(names, start_product(work, product))
    if OWN_ROUTE in names:
        application = "benchmarks.own_route:app"
        servers[OWN_ROUTE] = start_product(work, product, name=OWN_ROUTE, application=application)
    return [
        make_target(work.folder, name, servers[name], make_requests(name, product))
        for name in names
    ]


def make_requests(name: str, product: Product) -> list[bytes]:
    if name == INTROSPECT:
        key = create_api_key(product.url)
        return [post_form("/introspect", {"token": token}, key) for token in product.tokens]
    return [get(PATHS[name], token) for token in product.tokens]
