"""The service takes over sockets that systemd keeps open while it restarts."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import socket_activation
from harness.processes import free_port
from harness.programs import require_program
from harness.server import REPOSITORY, Server

API_PY = [sys.executable, str(REPOSITORY / "api.py"), "serve"]


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """As a socket unit has it: open whether or not the service runs."""
    with socket.create_server(("127.0.0.1", free_port())) as opened:
        yield opened


def ask(listening: socket.socket) -> socket.socket:
    """Connect and send a request."""
    connection = socket.create_connection(listening.getsockname(), timeout=30)
    connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    return connection


@pytest.mark.parametrize("workers", [1, 2])
def test_clients_that_come_while_the_service_restarts_wait_and_are_answered(
    workers: int, listening: socket.socket, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/counterfoil.db"
    # What stops leaves the socket open; whoever takes it over next need not have two workers.
    for number in (workers, 1):
        with (
            ask(listening) as client,
            Server.launch(url, workers=number, listening=listening) as server,
        ):
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            assert f"Counterfoil serves http://127.0.0.1:{server.port}\n" in server.log()
            server.stop()
            assert "Traceback" not in server.log()


def test_systemd_can_start_the_service_at_the_first_connection(tmp_path: Path) -> None:
    program = require_program("systemd-socket-activate")
    # It clears the environment but for what is named.
    names = ["DATABASE_URL", "PYTHONPATH", "PYTHONUNBUFFERED", "COUNTERFOIL_DRAIN_SECONDS"]
    handed_on = [option for name in names for option in ("--setenv", name)]
    command = [program, "--listen", "127.0.0.1:{port}", *handed_on, *API_PY]
    with Server.launch(f"sqlite:///{tmp_path}/counterfoil.db", command=command) as server:
        assert f"Counterfoil serves http://127.0.0.1:{server.port}\n" in server.log()


def test_sockets_for_another_process_are_left_alone(tmp_path: Path) -> None:
    meant_for_another = {"LISTEN_FDS": "1", "LISTEN_PID": "1"}
    url = f"sqlite:///{tmp_path}/counterfoil.db"
    with Server.launch(url, environment=meant_for_another) as server:
        assert server.is_live()


def test_a_socket_that_does_not_listen_is_reported_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as silent:
        starter = [sys.executable, socket_activation.__file__, str(silent.fileno())]
        done = subprocess.run(
            [*starter, *API_PY],
            cwd=tmp_path,
            env={"PYTHONPATH": str(REPOSITORY)},
            pass_fds=[silent.fileno()],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == "counterfoil: the socket unit needs ListenStream= and no Accept=yes\n"
