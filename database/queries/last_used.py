"""Notes the use of many credentials at once."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import ApiKey, LoginSession


def note_sessions(db: Session, ids: Sequence[UUID]) -> None:
    """These sessions were used just now.

    One that somebody else is changing is left out: to wait for it, with others held, could end in
    a deadlock with a revocation, and the next use will be noted.
    """
    free = (
        select(LoginSession.id)
        .where(LoginSession.id.in_(ids))
        .with_for_update(skip_locked=True, key_share=True)
    )
    if ids:
        db.execute(
            update(LoginSession)
            .where(LoginSession.id.in_(free))
            .values(last_used_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def note_api_keys(db: Session, ids: Sequence[UUID]) -> None:
    """These API keys were used just now, but for those that somebody else is changing."""
    if ids:
        unlocked = select(ApiKey.id).where(ApiKey.id.in_(ids))
        db.execute(
            update(ApiKey)
            .where(ApiKey.id.in_(unlocked.with_for_update(skip_locked=True, key_share=True)))
            .values(last_used_at=clock.now())
            .execution_options(synchronize_session=False)
        )
