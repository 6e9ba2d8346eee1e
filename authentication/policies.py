"""How long things live and what ends them. Pure rules; all times are the database's."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from authentication.errors import SessionLimitReached
from authentication.settings import AuthenticationSettings, SessionLimitPolicy
from database.models import LoginSession


def session_end(settings: AuthenticationSettings, now: datetime) -> datetime:
    """The absolute end of a session that begins now."""
    return now + timedelta(seconds=settings.session_seconds)


def access_token_end(
    settings: AuthenticationSettings, now: datetime, session_end: datetime
) -> datetime:
    """An access token never outlives its session."""
    return min(now + timedelta(seconds=settings.access_token_seconds), session_end)


def refresh_token_end(
    settings: AuthenticationSettings, now: datetime, session_end: datetime
) -> datetime:
    """Nor does a refresh token."""
    return min(now + timedelta(seconds=settings.refresh_token_seconds), session_end)


def is_within_grace(
    settings: AuthenticationSettings, now: datetime, first_used_at: datetime
) -> bool:
    """Whether a used refresh token may still come back. The first use alone sets the clock.

    `now` may lie before it: times are those at which transactions began, and the one that began
    first may have waited for the other.
    """
    elapsed = max(now - first_used_at, timedelta(0))
    return elapsed < timedelta(seconds=settings.refresh_grace_seconds)


def sessions_to_evict(
    settings: AuthenticationSettings, live: Sequence[LoginSession]
) -> Sequence[LoginSession]:
    """Which live sessions give way to one more. Raises SessionLimitReached if none may."""
    if settings.max_sessions_per_user is None:
        return []
    surplus = len(live) + 1 - settings.max_sessions_per_user
    if surplus <= 0:
        return []
    if settings.session_limit_policy is SessionLimitPolicy.REFUSE:
        raise SessionLimitReached
    if settings.session_limit_policy is SessionLimitPolicy.EVICT_IDLE:
        return sorted(live, key=lambda session: session.last_used_at)[:surplus]
    return sorted(live, key=lambda session: session.created_at)[:surplus]


def is_due_for_renewal(
    settings: AuthenticationSettings, *, now: float, expires_at: float, session_end: float
) -> bool:
    """Whether a rolling token is in the second half of its life and can still gain by renewal."""
    if not settings.rolling_tokens or expires_at >= session_end:
        return False
    return expires_at - now < settings.access_token_seconds / 2
