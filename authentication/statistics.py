"""What the overview shows: how the last day, week or month went, from the rows themselves."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from sqlalchemy.orm import Session

from authentication.audit import Event
from authentication.settings import DAY
from database import clock
from database.queries import statistics
from database.queries.statistics import EventCount, SessionCount


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
    also have a token by which its client can go on.
    """

    begins_at: datetime
    logins: int
    failures: int
    throttled: int
    revoked: int
    open: int


@dataclass(frozen=True, slots=True)
class Overview:
    """`stretches` are in the order of time; the last one is not over.

    `live` is one more than MOST_COUNTED where there are more.
    """

    span: Span
    users: int
    live: int
    stretches: list[Stretch]

    @property
    def has_more_live(self) -> bool:
        """Whether more sessions are live than are counted."""
        return self.live > MOST_COUNTED

    def total(self, name: str) -> int:
        """The sum of one of the counts of all stretches."""
        return sum(int(getattr(stretch, name)) for stretch in self.stretches)


def read_overview(session: Session, span: Span) -> Overview:
    """Counted anew each time: nothing here is kept beside what it counts."""
    length, seconds = _DIVISIONS[span]
    last = int(clock.read(session).timestamp()) // seconds
    buckets = range(last - length + 1, last + 1)
    since = datetime.fromtimestamp(buckets[0] * seconds, UTC)
    events = statistics.count_events(session, _EVENTS, since=since, seconds=seconds)
    events += statistics.count_sessions_in_events(
        session, Event.SESSIONS_REVOKED, since=since, seconds=seconds
    )
    sessions = statistics.count_sessions(session, since=since, seconds=seconds)
    return Overview(
        span=span,
        users=statistics.count_users(session),
        live=statistics.count_live_sessions(session, limit=MOST_COUNTED + 1),
        stretches=[_stretch(bucket, seconds, events, sessions) for bucket in buckets],
    )


def _stretch(
    bucket: int, seconds: int, events: list[EventCount], sessions: list[SessionCount]
) -> Stretch:
    def total(*wanted: Event) -> int:
        return sum(one.total for one in events if one.bucket == bucket and one.event in wanted)

    return Stretch(
        begins_at=datetime.fromtimestamp(bucket * seconds, UTC),
        logins=total(Event.LOGIN_SUCCEEDED),
        failures=total(Event.LOGIN_FAILED),
        throttled=total(Event.ATTEMPTS_THROTTLED),
        revoked=total(Event.SESSION_REVOKED, Event.SESSIONS_REVOKED, Event.REFRESH_REUSED),
        open=sum(one.total for one in sessions if _is_open(one, bucket)),
    )


def _is_open(sessions: SessionCount, bucket: int) -> bool:
    """Whether these sessions had begun, and had not ended, when the bucket was over."""
    has_begun = sessions.begun is None or sessions.begun <= bucket
    return has_begun and (sessions.ended is None or sessions.ended > bucket)
