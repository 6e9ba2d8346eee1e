"""What administrators can read and change: users, their sessions, roles, API keys, audit events.

No function here returns a token or a password hash, and none sets a password.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Select
from sqlalchemy.orm import Session

from authentication import audit
from authentication.accounts import renaming, roles, users
from authentication.administration import paging
from authentication.administration.paging import Page
from authentication.administration.statistics import MAX_COUNTED
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys, sessions
from authentication.credentials.actor import Actor, Targets
from authentication.emails import LoginName
from authentication.errors import NotFound
from authentication.settings import AuthenticationSettings
from database import queries
from database.engine.time_budget import TimeBudget
from database.limits import REVOKE_BATCH
from database.models import ApiKey, AuditEvent, LoginSession, User
from database.queries.sessions import LockedSession

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UserFilter:
    """`text` is matched with the beginnings of words in the e-mail address, username and names."""

    text: str | None = None
    active: bool | None = None
    role: str | None = None
    order: queries.users.Order = queries.users.Order.NEWEST


@dataclass(frozen=True, slots=True)
class UserChange:
    """None means no change. `roles` replaces all roles of the user, `names` only those in it."""

    is_active: bool | None = None
    roles: Sequence[str] | None = None
    names: Mapping[str, str | None] = field(default_factory=dict)


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
    """Users with their roles. Raises InvalidField for an invalid cursor."""
    after = paging.decode_id(cursor)
    found = queries.users.search(db, _selected(db, wanted), wanted.order, after, limit=limit + 1)
    items, last = _cut(found, limit)
    return Page(items, paging.encode(last.id) if last else None)


def count_users(db: Session, wanted: UserFilter) -> int | None:
    """How many users match; None if there are more than MAX_COUNTED."""
    return queries.users.count(_selected(db, wanted), db, most=MAX_COUNTED)


def _selected(db: Session, wanted: UserFilter) -> Select[User]:
    return queries.users.select_matching(
        db, text=wanted.text, active=wanted.active, role=wanted.role
    )


def get_user(db: Session, user_id: int) -> User:
    """A user with roles. Raises NotFound."""
    user = queries.users.find(db, user_id)
    if user is None:
        raise NotFound("There is no such user.")
    return user


def change_user(
    db: Session,
    settings: AuthenticationSettings,
    actor: Actor,
    user_id: int,
    change: UserChange,
) -> User:
    """Apply a change, for an actor who has given their password a short while ago.

    Raises LastAdministrator, NotFound, EmailTaken, UsernameTaken, and InvalidField, also for an
    unknown role.
    """
    of_user = queries.sessions.select_of_user(user_id)
    disables = change.is_active is False
    targets = Targets([user_id], of_user if disables else None, administrators=True)
    actor.hold(db, targets, fresh=True)
    if change.roles is not None:
        roles.set_roles(db, user_id, change.roles, origin=actor.origin)
    if change.is_active is not None:
        users.set_active(db, user_id, active=change.is_active, origin=actor.origin)
    if change.names:
        renaming.rename(db, settings, user_id, change.names, origin=actor.origin)
    return get_user(db, user_id)


def revoke_user_sessions(db: Session, actor: Actor, user_id: int) -> int:
    """Revoke all sessions of a user, and logins in progress. Returns how many. Raises NotFound."""
    actor.hold(db, Targets([user_id], queries.sessions.select_of_user(user_id)))
    reason = Reason.BY_ADMINISTRATOR
    return sessions.revoke_all(db, user_id, origin=actor.origin, reason=reason)


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


def count_sessions(db: Session, wanted: SessionFilter) -> int | None:
    """How many live sessions match. None if there are more than MAX_COUNTED, or if counting takes
    long.
    """

    def count(db: Session) -> int:
        return queries.session_search.count_live(
            db,
            text=wanted.text,
            user_id=wanted.user_id,
            client=wanted.client,
            ip=wanted.ip,
            limit=MAX_COUNTED + 1,
        )

    # A third of what a budget may take, so that the list is not much later for its total.
    found = TimeBudget(db, 3).run(count)
    return found if found is not None and found <= MAX_COUNTED else None


def revoke_session(db: Session, actor: Actor, session_id: UUID) -> None:
    """Revoke one session of any user. Raises NotFound if it is not live."""
    actor.hold(db, Targets(sessions=queries.sessions.select_by_id([session_id])))
    reason = Reason.BY_ADMINISTRATOR
    sessions.revoke_any(db, session_id, origin=actor.origin, reason=reason)


def revoke_sessions(db: Session, actor: Actor, ids: Sequence[UUID]) -> Revoked:
    """Revoke these sessions. Those that are not live are skipped and not counted."""
    held = actor.hold(db, Targets(sessions=queries.sessions.select_by_id(ids)))
    _revoke(db, held.sessions, actor.origin)
    return Revoked(len(held.sessions), more=False)


def revoke_session_batch(db: Session, actor: Actor, *, keep_current: bool) -> Revoked:
    """Revoke the newest sessions of all users, up to REVOKE_BATCH, perhaps except the current one.

    The actor must have given their password a short while ago.
    """
    keep = actor.identity.session_id if keep_current else None
    newest = queries.sessions.select_newest(limit=REVOKE_BATCH, keep=keep)
    held = actor.hold(db, Targets(sessions=newest), fresh=True)
    _revoke(db, held.sessions, actor.origin)
    return Revoked(len(held.sessions), more=queries.sessions.is_any_valid(db, keep=keep))


def list_api_keys(
    db: Session, user_id: int, *, limit: int, cursor: str | None = None
) -> Page[ApiKey]:
    """The live API keys of a user, newest first. Raises NotFound, and InvalidField for a cursor."""
    get_user(db, user_id)
    return api_keys.list_of_user(db, user_id, limit=limit, cursor=cursor)


def revoke_api_key(db: Session, actor: Actor, api_key_id: UUID) -> None:
    """Revoke a key of any user. Raises NotFound if it is not live."""
    actor.hold(db, Targets(api_key_ids=[api_key_id]))
    reason = Reason.BY_ADMINISTRATOR
    api_keys.revoke_any(db, api_key_id, origin=actor.origin, reason=reason)


def revoke_api_key_of_user(db: Session, actor: Actor, api_key_id: UUID, *, user_id: int) -> None:
    """Revoke a key of this user. Raises NotFound if it is not live or another user's."""
    actor.hold(db, Targets(api_key_ids=[api_key_id]))
    reason = Reason.BY_ADMINISTRATOR
    api_keys.revoke_of_user(db, api_key_id, user_id=user_id, origin=actor.origin, reason=reason)


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


