"""Notes the use of many credentials at once."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.orm import Session

from database import clock
from database.models import ApiKey, LoginSession


def note_sessions(session: Session, ids: Sequence[UUID]) -> None:
    """These sessions were used just now."""
    if ids:
        session.execute(
            update(LoginSession)
            .where(LoginSession.id.in_(ids))
            .values(last_used_at=clock.now())
            .execution_options(synchronize_session=False)
        )


def note_api_keys(session: Session, ids: Sequence[UUID]) -> None:
    """These API keys were used just now."""
    if ids:
        session.execute(
            update(ApiKey)
            .where(ApiKey.id.in_(ids))
            .values(last_used_at=clock.now())
            .execution_options(synchronize_session=False)
        )
