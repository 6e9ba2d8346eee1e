"""Defines which sessions and API keys are live, for every list, limit and refresh.

A session is valid if it is neither revoked nor expired; it is usable, or live, if its client also
has a token that works. The views `live_sessions`, `live_access_tokens` and `live_api_keys` repeat
these conditions in SQL, and tests compare them.
"""

from sqlalchemy import ColumnElement, and_, exists, or_

from database import clock
from database.models import AccessToken, ApiKey, LoginSession, RefreshToken, User


def session_is_valid() -> ColumnElement[bool]:
    """The session is neither revoked nor expired. Needs `sessions` joined with `users`."""
    return and_(
        LoginSession.revoked_at.is_(None),
        LoginSession.expires_at > clock.now(),
        LoginSession.epoch == User.session_epoch,
        User.is_active,
    )


def api_key_is_valid() -> ColumnElement[bool]:
    """The key is neither revoked nor expired. Its user may be disabled."""
    return and_(
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > clock.now()),
    )


def api_key_is_usable() -> ColumnElement[bool]:
    """The key resolves. Needs `api_keys` joined with `users`."""
    return and_(api_key_is_valid(), User.is_active)


def session_is_usable() -> ColumnElement[bool]:
    """The session is valid and has an unexpired access token or an unused refresh token.

    A session whose tokens have been deleted by SQL is therefore not usable. Needs `sessions` joined
    with `users`.
    """
    access_token = exists().where(
        AccessToken.session_id == LoginSession.id, AccessToken.expires_at > clock.now()
    )
    refresh_token = exists().where(
        RefreshToken.session_id == LoginSession.id,
        RefreshToken.first_used_at.is_(None),
        RefreshToken.expires_at > clock.now(),
    )
    return and_(session_is_valid(), or_(access_token, refresh_token))
