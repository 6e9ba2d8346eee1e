"""Rules for lifetimes, for the reuse of refresh tokens and for the number of sessions.

They read no clock: all times are those of the database.
"""

from datetime import datetime, timedelta

from authentication.errors import SessionLimitReached
from authentication.settings import AuthenticationSettings, SessionLimitPolicy
from database import moments
from database.models import RefreshToken


def for_browsers(settings: AuthenticationSettings) -> AuthenticationSettings:
    """The settings for a session in a cookie.

    The cookie is never refreshed, so its token lives as long as a refresh token would, and rolls.
    """
    seconds = settings.refresh_token_seconds
    return settings.model_copy(update={"access_token_seconds": seconds, "rolling_tokens": True})


def session_end(settings: AuthenticationSettings, now: datetime) -> datetime:
    """When a session that begins now expires, however often it is refreshed."""
    return now + timedelta(seconds=settings.session_seconds)


def access_token_end(
    settings: AuthenticationSettings, now: datetime, session_end: datetime
) -> datetime:
    """An access token never outlives its session."""
    return min(now + timedelta(seconds=settings.access_token_seconds), session_end)


def refresh_token_end(
    settings: AuthenticationSettings, now: datetime, session_end: datetime
) -> datetime:
    """A refresh token never outlives its session."""
    return min(now + timedelta(seconds=settings.refresh_token_seconds), session_end)


def can_issue_tokens(now: datetime, session_end: datetime) -> bool:
    """Whether a session lasts long enough: clients are told the lifetime of a token in seconds."""
    return session_end - now >= timedelta(seconds=1)


def api_key_lifetime(
    settings: AuthenticationSettings, *, days: int | None = None
) -> timedelta | None:
    """The lifetime that the owner has chosen in days, or that of the settings. None: no expiry."""
    if days is not None:
        return timedelta(days=days)
    seconds = settings.api_key_seconds
    return limit_lifetime(settings, None if seconds is None else timedelta(seconds=seconds))


def limit_lifetime(
    settings: AuthenticationSettings, lifetime: timedelta | None
) -> timedelta | None:
    """The lifetime of an API key, or the longest that is allowed."""
    if not settings.max_api_key_days:
        return lifetime
    longest = timedelta(days=settings.max_api_key_days)
    return longest if lifetime is None else min(lifetime, longest)


def api_key_end(now: datetime, lifetime: timedelta | None) -> datetime | None:
    """When an API key expires, which belongs to no session. None: never."""
    return None if lifetime is None else moments.later(now, lifetime)


def is_within_grace(
    settings: AuthenticationSettings, now: datetime, first_used_at: datetime
) -> bool:
    """Whether a used refresh token may be used again. The grace begins with the first use."""
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


def is_superseded(token: RefreshToken) -> bool:
    """Whether a refresh token ended unused, because another one with the same parent was used."""
    return token.first_used_at is None and token.expires_at == token.created_at


def sessions_beyond_limit(settings: AuthenticationSettings, others: int) -> int:
    """How many of the other live sessions of a user to revoke when one is added.

    Raises SessionLimitReached if none may be.
    """
    if settings.max_sessions_per_user is None:
        return 0
    surplus = max(0, others + 1 - settings.max_sessions_per_user)
    if surplus and settings.session_limit_policy is SessionLimitPolicy.REFUSE:
        raise SessionLimitReached
    return surplus


def is_due_for_renewal(
    settings: AuthenticationSettings, *, now: float, expires_at: float, session_end: float
) -> bool:
    """Whether a rolling token is in the second half of its life and can still gain by renewal."""
    if not settings.rolling_tokens or expires_at >= session_end:
        return False
    return expires_at - now < settings.access_token_seconds / 2
