"""Counts events and sessions of the last day, week or month for the console's overview."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from authentication.audit import Event
from authentication.settings import DAY
from database import clock, queries
from database.engine.time_budget import TimeBudget
from database.queries.statistics import EventCount


class Period(StrEnum):
    """How far to look back."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


# The number of time buckets in a period, and the length of each in seconds.
_BUCKETS = {Period.DAY: (24, 3600), Period.WEEK: (28, DAY // 4), Period.MONTH: (30, DAY)}

_EVENTS = (
    Event.LOGIN_SUCCEEDED,
    Event.LOGIN_FAILED,
    Event.ATTEMPTS_THROTTLED,
    Event.SESSION_REVOKED,
    Event.REFRESH_REUSED,
)

# Whether a session is live depends on its user and tokens too, so no more than these are counted.
MAX_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class TimeBucket:
    """The counts of one interval, and the number of sessions that were open at its end.

    A session is open from its creation until it is revoked or expires. A live session also has a
    token that its client can use. None means that the count was not finished within the deadline.
    """

    begins_at: datetime
    logins: int | None
    failures: int | None
    throttled: int | None
    revoked: int | None
    open: int | None


@dataclass(frozen=True, slots=True)
class Overview:
    """`buckets` are in chronological order; the last one includes the present.

    `live` is MAX_COUNTED + 1 if there are more. None means that the count was not finished within
    the deadline.
    """

    period: Period
    users: int | None
    live: int | None
    buckets: list[TimeBucket]

    @property
    def has_more_live(self) -> bool:
        """Whether more than MAX_COUNTED sessions are live."""
        return self.live is not None and self.live > MAX_COUNTED

    def total(self, attribute: str) -> int | None:
        """The sum of an attribute of all buckets. None if it was not counted."""
        counts = [getattr(bucket, attribute) for bucket in self.buckets]
        return None if None in counts else sum(counts)


def read_overview(db: Session, period: Period) -> Overview:
    """Counted from the rows on each call. Counts that would exceed the deadline are None."""
    length, seconds = _BUCKETS[period]
    last = int(clock.read(db).timestamp()) // seconds
    numbers = range(last - length + 1, last + 1)
    since = datetime.fromtimestamp(numbers[0] * seconds, UTC)
    budget = TimeBudget(db, 4)
    users = budget.run(queries.statistics.count_users)
    events = budget.run(lambda db: _count_events(db, since, seconds))
    opened = budget.run(lambda db: _count_open(db, numbers, since, seconds))
    live = budget.run(_count_live)
    return Overview(
        period=period,
        users=users,
        live=live,
        buckets=[_bucket(number, seconds, events, opened) for number in numbers],
    )


def _count_live(db: Session) -> int:
    return queries.session_search.count_live(db, limit=MAX_COUNTED + 1)


def _count_events(db: Session, since: datetime, seconds: int) -> list[EventCount]:
    events = queries.statistics.count_events(db, _EVENTS, since=since, seconds=seconds)
    return events + queries.statistics.count_sessions_in_events(
        db, Event.SESSIONS_REVOKED, since=since, seconds=seconds
    )


def _count_open(db: Session, numbers: range, since: datetime, seconds: int) -> dict[int, int]:
    """The sessions open at the end of each bucket: those open now, less the changes since then."""
    count = queries.statistics.count_open_sessions(db)
    changes = queries.statistics.count_session_changes(db, since=since, seconds=seconds)
    opened = {}
    for number in reversed(numbers):
        opened[number] = count
        count -= changes.get(number, 0)
    return opened


def _bucket(
    number: int, seconds: int, events: list[EventCount] | None, opened: dict[int, int] | None
) -> TimeBucket:
    def total(*wanted: Event) -> int | None:
        if events is None:
            return None
        return sum(one.total for one in events if one.bucket == number and one.event in wanted)

    return TimeBucket(
        begins_at=datetime.fromtimestamp(number * seconds, UTC),
        logins=total(Event.LOGIN_SUCCEEDED),
        failures=total(Event.LOGIN_FAILED),
        throttled=total(Event.ATTEMPTS_THROTTLED),
        revoked=total(Event.SESSION_REVOKED, Event.SESSIONS_REVOKED, Event.REFRESH_REUSED),
        open=None if opened is None else opened[number],
    )
