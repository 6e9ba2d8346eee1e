"""Finds and uses up refresh tokens."""

from sqlalchemy import and_, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, RefreshToken


def find_by_digest(session: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """With the access token it was issued with, live or not."""
    row = session.execute(
        select(RefreshToken, AccessToken)
        .join(
            AccessToken,
            and_(
                AccessToken.id == RefreshToken.access_token_id,
                # SQLite gives the number of a deleted row again, and a shell without foreign keys
                # leaves behind what referred to it.
                AccessToken.session_id == RefreshToken.session_id,
            ),
        )
        .where(RefreshToken.token_digest == digest)
        .execution_options(populate_existing=True)
    ).one_or_none()
    return (row[0], row[1]) if row else None


def use(session: Session, refresh_token_id: int) -> bool:
    """Use a token up. Of any number of callers exactly one is told True."""
    used = session.scalars(
        update(RefreshToken)
        .where(
            RefreshToken.id == refresh_token_id,
            RefreshToken.first_used_at.is_(None),
            RefreshToken.expires_at > clock.now(),
        )
        .values(first_used_at=clock.now())
        .returning(RefreshToken.id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None
