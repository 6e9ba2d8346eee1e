"""In a flood the passwords of strangers are hashed slowly, and no more of them wait than can be."""

import asyncio
import math
import threading

import pytest

from authentication.errors import HashingBusy
from authentication.passwords.pacing import Pace
from authentication.passwords.queue import HashingThreads
from authentication.settings import AuthenticationSettings


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def paced(clock: Clock, *, in_demand: bool = True) -> Pace:
    return Pace(is_in_demand=lambda: in_demand, clock=clock)


def test_before_the_first_hash_as_many_may_wait_as_there_are_places() -> None:
    assert paced(Clock()).most_waiting(threads=1, deadline_seconds=5) == math.inf


def test_no_more_may_wait_than_can_be_hashed_within_the_deadline() -> None:
    pace = paced(Clock())
    pace.note_hash(0.25)
    assert pace.most_waiting(threads=1, deadline_seconds=5) == pytest.approx(16)
    assert pace.most_waiting(threads=2, deadline_seconds=5) == pytest.approx(32)
    pace.note_hash(60)
    assert pace.most_waiting(threads=1, deadline_seconds=5) == 1


def test_in_a_flood_strangers_rest_after_each_hash_and_fewer_may_wait() -> None:
    clock = Clock()
    pace = paced(clock)
    pace.note_refusal()
    pace.note_hash(0.25)
    assert pace.rest_seconds() == pytest.approx(1)
    assert pace.most_waiting(threads=1, deadline_seconds=5) == pytest.approx(3.2)
    clock.now += 1
    assert pace.rest_seconds() == 0


def test_once_nobody_is_refused_any_more_nobody_rests() -> None:
    clock = Clock()
    pace = paced(clock)
    pace.note_refusal()
    clock.now += 1.5
    pace.note_hash(0.25)
    assert pace.rest_seconds() == 0


def test_while_nobody_else_needs_the_processor_nobody_rests() -> None:
    pace = paced(Clock(), in_demand=False)
    pace.note_refusal()
    pace.note_hash(0.25)
    assert pace.rest_seconds() == 0


def test_while_strangers_rest_a_known_user_has_a_turn_and_then_they_go_on() -> None:
    async def flood() -> list[str]:
        settings = AuthenticationSettings(hashing_threads=1, hashing_queue=2)
        hashing, release = HashingThreads(settings, is_in_demand=lambda: True), threading.Event()
        done: list[str] = []

        async def hash_for(name: str, account: int | None = None) -> None:
            await hashing.run(release.wait, account=account)
            done.append(name)

        strangers = [asyncio.create_task(hash_for(name)) for name in ("first", "second", "third")]
        await asyncio.sleep(0)
        with pytest.raises(HashingBusy):
            await hashing.run(release.wait)
        # The rest is four times as long as this.
        await asyncio.sleep(0.25)
        release.set()
        await strangers[0]
        await hash_for("known", account=1)
        await asyncio.gather(*strangers)
        hashing.close()
        return done

    assert asyncio.run(flood()) == ["first", "known", "second", "third"]
