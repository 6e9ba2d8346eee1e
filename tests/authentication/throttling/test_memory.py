"""What one worker remembers to answer a flood by itself."""

from contextlib import suppress

import pytest

from authentication.audit import Origin
from authentication.errors import TooManyAttempts
from authentication.throttling.counting import Exceeded
from authentication.throttling.limits import Limit
from authentication.throttling.memory import RecentRejections, UnknownTokenCounter
from database.queries.throttle_counters import CounterKey

HOME = "203.0.113.9"
ELSEWHERE = "198.51.100.7"


class Clock:
    """Goes only when it is told to."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


def exceeded(seconds: int, *, is_of_network: bool = False) -> Exceeded:
    limit = Limit("a limit", 1, CounterKey(b"", None, None), is_of_network=is_of_network)
    return Exceeded(limit, 2, seconds)


def seconds_of(rejection: TooManyAttempts | None) -> int | None:
    return None if rejection is None else rejection.retry_after_seconds


def test_a_rejection_is_repeated_for_a_moment_and_no_longer() -> None:
    clock = Clock()
    rejections = RecentRejections(clock=clock)
    assert rejections.find("ada", HOME) is None
    rejections.add("ada", HOME, [exceeded(900)], is_known=True)
    assert seconds_of(rejections.find("ada", HOME)) == 900
    assert rejections.find("ada", ELSEWHERE) is None
    assert rejections.find_for_unknown("ada", ELSEWHERE) is None
    clock.seconds += 1.1
    assert rejections.find("ada", HOME) is None


def test_of_many_who_ask_once_a_rejection_has_ended_one_is_counted_again() -> None:
    clock = Clock()
    rejections = RecentRejections(clock=clock)
    rejections.add("ada", ELSEWHERE, [exceeded(900)], is_known=False)
    clock.seconds += 1.5
    assert rejections.find_for_unknown("ada", HOME) is None
    assert seconds_of(rejections.find_for_unknown("ada", HOME)) == 898
    clock.seconds += 0.3
    # The one was not rejected, or has failed: nobody else waits for it.
    assert rejections.find_for_unknown("ada", HOME) is None
    assert rejections.find_for_unknown("ada", HOME) is None


def test_nobody_is_rejected_past_the_end_of_the_limit() -> None:
    clock = Clock()
    rejections = RecentRejections(clock=clock)
    rejections.add("ada", HOME, [exceeded(2)], is_known=True)
    clock.seconds += 2.5
    assert rejections.find("ada", HOME) is None
    assert rejections.find("ada", HOME) is None


def test_a_client_that_is_not_known_is_rejected_for_all_like_it() -> None:
    rejections = RecentRejections(clock=Clock())
    over = [exceeded(900), exceeded(300, is_of_network=True)]
    rejections.add("ada", ELSEWHERE, over, is_known=False)
    assert seconds_of(rejections.find("ada", ELSEWHERE)) == 900
    assert rejections.find("ada", HOME) is None, "where she may be known"
    assert seconds_of(rejections.find_for_unknown("ada", HOME)) == 900
    assert seconds_of(rejections.find_for_unknown("bob", ELSEWHERE)) == 300
    assert rejections.find_for_unknown("bob", HOME) is None


def test_unknown_tokens_are_counted_for_each_client_in_a_window_of_a_minute() -> None:
    clock = Clock()
    counter = UnknownTokenCounter(clock=clock)
    counter.count("revoke", HOME, limit=2)
    counter.count("revoke", HOME, limit=2)
    counter.count("revoke", ELSEWHERE, limit=2)
    clock.seconds += 45
    with pytest.raises(TooManyAttempts) as rejection:
        counter.count("revoke", HOME, limit=2)
    assert rejection.value.retry_after_seconds == 15
    clock.seconds += 15.1
    counter.count("revoke", HOME, limit=2)


def test_a_flood_from_ever_new_places_fills_no_memory() -> None:
    rejections, counter = RecentRejections(clock=Clock()), UnknownTokenCounter(clock=Clock())
    for n in range(10_500):
        counter.count("revoke", str(n), limit=1)
        rejections.add(str(n), HOME, [exceeded(1)], is_known=True)
    assert len(counter._memory) == len(rejections._memory) == 10_000


def network(number: int) -> Origin:
    return Origin(ip=f"2001:db8:0:{number:x}::1")


def test_the_networks_of_one_site_do_not_push_out_its_count() -> None:
    counter, counted = UnknownTokenCounter(clock=Clock()), 0
    for number in range(3 * 11_000):
        try:
            counter.reject_flood("revoke", network(number % 11_000), limit=220)
        except TooManyAttempts:
            break
        counted += 1
        with suppress(TooManyAttempts):
            counter.count_in("revoke", network(number % 11_000), limit=220)
    assert counted == 5 * 10 * 220
    # Nor do those of other networks, after it is no longer counted.
    for number in range(10_000):
        counter.count_in("refresh", Origin(ip=f"198.51.{number // 256}.{number % 256}"), limit=1)
    with pytest.raises(TooManyAttempts):
        counter.reject_flood("revoke", network(0), limit=220)


def test_what_is_still_counted_stays_and_what_has_expired_makes_room() -> None:
    clock = Clock()
    counter = UnknownTokenCounter(clock=clock)
    counter.count("revoke", HOME, limit=2)
    clock.seconds += 30
    counter.count("revoke", ELSEWHERE, limit=2)
    counter.count("revoke", ELSEWHERE, limit=2)
    for n in range(9_998):
        counter.count("revoke", str(n), limit=1)
    # Now the last that was written, but its minute is the first to be over.
    counter.count("revoke", HOME, limit=2)
    clock.seconds += 31
    counter.count("revoke", "another", limit=1)
    with pytest.raises(TooManyAttempts):
        counter.count("revoke", ELSEWHERE, limit=2)
