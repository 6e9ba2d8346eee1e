"""Finds, locks and uses refresh tokens."""

from sqlalchemy import Select, and_, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, LoginSession, RefreshToken, User


def find_by_digest(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """A refresh token with the access token it was issued with. Neither need be live."""
    return _one(db, _with_access_token(digest))


def find_and_lock_user(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """The same, with a lock that keeps the user from being deleted during the transaction.

    Otherwise a transaction that deletes the user would lock the user first and the session second,
    and this one the reverse, which is a deadlock.
    """
    query = (
        _with_access_token(digest)
        .join(LoginSession, LoginSession.id == RefreshToken.session_id)
        .join(User, User.id == LoginSession.user_id)
    )
    return _one(db, query.with_for_update(of=User, read=True, key_share=True))


def lock(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """The same, with the access token locked.

    A DELETE of access tokens cascades to their refresh tokens, so the access token must be locked
    first.
    """
    query = _with_access_token(digest)
    return _one(db, query.with_for_update(of=AccessToken))


def _with_access_token(digest: bytes) -> Select[RefreshToken, AccessToken]:
    return (
        select(RefreshToken, AccessToken)
        .join(
            AccessToken,
            and_(
                AccessToken.id == RefreshToken.access_token_id,
                # SQLite reuses the id of a deleted row, and a shell without foreign keys does not
                # delete the rows that refer to it.
                AccessToken.session_id == RefreshToken.session_id,
            ),
        )
        .where(RefreshToken.token_digest == digest)
    )


def _one(
    db: Session, query: Select[RefreshToken, AccessToken]
) -> tuple[RefreshToken, AccessToken] | None:
    row = db.execute(query.execution_options(populate_existing=True)).one_or_none()
    return (row[0], row[1]) if row else None


def use(db: Session, refresh_token_id: int) -> bool:
    """Mark a token as used. Returns True to exactly one of any number of concurrent callers."""
    used = db.scalars(
        update(RefreshToken)
        .where(
            RefreshToken.id == refresh_token_id,
            RefreshToken.first_used_at.is_(None),
            RefreshToken.expires_at > clock.now(),
        )
        .values(first_used_at=clock.now())
        .returning(RefreshToken.id)
        .execution_options(synchronize_session=False)
    )
    return used.one_or_none() is not None
