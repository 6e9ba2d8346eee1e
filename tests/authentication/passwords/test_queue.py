"""Hashing keeps to its threads and its queue, and token checks never wait behind it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
from starlette.types import ASGIApp, Message

from authentication.errors import HashingBusy
from authentication.instrumentation import Instrumentation
from authentication.passwords import disconnects
from authentication.passwords.queue import HashingQueue
from authentication.settings import AuthenticationSettings
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.waiting import until


def threads(running: int, waiting: int, **settings: Any) -> HashingQueue:
    return HashingQueue(
        AuthenticationSettings(hashing_threads=running, hashing_queue=waiting, **settings)
    )


@pytest.fixture
def release() -> Iterator[threading.Event]:
    """Work waits for it. It comes in any case, or a failing test would keep its threads waiting."""
    event = threading.Event()
    yield event
    event.set()


class BegunCounter(Instrumentation):
    def __init__(self) -> None:
        self.begun = 0

    def hashing_started(self, *, waited: float) -> None:  # noqa: ARG002
        self.begun += 1


def test_past_its_queue_work_is_refused_at_once(release: threading.Event) -> None:
    async def flood() -> None:
        hashing = threads(1, 2)
        under_way = [asyncio.create_task(hashing.run(release.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await hashing.run(release.wait)
        release.set()
        await asyncio.gather(*under_way)
        assert await hashing.run(lambda: "again")
        hashing.close()

    asyncio.run(flood())


def test_no_more_may_wait_than_can_be_hashed_within_the_deadline(release: threading.Event) -> None:
    async def flood() -> None:
        hashing = threads(1, 10, hashing_deadline_seconds=100)
        # The last hash took a quarter of the deadline, of which four fifths may be spent waiting.
        hashing._hash_seconds = 25
        under_way = [asyncio.create_task(hashing.run(release.wait)) for _ in range(5)]
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await hashing.run(release.wait)
        known = asyncio.create_task(hashing.run(release.wait, user_id=1))
        release.set()
        assert await asyncio.gather(known, *under_way) == [True] * 6
        hashing.close()

    asyncio.run(flood())


@pytest.mark.parametrize(
    ("is_in_demand", "order"),
    [
        (True, ["first", "trusted", "trusted", "untrusted", "untrusted"]),
        (False, ["first", "trusted", "untrusted", "trusted", "untrusted"]),
    ],
)
def test_in_a_flood_untrusted_clients_pause_after_each_hash_while_tokens_are_checked(
    is_in_demand: bool, order: list[str]
) -> None:
    begun: list[str] = []

    def hash_slowly() -> None:
        begun.append("first")
        time.sleep(0.2)

    async def flood() -> None:
        settings = AuthenticationSettings(hashing_threads=1, hashing_queue=3, hashing_reserve=1)
        hashing = HashingQueue(settings, is_in_demand=lambda: is_in_demand)
        under_way = [asyncio.create_task(hashing.run(hash_slowly))]
        for name, user_id in (("untrusted", None), ("trusted", 1), ("untrusted", None)):
            work = partial(begun.append, name)
            under_way.append(asyncio.create_task(hashing.run(work, user_id=user_id)))
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await hashing.run(hash_slowly)
        second = partial(begun.append, "trusted")
        under_way.append(asyncio.create_task(hashing.run(second, user_id=2)))
        await asyncio.gather(*under_way)
        hashing.close()

    asyncio.run(flood())
    assert begun == order


def test_a_client_that_hangs_up_keeps_its_slot_until_its_hash_is_done(
    release: threading.Event,
) -> None:
    async def hang_up() -> None:
        hashing = threads(1, 1)
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


async def give_up(hashing: HashingQueue, release: threading.Event) -> None:
    """Give up on a hash under way and on one that waits; their slots are freed."""
    tasks = [asyncio.create_task(hashing.run(release.wait)) for _ in range(2)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    # The one under way keeps its thread, so only one slot is free.
    with_one_free = asyncio.create_task(hashing.run(release.wait))
    await asyncio.sleep(0)
    with pytest.raises(HashingBusy):
        await hashing.run(lambda: None)
    release.set()
    assert await with_one_free


def test_a_client_that_hangs_up_leaves_no_hole_in_the_limit(release: threading.Event) -> None:
    hashing = threads(1, 1)
    try:
        asyncio.run(give_up(hashing, release))
    finally:
        hashing.close()


def test_a_slot_that_was_not_used_is_free_again() -> None:
    hashing = threads(1, 1)
    for _ in range(5):
        with pytest.raises(KeyError), hashing.reserve():
            raise KeyError
    with hashing.reserve(), hashing.reserve():
        pass
    hashing.close()


def test_a_client_that_waits_too_long_is_rejected_and_frees_its_slot(
    release: threading.Event,
) -> None:
    async def wait() -> None:
        hashing = threads(1, 1, hashing_deadline_seconds=0.2)
        done: list[str] = []
        first = asyncio.create_task(hashing.run(release.wait))
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await hashing.run(lambda: done.append("too late"))
        with pytest.raises(HashingBusy):
            await first
        with hashing.reserve(), pytest.raises(HashingBusy), hashing.reserve():
            pass
        release.set()
        # The thread is still busy with the first; until it is free, others are refused as well.
        await asyncio.to_thread(until, lambda: not hashing._running)
        await hashing.run(lambda: done.append("in time"))
        assert done == ["in time"]
        hashing.close()

    asyncio.run(wait())


def test_a_client_that_disconnects_while_waiting_frees_its_slot(release: threading.Event) -> None:
    async def hang_up() -> None:
        hashing, gone = threads(1, 1), asyncio.Event()
        under_way = asyncio.create_task(hashing.run(release.wait))
        await asyncio.sleep(0)

        async def until_gone() -> None:
            await gone.wait()

        disconnects.watch(until_gone)
        waiting = asyncio.create_task(hashing.run(lambda: pytest.fail("hashed for nobody")))
        await asyncio.sleep(0)
        assert hashing.is_full()
        gone.set()
        with pytest.raises(HashingBusy):
            await waiting
        assert not hashing.is_full()
        release.set()
        await under_way
        hashing.close()

    asyncio.run(hang_up())


def test_trusted_users_take_turns_with_all_others(release: threading.Event) -> None:
    async def queue() -> list[str]:
        hashing = threads(1, 10)
        order: list[str] = []

        def hash_for(name: str, user_id: int | None) -> asyncio.Task[None]:
            return asyncio.create_task(hashing.run(lambda: order.append(name), user_id=user_id))

        waiting = [asyncio.create_task(hashing.run(lambda: release.wait() and None))]
        waiting += [hash_for("a", None), hash_for("b", None)]
        waiting += [hash_for("Ada", 1), hash_for("Bob", 2), hash_for("Ada again", 1)]
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(*waiting)
        hashing.close()
        return order

    order = asyncio.run(queue())
    assert order in (["Ada", "a", "Bob", "b", "Ada again"], ["a", "Ada", "b", "Bob", "Ada again"])


def test_the_reserved_slots_are_for_trusted_users_and_one_for_each() -> None:
    hashing = threads(1, 1, hashing_reserve=3)
    with hashing.reserve(), hashing.reserve(1):
        assert hashing.is_full()
        with hashing.reserve(1), hashing.reserve(2):
            # One is left, but not for those who have one, nor for untrusted clients.
            for account in (None, 1, 2):
                with pytest.raises(HashingBusy), hashing.reserve(account):
                    pass
            with hashing.reserve(3), pytest.raises(HashingBusy), hashing.reserve(4):
                pass
        with hashing.reserve(1):
            pass
    with hashing.reserve(), hashing.reserve():
        pass
    hashing.close()


@pytest.mark.parametrize(("is_in_demand", "at_once"), [(True, 1), (False, 2)])
def test_while_tokens_are_checked_one_thread_stays_idle(
    is_in_demand: bool, at_once: int, release: threading.Event
) -> None:
    async def hash_three() -> int:
        counter = BegunCounter()
        hashing = HashingQueue(
            AuthenticationSettings(hashing_threads=2), counter, is_in_demand=lambda: is_in_demand
        )
        waiting = [asyncio.create_task(hashing.run(release.wait)) for _ in range(3)]
        await asyncio.sleep(0)
        begun = counter.begun
        release.set()
        await asyncio.gather(*waiting)
        assert counter.begun == 3
        hashing.close()
        return begun

    assert asyncio.run(hash_three()) == at_once


def hashing_of(client: Client) -> HashingQueue:
    found: HashingQueue = client.http.app.state.service.hashing  # type: ignore[attr-defined]
    return found


@contextmanager
def all_slots_taken(client: Client) -> Iterator[None]:
    with ExitStack() as taken:
        while not hashing_of(client).is_full():
            taken.enter_context(hashing_of(client).reserve())
        yield


def test_token_checks_do_not_wait_for_passwords_being_hashed(
    make_client: Callable[..., Client], release: threading.Event
) -> None:
    client = make_client(hashing_threads=1, hashing_queue=1, hashing_reserve=0)
    tokens = client.sign_up()
    try:
        hashing_of(client)._executor.submit(release.wait)
        with all_slots_taken(client):
            assert client.me(tokens).status_code == 200
            busy = client.try_to_log_in()
            assert (busy.status_code, busy.json()["code"]) == (503, "busy")
            assert int(busy.headers["Retry-After"]) >= 1
    finally:
        release.set()
    assert client.try_to_log_in().status_code == 200


def test_a_login_that_waits_too_long_is_told_to_come_back_and_does_not_count(
    make_client: Callable[..., Client], sql: Sql, release: threading.Event
) -> None:
    client = make_client(hashing_threads=1)
    tokens = client.sign_up()
    hashing_of(client).deadline_seconds = 0.05
    try:
        hashing_of(client)._executor.submit(release.wait)
        busy = client.try_to_log_in(password="wrong")
        assert (busy.status_code, busy.json()["code"]) == (503, "busy")
        assert int(busy.headers["Retry-After"]) >= 1
        body = {"current_password": "wrong", "new_password": "an entirely different one"}
        busy = client.http.put("/users/me/password", json=body, headers=tokens.headers)
        assert (busy.status_code, busy.json()["code"]) == (503, "busy")
    finally:
        release.set()
    assert sql("SELECT count(*) FROM throttle_counters") == [(0,)]


def test_a_client_that_hangs_up_while_it_waits_makes_room(
    make_client: Callable[..., Client], release: threading.Event
) -> None:
    client = make_client(hashing_threads=1, hashing_queue=1, hashing_reserve=0)
    hashing, portal = hashing_of(client), client.http.portal
    assert portal is not None
    portal.start_task_soon(hashing.run, release.wait)
    try:
        portal.call(log_in_and_hang_up, client.http.app)
        assert not hashing.is_full()
    finally:
        release.set()


async def log_in_and_hang_up(app: ASGIApp) -> None:
    """As uvicorn calls it; the thread that is to hash does not come."""
    body = b'{"username": "ada@example.org", "password": "x"}'
    messages: list[Message] = [
        {"type": "http.request", "body": body},
        {"type": "http.disconnect"},
    ]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/login",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }

    async def receive() -> Message:
        return messages.pop(0)

    async def send(_: Message) -> None:
        pass

    await app(scope, receive, send)
