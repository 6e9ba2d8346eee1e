"""Sets up the product: a migrated and filled database, an API key, and servers.

What is measured is `python api.py serve` with its defaults. Beside it run the same service without
its access log, the bare `uvicorn api:app`, and `serve` on SQLite.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.filling.product import fill_product
from benchmarks.filling.sqlite import fill_sqlite
from benchmarks.messages import HOST, get, post_form
from benchmarks.options import ROOT
from benchmarks.servers import Server, clean_environment, uvicorn
from benchmarks.targets import Target, make_target
from benchmarks.workspace import Workspace
from database import migrations
from harness.processes import free_port

USERS_ME, OWN_ROUTE = "users-me", "own-route"
VERIFY, INTROSPECT = "verify", "introspect"
BESIDE_DATABASE, BESIDE_SERVICE = "beside-database", "beside-introspection"
WITHOUT_LOG, BARE, ON_SQLITE = "users-me-no-log", "users-me-uvicorn", "users-me-sqlite"
LABELS = {
    USERS_ME: "Counterfoil, GET /users/me",
    WITHOUT_LOG: "the same without an access log",
    BARE: "the same by `uvicorn api:app`, without a log",
    ON_SQLITE: "the same on SQLite",
    OWN_ROUTE: "Counterfoil, an application's route",
    BESIDE_DATABASE: "an application in another process, by the database",
    BESIDE_SERVICE: "an application in another process, by introspection",
    VERIFY: "Counterfoil, GET /verify",
    INTROSPECT: "Counterfoil, POST /introspect",
}
PATHS = {
    OWN_ROUTE: "/mine",
    BESIDE_DATABASE: "/account",
    BESIDE_SERVICE: "/account",
    VERIFY: "/verify",
}
# What is compared with each of the peers.
ROUTES = (USERS_ME, OWN_ROUTE, BESIDE_DATABASE, BESIDE_SERVICE)
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
    """Create an API key with the scope introspect for the administrator of the benchmark."""
    key = ["create-api-key", ADMINISTRATOR, "--name", "benchmark", "--scope", "introspect"]
    return run_command(url, key).strip()


def create_administrator(url: str) -> None:
    user = ["create-user", ADMINISTRATOR, "--name", "Admin", "--role", "admin", "--password-stdin"]
    run_command(url, user, ADMINISTRATOR_PASSWORD)


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
    python: Path = PYTHON,
) -> Server:
    """Start `python api.py serve` with its defaults, except for the settings."""
    port = free_port()
    command = [str(python), "api.py", "serve", "--host", HOST, "--port", str(port)]
    command += ["--workers", str(workers)]
    return _start(work, product, name, command, port, settings or {})


def start_uvicorn(work: Workspace, product: Product, name: str, application: str) -> Server:
    """Start an application as its peers are started: by uvicorn, without a log."""
    port = free_port()
    return _start(work, product, name, uvicorn(PYTHON, application, port), port, {})


def _start(
    work: Workspace,
    product: Product,
    name: str,
    command: Sequence[str],
    port: int,
    settings: Mapping[str, str],
) -> Server:
    probe = get("/users/me", product.tokens[0])
    return work.start(Server(name, command, product.environment | dict(settings), port, probe))


def make_targets(work: Workspace, product: Product) -> list[Target]:
    """The selected routes that check a token, each with requests for all tokens of the sample."""
    shipped: Server | None = None
    targets = []
    for name in filter(work.options.wants, LABELS):
        if name in (USERS_ME, VERIFY, INTROSPECT):
            server = shipped = shipped or start_product(work, product)
            targets.append(make_target(work.folder, name, server, make_requests(name, product)))
        elif name in (BESIDE_DATABASE, BESIDE_SERVICE):
            targets.append(_make_beside(work, product, name))
        else:
            targets.append(_make_variant(work, product, name))
    return targets


def _make_variant(work: Workspace, product: Product, name: str) -> Target:
    match name:
        case "users-me-no-log":
            settings = {"COUNTERFOIL_ACCESS_LOG": "off"}
            server = start_product(work, product, name=name, settings=settings)
        case "users-me-uvicorn":
            server = start_uvicorn(work, product, name, "api:app")
        case "users-me-sqlite":
            product = set_up_sqlite(work)
            server = start_product(work, product, name=name)
        case _:
            server = start_uvicorn(work, product, name, "benchmarks.own_route:app")
    return make_target(work.folder, name, server, make_requests(name, product))


def _make_beside(work: Workspace, product: Product, name: str) -> Target:
    """An application of its own process, with a service of its own to ask in one of the modes."""
    requests, asked = make_requests(name, product), None
    if name == BESIDE_SERVICE:
        asked = start_product(work, product, name=f"{name}-service")
        url, key = f"http://{HOST}:{asked.port}", create_api_key(product.url)
        environment = {"BESIDE_URL": url, "BESIDE_API_KEY": key}
    else:
        environment = {"BESIDE_DATABASE_URL": product.url}
    port = free_port()
    command = uvicorn(PYTHON, "benchmarks.beside:app", port)
    server = work.start(Server(name, command, environment, port, requests[0]))
    return make_target(work.folder, name, server, requests, asked)


def set_up_sqlite(work: Workspace) -> Product:
    """A file with as many users and tokens."""
    url, options = f"sqlite:///{work.folder}/counterfoil.db", work.options
    migrations.upgrade(url)
    return Product(url, fill_sqlite(url, options.rows, options.users, options.sample))


def make_requests(name: str, product: Product) -> list[bytes]:
    if name == INTROSPECT:
        key = create_api_key(product.url)
        return [post_form("/introspect", {"token": token}, key) for token in product.tokens]
    return [get(PATHS.get(name, "/users/me"), token) for token in product.tokens]
