"""What one worker remembers to turn a flood away."""

import pytest

from authentication.errors import TooManyAttempts
from authentication.throttling.memory import FloodMemory


class Clock:
    """Goes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def test_a_refusal_is_repeated_for_a_moment_and_no_longer() -> None:
    clock = Clock()
    memory = FloodMemory(clock=clock)
    memory.refuse_again("login", "ada", "203.0.113.9")
    memory.note_refusal(TooManyAttempts(900), "login", "ada", "203.0.113.9")
    with pytest.raises(TooManyAttempts) as refusal:
        memory.refuse_again("login", "ada", "203.0.113.9")
    assert refusal.value.retry_after_seconds == 900
    memory.refuse_again("login", "ada", "198.51.100.7")
    clock.seconds += 1.1
    memory.refuse_again("login", "ada", "203.0.113.9")


def test_misses_are_counted_for_each_by_themselves_in_a_window_of_a_minute() -> None:
    clock = Clock()
    memory = FloodMemory(clock=clock)
    memory.count_miss("revoke", "203.0.113.9", limit=2)
    memory.count_miss("revoke", "203.0.113.9", limit=2)
    memory.count_miss("revoke", "198.51.100.7", limit=2)
    clock.seconds += 45
    with pytest.raises(TooManyAttempts) as refusal:
        memory.count_miss("revoke", "203.0.113.9", limit=2)
    assert refusal.value.retry_after_seconds == 15
    clock.seconds += 15.1
    memory.count_miss("revoke", "203.0.113.9", limit=2)


def test_a_flood_from_ever_new_places_fills_no_memory() -> None:
    memory = FloodMemory(clock=Clock())
    for n in range(10_500):
        memory.count_miss("revoke", str(n), limit=1)
        memory.note_refusal(TooManyAttempts(1), "login", str(n))
    assert len(memory._misses) == len(memory._refusals) == 10_000
