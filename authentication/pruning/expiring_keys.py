"""Tells owners of API keys that these are about to expire, by events of which mails are made."""

from datetime import timedelta

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from database import queries

_ORIGIN = Origin("service")
_BATCH = 100


def record_some(db: Session, *, days: int) -> int:
    """Record an event for some of the keys that expire within so many days, each once.

    Keys with a successor, and those that were made for a shorter time, are left out. Returns how
    many events were recorded.
    """
    keys = queries.api_keys.take_expiring(db, within=timedelta(days=days), limit=_BATCH)
    for key in keys:
        audit.record(
            db,
            Event.API_KEY_EXPIRING,
            origin=_ORIGIN,
            subject=audit.user(key.user_id),
            api_key=str(key.id),
            name=key.name,
            hint=key.hint,
            ends=f"{key.expires_at:%Y-%m-%d}",
        )
    return len(keys)
