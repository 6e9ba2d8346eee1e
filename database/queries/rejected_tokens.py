"""Finds out why tokens and API keys are rejected, for the audit log."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, not_, null, or_, select
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, ApiKey, AuthorizationCode, LoginSession, RefreshToken, User

_DISABLED = (not_(User.is_active), "user disabled")


class Rejection(NamedTuple):
    """The owner of a rejected credential, and why. `reason` is None if the credential is live."""

    digest: bytes
    user_id: int
    credential_id: str
    reason: str | None


def explain_access_tokens(db: Session, digests: Sequence[bytes]) -> list[Rejection]:
    """The tokens of these digests that exist. `credential_id` is the id of the session."""
    revoked = or_(
        LoginSession.revoked_at.is_not(None),
        LoginSession.epoch != User.session_epoch,
        # See `expire` in access_tokens.py.
        AccessToken.expires_at <= AccessToken.created_at,
    )
    expired = or_(AccessToken.expires_at <= clock.now(), LoginSession.expires_at <= clock.now())
    query = (
        select(AccessToken.token_digest, User.id, LoginSession.id, _reason(revoked, expired))
        .join_from(AccessToken, LoginSession, AccessToken.session_id == LoginSession.id)
        .join(User, LoginSession.user_id == User.id)
        .where(AccessToken.token_digest.in_(digests))
    )
    return _rejections(db, query)


def explain_refresh_tokens(db: Session, digests: Sequence[bytes]) -> list[Rejection]:
    """The refresh tokens of these digests that exist. Why each was rejected is known already."""
    query = (
        select(RefreshToken.token_digest, User.id, LoginSession.id, null())
        .join_from(RefreshToken, LoginSession, RefreshToken.session_id == LoginSession.id)
        .join(User, LoginSession.user_id == User.id)
        .where(RefreshToken.token_digest.in_(digests))
    )
    return _rejections(db, query)


def explain_codes(db: Session, digests: Sequence[bytes]) -> list[Rejection]:
    """The authorization codes of these digests that exist, each with the session that approved it.

    Why each was rejected is known already.
    """
    code = AuthorizationCode
    query = select(code.code_digest, code.user_id, code.login_session_id, null())
    return _rejections(db, query.where(code.code_digest.in_(digests)))


def explain_api_keys(db: Session, digests: Sequence[bytes]) -> list[Rejection]:
    """The API keys of these digests that exist."""
    reason = _reason(ApiKey.revoked_at.is_not(None), ApiKey.expires_at <= clock.now())
    query = (
        select(ApiKey.key_digest, User.id, ApiKey.id, reason)
        .join_from(ApiKey, User, ApiKey.user_id == User.id)
        .where(ApiKey.key_digest.in_(digests))
    )
    return _rejections(db, query)


def _rejections(db: Session, query: Select[bytes, int, UUID, str | None]) -> list[Rejection]:
    rows = db.execute(query)
    return [Rejection(digest, user_id, str(id_), reason) for digest, user_id, id_, reason in rows]


def _reason(
    revoked: ColumnElement[bool], expired: ColumnElement[bool]
) -> ColumnElement[str | None]:
    return case(_DISABLED, (revoked, "revoked"), (expired, "expired"), else_=None)
