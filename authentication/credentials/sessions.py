"""Lists and revokes sessions."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit
from authentication.administration import paging
from authentication.administration.paging import Page
from authentication.audit import Event, Origin, Reason
from authentication.credentials.actor import Actor, Targets
from authentication.errors import NotFound
from counterfoil import tokens
from counterfoil.errors import SessionRequired
from counterfoil.identity import Identity, SessionKind
from database import queries
from database.models import LoginSession, User
from database.queries.session_search import Order as Order

_NOT_LIVE = "There is no such live session."


def list_own(
    db: Session, identity: Identity, *, limit: int, cursor: str | None = None
) -> Page[LoginSession]:
    """The caller's live sessions, newest first. Raises InvalidField for an invalid cursor."""
    after = paging.decode_position(cursor, id_is_uuid=True)
    found = queries.sessions.list_live(db, user_id=identity.user_id, after=after, limit=limit + 1)
    return paging.cut(found, limit)


def list_everywhere(
    db: Session, *, user_id: int | None = None, limit: int
) -> Sequence[tuple[LoginSession, User]]:
    """Live sessions with their users, or those of one user, newest first."""
    return queries.sessions.list_live_with_user(db, user_id=user_id, limit=limit)


def get_id_by_token(db: Session, text: str) -> UUID:
    """The session that an access or a refresh token belongs to, live or not. Raises NotFound."""
    recognised = tokens.recognise(text)
    if recognised is None:
        raise NotFound("There is no such token.")
    digest = recognised.digest
    access_token = queries.access_tokens.find_by_digest(db, digest)
    if access_token is not None:
        return access_token.session_id
    refresh_token = queries.refresh_tokens.find_by_digest(db, digest)
    if refresh_token is None:
        raise NotFound("There is no such token.")
    return refresh_token[0].session_id


def log_out(db: Session, identity: Identity, *, origin: Origin) -> None:
    """Revoke the session of the caller's token. Raises SessionRequired for an API key."""
    if identity.session_id is None:
        raise SessionRequired
    # Of two logouts at once the second finds it done, which is what it asked for. It needs no other
    # right than the session that it ends, and so does not hold an actor.
    with suppress(NotFound):
        _revoke_of_user(
            db, identity.session_id, identity.user_id, origin=origin, reason=Reason.LOGOUT
        )


def has_session(db: Session, text: str, kind: SessionKind = SessionKind.API) -> bool:
    """Whether the token is of a session of this kind, revoked or not. Only reads."""
    return _find_by_token(db, text, kind) is not None


def log_out_by_token(
    db: Session, text: str, kind: SessionKind = SessionKind.API, *, origin: Origin
) -> bool:
    """Revoke the session of a token that need not be live, such as one that has expired.

    Returns False for one that was never issued, for a session of another kind, and if the session
    has been revoked already. The transaction has to be committed then, too: it waits until the
    revocation that it found would survive a crash.
    """
    session = _find_by_token(db, text, kind)
    if session is None:
        return False
    if not queries.sessions.revoke_unrevoked(db, session.id, reason=Reason.LOGOUT):
        return False
    _record(db, session.id, session.user_id, origin=origin, reason=Reason.LOGOUT)
    return True


def _find_by_token(db: Session, text: str, kind: SessionKind) -> LoginSession | None:
    """The session of an access or a refresh token, if it is of this kind."""
    try:
        session = queries.sessions.find(db, get_id_by_token(db, text))
    except NotFound:
        return None
    return session if session is not None and session.kind == kind else None


def revoke_own(db: Session, actor: Actor, session_id: UUID) -> None:
    """Revoke a session of the actor's. Raises NotFound if it is not live or not theirs."""
    if not revoke_several_own(db, actor, [session_id]):
        raise NotFound(_NOT_LIVE)


def revoke_several_own(db: Session, actor: Actor, ids: Sequence[UUID]) -> int:
    """Revoke those of these sessions that are live and the actor's. Returns how many."""
    held = actor.hold(db, Targets(sessions=queries.sessions.select_by_id(ids)))
    own = [one.id for one in held.sessions if one.user_id == held.user.id]
    for session_id in own:
        _revoke_of_user(db, session_id, held.user.id, origin=actor.origin, reason=Reason.BY_USER)
    return len(own)


def revoke_all_own(db: Session, actor: Actor, *, keep_current: bool) -> int:
    """Revoke every session of the actor's, or all but the current one. Returns how many."""
    user_id = actor.identity.user_id
    actor.hold(db, Targets(sessions=queries.sessions.select_of_user(user_id)))
    keep = actor.identity.session_id if keep_current else None
    return revoke_all(db, user_id, origin=actor.origin, reason=Reason.BY_USER, keep=keep)


def revoke_any(db: Session, session_id: UUID, *, origin: Origin, reason: Reason) -> None:
    """Revoke a session of any user, which must be authorized before. Raises NotFound."""
    user_id = queries.sessions.revoke(db, session_id, reason=reason)
    if user_id is None:
        raise NotFound(_NOT_LIVE)
    _record(db, session_id, user_id, origin=origin, reason=reason)


def revoke_all(
    db: Session, user_id: int, *, origin: Origin, reason: Reason, keep: UUID | None = None
) -> int:
    """Revoke every session of a user but the one to keep. Returns how many were revoked.

    Raising the epoch also stops a login whose password has been checked but which is not yet a
    session, and a refresh that runs at the same time. Raises NotFound if the user has gone.
    """
    # See authentication/credentials/actor.py for the order of locks. A session to keep is locked by
    # the caller together with the others.
    if queries.users.lock(db, user_id) is None:
        raise NotFound("There is no such user.")
    # One that was revoked after the request began must not become valid again by the new epoch.
    is_kept = keep is not None and queries.sessions.lock_valid(db, keep) is not None
    revoked = queries.sessions.revoke_all(db, user_id=user_id, reason=reason, keep=keep)
    queries.sessions.revoke_of_last_epoch(db, user_id=user_id, keep=keep, reason=reason)
    epoch = queries.users.raise_epoch(db, user_id)
    if keep is not None and is_kept:
        queries.sessions.set_epoch(db, keep, epoch=epoch)
    audit.record(
        db,
        Event.SESSIONS_REVOKED,
        origin=origin,
        subject=audit.user(user_id),
        count=len(revoked),
        kept=str(keep) if is_kept else None,
        reason=reason,
    )
    return len(revoked)


def revoke_everywhere(db: Session, *, origin: Origin, reason: Reason) -> int:
    """Revoke every session of every user. Returns how many were revoked."""
    queries.users.lock_all(db)
    count = queries.sessions.revoke_everywhere(db, reason=reason)
    queries.sessions.revoke_of_last_epoch(db, reason=reason)
    queries.users.raise_every_epoch(db)
    audit.record(db, Event.SESSIONS_REVOKED, origin=origin, subject="*", count=count, reason=reason)
    return count


def _revoke_of_user(
    db: Session, session_id: UUID, user_id: int, *, origin: Origin, reason: Reason
) -> None:
    if not queries.sessions.revoke_of_user(db, session_id, user_id=user_id, reason=reason):
        raise NotFound(_NOT_LIVE)
    _record(db, session_id, user_id, origin=origin, reason=reason)


def _record(db: Session, session_id: UUID, user_id: int, *, origin: Origin, reason: Reason) -> None:
    audit.record(
        db,
        Event.SESSION_REVOKED,
        origin=origin,
        subject=audit.user(user_id),
        session=str(session_id),
        reason=reason,
    )