def with_named_users(db: Session, wanted: AuditFilter) -> AuditFilter:
    """The same filter by ids, where it names users by their e-mail addresses."""
    return replace(
        wanted, actor=_name_in_log(db, wanted.actor), subject=_name_in_log(db, wanted.subject)
    )


def _name_in_log(db: Session, text: str | None) -> str | None:
    """An address that nobody has stays what it is, and matches nothing."""
    if text is None or "@" not in text:
        return text
    user = users.find_by_name(db, LoginName.parse(text))
    return audit.user(user.id) if user else text


def count_live_sessions(db: Session, user_ids: Sequence[int]) -> dict[int, int]:
    """The number of live sessions by user id. Users without any are left out."""
    return queries.statistics.count_live_sessions_of(db, user_ids)


def find_emails(db: Session, user_ids: Sequence[int]) -> dict[int, str]:
    """The e-mail addresses of these users by id. Users that do not exist are left out."""
    return queries.users.find_emails(db, user_ids)


def _revoke(db: Session, locked: Sequence[LockedSession], origin: Origin) -> None:
    reason = Reason.BY_ADMINISTRATOR
    queries.sessions.revoke_batch(db, [session.id for session in locked], reason=reason)
    events = [
        (audit.user(session.user_id), {"session": str(session.id), "reason": reason})
        for session in locked
    ]
    audit.record_all(db, Event.SESSION_REVOKED, events, origin=origin)


def _cut(found: Sequence[T], limit: int) -> tuple[Sequence[T], T | None]:
    """The items of one page, and the last of them if more items follow."""
    return found[:limit], found[limit - 1] if len(found) > limit else None
