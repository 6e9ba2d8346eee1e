"""Targets: each is a set of requests to one server, which wrk sends in rotation."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.messages import exchange
from benchmarks.servers import Server, ServerError

SEPARATOR = b"\0"


@dataclass(frozen=True)
class Target:
    """`requests` is a file of complete requests, which rotate.lua reads.

    `asked` is another server that this one asks at each request, whose processor time counts too.
    """

    name: str
    server: Server
    requests: Path
    scheme: str = "http"
    asked: Server | None = None


def make_target(
    folder: Path,
    name: str,
    server: Server,
    requests: Sequence[bytes],
    asked: Server | None = None,
) -> Target:
    path = folder / f"{name}.requests"
    path.write_bytes(SEPARATOR.join(requests))
    return Target(name, server, path, asked=asked)


def check(target: Target, answers: int = 20) -> bytes:
    """Send a few of the target's requests, which must get a 200. Returns the last body."""
    requests, body = target.requests.read_bytes().split(SEPARATOR), b""
    for request in requests[:: max(len(requests) // answers, 1)]:
        status, body = exchange(target.server.port, request)
        if status != 200:
            raise ServerError(f"{target.name} answered {status}: {body[:200]!r}")
    return body
