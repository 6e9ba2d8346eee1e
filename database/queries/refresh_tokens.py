"""Finds and uses up refresh tokens."""

from sqlalchemy import Select, and_, select, update
from sqlalchemy.orm import Session

from database import clock
from database.models import AccessToken, LoginSession, RefreshToken, User


def find_by_digest(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """With the access token it was issued with, live or not."""
    return _one(db, _with_access_token(digest))


def find_and_keep_user(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """The same, with the user protected from being deleted until the transaction is over.

    Else whoever deletes the user would hold the user and wait for the session, and we the reverse.
    """
    query = (
        _with_access_token(digest)
        .join(LoginSession, LoginSession.id == RefreshToken.session_id)
        .join(User, User.id == LoginSession.user_id)
    )
    return _one(db, query.with_for_update(of=User, read=True, key_share=True))


def lock(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """The same, with the access token held against changes.

    Whoever deletes access tokens deletes their refresh tokens next, so this one has to be the first
    to be locked.
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
                # SQLite gives the number of a deleted row again, and a shell without foreign keys
                # leaves behind what referred to it.
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
    """Use a token up. Of any number of callers exactly one is told True."""
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
