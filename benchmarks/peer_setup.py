"""Sets up the services that are compared: the database, server and requests of each."""

import secrets
import subprocess
from collections.abc import Callable

from benchmarks.filling.fastapi_users import fill_fastapi_users
from benchmarks.filling.knox import fill_knox
from benchmarks.messages import HOST, get
from benchmarks.options import PEERS_PYTHON, ROOT
from benchmarks.rounds import CONTROL
from benchmarks.servers import Server, clean_environment, peer_server
from benchmarks.targets import Target, make_target
from benchmarks.workspace import Workspace
from harness.processes import free_port

PATH = "/users/me"
CEILING = "ceiling"
JWT = "jwt"
JWT_READY = "jwt-ready"
FASTAPI_USERS = "fastapi-users"
KNOX = "knox"

LABELS = {
    CEILING: "the route without authentication",
    CONTROL: "the same again (A/A control)",
    JWT: "stateless JWT (PyJWT, HS256)",
    JWT_READY: "the same, response serialised by hand",
    FASTAPI_USERS: "fastapi-users, DatabaseStrategy, asyncpg",
    KNOX: "django-rest-knox, gunicorn",
}


def set_up_ceiling(work: Workspace, name: str = CEILING) -> Target:
    request = get(PATH)
    server = work.start(peer_server(name, "benchmarks.peers.no_auth:app", request))
    return make_target(work.folder, name, server, [request])


def set_up_control(work: Workspace) -> Target:
    return set_up_ceiling(work, CONTROL)


def set_up_jwt(work: Workspace) -> list[Target]:
    """The variant of FastAPI's documentation, and one with a prebuilt answer like the product's."""
    secret = secrets.token_hex(32)
    tokens = make_jwts(secret, work.options.sample)
    environment = {"PEER_JWT_SECRET": secret}
    application = "benchmarks.peers.stateless_jwt:app"
    server = work.start(peer_server(JWT, application, get(PATH, tokens[0]), environment))
    return [
        make_target(work.folder, name, server, [get(path, token) for token in tokens])
        for name, path in ((JWT, PATH), (JWT_READY, f"{PATH}/ready"))
        if work.options.wants(name)
    ]


def make_jwts(secret: str, count: int) -> list[str]:
    """Create tokens in the peers' environment, because the product's has no JWT library."""
    done = run_peer(["-m", "benchmarks.peers.jwt_tokens", str(count)], {"PEER_JWT_SECRET": secret})
    return done.split()


def set_up_fastapi_users(work: Workspace) -> list[Target]:
    url = work.postgres.create_database("fastapi_users")
    environment = {"DATABASE_URL": url.replace("postgresql://", "postgresql+asyncpg://", 1)}
    run_peer(["-m", "benchmarks.peers.fastapi_users_service"], environment)
    options = work.options
    tokens = fill_fastapi_users(url, options.rows, options.users, options.sample)
    requests = [get(PATH, token) for token in tokens]
    application = "benchmarks.peers.fastapi_users_service:app"
    server = work.start(peer_server(FASTAPI_USERS, application, requests[0], environment))
    return [make_target(work.folder, FASTAPI_USERS, server, requests)]


def set_up_knox(work: Workspace) -> list[Target]:
    url = work.postgres.create_database("knox")
    environment = {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.knox_settings",
    }
    run_peer(["-m", "django", "migrate", "--verbosity=0"], environment)
    options = work.options
    tokens = fill_knox(url, options.rows, options.users, options.sample)
    requests = [get(PATH, token, scheme="Token") for token in tokens]
    port = free_port()
    server = work.start(Server(KNOX, gunicorn(port), environment, port, requests[0]))
    return [make_target(work.folder, KNOX, server, requests)]


def gunicorn(port: int) -> list[str]:
    command = [str(PEERS_PYTHON), "-m", "gunicorn", f"--bind={HOST}:{port}"]
    command.append("--config=python:benchmarks.peers.knox_gunicorn")
    return [*command, "benchmarks.peers.knox_service:application"]


def run_peer(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [PEERS_PYTHON, *arguments],
        cwd=ROOT,
        env=clean_environment() | environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


PEERS = (JWT, JWT_READY, FASTAPI_USERS, KNOX)
SET_UPS: dict[Callable[[Workspace], list[Target]], tuple[str, ...]] = {
    set_up_jwt: (JWT, JWT_READY),
    set_up_fastapi_users: (FASTAPI_USERS,),
    set_up_knox: (KNOX,),
}


def set_up_peers(work: Workspace) -> list[Target]:
    """Set up the peers that the options select."""
    targets = []
    for set_up, names in SET_UPS.items():
        if any(work.options.wants(name) for name in names):
            targets += set_up(work)
    return targets
