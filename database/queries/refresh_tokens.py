"""Finds refresh tokens, and locks what belongs to them."""

from uuid import UUID

from sqlalchemy import Select, and_, select
from sqlalchemy.orm import Session, joinedload

from database.models import AccessToken, LoginSession, RefreshToken, User


def find_by_digest(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """A refresh token with the access token it was issued with. Neither need be live."""
    return _one(db, _with_access_token(digest))


def find_and_lock_user(db: Session, digest: bytes) -> tuple[RefreshToken, User] | None:
    """A refresh token with its user and their roles. Locks the user against deletion.

    Otherwise a transaction that deletes the user would lock the user first and the session second,
    and this one the reverse, which is a deadlock.
    """
    query = (
        _with_access_token(digest)
        .join(LoginSession, LoginSession.id == RefreshToken.session_id)
        .join(User, User.id == LoginSession.user_id)
        .with_only_columns(RefreshToken, User)
        .options(joinedload(User.roles))
        .with_for_update(of=User, read=True, key_share=True)
    )
    row = db.execute(query).unique().one_or_none()
    return (row[0], row[1]) if row else None


def find_granted(db: Session, session_id: UUID, *, default: str | None) -> str | None:
    """The scopes of the refresh tokens of a session, which are the same for all of them."""
    granted = select(RefreshToken.scopes).where(RefreshToken.session_id == session_id).limit(1)
    row = db.execute(granted).one_or_none()
    return default if row is None else row[0]


def lock(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """A refresh token with the access token it was issued with. Locks the access token.

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
