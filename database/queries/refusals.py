"""Finds out why tokens and API keys are refused, for the audit log."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, Select, case, not_, or_, select
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, ApiKey, LoginSession, User

_DISABLED = (not_(User.is_active), "user disabled")


class Refusal(NamedTuple):
    """Whose credential it is, and what is wrong with it. Nothing is if `reason` is None."""

    digest: bytes
    user_id: int
    credential_id: str
    reason: str | None


def explain_access_tokens(db: Session, digests: Sequence[bytes]) -> list[Refusal]:
    """Those that are known; they are named by their sessions."""
    ended = or_(
        LoginSession.revoked_at.is_not(None),
        LoginSession.epoch != User.session_epoch,
        # A token that is ended before its time loses its time (queries/access_tokens.py).
        AccessToken.expires_at <= AccessToken.created_at,
    )
    expired = or_(AccessToken.expires_at <= clock.now(), LoginSession.expires_at <= clock.now())
    query = (
        select(AccessToken.token_digest, User.id, LoginSession.id, _reason(ended, expired))
        .join_from(AccessToken, LoginSession, AccessToken.session_id == LoginSession.id)
        .join(User, LoginSession.user_id == User.id)
        .where(AccessToken.token_digest.in_(digests))
    )
    return _refusals(db, query)


def explain_api_keys(db: Session, digests: Sequence[bytes]) -> list[Refusal]:
    """Those that are known."""
    reason = _reason(ApiKey.revoked_at.is_not(None), ApiKey.expires_at <= clock.now())
    query = (
        select(ApiKey.key_digest, User.id, ApiKey.id, reason)
        .join_from(ApiKey, User, ApiKey.user_id == User.id)
        .where(ApiKey.key_digest.in_(digests))
    )
    return _refusals(db, query)


def _refusals(db: Session, query: Select[bytes, int, UUID, str | None]) -> list[Refusal]:
    rows = db.execute(query)
    return [Refusal(digest, user_id, str(id_), reason) for digest, user_id, id_, reason in rows]


def _reason(ended: ColumnElement[bool], expired: ColumnElement[bool]) -> ColumnElement[str | None]:
    return case(_DISABLED, (ended, "revoked"), (expired, "expired"), else_=None)
