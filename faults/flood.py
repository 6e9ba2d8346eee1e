"""Sends floods from a separate process, which does not delay measurements.

Logins at a constant rate, or made-up tokens as fast as they are answered.
"""

import asyncio
import json
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

import uvloop

from counterfoil import tokens
from counterfoil.tokens import TokenKind

PER_SECOND = 200
# The rate drops once this many logins wait for their answers.
_CONNECTIONS = 120
_FORM = "application/x-www-form-urlencoded"

# Returns the user name and the client address of the n-th login.
Attack = Callable[[int], tuple[str, str]]


@contextmanager
def login_flood(
    url: str, attack: Attack, *, first: int, answers: Counter[str], path: str = "/login"
) -> Iterator[None]:
    """Send logins from number `first` on until the block ends. Counts their statuses.

    With the path `/password/forgot`, they are requests for mails; with `/device_authorization`, for
    codes of devices; and with an address of `/authorize`, those of browsers.
    """
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    flood = context.Process(target=_run, args=(url, path, attack, first, stop, results))
    flood.start()
    try:
        results.get()
        yield
    finally:
        stop.set()
        answers.update(results.get(timeout=60))
        flood.join()


@contextmanager
def token_flood(url: str, connections: int, answers: Counter[str]) -> Iterator[None]:
    """Send made-up tokens to /token and /revoke until the block ends. Counts their statuses."""
    context = multiprocessing.get_context("spawn")
    stop, results = context.Event(), context.Queue()
    flood = context.Process(target=_run_tokens, args=(url, connections, stop, results))
    flood.start()
    try:
        results.get()
        yield
    finally:
        stop.set()
        answers.update(results.get(timeout=60))
        flood.join()


def _run_tokens(url: str, connections: int, stop: Event, results: "Queue[Counter[str]]") -> None:
    results.put(Counter())
    results.put(uvloop.run(_flood_tokens(url, connections, stop)))


async def _flood_tokens(url: str, connections: int, stop: Event) -> Counter[str]:
    answers = Counter[str]()

    async def keep_sending(number: int) -> None:
        streams = None
        while not stop.is_set():
            try:
                streams = streams or await _connect(url)
                answers[await _send_token(*streams, number)] += 1
            except (OSError, EOFError):
                answers["broken"] += 1
                streams = None
                await asyncio.sleep(0.1)
        if streams is not None:
            streams[1].close()

    await asyncio.gather(*map(keep_sending, range(connections)))
    return answers


async def _send_token(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
) -> str:
    """Send a made-up refresh token from one of a hundred addresses. Returns the status."""
    token = tokens.create(TokenKind.REFRESH).text
    path, body = "/revoke", f"token={token}"
    if number % 2:
        path, body = "/token", f"grant_type=refresh_token&refresh_token={token}"
    return await _post(reader, writer, path, _FORM, f"198.18.0.{number % 100}", body)


def _run(
    url: str,
    path: str,
    attack: Attack,
    first: int,
    stop: Event,
    results: "Queue[Counter[str]]",
) -> None:
    results.put(Counter())
    results.put(uvloop.run(_flood(url, path, attack, first, stop)))


async def _flood(url: str, path: str, attack: Attack, first: int, stop: Event) -> Counter[str]:
    answers, numbers, begin = Counter[str](), iter(range(first, first + 10**9)), time.monotonic()

    async def keep_sending() -> None:
        streams = None
        while not stop.is_set():
            number = next(numbers)
            due = begin + (number - first) / PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                streams = streams or await _connect(url)
                answers[await _send(*streams, path, *attack(number))] += 1
            except (OSError, EOFError):
                answers["broken"] += 1
                streams = None
        if streams is not None:
            streams[1].close()

    await asyncio.gather(*(keep_sending() for _ in range(_CONNECTIONS)))
    return answers


async def _connect(url: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    address = urlsplit(url)
    return await asyncio.open_connection(address.hostname, address.port)


async def _send(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, name: str, address: str
) -> str:
    """Send a login with a wrong password, or another request of a flood. Returns the status."""
    if path.startswith("/authorize"):
        return await _request(reader, writer, f"GET {path}", "text/plain", address, "")
    if path == "/device_authorization":
        return await _post(reader, writer, path, _FORM, address, "client_id=flood")
    login = {"username": name, "password": "wrong"}
    body = json.dumps(login if path == "/login" else {"email": name})
    return await _post(reader, writer, path, "application/json", address, body)


async def _post(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    kind: str,
    address: str,
    body: str,
) -> str:
    return await _request(reader, writer, f"POST {path}", kind, address, body)


async def _request(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    line: str,
    kind: str,
    address: str,
    body: str,
) -> str:
    writer.write(
        f"{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n"
        f"X-Forwarded-For: {address}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    with suppress(StopIteration):
        lines = iter(head.lower().split("\r\n"))
        length = next(line for line in lines if line.startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
    return head.split(" ", 2)[1]
