"""The service is asked at each request, within one deadline, and never believed too easily."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Coroutine
from datetime import date
from typing import Any
from urllib.parse import parse_qsl

import pytest
import trustme
import uvloop

from counterfoil.errors import IntrospectionUnavailable
from counterfoil.foreign_tokens import ForeignTokens
from counterfoil.identity import Identity
from counterfoil.introspection import endpoint
from counterfoil.introspection.client import MAX_IDLE_SECONDS
from counterfoil.introspection.connection import MAX_BODY_BYTES
from counterfoil.introspection.introspector import Introspector
from counterfoil.testing import API_KEY, make_identity
from counterfoil.tokens import TokenKind, create
from tests.support.endpoints import NOTHING, Endpoint, described, read_request, response

DEADLINE = 20.0
SHORT = 0.3
ADA = make_identity(user_id=7, scopes={"orders:read"})
LIVE = response(described(ADA))
TOKEN = create(TokenKind.ACCESS).text


def introspector(server: Endpoint, **options: Any) -> Introspector:
    """One that is started, for this server."""
    made = Introspector(
        endpoint.parse(options.pop("url", server.url)),
        API_KEY,
        **{"deadline_seconds": DEADLINE, **options},
    )
    made.start()
    return made


def play(
    server: Endpoint,
    scene: Callable[[Introspector], Awaitable[None]],
    run_loop: Callable[[Coroutine[Any, Any, None]], None] = asyncio.run,
    **options: Any,
) -> None:
    async def run() -> None:
        async with asyncio.timeout(DEADLINE), server:
            asked = introspector(server, **options)
            try:
                await scene(asked)
            finally:
                await asked.close()

    run_loop(run())


def test_a_live_token_has_the_identity_that_the_service_tells() -> None:
    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(TOKEN) == ADA
        ((head, body),) = server.requests
        assert head.startswith(b"POST /introspect HTTP/1.1\r\n")
        assert f"host: 127.0.0.1:{server.port}\r\n".encode() in head.lower()
        assert f"authorization: bearer {API_KEY}".lower().encode() in head.lower()
        assert body == f"token={TOKEN}".encode()

    server = Endpoint.answering(LIVE)
    play(server, scene)


def test_the_path_of_the_service_comes_before_that_of_the_endpoint() -> None:
    for url, path in (
        ("https://auth.example.org", "/introspect"),
        ("https://auth.example.org/", "/introspect"),
        ("http://auth.example.org:8000/tokens/", "/tokens/introspect"),
    ):
        assert endpoint.parse(url).path == path


def test_a_token_that_is_not_live_has_none() -> None:
    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(TOKEN) is None

    play(Endpoint.answering(response(NOTHING)), scene)


def test_what_cannot_be_a_token_is_not_asked_about() -> None:
    async def scene(asked: Introspector) -> None:
        for text in ("", "x", TOKEN[:-1], create(TokenKind.REFRESH).text, "token=x&active=true"):
            assert await asked.resolve(text) is None
        assert server.connections == 0

    server = Endpoint.answering(LIVE)
    play(server, scene)


def test_a_foreign_token_is_asked_about_as_it_is() -> None:
    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(odd) == ADA
        ((_, body),) = server.requests
        assert parse_qsl(body.decode(), strict_parsing=True) == [("token", odd)]

    # django-rest-knox lets its users choose a prefix.
    odd = "&token=%4+" + "0" * 64
    server = Endpoint.answering(LIVE)
    play(server, scene, foreign=ForeignTokens(date(9000, 1, 1)))


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_a_connection_is_kept_and_used_again(
    run_loop: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    async def scene(asked: Introspector) -> None:
        for _ in range(5):
            assert await asked.resolve(TOKEN) == ADA
        assert (server.connections, len(server.requests)) == (1, 5)

    server = Endpoint.answering(LIVE)
    play(server, scene, run_loop)


UNEXPECTED = {
    "another status": response(described(ADA), status="201 Created"),
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "an error": response(b'{"active":true}', status="500 Internal Server Error"),
    "unavailable": response(NOTHING, status="503 Service Unavailable"),
    "too many": response(NOTHING, status="429 Too Many Requests"),
    "a page": response(b"<h1>Welcome</h1>", media_type="text/html"),
    "JSON as text": response(described(ADA), media_type="text/plain"),
    "JSON of something else": response(b'{"status":"ok"}'),
    "only active": response(b'{"active":true}'),
    "active as text": response(b'{"active":"true"}'),
    "a list": response(b'[{"active":true}]'),
    "compressed": response(b"\x1f\x8b\x08", more="Content-Encoding: gzip\r\n"),
    "too large": response(described(ADA, name="x" * MAX_BODY_BYTES)),
    "an endless head": b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000,
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a bad length": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("sent", UNEXPECTED.values(), ids=UNEXPECTED.keys())
def test_an_answer_of_something_else_never_lets_a_token_pass_or_fail(sent: bytes) -> None:
    async def scene(asked: Introspector) -> None:
        with pytest.raises(IntrospectionUnavailable):
            await asked.resolve(TOKEN)
        assert len(server.requests) == 1
        # The next request is not answered by what is left of this response.
        with pytest.raises(IntrospectionUnavailable):
            await asked.resolve(TOKEN)

    server = Endpoint.answering(sent)
    play(server, scene)


def test_a_redirect_is_not_followed() -> None:
    async def scene(asked: Introspector) -> None:
        async with Endpoint.answering(LIVE) as elsewhere:
            moved = response(
                b"", status="307 Temporary Redirect", more=f"Location: {elsewhere.url}/\r\n"
            )
            server.handler = Endpoint.answering(moved).handler
            with pytest.raises(IntrospectionUnavailable, match="307"):
                await asked.resolve(TOKEN)
            assert elsewhere.connections == 0

    server = Endpoint.answering(LIVE)
    play(server, scene)


def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(TOKEN) == ADA

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    play(Endpoint.answering(LIVE), scene)


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden"])
def test_a_rejected_key_of_our_own_is_not_the_fault_of_the_caller_and_logged_once(
    status: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene(asked: Introspector) -> None:
        for _ in range(5):
            with pytest.raises(IntrospectionUnavailable):
                await asked.resolve(TOKEN)

    play(Endpoint.answering(response(b"{}", status=status)), scene)
    (line,) = caplog.records
    assert (line.levelno, line.name) == (logging.ERROR, "counterfoil.introspection")
    assert "API key of this application" in line.message
    assert API_KEY not in caplog.text
    assert TOKEN not in caplog.text


def test_a_refused_connection_fails_at_once_and_works_again_once_it_is_accepted() -> None:
    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(TOKEN) == ADA
        await server.stop()
        for _ in range(3):
            with pytest.raises(IntrospectionUnavailable):
                await asked.resolve(TOKEN)
        await server.listen(server.port)
        assert await asked.resolve(TOKEN) == ADA

    server = Endpoint.answering(LIVE)
    play(server, scene)


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(-1)


async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Sends a correct answer so slowly that no timeout between two bytes would end it."""
    await read_request(reader)
    for byte in LIVE:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.02)


