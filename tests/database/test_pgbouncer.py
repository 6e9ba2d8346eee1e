"""Behind PgBouncer in transaction mode, where a session's statements and settings do not last."""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import URL, make_url

from tests.support.client import Client
from tests.support.postgresql import DatabaseServer
from tests.support.processes import free_port, spawn, wait_until
from tests.support.programs import require_program
from tests.support.relay import Relay

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)

SETTINGS = {"prepared_statements": False, "database_deadline_seconds": 1.5}


@pytest.fixture
def relay(database_url: str) -> Iterator[Relay]:
    """Between PgBouncer and PostgreSQL."""
    with Relay(make_url(database_url).port or 5432) as relay:
        yield relay


@pytest.fixture
def pooled_url(database_url: str, relay: Relay, tmp_path: Path) -> Iterator[str]:
    program = require_program("pgbouncer")
    target = make_url(relay.url(database_url))
    pooled = target.set(port=free_port())
    _configure(tmp_path, target, pooled)
    # It refuses to run as root.
    user = "nobody" if os.geteuid() == 0 else None
    if user:
        os.chown(tmp_path, pwd.getpwnam(user).pw_uid, -1)
        _let_through(tmp_path)
    process = spawn([program, tmp_path / "pgbouncer.ini"], log=tmp_path / "log", user=user)
    url = pooled.render_as_string(hide_password=False)
    try:
        listens = DatabaseServer(url).answers
        assert wait_until(listens, process, seconds=10), (tmp_path / "log").read_text()
        yield url
    finally:
        process.terminate()
        process.wait(10)


def _configure(folder: Path, target: URL, pooled: URL) -> None:
    (folder / "users").write_text(f'"{target.username}" "{target.password}"\n')
    (folder / "pgbouncer.ini").write_text(
        f"""
[databases]
{target.database} = host=127.0.0.1 port={target.port} user={target.username}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {pooled.port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 4
server_connect_timeout = 2
server_login_retry = 0.2
"""
    )


def _let_through(folder: Path) -> None:
    """pytest keeps its folders to their owner; somebody else only has to pass through them."""
    for parent in folder.parents:
        if parent.owner() == "root" and parent != Path("/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)


def test_a_session_lives_from_login_to_logout(
    make_client: Callable[..., Client], pooled_url: str
) -> None:
    client = make_client(database_url=pooled_url, **SETTINGS)
    tokens = client.sign_up()
    assert client.me(tokens).status_code == 200
    renewed = client.refresh(tokens.refresh_token)
    assert renewed.status_code == 200
    assert client.me(tokens).status_code == 401
    token = renewed.json()["access_token"]
    assert client.http.get("/health/ready").status_code == 200
    headers = {"Authorization": f"Bearer {token}"}
    assert client.http.post("/logout", headers=headers).status_code == 204
    assert client.me(token).status_code == 401


def test_a_database_that_goes_silent_behind_it_is_unavailable_and_comes_back(
    make_client: Callable[..., Client], pooled_url: str, relay: Relay
) -> None:
    client = make_client(database_url=pooled_url, **SETTINGS)
    tokens = client.sign_up()
    relay.swallows = True
    assert client.me(tokens).status_code == 503
    assert client.try_to_log_in().status_code == 503
    assert client.http.get("/health/live").status_code == 200
    relay.swallows = False
    relay.cut()
    while client.me(tokens).status_code == 503:
        continue
    assert client.me(tokens).status_code == 200
    assert client.try_to_log_in().status_code == 200


def test_its_limits_do_not_leak_to_others(
    make_client: Callable[..., Client], pooled_url: str
) -> None:
    client = make_client(database_url=pooled_url, **SETTINGS)
    tokens = client.sign_up()
    assert client.me(tokens).status_code == 200
    with closing(psycopg2.connect(pooled_url)) as other, other.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchall() == [("0",)]
