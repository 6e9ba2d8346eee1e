"""Scenario: what a different set-up costs or brings: proxies, workers, another Python.

Each is measured against the service as shipped, with one worker beside its database.
"""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from sqlalchemy import make_url

from benchmarks import product
from benchmarks.figures import figures_of_series
from benchmarks.lookup import make_subject, warm_up
from benchmarks.messages import get
from benchmarks.options import ROOT
from benchmarks.product import Product, make_requests, start_product
from benchmarks.results import Result
from benchmarks.rounds import CONTROL, run_rounds
from benchmarks.servers import Server
from benchmarks.targets import Target, make_target
from benchmarks.workspace import Workspace
from harness.pgbouncer import run_pgbouncer
from harness.proxies import PlainNginx
from harness.relay import Relay

LABELS = {
    CONTROL: "control: the same",
    "two-workers": "two workers",
    "four-workers": "four workers",
    "pgbouncer": "behind PgBouncer, in its transaction mode",
    "distant": "with 1 ms to the database and back",
    "nginx": "behind nginx",
    "nginx-tls": "behind nginx with TLS",
    "no-keep-alive": "a connection for each request",
    "python-3.13": "by Python 3.13",
}
PLAIN = "as-shipped"
OTHER_PYTHON = "3.13"
OTHER_ENVIRONMENT = ROOT / ".venv-3.13"


def run(work: Workspace, result: Result) -> None:
    options = work.options
    database = product.set_up_product(work, "setups", options.rows, options.users, options.sample)
    plain = start_product(work, database, name=PLAIN)
    wanted = [name for name in LABELS if name == CONTROL or options.wants(name)]
    targets = []
    for name in wanted:
        made = SET_UPS[name](work, database, name, plain)
        if made is None:
            result.notes.append(f"Not measured, as it is not installed: {LABELS[name]}.")
        else:
            targets.append(made)
    ceiling = make_subject(work, target_of(work, PLAIN, database, plain))
    subjects = [make_subject(work, target) for target in targets]
    warm_up([ceiling, *subjects])
    series = run_rounds(ceiling, subjects, options)
    result.add_series(series)
    for one in series:
        result.figures |= figures_of_series(one)


def target_of(work: Workspace, name: str, database: Product, server: Server) -> Target:
    return make_target(work.folder, name, server, make_requests(name, database))


def another(work: Workspace, database: Product, name: str, plain: Server) -> Target:
    del plain
    return target_of(work, name, database, start_product(work, database, name=name))


def workers(count: int) -> "SetUp":
    def set_up(work: Workspace, database: Product, name: str, plain: Server) -> Target:
        del plain
        server = start_product(work, database, name=name, workers=count)
        return target_of(work, name, database, server)

    return set_up


def behind_pgbouncer(work: Workspace, database: Product, name: str, plain: Server) -> Target:
    del plain
    url = work.closing.enter_context(run_pgbouncer(database.url))
    server = start_product(work, replace(database, url=url), name=name)
    return target_of(work, name, database, server)


def distant(work: Workspace, database: Product, name: str, plain: Server) -> Target:
    del plain
    relay = work.closing.enter_context(Relay(make_url(database.url).port or 5432))
    relay.delay_seconds = 0.001
    server = start_product(work, replace(database, url=relay.url(database.url)), name=name)
    return target_of(work, name, database, server)


def behind_nginx(*, tls: bool) -> "SetUp":
    def set_up(work: Workspace, database: Product, name: str, plain: Server) -> Target:
        folder = work.folder / name
        folder.mkdir()
        options = certificate(folder) if tls else ""
        nginx = PlainNginx(
            folder, service_port=plain.port, options=options, is_secure=tls, keep_alive=True
        )
        work.closing.enter_context(nginx)
        target = target_of(work, name, database, replace(plain, port=nginx.app_port))
        return replace(target, scheme="https" if tls else "http")

    return set_up


def certificate(folder: Path) -> str:
    """nginx's directives for a certificate that is made for this run."""
    key, made = folder / "key.pem", folder / "certificate.pem"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1")
    files = ("-keyout", key, "-out", made)
    run_quietly("openssl", "req", "-x509", *kind, "-subj", "/CN=localhost", *files)
    return f"ssl_certificate {made}; ssl_certificate_key {key};"


def without_keep_alive(work: Workspace, database: Product, name: str, plain: Server) -> Target:
    requests = [
        get("/users/me", token).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
        for token in database.tokens
    ]
    return make_target(work.folder, name, plain, requests)


def by_other_python(work: Workspace, database: Product, name: str, plain: Server) -> Target | None:
    del plain
    python = other_python()
    if python is None:
        return None
    server = start_product(work, database, name=name, python=python)
    return target_of(work, name, database, server)


def other_python() -> Path | None:
    """The interpreter of an environment of its own, or None where there is no such Python."""
    uv, python = ROOT / ".venv" / "bin" / "uv", OTHER_ENVIRONMENT / "bin" / "python"
    # A `python3.13` in the path may be a placeholder that starts none.
    find = [str(uv), "python", "find", "--system", "--no-python-downloads", OTHER_PYTHON]
    found = subprocess.run(find, capture_output=True, text=True)
    if found.returncode != 0:
        return None
    run_quietly(uv, "venv", "--clear", "--python", found.stdout.strip(), OTHER_ENVIRONMENT)
    requirements = ROOT / "requirements-run.lock"
    run_quietly(uv, "pip", "install", "--python", python, "--requirement", requirements)
    return python


def run_quietly(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True, cwd=ROOT)


SetUp = Callable[[Workspace, Product, str, Server], Target | None]
SET_UPS: dict[str, SetUp] = {
    CONTROL: another,
    "two-workers": workers(2),
    "four-workers": workers(4),
    "pgbouncer": behind_pgbouncer,
    "distant": distant,
    "nginx": behind_nginx(tls=False),
    "nginx-tls": behind_nginx(tls=True),
    "no-keep-alive": without_keep_alive,
    "python-3.13": by_other_python,
}


def names(figures: Sequence[str]) -> list[str]:
    """The set-ups that were measured, in the order of the labels."""
    found = {name.partition(".of_ceiling.")[0] for name in figures if ".of_ceiling." in name}
    return [name for name in LABELS if name in found]
