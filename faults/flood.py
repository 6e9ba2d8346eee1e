"""Sends logins at a steady rate from a process of its own, so that its work does not delay ours."""

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

PER_SECOND = 200
# So many may wait for their answers before the next one is late: for hashing, and to be refused.
_CONNECTIONS = 120

# Which name and which address the n-th login of a flood uses.
Attack = Callable[[int], tuple[str, str]]


@contextmanager
def flooding(url: str, attack: Attack, *, first: int, answers: Counter[str]) -> Iterator[None]:
    """Logins from number `first` on, for as long as the block lasts. Adds up their statuses."""
    context = multiprocessing.get_context("spawn")
    over, results = context.Event(), context.Queue()
    flood = context.Process(target=_run, args=(url, attack, first, over, results))
    flood.start()
    try:
        results.get()
        yield
    finally:
        over.set()
        answers.update(results.get(timeout=60))
        flood.join()


def _run(url: str, attack: Attack, first: int, over: Event, results: "Queue[Counter[str]]") -> None:
    results.put(Counter())
    results.put(uvloop.run(_flood(url, attack, first, over)))


async def _flood(url: str, attack: Attack, first: int, over: Event) -> Counter[str]:
    answers, numbers, begin = Counter[str](), iter(range(first, first + 10**9)), time.monotonic()

    async def keep_sending() -> None:
        streams = None
        while not over.is_set():
            number = next(numbers)
            due = begin + (number - first) / PER_SECOND
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                streams = streams or await _connect(url)
                answers[await _guess(*streams, *attack(number))] += 1
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


async def _guess(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, address: str
) -> str:
    body = json.dumps({"username": name, "password": "wrong"})
    writer.write(
        "POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"X-Forwarded-For: {address}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    with suppress(StopIteration):
        lines = iter(head.lower().split("\r\n"))
        length = next(line for line in lines if line.startswith("content-length:"))
        await reader.readexactly(int(length.partition(":")[2]))
    return head.split(" ", 2)[1]
