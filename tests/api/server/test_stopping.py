"""What happens between SIGTERM and the end: a drain, which a second signal or Ctrl+C skips."""

import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest

from harness.server import Server
from tests.support.client import PASSWORD
from tests.support.waiting import until

every_number_of_workers = pytest.mark.parametrize("workers", [1, 2])


@contextmanager
def serving(folder: Path, workers: int, drain_seconds: float) -> Iterator[Server]:
    """A service of which all workers have started."""
    environment: Mapping[str, str] = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_DRAIN_SECONDS": str(drain_seconds),
    }
    url = f"sqlite:///{folder}/counterfoil.db"
    with Server.launch(url, workers=workers, environment=environment) as server:
        until(lambda: server.log().count("Application startup complete.") == workers)
        yield server


@contextmanager
def draining(folder: Path, workers: int) -> Iterator[Server]:
    """A service that has been told to stop, and would drain for longer than any test takes."""
    with serving(folder, workers, drain_seconds=600) as server:
        server.send(signal.SIGTERM)
        until(lambda: readiness(server) == {503})
        try:
            yield server
        finally:
            server.send(signal.SIGKILL)


def readiness(server: Server) -> set[int]:
    """The answers on enough connections to have come to every worker."""
    return {httpx2.get(f"{server.url}/health/ready").status_code for _ in range(10)}


@every_number_of_workers
def test_a_service_that_drains_is_not_ready_and_serves_new_connections(
    workers: int, tmp_path: Path
) -> None:
    with draining(tmp_path, workers) as server:
        answer = httpx2.get(f"{server.url}/health/ready")
        assert answer.json()["code"] == "stopping"
        assert answer.headers["Retry-After"]
        assert server.is_live()
        account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
        assert len(server.worker_pids()) == workers


@every_number_of_workers
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_the_drain(
    second: signal.Signals, workers: int, tmp_path: Path
) -> None:
    with draining(tmp_path, workers) as server:
        server.send(second)
        server.wait()
        assert server.log().count("Application shutdown complete.") == workers
        assert "Traceback" not in server.log()


@every_number_of_workers
def test_ctrl_c_stops_without_a_drain(workers: int, tmp_path: Path) -> None:
    with serving(tmp_path, workers, drain_seconds=600) as server:
        server.send(signal.SIGINT)
        assert server.wait() == 0
        assert server.log().count("Application shutdown complete.") == workers
        assert "Traceback" not in server.log()


@every_number_of_workers
def test_the_drain_ends_by_itself(workers: int, tmp_path: Path) -> None:
    with serving(tmp_path, workers, drain_seconds=0.3) as server:
        assert server.stop() in {0, -signal.SIGTERM}
        assert "stopping in 0.3 seconds" in server.log()
        assert server.log().count("Application shutdown complete.") == workers


def test_a_supervisor_that_drains_stops_once_it_has_no_workers(tmp_path: Path) -> None:
    with draining(tmp_path, workers=2) as server:
        for worker in server.worker_pids():
            os.kill(worker, signal.SIGKILL)
        server.wait()
