"""Formatting of user agents, events and times."""

from datetime import UTC, datetime, timedelta

import pytest

from api.web import formatting
from api.web.formatting import Formatter
from authentication.audit import Event

ENGLISH = Formatter()
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0"
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36"
DESKTOP = CHROME.replace(" Mobile", "")
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
MAC = "Macintosh; Intel Mac OS X 10_15_7"
IPHONE = "iPhone; CPU iPhone OS 18_1 like Mac OS X"


@pytest.mark.parametrize(
    ("agent", "expected"),
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
def test_user_agents_are_shortened(agent: str | None, expected: str) -> None:
    assert ENGLISH.agent(agent) == expected


def test_an_unknown_user_agent_is_truncated() -> None:
    assert len(ENGLISH.agent("x" * 10_000)) < 100


def test_every_event_has_a_title() -> None:
    assert set(formatting.EVENTS) == set(Event)


@pytest.mark.parametrize(
    ("ago", "expected"),
    [
        (timedelta(seconds=10), "just now"),
        (timedelta(minutes=1), "1 minute ago"),
        (timedelta(hours=5, minutes=59), "5 hours ago"),
        (timedelta(days=3), "3 days ago"),
        (timedelta(seconds=-10), "in a moment"),
        (timedelta(days=-30), "in 30 days"),
    ],
)
def test_times_are_shown_relative_to_now(ago: timedelta, expected: str) -> None:
    assert ENGLISH.distance(NOW - ago, NOW) == expected


def test_times_are_shown_in_utc_and_none_as_never() -> None:
    assert ENGLISH.moment(datetime(2001, 3, 4, 5, 6, tzinfo=UTC)) == "4 Mar 2001, 05:06"
    assert ENGLISH.moment(None) == ENGLISH.distance(None) == "never"
