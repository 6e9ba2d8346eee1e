"""Lists of any length as rows of text, read in batches: no transaction lasts as long as a download.

Rows are those that there are when their batch is read, newest first.
"""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TypeVar

from sqlalchemy.orm import Session

from authentication import audit
from authentication.administration import operations
from authentication.administration.operations import (
    AuditFilter,
    SessionFilter,
    UserFilter,
    UserSession,
)
from authentication.administration.paging import Page
from authentication.audit import Event
from authentication.credentials.actor import Actor
from authentication.service import Service
from counterfoil import budget
from database.models import AuditEvent, User

Row = Sequence[object]
T = TypeVar("T")
Read = Callable[[Session, str | None], Page[T]]
Batches = AsyncIterator[list[Row]]

_BATCH = 1000

USERS = (
    *("id", "email", "username", "name", "surname", "website"),
    *("is_active", "has_password", "roles", "created_at", "updated_at"),
)
SESSIONS = (
    *("id", "user_id", "email", "client_id", "ip", "user_agent"),
    *("created_at", "last_used_at", "expires_at"),
)
EVENTS = ("id", "at", "event", "actor", "subject", "ip", "detail")


async def record(service: Service, actor: Actor, name: str) -> None:
    """Record that the actor exports a list. Raises what `Actor.hold` raises."""

    def work(db: Session) -> None:
        actor.hold(db)
        audit.record(db, Event.LIST_EXPORTED, origin=actor.origin, subject=None, list=name)

    await service.database.run(work)


def users(service: Service, wanted: UserFilter) -> Batches:
    """Batches of rows with the columns of USERS."""
    return _batches(
        service,
        lambda db, cursor: operations.list_users(db, wanted, limit=_BATCH, cursor=cursor),
        _user,
    )


def sessions(service: Service, wanted: SessionFilter) -> Batches:
    """Batches of rows with the columns of SESSIONS: live ones, none of which has a token."""
    return _batches(
        service,
        lambda db, cursor: operations.list_sessions(db, wanted, limit=_BATCH, cursor=cursor),
        _session,
    )


def events(service: Service, wanted: AuditFilter) -> Batches:
    """Batches of rows with the columns of EVENTS."""
    return _batches(
        service,
        lambda db, cursor: operations.list_audit_events(db, wanted, limit=_BATCH, cursor=cursor),
        _event,
    )


async def _batches(service: Service, read: Read[T], make_row: Callable[[T], Row]) -> Batches:
    cursor: str | None = None
    while True:
        # Each batch may wait for the database as long as any request.
        budget.set_budget(service.database.settings.database_deadline_seconds)
        work = partial(_read, read=read, make_row=make_row, cursor=cursor)
        rows, cursor = await service.database.run(work, read_only=True)
        yield rows
        if cursor is None:
            return


def _read(
    db: Session, read: Read[T], make_row: Callable[[T], Row], cursor: str | None
) -> tuple[list[Row], str | None]:
    page = read(db, cursor)
    return [make_row(item) for item in page.items], page.next_cursor


def _user(user: User) -> Row:
    roles = " ".join(role.name for role in user.roles)
    stored = user.id, user.email, user.username, user.name, user.surname, user.website
    return (
        *stored,
        *(user.is_active, user.has_password, roles),
        *map(_moment, (user.created_at, user.updated_at)),
    )


def _session(found: UserSession) -> Row:
    session, user = found.session, found.user
    times = session.created_at, session.last_used_at, session.expires_at
    return (
        *(session.id, user.id, user.email, session.client_id, session.ip, session.user_agent),
        *map(_moment, times),
    )


def _event(event: AuditEvent) -> Row:
    detail = json.dumps(event.detail) if event.detail else ""
    named = event.event, event.actor, event.subject, event.ip
    return (event.id, _moment(event.at), *named, detail)


def _moment(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""
