"""A target: one kind of request to one server, over which wrk rotates."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.messages import exchange
from benchmarks.servers import Server, ServerError

SEPARATOR = b"\0"


@dataclass(frozen=True)
class Target:
    """`requests` is a file of whole requests, as rotate.lua reads it."""

    name: str
    server: Server
    requests: Path


def make_target(folder: Path, name: str, server: Server, requests: Sequence[bytes]) -> Target:
    path = folder / f"{name}.requests"
    path.write_bytes(SEPARATOR.join(requests))
    return Target(name, server, path)


def check(target: Target, answers: int = 20) -> bytes:
    """Send a few of the target's requests; all must be answered with 200. Gives the last body."""
    requests, body = target.requests.read_bytes().split(SEPARATOR), b""
    for request in requests[:: max(len(requests) // answers, 1)]:
        status, body = exchange(target.server.port, request)
        if status != 200:
            raise ServerError(f"{target.name} answered {status}: {body[:200]!r}")
    return body
