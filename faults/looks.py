"""Looks at the service and its database from outside, and says in short what was seen."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import psycopg2

from faults.calls import Answer, Caller


def health(url: str) -> tuple[int, int]:
    """The statuses of live and ready."""
    with Caller(url) as caller:
        live, ready = (caller.call("GET", f"/health/{one}") for one in ("live", "ready"))
    return live.status, ready.status


def works(url: str, access_token: str) -> bool:
    """Whether a token is looked up and the database is ready for more."""
    with Caller(url) as caller:
        return caller.use(access_token).status == 200 and health(url) == (200, 200)


def count(answers: Iterable[Answer]) -> str:
    """How many of which status: "200: 812, 503: 14"."""
    kinds = Counter(str(answer.status or answer.error) for answer in answers)
    return ", ".join(f"{kind}: {number}" for kind, number in sorted(kinds.items())) or "nothing"


def slowest(answers: Iterable[Answer]) -> float:
    """In seconds."""
    return max((answer.seconds for answer in answers), default=0.0)


def begun_between(answers: Sequence[Answer], first: float, last: float) -> list[Answer]:
    """Those that were asked for in this time."""
    return [answer for answer in answers if first <= answer.began < last]


def is_refusal_in_order(answer: Answer) -> bool:
    """503 that says when to come back."""
    return answer.status == 503 and bool(answer.retry_after)


def run_sql(url: str, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """As an administrator would, on a connection of its own."""
    with closing(psycopg2.connect(url)) as connection, connection:
        cursor = connection.cursor()
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def busy_connections(url: str) -> int:
    """Connections to our database, but for this one, that are in the middle of something."""
    (row,) = run_sql(
        url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state <> 'idle'",
    )
    return int(row[0])


def connections(url: str) -> int:
    """All connections to our database but this one."""
    (row,) = run_sql(
        url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )
    return int(row[0])


HALF_WRITTEN = """
SELECT 'session without token' FROM sessions s
 WHERE NOT EXISTS (SELECT 1 FROM access_tokens t WHERE t.session_id = s.id)
UNION ALL
SELECT 'access token without refresh token' FROM access_tokens t
 WHERE NOT EXISTS (SELECT 1 FROM refresh_tokens r WHERE r.access_token_id = t.id)
UNION ALL
SELECT 'session with a used refresh token and no successor' FROM sessions s
 WHERE (SELECT count(*) FROM refresh_tokens r WHERE r.session_id = s.id)
    <> (SELECT count(*) FROM refresh_tokens r
         WHERE r.session_id = s.id AND r.first_used_at IS NOT NULL) + 1
UNION ALL
SELECT 'session without its audit event' FROM sessions s
 WHERE NOT EXISTS (SELECT 1 FROM audit_events e
   WHERE e.event = 'login.succeeded' AND e.detail ->> 'session' = CAST(s.id AS text))
"""
"""Rows that only a transaction torn in two could leave behind. Wants a load without reuse."""
