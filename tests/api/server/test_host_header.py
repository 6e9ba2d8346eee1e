"""A request names one host, or it is rejected (RFC 9112, 3.2)."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path: Path = tmp_path_factory.mktemp("server") / "counterfoil.db"
    with Server.launch(f"sqlite:///{path}") as running:
        yield running


def ask(server: Server, head: bytes) -> bytes:
    """Everything that is answered to a GET with this end of the first line, and these headers."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(b"GET /health/live " + head + b"Connection: close\r\n\r\n")
        found = b""
        while piece := connection.recv(65536):
            found += piece
        return found


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\n",
        b"HTTP/1.1\r\nHost: a\r\nHost: a\r\n",
        b"HTTP/1.1\r\nHost: a\r\nX-Other: 1\r\nhost: b\r\n",
        b"HTTP/1.1\r\nHost: a, b\r\n",
        b"HTTP/1.1\r\nHost: user@a\r\n",
        b"HTTP/1.1\r\nHost: a/b\r\n",
        b"HTTP/1.1\r\nHost: a:b\r\n",
        b"HTTP/1.0\r\nHost: a\r\nHost: b\r\n",
    ],
    ids=repr,
)
def test_a_request_without_exactly_one_host_is_rejected(server: Server, head: bytes) -> None:
    found = ask(server, head)
    assert found.startswith(b"HTTP/1.1 400 "), found
    assert b"application/problem+json" in found
    assert b'"code": "malformed_request"' in found


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1\r\nHost: auth.example.org\r\n",
        b"HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n",
        b"HTTP/1.1\r\nHost: [::1]:8000\r\n",
        b"HTTP/1.1\r\nHost:\r\n",
        # Load balancers check services with it, and it has no such header.
        b"HTTP/1.0\r\n",
    ],
    ids=repr,
)
def test_a_request_with_one_host_is_answered(server: Server, head: bytes) -> None:
    assert ask(server, head).split(b" ")[1] == b"200"


def test_of_two_requests_on_a_connection_the_second_needs_a_host_too(server: Server) -> None:
    first = b"HTTP/1.1\r\nHost: a\r\n\r\nGET /health/live HTTP/1.1\r\n"
    statuses = [part.split(b" ")[0] for part in ask(server, first).split(b"HTTP/1.1 ")[1:]]
    assert b"400" in statuses
    assert statuses.count(b"200") <= 1
