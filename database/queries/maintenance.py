"""Finds and removes rows that can no longer be used."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Select, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from database import clock
from database.models import (
    AccessToken,
    ApiKey,
    KnownAddress,
    LoginSession,
    RefreshToken,
    ThrottleCounter,
)

# An address from which a user has not logged in for so long is a stranger's again.
_ADDRESS_DAYS = 90


def _sessions(ended_before: datetime) -> Select[Any]:
    """Everything that belongs to a session goes with it."""
    return select(LoginSession.id).where(
        or_(LoginSession.expires_at < ended_before, LoginSession.revoked_at < ended_before)
    )


def _access_tokens(ended_before: datetime) -> Select[Any]:
    """An expired token stays while its refresh token could still be used, or betray a theft."""
    refreshable = exists().where(
        RefreshToken.access_token_id == AccessToken.id, RefreshToken.expires_at >= ended_before
    )
    return select(AccessToken.id).where(AccessToken.expires_at < ended_before, ~refreshable)


def _api_keys(ended_before: datetime) -> Select[Any]:
    return select(ApiKey.id).where(
        or_(ApiKey.expires_at < ended_before, ApiKey.revoked_at < ended_before)
    )


def _throttle_counters(ended_before: datetime) -> Select[Any]:
    """Gone as soon as they have ended: strangers can make any number of them."""
    return select(ThrottleCounter.id).where(ThrottleCounter.ends_at < clock.now())


def _known_addresses(ended_before: datetime) -> Select[Any]:
    last_use = ended_before - timedelta(days=_ADDRESS_DAYS)
    return select(KnownAddress.id).where(KnownAddress.last_used_at < last_use)


TABLES: dict[str, tuple[Any, Callable[[datetime], Select[Any]]]] = {
    "sessions": (LoginSession, _sessions),
    "access_tokens": (AccessToken, _access_tokens),
    "api_keys": (ApiKey, _api_keys),
    "throttle_counters": (ThrottleCounter, _throttle_counters),
    "known_addresses": (KnownAddress, _known_addresses),
}


def count(session: Session, table: str, *, keep_days: int) -> int:
    """How many rows of a table ended more than `keep_days` days ago."""
    _, ended = TABLES[table]
    rows = ended(clock.read(session) - timedelta(days=keep_days)).subquery()
    return session.scalar(select(func.count()).select_from(rows)) or 0


def prune(session: Session, table: str, *, keep_days: int, limit: int) -> int:
    """Remove up to `limit` of them. Returns how many."""
    model, ended = TABLES[table]
    batch = ended(clock.read(session) - timedelta(days=keep_days)).limit(limit)
    removed = session.execute(
        delete(model).where(model.id.in_(batch)).execution_options(synchronize_session=False)
    )
    return int(getattr(removed, "rowcount", 0))
