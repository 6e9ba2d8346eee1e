"""Lists and ends the sessions of a user."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.errors import NotFound, SessionRequired
from authentication.resolution import tokens
from authentication.resolution.identity import Identity
from database.models import LoginSession, User
from database.queries import access_tokens, refresh_tokens, sessions, users
from database.queries.session_search import Order as Order


def list_own(session: Session, identity: Identity) -> Sequence[LoginSession]:
    """The caller's live sessions, newest first."""
    return sessions.list_live(session, user_id=identity.user_id)


def list_everywhere(
    session: Session, *, user_id: int | None = None
) -> Sequence[tuple[LoginSession, User]]:
    """Every live session, or those of one user, with whom they belong to, newest first."""
    return sessions.list_live_with_user(session, user_id=user_id)


def get_id_by_token(session: Session, text: str) -> UUID:
    """The session that an access or a refresh token belongs to, live or not. Raises NotFound."""
    if tokens.kind_of(text) is None:
        raise NotFound("There is no such token.")
    digest = tokens.digest(text)
    access_token = access_tokens.find_by_digest(session, digest)
    if access_token is not None:
        return access_token.session_id
    refresh_token = refresh_tokens.find_by_digest(session, digest)
    if refresh_token is None:
        raise NotFound("There is no such token.")
    return refresh_token[0].session_id


def log_out(session: Session, identity: Identity, *, origin: Origin) -> None:
    """End the session that the caller's token belongs to. Raises SessionRequired for an API key."""
    if identity.session_id is None:
        raise SessionRequired
    # Of two logouts at once the second finds it done, which is what it asked for.
    with suppress(NotFound):
        end(session, identity.session_id, user_id=identity.user_id, origin=origin, reason="logout")


def end(
    session: Session, session_id: UUID, *, user_id: int | None, origin: Origin, reason: str
) -> None:
    """End one session. Raises NotFound if it is not live or, where a user is given, not theirs."""
    owner = sessions.find_user_id(session, session_id)
    if owner is None or not sessions.revoke(session, session_id, reason=reason, user_id=user_id):
        raise NotFound("There is no such live session.")
    audit.record(
        session,
        Event.SESSION_REVOKED,
        origin=origin,
        subject=audit.user(owner),
        session=str(session_id),
        reason=reason,
    )


def end_all(
    session: Session, user_id: int, *, origin: Origin, reason: str, keep: UUID | None = None
) -> int:
    """End every session of a user but the one to keep. Returns how many were ended.

    Raising the epoch also ends a login whose password has been checked but which is not yet a
    session, and a refresh that runs at the same time. Raises NotFound if the user has gone.
    """
    # Whoever ends sessions locks their user first, so that two wait in line and not for each other.
    if users.lock(session, user_id) is None:
        raise NotFound("There is no such user.")
    # One that has been ended since the request came in must not rise again with the new epoch.
    is_kept = keep is not None and sessions.lock_holding(session, keep) is not None
    ended = sessions.revoke_all(session, user_id=user_id, reason=reason, keep=keep)
    epoch = users.raise_epoch(session, user_id)
    if keep is not None and is_kept:
        sessions.set_epoch(session, keep, epoch=epoch)
    audit.record(
        session,
        Event.SESSIONS_REVOKED,
        origin=origin,
        subject=audit.user(user_id),
        count=len(ended),
        kept=str(keep) if is_kept else None,
        reason=reason,
    )
    return len(ended)


def end_everywhere(session: Session, *, origin: Origin, reason: str) -> int:
    """End every session of every user. Returns how many were ended."""
    users.lock_all(session)
    ended = sessions.revoke_everywhere(session, reason=reason)
    users.raise_every_epoch(session)
    audit.record(
        session, Event.SESSIONS_REVOKED, origin=origin, subject="*", count=ended, reason=reason
    )
    return ended
