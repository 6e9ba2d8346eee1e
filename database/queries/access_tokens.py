"""Finds, replaces and extends access tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Integer, and_, delete, insert, literal_column, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, LoginSession, RefreshToken

# In text, because SQLAlchemy omits the names of tables from RETURNING on SQLite.
_OTHER_LIVE_SESSIONS = literal_column(
    "(SELECT count(*) FROM live_sessions"
    " WHERE live_sessions.user_id = access_tokens.user_id"
    " AND live_sessions.session_id <> access_tokens.session_id)",
    Integer,
)


def find_by_digest(db: Session, digest: bytes) -> AccessToken | None:
    """A token, which need not be live."""
    return db.scalar(select(AccessToken).where(AccessToken.token_digest == digest))


def list_known(db: Session, digests: Sequence[bytes]) -> Sequence[bytes]:
    """Which of these digests are those of tokens, live or not."""
    known = select(AccessToken.token_digest).where(AccessToken.token_digest.in_(digests))
    return db.scalars(known).all()


def add_first(
    db: Session, session: LoginSession, fields: dict[str, Any]
) -> tuple[AccessToken, int]:
    """Add the first token of a session. Also returns how many other live sessions its user has.

    Counted by the same statement, and exact: whoever adds a session has locked its user before.
    """
    token = AccessToken(session_id=session.id, user_id=session.user_id, **fields)
    values = {"session_id": session.id, "user_id": session.user_id, **fields}
    added = insert(AccessToken).values(values).returning(AccessToken.id, _OTHER_LIVE_SESSIONS)
    token.id, count = db.execute(added).one()
    return token, count


def lock_of_user(db: Session, user_id: int) -> None:
    """Lock all tokens of a user until the end of the transaction."""
    query = select(AccessToken.id).where(AccessToken.user_id == user_id).order_by(AccessToken.id)
    db.execute(query.with_for_update()).all()


class LockedToken(NamedTuple):
    """An unexpired token, locked. `scopes` are None if it was not narrowed."""

    scopes: str | None


def lock_unexpired_of_session(db: Session, token_id: int, session_id: UUID) -> LockedToken | None:
    """Lock a token until the end of the transaction. Returns None if it is no longer live."""
    query = select(AccessToken.scopes).where(
        AccessToken.id == token_id,
        # A refresh moves the token into another row, and its successor into this one.
        AccessToken.session_id == session_id,
        AccessToken.expires_at > clock.now(),
    )
    found = db.execute(query.with_for_update(key_share=True)).one_or_none()
    return None if found is None else LockedToken(*found)


def expire(db: Session, digest: bytes) -> bool:
    """Expire a token but keep its row. Returns False if it is expired or just being replaced.

    Its expiry becomes its creation time. Otherwise a renewal that began a moment earlier, or a
    clock that is set back, could find it unexpired.
    """
    expired = db.scalars(
        update(AccessToken)
        .where(AccessToken.token_digest == digest, AccessToken.expires_at > clock.now())
        .values(expires_at=AccessToken.created_at)
        .returning(AccessToken.id)
        .execution_options(synchronize_session=False)
    )
    return expired.one_or_none() is not None


def extend(db: Session, session_id: UUID, *, until: datetime) -> None:
    """Extend the unexpired tokens of a session to `until`, unless they expire later."""
    db.execute(
        update(AccessToken)
        .where(
            AccessToken.session_id == session_id,
            AccessToken.expires_at > clock.now(),
            AccessToken.expires_at < until,
        )
        .values(expires_at=until)
        .execution_options(synchronize_session=False)
    )


def replace(db: Session, token: AccessToken, successor: dict[str, Any]) -> AccessToken:
    """Write a successor into the row of a token. Returns a new row with the old token, expired.

    The successor must not be the new row: `DELETE FROM access_tokens WHERE user_id = 42` does not
    see rows inserted while it runs, but waits for rows being updated and then deletes them.
    """
    old = AccessToken(
        session_id=token.session_id,
        user_id=token.user_id,
        token_digest=token.token_digest,
        scopes=token.scopes,
        created_at=token.created_at,
        # See `expire`.
        expires_at=token.created_at,
    )
    for field, value in successor.items():
        setattr(token, field, value)
    # Digests are unique, so the row must have the new one before the old one is inserted.
    db.flush()
    db.add(old)
    db.flush()
    return old


def delete_all_but_newest(db: Session, session_id: UUID) -> AccessToken | None:
    """Delete the tokens of a session, and all refresh tokens. Returns the newest access token.

    Its row is locked and kept for a successor: see `replace`. Returns None if there is none.
    """
    of_session = select(AccessToken).where(AccessToken.session_id == session_id)
    newest = db.scalar(of_session.order_by(AccessToken.id.desc()).limit(1).with_for_update())
    if newest is None:
        return None
    for model, others in (
        (RefreshToken, RefreshToken.session_id == session_id),
        (AccessToken, and_(AccessToken.session_id == session_id, AccessToken.id != newest.id)),
    ):
        db.execute(delete(model).where(others).execution_options(synchronize_session=False))
    return newest


def lock_unexpired(db: Session, ids: Sequence[int]) -> Sequence[tuple[AccessToken, datetime]]:
    """Unexpired tokens with the expiry of their session. Locks the tokens.

    Tokens that another transaction has locked are left out, so that this one never waits.
    """
    rows = db.execute(
        select(AccessToken, LoginSession.expires_at)
        .join(LoginSession, LoginSession.id == AccessToken.session_id)
        # now() is the start of the transaction, when a token replaced since was still unexpired.
        .where(AccessToken.id.in_(ids), AccessToken.expires_at > clock.right_now())
        .order_by(AccessToken.id)
        .with_for_update(of=AccessToken, key_share=True, skip_locked=True)
    )
    return [(token, session_end) for token, session_end in rows]
