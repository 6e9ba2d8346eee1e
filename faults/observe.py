"""Observes the service and its database from outside, and summarises answers."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from typing import Any

import psycopg2

from faults.calls import Answer, Caller


def health(url: str) -> tuple[int, int]:
    """The statuses of /health/live and /health/ready."""
    with Caller(url) as caller:
        live, ready = (caller.call("GET", f"/health/{one}") for one in ("live", "ready"))
    return live.status, ready.status


def is_working(url: str, access_token: str) -> bool:
    """Whether the token is accepted and the service is live and ready."""
    with Caller(url) as caller:
        return caller.use(access_token).status == 200 and health(url) == (200, 200)


def statuses(answers: Iterable[Answer]) -> str:
    """The number of answers by status, such as "200: 812, 503: 14". "nothing" if there are none."""
    counts = Counter(str(answer.status or answer.error) for answer in answers)
    return ", ".join(f"{kind}: {number}" for kind, number in sorted(counts.items())) or "nothing"


def slowest(answers: Iterable[Answer]) -> float:
    """The longest time that an answer took, in seconds."""
    return max((answer.seconds for answer in answers), default=0.0)


def sent_between(answers: Sequence[Answer], first: float, last: float) -> list[Answer]:
    """The answers to requests that were sent in this interval."""
    return [answer for answer in answers if first <= answer.began < last]


def is_503_with_retry_after(answer: Answer) -> bool:
    """Whether it is a 503 with the header Retry-After."""
    return answer.status == 503 and bool(answer.retry_after)


def run_sql(url: str, statement: str, parameters: Any = None) -> list[tuple[Any, ...]]:
    """Run one statement on a new connection. Returns the rows, if any."""
    with closing(psycopg2.connect(url)) as connection, connection:
        cursor = connection.cursor()
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def active_connections(url: str) -> int:
    """The number of other connections to this database that are not idle."""
    (row,) = run_sql(
        url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND state <> 'idle'",
    )
    return int(row[0])


def connections(url: str) -> int:
    """The number of other connections to this database."""
    (row,) = run_sql(
        url,
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid()",
    )
    return int(row[0])


INCONSISTENT_ROWS = """
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
"""Selects rows that only a transaction committed in part could leave behind.

Valid for a load in which no refresh token is reused.
"""
