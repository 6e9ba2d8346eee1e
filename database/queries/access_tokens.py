"""Finds, ends and extends access tokens."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, LoginSession


def find_by_digest(session: Session, digest: bytes) -> AccessToken | None:
    """Live or not."""
    return session.scalar(select(AccessToken).where(AccessToken.token_digest == digest))


def expire(session: Session, access_token_id: int) -> bool:
    """End a token, keeping its row. False if it had ended.

    As of its beginning: neither a renewal that began a moment earlier nor a clock that is set back
    then takes it for one that has not ended yet.
    """
    ended = session.scalars(
        update(AccessToken)
        .where(AccessToken.id == access_token_id, AccessToken.expires_at > clock.now())
        .values(expires_at=AccessToken.created_at)
        .returning(AccessToken.id)
        .execution_options(synchronize_session=False)
    )
    return ended.one_or_none() is not None


def extend(session: Session, session_id: UUID, *, until: datetime) -> None:
    """Let the unexpired tokens of a session live until then, unless they live longer."""
    session.execute(
        update(AccessToken)
        .where(
            AccessToken.session_id == session_id,
            AccessToken.expires_at > clock.now(),
            AccessToken.expires_at < until,
        )
        .values(expires_at=until)
        .execution_options(synchronize_session=False)
    )


def lock_unexpired(session: Session, ids: Sequence[int]) -> Sequence[tuple[AccessToken, datetime]]:
    """Tokens that have not expired, with the end of their session, held against changes."""
    rows = session.execute(
        select(AccessToken, LoginSession.expires_at)
        .join(LoginSession, LoginSession.id == AccessToken.session_id)
        # By the transaction's own clock, one that was replaced while it waited would still live.
        .where(AccessToken.id.in_(ids), AccessToken.expires_at > clock.right_now())
        .order_by(AccessToken.id)
        .with_for_update(of=AccessToken, key_share=True)
    )
    return [(token, session_end) for token, session_end in rows]
