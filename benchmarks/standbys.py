"""Scenario: what lookups on standbys cost the primary, the standbys and the service."""

from collections.abc import Sequence
from contextlib import closing

import psycopg2
from sqlalchemy.engine import make_url

from benchmarks import product
from benchmarks.figures import figure_of
from benchmarks.messages import exchange, get, post_json
from benchmarks.processes import cpu_seconds
from benchmarks.product import Product
from benchmarks.results import Result
from benchmarks.rounds import say
from benchmarks.targets import Target, make_target
from benchmarks.workspace import Workspace
from benchmarks.wrk import Run, measure
from harness.postgresql import PostgreSQL

STANDBYS = 2
WARM_UP_SECONDS = 2.0
LOGINS = 200
DIRECT, BESIDE_STANDBYS = "direct", "beside-standbys"
# Passwords are not what is measured here.
SETTINGS = {"COUNTERFOIL_LOGIN_THROTTLE": "off", "COUNTERFOIL_BCRYPT_ROUNDS": "4"}


def run(work: Workspace, result: Result) -> None:
    options = work.options
    database = product.set_up_product(
        work, "counterfoil", options.rows, options.users, options.sample
    )
    product.create_administrator(database.url)
    standbys = [work.closing.enter_context(work.postgres.launch_standby()) for _ in range(STANDBYS)]
    targets = [
        _make_target(work, database, DIRECT, ()),
        _make_target(work, database, BESIDE_STANDBYS, standbys),
    ]
    for connections in options.connections:
        _compare(work, targets, standbys, connections, result)
    result.figures["standbys.log_bytes"] = figure_of([_log_of_a_login(database, targets[0])])


def _make_target(
    work: Workspace, database: Product, name: str, standbys: Sequence[PostgreSQL]
) -> Target:
    primary = make_url(database.url)
    urls = (primary.set(port=one.port) for one in standbys)
    addresses = ",".join(one.render_as_string(hide_password=False) for one in urls)
    settings = SETTINGS | ({"COUNTERFOIL_LOOKUP_DATABASE_URLS": addresses} if standbys else {})
    server = product.start_product(work, database, name=name, settings=settings)
    return make_target(
        work.folder, name, server, [get("/users/me", token) for token in database.tokens]
    )


def _compare(
    work: Workspace,
    targets: Sequence[Target],
    standbys: Sequence[PostgreSQL],
    connections: int,
    result: Result,
) -> None:
    runs: dict[str, list[Run]] = {target.name: [] for target in targets}
    used: list[float] = []
    for target in targets:
        measure(target, connections, WARM_UP_SECONDS, work.postgres.pid)
    for _ in range(work.options.rounds):
        for target in targets:
            before = sum(cpu_seconds(one.pid) for one in standbys)
            run = measure(target, connections, work.options.seconds, work.postgres.pid)
            after = sum(cpu_seconds(one.pid) for one in standbys)
            if run.fault:
                result.failures.append(f"{target.name}: {run.fault}")
            runs[target.name].append(run)
            if target.name == BESIDE_STANDBYS:
                requests = run.requests_per_second * work.options.seconds
                used.append(1000 * (after - before) / requests)
    pairs = zip(runs[BESIDE_STANDBYS], runs[DIRECT], strict=True)
    ratios = [one.requests_per_second / other.requests_per_second for one, other in pairs]
    result.figures[f"standbys.of_direct.requests.{connections}"] = figure_of(ratios)
    result.figures[f"standbys.standby_cpu.{connections}"] = figure_of(used)
    for name, measured in runs.items():
        for figure in ("requests_per_second", "server_cpu", "postgres_cpu", "p99"):
            values = [getattr(run, figure) for run in measured]
            result.figures[f"{name}.{figure}.{connections}"] = figure_of(values)
    say(f"{connections} connections: {figure_of(ratios).median:.2f} of the requests")


def _log_of_a_login(database: Product, target: Target) -> float:
    """Bytes of the write-ahead log that a login writes, mostly images of pages.

    PostgreSQL writes one for each page that has not changed since the last checkpoint.
    """
    body: dict[str, object] = {
        "email": product.ADMINISTRATOR,
        "password": product.ADMINISTRATOR_PASSWORD,
    }
    login = post_json("/login", body)
    with closing(psycopg2.connect(database.url)) as connection:
        connection.autocommit = True
        before = _position(connection)
        for _ in range(LOGINS):
            exchange(target.server.port, login)
        return (_position(connection) - before) / LOGINS


def _position(connection: "psycopg2.extensions.connection") -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
        ((position,),) = cursor.fetchall()
        return int(position)
