"""What administrators can read and change: users, their sessions, roles, API keys, audit events.

No function here returns a token or a password hash, and none sets a password.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import roles, users
from authentication.administration import paging
from authentication.administration.paging import Page
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys, sessions
from authentication.errors import NotFound
from database import queries
from database.limits import REVOKE_BATCH
from database.models import ApiKey, AuditEvent, LoginSession, User

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UserFilter:
    """`text` is matched with the beginnings of words in the e-mail address, username and names."""

    text: str | None = None
    active: bool | None = None
    role: str | None = None


@dataclass(frozen=True, slots=True)
class UserChange:
    """None means no change. `roles` replaces all roles of the user."""

    is_active: bool | None = None
    roles: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """`text` is as in UserFilter. `client` and `ip` are prefixes of `client_id` and the address."""

    text: str | None = None
    user_id: int | None = None
    client: str | None = None
    ip: str | None = None
    order: sessions.Order = sessions.Order.NEWEST


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """`actor` and `subject` are as in the log, such as "user:42". `until` is exclusive."""

    event: str | None = None
    actor: str | None = None
    subject: str | None = None
    ip: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class UserSession:
    """A live session with its user."""

    session: LoginSession
    user: User


@dataclass(frozen=True, slots=True)
class SessionPage(Page[UserSession]):
    """`order` is the order in use: many matches come newest first, whatever was requested."""

    order: sessions.Order


@dataclass(frozen=True, slots=True)
class Revoked:
    """How many sessions a call has revoked, and whether there are more to revoke."""

    processed: int
    more: bool


def list_users(
    db: Session, wanted: UserFilter, *, limit: int, cursor: str | None = None
) -> Page[User]:
    """Users with their roles, newest first. Raises InvalidField for an invalid cursor."""
    found = queries.users.search(
        db,
        text=wanted.text,
        active=wanted.active,
        role=wanted.role,
        before_id=paging.decode_id(cursor),
        limit=limit + 1,
    )
    items, last = _cut(found, limit)
    return Page(items, paging.encode(last.id) if last else None)


def get_user(db: Session, user_id: int) -> User:
    """A user with roles. Raises NotFound."""
    user = queries.users.find(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def change_user(db: Session, user_id: int, change: UserChange, *, origin: Origin) -> User:
    """Apply a change. Raises LastAdministrator, NotFound, and InvalidField for an unknown role."""
    # Roles come first, because every other transaction locks them before the user.
    if change.roles is not None:
        roles.set_roles(db, user_id, change.roles, origin=origin)
    if change.is_active is not None:
        users.set_active(db, user_id, active=change.is_active, origin=origin)
    return get_user(db, user_id)


def revoke_user_sessions(db: Session, user_id: int, *, origin: Origin) -> int:
    """Revoke all sessions of a user, and logins in progress. Returns how many. Raises NotFound."""
    get_user(db, user_id)
    return sessions.revoke_all(db, user_id, origin=origin, reason=Reason.BY_ADMINISTRATOR)


def list_sessions(
    db: Session, wanted: SessionFilter, *, limit: int, cursor: str | None = None
) -> SessionPage:
    """Live sessions. Raises InvalidField for an invalid cursor.

    If the filters match many sessions, a page may hold fewer than `limit`, even none, although
    there is a next one.
    """
    found = queries.session_search.search_live(
        db,
        text=wanted.text,
        user_id=wanted.user_id,
        client=wanted.client,
        ip=wanted.ip,
        order=wanted.order,
        after=paging.decode_position(cursor, id_is_uuid=True),
        limit=limit,
    )
    items = [UserSession(session, user) for session, user in found.items]
    next_cursor = paging.encode(*found.resume) if found.resume else None
    return SessionPage(items, next_cursor, found.order)


def revoke_session(db: Session, session_id: UUID, *, origin: Origin) -> None:
    """Revoke one session of any user. Raises NotFound if it is not live."""
    sessions.revoke_any(db, session_id, origin=origin, reason=Reason.BY_ADMINISTRATOR)


def revoke_sessions(db: Session, ids: Sequence[UUID], *, origin: Origin) -> Revoked:
    """Revoke these sessions. Those that are not live are skipped and not counted."""
    locked = queries.sessions.lock_valid_batch(db, ids=ids, limit=len(ids))
    _revoke(db, locked, origin)
    return Revoked(len(locked), more=False)


def revoke_session_batch(db: Session, *, keep: UUID | None, origin: Origin) -> Revoked:
    """Revoke the newest sessions of all users, up to REVOKE_BATCH, except the one to keep."""
    locked = queries.sessions.lock_valid_batch(db, keep=keep, limit=REVOKE_BATCH + 1)
    batch, more = _cut(locked, REVOKE_BATCH)
    _revoke(db, batch, origin)
    return Revoked(len(batch), more=more is not None)


def list_api_keys(
    db: Session, user_id: int, *, limit: int, cursor: str | None = None
) -> Page[ApiKey]:
    """The live API keys of a user, newest first. Raises NotFound, and InvalidField for a cursor."""
    get_user(db, user_id)
    return api_keys.list_of_user(db, user_id, limit=limit, cursor=cursor)


def revoke_api_key(db: Session, api_key_id: UUID, *, origin: Origin) -> None:
    """Revoke a key of any user. Raises NotFound if it is not live."""
    api_keys.revoke_any(db, api_key_id, origin=origin, reason=Reason.BY_ADMINISTRATOR)


def list_audit_events(
    db: Session, wanted: AuditFilter, *, limit: int, cursor: str | None = None
) -> Page[AuditEvent]:
    """Audit events, newest first. Raises InvalidField for an invalid cursor."""
    found = queries.audit_events.search(
        db,
        event=wanted.event,
        actor=wanted.actor,
        subject=wanted.subject,
        ip=wanted.ip,
        since=wanted.since,
        until=wanted.until,
        after=paging.decode_position(cursor, id_is_uuid=False),
        limit=limit + 1,
    )
    rows, last = _cut(found, limit)
    items = [event for event, _ in rows]
    return Page(items, paging.encode(last[1], last[0].id) if last else None)


def count_live_sessions(db: Session, user_ids: Sequence[int]) -> dict[int, int]:
    """The number of live sessions by user id. Users without any are left out."""
    return queries.statistics.count_live_sessions_of(db, user_ids)


def find_emails(db: Session, user_ids: Sequence[int]) -> dict[int, str]:
    """The e-mail addresses of these users by id. Users that do not exist are left out."""
    return queries.users.find_emails(db, user_ids)


def _revoke(db: Session, locked: Sequence[tuple[UUID, int]], origin: Origin) -> None:
    queries.sessions.revoke_batch(
        db, [session_id for session_id, _ in locked], reason=Reason.BY_ADMINISTRATOR
    )
    events = [
        (audit.user(user_id), {"session": str(session_id), "reason": Reason.BY_ADMINISTRATOR})
        for session_id, user_id in locked
    ]
    audit.record_all(db, Event.SESSION_REVOKED, events, origin=origin)


def _cut(found: Sequence[T], limit: int) -> tuple[Sequence[T], T | None]:
    """The items of one page, and the last of them if more items follow."""
    return found[:limit], found[limit - 1] if len(found) > limit else None
