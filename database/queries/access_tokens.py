"""Finds, replaces and extends access tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, LoginSession


def find_by_digest(db: Session, digest: bytes) -> AccessToken | None:
    """Live or not."""
    return db.scalar(select(AccessToken).where(AccessToken.token_digest == digest))


def expire(db: Session, digest: bytes) -> bool:
    """End a token, keeping its row. False if it had ended, or is being replaced.

    As of its beginning: neither a renewal that began a moment earlier nor a clock that is set back
    then takes it for one that has not ended yet.
    """
    ended = db.scalars(
        update(AccessToken)
        .where(AccessToken.token_digest == digest, AccessToken.expires_at > clock.now())
        .values(expires_at=AccessToken.created_at)
        .returning(AccessToken.id)
        .execution_options(synchronize_session=False)
    )
    return ended.one_or_none() is not None


def extend(db: Session, session_id: UUID, *, until: datetime) -> None:
    """Let the unexpired tokens of a session live until then, unless they live longer."""
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
    """Put a successor into the row of a token. Returns a new row, where the old one lies expired.

    Not the other way round: `DELETE FROM access_tokens WHERE user_id = 42` does not see a row that
    is inserted while it runs, but waits for one that is being changed, and then deletes it.
    """
    old = AccessToken(
        session_id=token.session_id,
        user_id=token.user_id,
        token_digest=token.token_digest,
        scopes=token.scopes,
        created_at=token.created_at,
        # As `expire` does it.
        expires_at=token.created_at,
    )
    for field, value in successor.items():
        setattr(token, field, value)
    # Before the old row is added, as digests are unique.
    db.flush()
    db.add(old)
    db.flush()
    return old


def lock_unexpired(db: Session, ids: Sequence[int]) -> Sequence[tuple[AccessToken, datetime]]:
    """Tokens that have not expired, with the end of their session, held against changes.

    Those that somebody else is changing are left out, so that nobody waits for this one.
    """
    rows = db.execute(
        select(AccessToken, LoginSession.expires_at)
        .join(LoginSession, LoginSession.id == AccessToken.session_id)
        # By the transaction's own clock, one that was replaced while it waited would still live.
        .where(AccessToken.id.in_(ids), AccessToken.expires_at > clock.right_now())
        .order_by(AccessToken.id)
        .with_for_update(of=AccessToken, key_share=True, skip_locked=True)
    )
    return [(token, session_end) for token, session_end in rows]
