"""Hashing keeps to its threads and its queue, and token checks never wait behind it."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from authentication.errors import HashingBusy
from authentication.passwords import HashingThreads
from authentication.settings import AuthenticationSettings
from tests.support.client import Client


def threads(running: int, waiting: int) -> HashingThreads:
    return HashingThreads(AuthenticationSettings(hashing_threads=running, hashing_queue=waiting))


def test_past_its_queue_work_is_refused_at_once() -> None:
    async def flood() -> None:
        hashing, release = threads(1, 2), threading.Event()
        under_way = [asyncio.create_task(hashing.run(release.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await hashing.run(release.wait)
        release.set()
        await asyncio.gather(*under_way)
        assert await hashing.run(lambda: "again")
        hashing.close()

    asyncio.run(flood())


def test_a_client_that_hangs_up_keeps_its_place_until_its_hash_is_done() -> None:
    async def hang_up() -> None:
        hashing, release = threads(1, 1), threading.Event()
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            loop.call_soon_threadsafe(begun.set)
            release.wait()

        client = asyncio.create_task(hashing.run(work))
        await begun.wait()
        client.cancel()
        await asyncio.gather(client, return_exceptions=True)
        with hashing.reserve(), pytest.raises(HashingBusy), hashing.reserve():
            pass
        release.set()
        await hashing.run(lambda: None)
        hashing.close()

    asyncio.run(hang_up())


def test_a_place_that_was_not_used_is_free_again() -> None:
    hashing = threads(1, 1)
    for _ in range(5):
        with pytest.raises(KeyError), hashing.reserve():
            raise KeyError
    with hashing.reserve(), hashing.reserve():
        pass
    hashing.close()


def test_token_checks_do_not_wait_for_passwords_being_hashed(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(hashing_threads=1, hashing_queue=1)
    tokens = client.sign_up()
    hashing = client.http.app.state.service.hashing  # type: ignore[attr-defined]
    release = threading.Event()
    try:
        hashing._threads.submit(release.wait)
        hashing._places.acquire()
        hashing._places.acquire()
        assert client.me(tokens).status_code == 200
        busy = client.try_to_log_in()
        assert (busy.status_code, busy.json()["code"]) == (503, "busy")
        assert int(busy.headers["Retry-After"]) >= 1
    finally:
        release.set()
        hashing._places.release(2)
    assert client.try_to_log_in().status_code == 200
