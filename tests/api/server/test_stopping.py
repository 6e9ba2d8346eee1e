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
def serving(folder: Path, workers: int, drain_seconds: float, **settings: str) -> Iterator[Server]:
    """A service of which all workers have started."""
    environment: Mapping[str, str] = {
        "COUNTERFOIL_BCRYPT_ROUNDS": "4",
        "COUNTERFOIL_DRAIN_SECONDS": str(drain_seconds),
        **settings,
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
@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_service_that_drains_is_not_ready_and_serves_until_a_second_signal(
    second: signal.Signals, workers: int, tmp_path: Path
) -> None:
    with draining(tmp_path, workers) as server:
        answer = httpx2.get(f"{server.url}/health/ready")
        assert answer.json()["code"] == "stopping"
        assert answer.headers["Retry-After"]
        assert server.is_live()
        account = {"email": "ada@example.org", "password": PASSWORD, "name": "Ada"}
        assert httpx2.post(f"{server.url}/register", json=account).status_code == 201
        assert len(server.worker_pids()) == workers
        server.send(second)
        server.wait()
        assert server.log().count("Application shutdown complete.") == workers
        assert "Traceback" not in server.log()


def test_ctrl_c_stops_several_workers_without_a_drain(tmp_path: Path) -> None:
    with serving(tmp_path, workers=2, drain_seconds=600) as server:
        stop_by_ctrl_c(server, workers=2)


def test_sighup_does_not_end_the_only_worker_and_ctrl_c_does_without_a_drain(
    tmp_path: Path,
) -> None:
    with serving(tmp_path, workers=1, drain_seconds=600) as server:
        server.send(signal.SIGHUP)
        until(lambda: "SIGHUP replaces workers where there are at least two" in server.log())
        assert readiness(server) == {200}
        stop_by_ctrl_c(server, workers=1)


def stop_by_ctrl_c(server: Server, workers: int) -> None:
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


def test_sighup_replaces_every_worker_unless_the_new_ones_cannot_start(tmp_path: Path) -> None:
    """Under load it is scenario F10 of scripts/faults."""
    token = tmp_path / "token"
    token.write_text("first")
    settings = {"COUNTERFOIL_METRICS_TOKEN_FILE": str(token)}
    with serving(tmp_path, workers=2, drain_seconds=600, **settings) as server:
        first = set(server.worker_pids())
        token.write_text("second")
        server.send(signal.SIGHUP)
        until(lambda: metrics(server, "second") == 200 and not first & set(server.worker_pids()))
        assert metrics(server, "first") == 401
        second = set(server.worker_pids())
        token.unlink()
        server.send(signal.SIGHUP)
        until(lambda: "a new worker does not start; the others stay" in server.log())
        until(lambda: set(server.worker_pids()) == second)
        assert readiness(server) == {200}
        server.send(signal.SIGINT)
        assert server.wait() == 0


def metrics(server: Server, token: str) -> int:
    """The status of a request for metrics, which is asked on a new connection."""
    headers = {"Authorization": f"Bearer {token}"}
    return httpx2.get(f"{server.url}/metrics", headers=headers).status_code
