"""How long things live and what ends them. Pure rules; all times are the database's."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from authentication.errors import SessionLimitReached
from authentication.settings import AuthenticationSettings, SessionLimitPolicy
from database.models import LoginSession, RefreshToken


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


def api_key_lifetime(
    settings: AuthenticationSettings, *, days: int | None = None
) -> timedelta | None:
    """How long a key lives whose owner says so in days, or does not say. None: without an end."""
    if days is not None:
        return timedelta(days=days)
    seconds = settings.api_key_seconds
    return None if seconds is None else timedelta(seconds=seconds)


def api_key_end(now: datetime, lifetime: timedelta | None) -> datetime | None:
    """An API key belongs to no session that could end it."""
    return None if lifetime is None else now + lifetime


def is_within_grace(
    settings: AuthenticationSettings, now: datetime, first_used_at: datetime
) -> bool:
    """Whether a used refresh token may still come back. The first use alone sets the clock."""
    grace = timedelta(seconds=settings.refresh_grace_seconds)
    # A transaction that waited for the first use has begun before it: then the difference is
    # negative, and without a grace it must not pass for a short one.
    return bool(grace) and now - first_used_at < grace


def is_refreshable(settings: AuthenticationSettings, now: datetime, token: RefreshToken) -> bool:
    """Whether a refresh token may be used, be it for the first time or within the grace."""
    if token.expires_at <= now:
        return False
    used_at = token.first_used_at
    return used_at is None or is_within_grace(settings, now, used_at)


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
