"""Enforces the limit of sessions of a user."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.orm import Session

from authentication import policies
from authentication.audit import Reason
from authentication.settings import AuthenticationSettings, SessionLimitPolicy
from database import queries
from database.models import LoginSession


def enforce(
    db: Session, settings: AuthenticationSettings, session: LoginSession, others: int
) -> Sequence[UUID]:
    """Revoke sessions besides a new one, if its user has too many. Returns which.

    Raises SessionLimitReached.
    """
    surplus = policies.sessions_beyond_limit(settings, others)
    if not surplus:
        return []
    return queries.sessions.evict(
        db,
        session,
        count=surplus,
        idle_first=settings.session_limit_policy is SessionLimitPolicy.EVICT_IDLE,
        reason=Reason.SESSION_LIMIT,
    )
