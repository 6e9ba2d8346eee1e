"""The service is gone, hangs or fails while proxies ask it whom to let through."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from faults.calls import Answer, Caller
from faults.registry import Seen, scenario
from faults.stage import Stage
from harness.echo import echo
from harness.processes import free_port
from harness.proxies import Caddy, Nginx, Proxy

# What a request may take when the service is silent: longer than any time-out of a proxy.
_LONGEST_SECONDS = 20


@scenario("F25", "verify is down, hangs, or answers 500 and 503, behind nginx")
def verify_fails_behind_nginx(stage: Stage) -> Seen:
    return _fail(stage, Nginx)


@scenario("F25", "verify is down, hangs, or answers 500 and 503, behind Caddy")
def verify_fails_behind_caddy(stage: Stage) -> Seen:
    return _fail(stage, Caddy)


def _fail(stage: Stage, proxy: type[Proxy]) -> Seen:
    found = {"down": _ask(stage, proxy, free_port())}
    with _silent() as port:
        found["hangs"] = _ask(stage, proxy, port)
    for status in (500, 503):
        with echo(status=status) as troubled:
            found[str(status)] = _ask(stage, proxy, troubled.port)
    reached = sum(requests for _, requests in found.values())
    held = all(
        answer.status >= 500 and answer.seconds < _LONGEST_SECONDS for answer, _ in found.values()
    )
    figures = ", ".join(
        f"{name}: {answer.status} after {answer.seconds:.1f} s"
        for name, (answer, _) in found.items()
    )
    return Seen(held and not reached, f"{figures}; {reached} requests reached the application")


def _ask(stage: Stage, proxy: type[Proxy], service_port: int) -> tuple[Answer, int]:
    """What a client is told, and how often the application was asked."""
    with echo() as application:
        ports = {"service_port": service_port, "application_port": application.port}
        with proxy(stage.folder(), **ports) as running, Caller(running.app_url) as caller:
            answer = caller.use("cfa_anything")
        return answer, application.requests


@contextmanager
def _silent() -> Iterator[int]:
    """The port of something that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield int(listening.getsockname()[1])
