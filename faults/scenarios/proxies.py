"""The service is down, hangs or fails while proxies use it for forward authentication."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

from faults.calls import Answer, Caller
from faults.context import ScenarioContext
from faults.registry import Outcome, scenario
from harness.echo import echo
from harness.processes import free_port
from harness.proxies import Caddy, Nginx, Proxy

# The longest that a request may take if the service is silent, longer than any proxy's timeout.
_MAX_SECONDS = 20


@scenario("F25", "verify is down, hangs, or answers 500 and 503, behind nginx")
def verify_fails_behind_nginx(context: ScenarioContext) -> Outcome:
    return _fail(context, Nginx)


@scenario("F25", "verify is down, hangs, or answers 500 and 503, behind Caddy")
def verify_fails_behind_caddy(context: ScenarioContext) -> Outcome:
    return _fail(context, Caddy)


def _fail(context: ScenarioContext, proxy: type[Proxy]) -> Outcome:
    found = {"down": _ask(context, proxy, free_port())}
    with _silent() as port:
        found["hangs"] = _ask(context, proxy, port)
    for status in (500, 503):
        with echo(status=status) as failing:
            found[str(status)] = _ask(context, proxy, failing.port)
    reached = sum(requests for _, requests in found.values())
    held = all(
        answer.status >= 500 and answer.seconds < _MAX_SECONDS for answer, _ in found.values()
    )
    figures = ", ".join(
        f"{name}: {answer.status} after {answer.seconds:.1f} s"
        for name, (answer, _) in found.items()
    )
    return Outcome(held and not reached, f"{figures}; {reached} requests reached the application")


def _ask(context: ScenarioContext, proxy: type[Proxy], service_port: int) -> tuple[Answer, int]:
    """The client's answer, and the number of requests that reached the application."""
    with echo() as application:
        ports = {"service_port": service_port, "application_port": application.port}
        with proxy(context.folder(), **ports) as running, Caller(running.app_url) as caller:
            answer = caller.use("cfa_anything")
        return answer, application.requests


@contextmanager
def _silent() -> Iterator[int]:
    """The port of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        yield int(listening.getsockname()[1])
