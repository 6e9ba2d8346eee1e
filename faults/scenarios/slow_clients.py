"""Hundreds of clients that send or read slowly, during which token checks are measured."""

import statistics
import subprocess
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import psutil

from faults.calls import Caller
from faults.context import ScenarioContext, sign_up
from faults.registry import Outcome, scenario
from harness.processes import free_port
from harness.programs import require_program
from harness.proxies import Nginx

CONNECTIONS = 200
ATTACKS = {
    "slow heads": ["-H", "-i", "1", "-x", "24"],
    "slow bodies": ["-B", "-i", "1", "-s", "4096", "-x", "24"],
    "slow readers": ["-X", "-k", "3", "-n", "2", "-z", "4", "-w", "10", "-y", "20"],
}
# Not the attackers' address, because nginx limits the connections of an address.
_OTHER_CLIENT = "127.0.0.2"
# The idle connections that the shipped nginx.conf keeps to the service.
_PROXY_KEEPALIVE = 32
# Latencies below this pass even if they are more than twice those without an attack.
_NEGLIGIBLE_SECONDS = 0.02


@scenario("F21", f"slowhttptest -H, -B and -X with {CONNECTIONS} connections, without a proxy")
def slow_clients(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), request_head_seconds=3, request_body_seconds=3)
    token = sign_up(service).access_token
    return _attack(service.url, service.url, token, allowed_seconds=3)


@scenario("F21", f"the same with {CONNECTIONS} connections to nginx with the shipped nginx.conf")
def slow_clients_of_nginx(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), trusted_proxies="127.0.0.1")
    token = sign_up(service).access_token
    with Nginx(context.folder(), service_port=service.port, application_port=free_port()) as nginx:
        return _attack(nginx.auth_url, service.url, token, allowed_seconds=10)


def _attack(url: str, service_url: str, token: str, *, allowed_seconds: int) -> Outcome:
    """Attack `url`, and count the connections that the service itself has open afterwards.

    nginx does not limit the total time of a body, and keeps its own connections to slow clients.
    """
    baseline = _p99(url, token)
    held, figures = True, []
    for name, options in ATTACKS.items():
        with _slowhttptest(url, options, seconds=allowed_seconds + 8) as attack:
            time.sleep(1)
            opened = _connections(url)
            p99 = _p99(url, token)
            time.sleep(max(0.0, allowed_seconds + 1))
            left = _connections(service_url)
            attack.terminate()
        is_fast = p99 < max(2 * baseline, _NEGLIGIBLE_SECONDS)
        held = held and is_fast and left <= _PROXY_KEEPALIVE
        figures.append(
            f"{name}: {opened} connections, p99 {1000 * p99:.1f} ms, {left} left at the service"
        )
    return Outcome(
        held,
        f"p99 of others {1000 * baseline:.1f} ms; {'; '.join(figures)} after {allowed_seconds} s",
    )


def _slowhttptest(url: str, options: Sequence[str], *, seconds: int) -> subprocess.Popen[bytes]:
    rate = ["-c", str(CONNECTIONS), "-r", str(CONNECTIONS), "-l", str(seconds)]
    target = ["-u", f"{url}/login" if "-B" in options else f"{url}/docs"]
    return subprocess.Popen(
        [require_program("slowhttptest"), *options, *rate, *target, "-p", "3"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _connections(url: str) -> int:
    """The number of established connections, counted at the server's end."""
    port = urlsplit(url).port
    return sum(
        one.status == psutil.CONN_ESTABLISHED and _port(one.laddr) == port
        for one in psutil.net_connections("tcp")
    )


def _port(address: Any) -> int | None:
    return address.port if address else None


def _p99(url: str, token: str) -> float:
    taken = []
    with Caller(url, source=_OTHER_CLIENT) as caller:
        for _ in range(200):
            answer = caller.use(token)
            if answer.status != 200:
                raise RuntimeError(f"a token check was answered by {answer.status}")
            taken.append(answer.seconds)
            time.sleep(0.005)
    return statistics.quantiles(taken, n=100)[98]
