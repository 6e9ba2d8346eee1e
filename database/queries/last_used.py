"""Sets `last_used_at` of many sessions and API keys at once."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import ApiKey, LoginSession


def touch_sessions(db: Session, ids: Sequence[UUID]) -> None:
    """Set `last_used_at` of these sessions to now.

    Sessions that another transaction has locked are left out: waiting for them, with others locked,
    could deadlock with a revocation. Their next use is recorded instead.
    """
    unlocked = (
        select(LoginSession.id)
        .where(LoginSession.id.in_(ids))
        .with_for_update(skip_locked=True, key_share=True)
    )
    if ids:
        db.execute(
            update(LoginSession)
            .where(LoginSession.id.in_(unlocked))
            .values(last_used_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def touch_api_keys(db: Session, ids: Sequence[UUID]) -> None:
    """Set `last_used_at` of these API keys to now, except of those that are locked."""
    if ids:
        unlocked = select(ApiKey.id).where(ApiKey.id.in_(ids))
        db.execute(
            update(ApiKey)
            .where(ApiKey.id.in_(unlocked.with_for_update(skip_locked=True, key_share=True)))
            .values(last_used_at=clock.now())
            .execution_options(synchronize_session=False)
        )
