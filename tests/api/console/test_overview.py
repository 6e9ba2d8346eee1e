"""The overview: the counts of its charts, their labels, and that it never exceeds the deadline."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, promote

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]
MakeConsole = Callable[..., ConsoleClient]


def test_the_overview_counts_what_happened(
    admin: ConsoleClient, api: Client, sql: Sql, clock: Clock
) -> None:
    api.register("ada@example.org")
    api.try_to_log_in("ada@example.org", "not the password")
    api.http.post("/logout", headers=api.log_in().headers)
    admin.open("/")
    assert "Live sessions now 1" in admin.text
    assert "2 succeeded 1 failed" in admin.text
    assert "1 revoked" in admin.text
    sql(f"UPDATE audit_events SET at = {clock.in_seconds(-3 * 86400)}")
    admin.open("/")
    assert "0 succeeded 0 failed" in admin.text
    admin.open("/?period=week")
    assert "2 succeeded 1 failed" in admin.text


@pytest.mark.parametrize(("span", "unit"), [("day", "hour"), ("week", "6 hours"), ("month", "day")])
def test_both_axes_are_labelled(admin: ConsoleClient, span: str, unit: str) -> None:
    admin.open(f"/?period={span}")
    assert f"Sign-ins per {unit}" in admin.text
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", admin.page.text)
    assert texts[:3] == ["2", "1", "0"]
    times = texts[3 : texts.index("2", 3)]
    assert 5 <= len(times) <= 8
    form = r"\d\d:00" if span == "day" else r"\d\d? [A-Z][a-z]{2}"
    assert all(re.fullmatch(form, time) for time in times)


@pytest.fixture
def endless_events(sql: Sql, database_url: str) -> Iterator[Callable[[], None]]:
    """Makes the audit log endless, so that no count of it ends."""
    restore = []

    def lengthen() -> None:
        sql("ALTER TABLE audit_events RENAME TO real_events")
        sql(
            "CREATE VIEW audit_events AS WITH RECURSIVE numbers(n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM numbers)"
            " SELECT real_events.* FROM real_events CROSS JOIN numbers"
        )
        if database_url.startswith("postgresql"):
            sql("GRANT SELECT ON audit_events TO PUBLIC")
        restore.append("DROP VIEW audit_events")
        restore.append("ALTER TABLE real_events RENAME TO audit_events")

    yield lengthen
    for statement in restore:
        sql(statement)


def test_a_chart_that_takes_too_long_is_left_out_and_the_rest_is_shown(
    make_console: MakeConsole, sql: Sql, endless_events: Callable[[], None]
) -> None:
    console = make_console(database_deadline_seconds=1)
    Client(console.http).register("root@example.org")
    promote(sql, "root@example.org")
    console.sign_in("root@example.org")
    endless_events()
    assert console.open("/").status_code == 200
    assert console.text.count("There was no time to count this.") == 3
    assert console.text.count("not counted in time") == 2
    assert "Open sessions 1 open" in console.text
    assert "Live sessions now 1 Users 1" in console.text
