"""Slow clients lose their connection, oversized requests are rejected, and others are served."""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.server import Server

PATIENCE = 0.5


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path: Path = tmp_path_factory.mktemp("server") / "counterfoil.db"
    environment = {
        "COUNTERFOIL_REQUEST_HEAD_SECONDS": str(PATIENCE),
        "COUNTERFOIL_REQUEST_BODY_SECONDS": str(PATIENCE),
        "COUNTERFOIL_MAX_HEAD_BYTES": "8192",
        "COUNTERFOIL_MAX_CONNECTIONS": "20",
    }
    with Server.launch(f"sqlite:///{path}", environment=environment) as running:
        yield running


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def answer(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    found = b""
    try:
        while piece := connection.recv(65536):
            found += piece
    except ConnectionResetError:
        pass
    return found


def test_a_head_that_never_ends_times_out(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        found = answer(connection)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b'"code": "request_timeout"' in found


def test_a_head_that_arrives_byte_by_byte_times_out_as_soon(server: Server) -> None:
    begun = time.monotonic()
    with connect(server) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        connection.settimeout(0.1)
        found = b""
        while time.monotonic() < begun + 20 and not found:
            try:
                connection.sendall(b"X-Slow: 1\r\n")
                found = connection.recv(65536)
            except TimeoutError:
                continue
    assert found.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "sent", [b"", b"\r\n", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n\r\n"]
)
def test_a_connection_that_asks_for_nothing_is_closed(server: Server, sent: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(sent)
        assert b"408" not in answer(connection)


def test_a_body_that_arrives_too_slowly_times_out(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"a'
        )
        found = answer(connection)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in found


def test_a_form_that_arrives_too_slowly_is_answered_in_the_form_of_oauth(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"POST /token HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: application/x-www-form-urlencoded\r\n\r\n1\r\na\r\n"
        )
        found = answer(connection)
    assert found.startswith(b"HTTP/1.1 408 ")
    assert b'"error": "invalid_request"' in found


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_head_that_is_too_large_is_rejected(server: Server, in_pieces: bool) -> None:
    lines = [b"GET /health/live HTTP/1.1\r\n", *[b"X-Large: %s\r\n" % (b"x" * 1000)] * 20, b"\r\n"]
    with connect(server) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            for piece in lines if in_pieces else [b"".join(lines)]:
                connection.sendall(piece)
        except OSError:
            pass
        found = answer(connection)
    assert found.startswith(b"HTTP/1.1 431 ") or (in_pieces and found == b"")


def test_one_endless_header_is_rejected_before_it_fills_the_memory(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX-Endless: ")
        with pytest.raises(ConnectionError):
            connection.sendall(b"x" * 100_000_000)


def test_a_large_body_behind_a_small_head_is_not_taken_for_a_large_head(server: Server) -> None:
    body = b'{"username": "' + b"x" * 20_000 + b'", "password": "x"}'
    with connect(server) as connection:
        connection.sendall(
            b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        assert answer(connection).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
        b"POST /login HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde",
        b"GET /users/me HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    ],
)
def test_what_is_not_http_is_rejected_with_a_problem(server: Server, garbage: bytes) -> None:
    with connect(server) as connection:
        connection.sendall(garbage)
        found = answer(connection)
    assert found.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in found
    assert b'"code": "malformed_request"' in found


def test_past_the_limit_connections_are_told_to_come_again(server: Server) -> None:
    idle = [connect(server) for _ in range(19)]
    try:
        with connect(server) as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            found = answer(connection)
    finally:
        for one in idle:
            one.close()
    assert found.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1" in found.lower()
    assert b'"code": "busy"' in found
    assert server.is_live()


def test_a_websocket_handshake_is_a_plain_request(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert answer(connection).startswith(b"HTTP/1.1 404 ")


def test_a_client_that_pipelines_and_hangs_up_leaves_no_error_behind(server: Server) -> None:
    request = b"GET /docs/static/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(server) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.sendall(request * 5)
        connection.recv(10)
    assert server.is_live()
    assert "Traceback" not in server.log()