async def drip_interim(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    while True:
        writer.write(b"HTTP/1.1 102 Processing\r\n\r\n")
        await asyncio.sleep(0.02)


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("handler", [hang, drip, drip_interim])
def test_one_deadline_is_for_everything_and_for_a_hundred_at_once(
    handler: Any, run_loop: Callable[[Coroutine[Any, Any, None]], None]
) -> None:
    async def scene(asked: Introspector) -> None:
        server.handler = handler
        loop = asyncio.get_running_loop()
        began = loop.time()
        found = await asyncio.gather(
            *(asked.resolve(create(TokenKind.ACCESS).text) for _ in range(100)),
            return_exceptions=True,
        )
        assert {type(one) for one in found} == {IntrospectionUnavailable}
        # Ten times as long as the deadline if each waited for a slot before its own.
        assert loop.time() - began < 5 * SHORT
        server.handler = well_behaved.handler
        assert await asked.resolve(TOKEN) == ADA

    well_behaved = Endpoint.answering(LIVE)
    server = Endpoint(well_behaved.handler)
    play(server, scene, run_loop, deadline_seconds=SHORT)


def test_a_name_server_that_hangs_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(asked: Introspector) -> None:
        with pytest.raises(IntrospectionUnavailable):
            await asked.resolve(TOKEN)
        is_over.set()

    def look_up(*_: Any, **__: Any) -> Any:
        is_over.wait(DEADLINE)
        return []

    is_over = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = "http://auth.example.org"
    play(Endpoint.answering(LIVE), scene, url=url, deadline_seconds=SHORT)


def test_a_name_without_an_address_is_no_service(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(asked: Introspector) -> None:
        with pytest.raises(IntrospectionUnavailable, match="no address"):
            await asked.resolve(TOKEN)

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
    play(Endpoint.answering(LIVE), scene, url="http://auth.example.org")


def test_if_one_address_does_not_answer_the_next_one_is_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def scene(asked: Introspector) -> None:
        asked._client._endpoint = asked._client._endpoint._replace(port=server.port)
        assert await asked.resolve(TOKEN) == ADA

    # Nothing listens at the first one.
    found = [(socket.AF_INET, 1, 6, "", (address, 0)) for address in ("127.0.0.2", "127.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    server = Endpoint.answering(LIVE)
    play(server, scene, url="http://auth.example.org")


def test_an_idle_connection_that_the_service_closes_is_not_noticed_by_a_request() -> None:
    """Closed just before the request reaches it, which no look at it beforehand can tell."""

    async def close_the_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(LIVE)
        await reader.read(1)

    async def scene(asked: Introspector) -> None:
        for _ in range(3):
            assert await asked.resolve(TOKEN) == ADA
        assert server.connections == 3

    server = Endpoint(close_the_second)
    play(server, scene)


def test_a_fresh_connection_that_is_closed_is_not_tried_again() -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)

    async def scene(asked: Introspector) -> None:
        with pytest.raises(IntrospectionUnavailable):
            await asked.resolve(TOKEN)
        assert server.connections == 1

    server = Endpoint(close)
    play(server, scene)


def test_a_connection_that_was_told_something_unasked_is_not_used_again() -> None:
    """Otherwise the next request would be answered with the identity of another."""

    async def answer_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response(described(ADA)) + response(described(eve)))
        await read_request(reader)

    async def answer_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(response(described(ADA)))
        await asyncio.sleep(0.05)
        writer.write(response(described(eve)))
        await read_request(reader)

    async def scene(asked: Introspector) -> None:
        for handler in (answer_twice, answer_late):
            server.handler = handler
            connections = server.connections
            for expected in (1, 2):
                assert await asked.resolve(create(TokenKind.ACCESS).text) == ADA
                assert server.connections == connections + expected
                await asyncio.sleep(0.1)

    eve = make_identity(user_id=666)
    server = Endpoint(answer_twice)
    play(server, scene)


def test_a_request_that_is_given_up_leaves_no_answer_for_the_next() -> None:
    answers = {TOKEN: ADA, (other := create(TokenKind.ACCESS).text): make_identity(user_id=8)}

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            token = body.decode().removeprefix("token=")
            await asyncio.sleep(2 * SHORT if token == TOKEN else 0)
            writer.write(response(described(answers[token])))

    async def scene(asked: Introspector) -> None:
        with pytest.raises(IntrospectionUnavailable):
            await asked.resolve(TOKEN)
        assert await asked.resolve(other) == answers[other]

    play(Endpoint(echo), scene, deadline_seconds=SHORT, connections=1)


def test_a_response_that_says_close_is_read_and_its_connection_is_closed() -> None:
    async def scene(asked: Introspector) -> None:
        for _ in range(2):
            assert await asked.resolve(TOKEN) == ADA
        assert server.connections == 2

    server = Endpoint.answering(response(described(ADA), more="Connection: close\r\n"))
    play(server, scene)


def test_a_chunked_response_is_read() -> None:
    body = described(ADA)
    half = len(body) // 2
    chunks = b"".join(
        f"{len(one):x}\r\n".encode() + one + b"\r\n" for one in (body[:half], body[half:], b"")
    )
    head = "HTTP/1.1 200 OK\r\nContent-Type: Application/JSON; charset=utf-8\r\n"

    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(TOKEN) == ADA

    sent = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunks
    play(Endpoint.answering(sent), scene)


class Held:
    """Answers each request when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, asyncio.Event]] = []
        self._arrived = asyncio.Condition()
        self.identities: dict[str, Identity] = {}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            _, body = await read_request(reader)
            token = body.decode().removeprefix("token=")
            told = asyncio.Event()
            async with self._arrived:
                self.asked.append((token, told))
                self._arrived.notify_all()
            await told.wait()
            found = self.identities.get(token)
            writer.write(response(described(found) if found else NOTHING))

    async def wait_for(self, count: int) -> None:
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.asked) >= count)


def test_equal_tokens_that_arrive_together_share_a_call() -> None:
    async def scene(asked: Introspector) -> None:
        held.identities[TOKEN] = ADA
        together = [asyncio.create_task(asked.resolve(TOKEN)) for _ in range(20)]
        await held.wait_for(1)
        held.asked[0][1].set()
        assert await asyncio.gather(*together) == [ADA] * 20
        assert len(held.asked) == 1

    held = Held()
    play(Endpoint(held), scene)


def test_a_request_never_shares_a_call_that_began_before_it_arrived() -> None:
    """Otherwise a revocation in between would be missed."""

    async def scene(asked: Introspector) -> None:
        held.identities[TOKEN] = ADA
        before = asyncio.create_task(asked.resolve(TOKEN))
        await held.wait_for(1)
        after = asyncio.create_task(asked.resolve(TOKEN))
        await held.wait_for(2)
        held.asked[0][1].set()
        assert await before == ADA
        held.identities.clear()
        held.asked[1][1].set()
        assert await after is None

    held = Held()
    play(Endpoint(held), scene)


def test_no_more_calls_are_in_flight_than_allowed_and_what_waits_is_shared() -> None:
    async def scene(asked: Introspector) -> None:
        others = [create(TokenKind.ACCESS).text for _ in range(2)]
        first = [asyncio.create_task(asked.resolve(token)) for token in others]
        await held.wait_for(2)
        waiting = []
        for _ in range(10):
            waiting.append(asyncio.create_task(asked.resolve(TOKEN)))
            await asyncio.sleep(0.005)
        assert [token for token, _ in held.asked] == others
        held.asked[0][1].set()
        await held.wait_for(3)
        assert held.asked[2][0] == TOKEN
        for _, told in held.asked:
            told.set()
        await asyncio.gather(*first, *waiting)
        assert len(held.asked) == 3

    held = Held()
    play(Endpoint(held), scene, connections=2)


def test_one_of_several_that_share_a_call_can_hang_up() -> None:
    async def scene(asked: Introspector) -> None:
        held.identities[TOKEN] = ADA
        first, *others = (asyncio.create_task(asked.resolve(TOKEN)) for _ in range(3))
        await held.wait_for(1)
        first.cancel()
        held.asked[0][1].set()
        assert await asyncio.gather(*others) == [ADA] * 2

    held = Held()
    play(Endpoint(held), scene)


def test_what_waits_when_the_application_stops_is_told() -> None:
    async def scene(asked: Introspector) -> None:
        tokens = [create(TokenKind.ACCESS).text for _ in range(3)]
        waiting = [asyncio.create_task(asked.resolve(token)) for token in tokens]
        await held.wait_for(1)
        await asked.close()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert {type(one) for one in found} == {IntrospectionUnavailable}

    held = Held()
    play(Endpoint(held), scene, connections=1)


def test_a_stale_answer_is_used_only_where_that_is_accepted_and_only_for_so_long() -> None:
    async def scene(asked: Introspector) -> None:
        assert await asked.resolve(TOKEN) == ADA
        assert await asked.resolve(TOKEN) == ADA
        assert len(server.requests) == 1
        # A route that needs a recent password accepts none.
        assert await asked.resolve(TOKEN, anew=True) is None
        assert await asked.resolve(TOKEN) is None
        assert len(server.requests) == 3

    server = Endpoint.answering(LIVE, response(NOTHING))
    play(server, scene, max_staleness_seconds=60.0)


def test_a_stale_answer_ends_with_its_time_and_with_its_token() -> None:
    async def scene(asked: Introspector) -> None:
        for expected in (1, 2):
            assert await asked.resolve(TOKEN) is not None
            assert len(server.requests) == expected
            await asyncio.sleep(0.06)

    expiring = ADA._replace(expires_at=ADA.looked_up_at + 0.05)
    for sent, seconds in ((ADA, 0.05), (expiring, 60.0)):
        server = Endpoint.answering(response(described(sent)))
        play(server, scene, max_staleness_seconds=seconds)


@pytest.mark.parametrize("run_loop", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_encrypted_service_is_verified_by_name_and_authority(
    run_loop: Callable[[Coroutine[Any, Any, None]], None],
) -> None:
    authority, stranger = trustme.CA(), trustme.CA()

    async def run() -> None:
        server = Endpoint.answering(LIVE)
        for signer, host, is_trusted in (
            (authority, "localhost", True),
            (stranger, "localhost", False),
            (authority, "elsewhere.example", False),
        ):
            certificate = signer.issue_cert(host)
            of_server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            certificate.configure_cert(of_server)
            of_client = ssl.create_default_context()
            authority.configure_trust(of_client)
            await server.listen(0, ssl_context=of_server)
            url = f"https://localhost:{server.port}"
            asked = introspector(server, url=url, ssl_context=of_client)
            if is_trusted:
                assert await asked.resolve(TOKEN) == ADA
            else:
                with pytest.raises(IntrospectionUnavailable, match="certificate verify failed"):
                    await asked.resolve(TOKEN)
            await asked.close()
            await server.stop()

    run_loop(run())


def test_a_connection_that_was_idle_for_long_is_not_trusted() -> None:
    async def scene(asked: Introspector) -> None:
        await asked.resolve(TOKEN)
        for connection in asked._client._idle:
            connection.idle_since -= MAX_IDLE_SECONDS + 1
        await asked.resolve(TOKEN)
        assert server.connections == 2

    server = Endpoint.answering(LIVE)
    play(server, scene)
