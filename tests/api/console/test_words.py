"""Words for what rows say in codes."""

from datetime import UTC, datetime, timedelta

import pytest

from api.console import words
from authentication.audit import Event

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
DESKTOP = CHROME.replace(" Mobile", "")
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
MAC = "Macintosh; Intel Mac OS X 10_15_7"
IPHONE = "iPhone; CPU iPhone OS 18_1 like Mac OS X"


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (FIREFOX, "Firefox on Windows"),
        (f"Mozilla/5.0 (X11; Linux x86_64) {CHROME}", "Chrome on Linux"),
        (f"Mozilla/5.0 (Linux; Android 14; Pixel 8) {CHROME}", "Chrome on Android"),
        (f"Mozilla/5.0 ({MAC}) {DESKTOP} Edg/131.0.0.0", "Edge on macOS"),
        (f"Mozilla/5.0 ({IPHONE}) {SAFARI}", "Safari on iOS"),
        ("curl/8.5.0", "curl"),
        ("okhttp/4.12.0", "okhttp"),
        ("python-httpx/0.28.1", "python-httpx/0.28.1"),
        ("", "Unknown client"),
        (None, "Unknown client"),
    ],
)
def test_agents_are_told_in_words(agent: str | None, said: str) -> None:
    assert words.agent(agent) == said


def test_an_agent_that_says_nothing_known_is_cut_short() -> None:
    assert len(words.agent("x" * 10_000)) < 100


def test_every_event_has_words() -> None:
    assert set(words.EVENTS) == set(Event)


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(seconds=10), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-10), "in a moment"),
        (timedelta(days=-30), "in 30 days"),
    ],
)
def test_distances_in_time(ago: timedelta, said: str) -> None:
    assert words.distance(NOW - ago, NOW) == said


def test_moments_are_in_utc_and_never_is_one_too() -> None:
    assert words.moment(datetime(2001, 3, 4, 5, 6, tzinfo=UTC)) == "4 Mar 2001, 05:06"
    assert words.moment(None) == words.distance(None) == "never"
