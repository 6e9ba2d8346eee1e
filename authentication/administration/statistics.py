"""What the overview shows: how the last day, week or month went, from the rows themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from authentication.audit import Event
from authentication.settings import DAY
from database import clock, queries
from database.engine.time_budget import Attempts
from database.queries.statistics import EventCount


class Span(StrEnum):
    """How far to look back."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# How many stretches of time a span is divided into, and how many seconds each of them has.
_DIVISIONS = {Span.DAY: (24, 3600), Span.WEEK: (28, DAY // 4), Span.MONTH: (30, DAY)}

_EVENTS = (
    Event.LOGIN_SUCCEEDED,
    Event.LOGIN_FAILED,
    Event.ATTEMPTS_THROTTLED,
    Event.SESSION_REVOKED,
    Event.REFRESH_REUSED,
)


# To see whether a session is live takes more than a look at its row, so they are not all counted.
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened in one stretch of time, and how many sessions were open at its end.

    A session is open from its beginning until it is ended or its time is over. To be live, it must
    also have a token by which its client can go on. None stands for what was not counted in time.
    """

    begins_at: datetime
    logins: int | None
    failures: int | None
    throttled: int | None
    revoked: int | None
    open: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`stretches` are in the order of time; the last one is not over.

    `live` is one more than MOST_COUNTED where there are more. None: not counted in time.
    """

    span: Span
    users: int | None
    live: int | None
    stretches: list[Stretch]

    @property
    def has_more_live(self) -> bool:
        """Whether more sessions are live than are counted."""
        return self.live is not None and self.live > MOST_COUNTED

    def total(self, name: str) -> int | None:
        """The sum of one of the counts of all stretches."""
        counts = [getattr(stretch, name) for stretch in self.stretches]
        return None if None in counts else sum(counts)


def read_overview(db: Session, span: Span) -> Overview:
    """Counted anew each time: nothing here is kept beside what it counts.

    What would take longer than the deadline allows is left out, and the rest is there.
    """
    length, seconds = _DIVISIONS[span]
    last = int(clock.read(db).timestamp()) // seconds
    buckets = range(last - length + 1, last + 1)
    since = datetime.fromtimestamp(buckets[0] * seconds, UTC)
    attempts = Attempts(db, 4)
    users = attempts.make(queries.statistics.count_users)
    events = attempts.make(lambda db: _count_events(db, since, seconds))
    opened = attempts.make(lambda db: _count_open(db, buckets, since, seconds))
    live = attempts.make(_count_live)
    return Overview(
        span=span,
        users=users,
        live=live,
        stretches=[_stretch(bucket, seconds, events, opened) for bucket in buckets],
    )


def _count_live(db: Session) -> int:
    return queries.statistics.count_live_sessions(db, limit=MOST_COUNTED + 1)


def _count_events(db: Session, since: datetime, seconds: int) -> list[EventCount]:
    events = queries.statistics.count_events(db, _EVENTS, since=since, seconds=seconds)
    return events + queries.statistics.count_sessions_in_events(
        db, Event.SESSIONS_REVOKED, since=since, seconds=seconds
    )


def _count_open(db: Session, buckets: range, since: datetime, seconds: int) -> dict[int, int]:
    """How many were open at the end of each bucket: as many as now, but for what has changed."""
    number = queries.statistics.count_open_sessions(db)
    changes = queries.statistics.count_session_changes(db, since=since, seconds=seconds)
    opened = {}
    for bucket in reversed(buckets):
        opened[bucket] = number
        number -= changes.get(bucket, 0)
    return opened


def _stretch(
    bucket: int, seconds: int, events: list[EventCount] | None, opened: dict[int, int] | None
) -> Stretch:
    def total(*wanted: Event) -> int | None:
        if events is None:
            return None
        return sum(one.total for one in events if one.bucket == bucket and one.event in wanted)

    return Stretch(
        begins_at=datetime.fromtimestamp(bucket * seconds, UTC),
        logins=total(Event.LOGIN_SUCCEEDED),
        failures=total(Event.LOGIN_FAILED),
        throttled=total(Event.ATTEMPTS_THROTTLED),
        revoked=total(Event.SESSION_REVOKED, Event.SESSIONS_REVOKED, Event.REFRESH_REUSED),
        open=None if opened is None else opened[bucket],
    )
