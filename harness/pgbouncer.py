"""Runs a real PgBouncer in front of databases, in transaction pooling mode."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import URL, make_url

from harness.postgresql import DatabaseServer, unprivileged_user
from harness.processes import free_port, spawn, wait_until
from harness.programs import require_program

_START_SECONDS = 10.0
_DATABASE = "{name} = host={host} port={port} dbname={database} user={user} password={password}"
_CONFIGURATION = """\
[databases]
{databases}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
# Fewer than the service opens, so that clients share them.
default_pool_size = 3
# As in docs/how-to/postgresql.md: by default it waits 15 s before it connects again.
server_login_retry = 1
# As there as well, for a schema that is named in the URL.
ignore_startup_parameters = options
"""


@contextmanager
def run_pgbouncer(database_url: str) -> Iterator[str]:
    """Run PgBouncer until the block ends. Yields the URL of the database behind it."""
    with run_pgbouncers([database_url]) as [url]:
        yield url


@contextmanager
def run_pgbouncers(database_urls: Sequence[str]) -> Iterator[list[str]]:
    """Run one PgBouncer for all of them, of which the first has to answer. Yields their URLs."""
    program = require_program("pgbouncer")
    port = free_port()
    targets = [make_url(url) for url in database_urls]
    names = [targets[0].database, *(f"standby{number}" for number in range(1, len(targets)))]
    lines = [_describe(str(name), url) for name, url in zip(names, targets, strict=True)]
    found = [
        url.set(host="127.0.0.1", port=port, password=None, database=name).render_as_string(
            hide_password=False
        )
        for name, url in zip(names, targets, strict=True)
    ]
    with TemporaryDirectory(prefix="counterfoil-pgbouncer-") as folder:
        configuration = Path(folder) / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(databases="\n".join(lines), port=port))
        # It refuses to run as root.
        user = unprivileged_user()
        if user is not None:
            shutil.chown(folder, user)
        process = spawn([program, configuration], log=Path(folder) / "log", user=user)
        try:
            if not wait_until(DatabaseServer(found[0]).answers, process, seconds=_START_SECONDS):
                raise RuntimeError((Path(folder) / "log").read_text())
            yield found
        finally:
            process.terminate()
            process.wait()


def _describe(name: str, url: URL) -> str:
    return _DATABASE.format(
        name=name,
        host=url.host,
        port=url.port,
        database=url.database,
        user=url.username,
        password=url.password,
    )
