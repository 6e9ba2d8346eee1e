"""Stores and consumes challenges: what a second request must bring along, once."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, and_, delete, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import Challenge


def add(db: Session, digest: bytes, *, kind: str, seconds: int, **fields: Any) -> None:
    """Add a challenge that can be taken for so many seconds."""
    ends_at = clock.read(db) + timedelta(seconds=seconds)
    db.add(Challenge(token_digest=digest, kind=kind, expires_at=ends_at, **fields))
    db.flush()


def is_usable(
    db: Session, digest: bytes, *, kind: str, user_id: int | None, session_id: UUID | None
) -> bool:
    """Whether there is such a challenge. It can still be taken by another request."""
    query = select(Challenge.token_digest).where(_is(digest, kind, user_id, session_id))
    return db.scalar(query) is not None


def find(db: Session, digest: bytes, *, kind: str) -> Challenge | None:
    """A challenge of any user that has not expired. It can still be taken by another request."""
    return db.scalar(select(Challenge).where(_is_open(digest, kind)))


def take(
    db: Session, digest: bytes, *, kind: str, user_id: int | None, session_id: UUID | None
) -> Challenge | None:
    """Delete a challenge of this user and session, and return it. Of several requests, one can."""
    return db.scalar(
        delete(Challenge)
        .where(_is(digest, kind, user_id, session_id))
        .returning(Challenge)
        .execution_options(synchronize_session=False)
    )


def void_of_session(db: Session, session_id: UUID, *, kind: str) -> None:
    """Delete the challenges of a kind of a session, which must be locked."""
    db.execute(
        delete(Challenge)
        .where(Challenge.session_id == session_id, Challenge.kind == kind)
        .execution_options(synchronize_session=False)
    )


def count_attempt(
    db: Session, digest: bytes, *, kind: str, user_id: int, most: int
) -> Challenge | None:
    """Count an attempt at a challenge of a user. None if it has ended, or after so many of them."""
    return db.scalar(
        update(Challenge)
        .where(_is_open(digest, kind), Challenge.user_id == user_id, Challenge.attempts < most)
        .values(attempts=Challenge.attempts + 1)
        .returning(Challenge)
        .execution_options(synchronize_session=False, populate_existing=True)
    )


def void_of_user(db: Session, user_id: int) -> None:
    """Delete every challenge of a user, who must be locked."""
    db.execute(
        delete(Challenge)
        .where(Challenge.user_id == user_id)
        .execution_options(synchronize_session=False)
    )


def _is_open(digest: bytes, kind: str) -> ColumnElement[bool]:
    return and_(
        Challenge.token_digest == digest,
        Challenge.kind == kind,
        Challenge.expires_at > clock.now(),
    )


def _is(
    digest: bytes, kind: str, user_id: int | None, session_id: UUID | None
) -> ColumnElement[bool]:
    """That very challenge, of that user and session, or of none; unless it has expired."""
    return and_(
        _is_open(digest, kind),
        Challenge.user_id.is_not_distinct_from(user_id),
        Challenge.session_id.is_not_distinct_from(session_id),
    )
