"""What "live" means, once. Every lookup, list, limit and refresh is built on these conditions."""

from sqlalchemy import ColumnElement, and_, exists, or_

from database import clock
from database.models import AccessToken, ApiKey, LoginSession, RefreshToken, User


def session_holds() -> ColumnElement[bool]:
    """The session has neither ended nor been ended. Wants `sessions` joined with `users`."""
    return and_(
        LoginSession.revoked_at.is_(None),
        LoginSession.expires_at > clock.now(),
        LoginSession.epoch == User.session_epoch,
        User.is_active,
    )


def access_token_is_live() -> ColumnElement[bool]:
    """The token resolves now. Wants `access_tokens`, `sessions` and `users` joined."""
    return and_(AccessToken.expires_at > clock.now(), session_holds())


def api_key_holds() -> ColumnElement[bool]:
    """The key has neither ended nor been ended; its user may be disabled."""
    return and_(
        ApiKey.revoked_at.is_(None),
        or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > clock.now()),
    )


def api_key_is_live() -> ColumnElement[bool]:
    """The key resolves now. Wants `api_keys` joined with `users`."""
    return and_(api_key_holds(), User.is_active)


def session_is_live() -> ColumnElement[bool]:
    """The session holds and a token is left by which its client can go on.

    So that a session whose tokens have been deleted by SQL is not shown as live.
    """
    access_token = exists().where(
        AccessToken.session_id == LoginSession.id, AccessToken.expires_at > clock.now()
    )
    refresh_token = exists().where(
        RefreshToken.session_id == LoginSession.id,
        RefreshToken.first_used_at.is_(None),
        RefreshToken.expires_at > clock.now(),
    )
    return and_(session_holds(), or_(access_token, refresh_token))
