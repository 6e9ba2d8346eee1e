"""Runs a real PgBouncer in front of a database, in transaction pooling mode."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.engine import make_url

from harness.postgresql import DatabaseServer, unprivileged_user
from harness.processes import free_port, spawn, wait_until
from harness.programs import require_program

_START_SECONDS = 10.0
_CONFIGURATION = """\
[databases]
{database} = host={host} port={server_port} dbname={database} user={user} password={password}

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
    program = require_program("pgbouncer")
    url, port = make_url(database_url), free_port()
    address = url.set(host="127.0.0.1", port=port, password=None)
    with TemporaryDirectory(prefix="counterfoil-pgbouncer-") as folder:
        configuration = Path(folder) / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                database=url.database,
                host=url.host,
                server_port=url.port,
                user=url.username,
                password=url.password,
                port=port,
            )
        )
        # It refuses to run as root.
        user = unprivileged_user()
        if user is not None:
            shutil.chown(folder, user)
        process = spawn([program, configuration], log=Path(folder) / "log", user=user)
        try:
            server = DatabaseServer(address.render_as_string(hide_password=False))
            if not wait_until(server.answers, process, seconds=_START_SECONDS):
                raise RuntimeError((Path(folder) / "log").read_text())
            yield address.render_as_string(hide_password=False)
        finally:
            process.terminate()
            process.wait()
