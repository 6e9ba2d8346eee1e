"""Finds refresh tokens, locks what belongs to them, and expires those that share a parent."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Select, Update, and_, bindparam, exists, select, update
from sqlalchemy.orm import Session, aliased, joinedload

from database import clock
from database.models import AccessToken, LoginSession, RefreshToken, User
from database.queries import live


class RefreshState(NamedTuple):
    """A refresh token as it was a moment ago. It may be used for the first time until it expires.

    `is_superseded` if it has ended because another token with the same parent was used.
    """

    digest: bytes
    user_id: int
    session_id: UUID
    client_id: str | None
    session_kind: str
    is_session_valid: bool
    is_expired: bool
    is_superseded: bool
    is_used: bool


class LockedPair(NamedTuple):
    """A refresh token with the access token it was issued with, which is locked.

    `has_siblings` if other tokens have the same parent, `has_used_successor` if one of the tokens
    that it was exchanged for has been used.
    """

    token: RefreshToken
    access_token: AccessToken
    has_siblings: bool
    has_used_successor: bool


def list_states(db: Session, digests: Sequence[bytes]) -> Sequence[RefreshState]:
    """The tokens of these digests that exist."""
    query = (
        _with_access_token()
        .where(RefreshToken.token_digest.in_(digests))
        .join(LoginSession, LoginSession.id == RefreshToken.session_id)
        .join(User, User.id == LoginSession.user_id)
        .with_only_columns(
            RefreshToken.token_digest,
            LoginSession.user_id,
            LoginSession.id,
            LoginSession.client_id,
            LoginSession.kind,
            live.session_is_valid(),
            RefreshToken.expires_at <= clock.now(),
            RefreshToken.expires_at == RefreshToken.created_at,
            RefreshToken.first_used_at.is_not(None),
        )
    )
    return [RefreshState(*row) for row in db.execute(query)]


def find_by_digest(db: Session, digest: bytes) -> tuple[RefreshToken, AccessToken] | None:
    """A refresh token with the access token it was issued with. Neither need be live."""
    row = db.execute(_FIND, {"digest": digest}).one_or_none()
    return (row[0], row[1]) if row else None


def find_and_lock_user(db: Session, digest: bytes) -> tuple[RefreshToken, User] | None:
    """A refresh token with its user and their roles. Locks the user against deletion.

    Otherwise a transaction that deletes the user would lock the user first and the session second,
    and this one the reverse, which is a deadlock.
    """
    row = db.execute(_LOCK_USER, {"digest": digest}).unique().one_or_none()
    return (row[0], row[1]) if row else None


def find_granted(db: Session, session_id: UUID, *, default: str | None) -> str | None:
    """The scopes of the refresh tokens of a session, which are the same for all of them."""
    granted = select(RefreshToken.scopes).where(RefreshToken.session_id == session_id).limit(1)
    row = db.execute(granted).one_or_none()
    return default if row is None else row[0]


def lock(db: Session, digest: bytes) -> LockedPair | None:
    """A refresh token with the access token it was issued with. Locks the access token.

    A DELETE of access tokens cascades to their refresh tokens, so the access token must be locked
    first.
    """
    row = db.execute(_LOCK, {"digest": digest}).one_or_none()
    return LockedPair(*row) if row else None


def expire_siblings(db: Session, token: RefreshToken) -> None:
    """Expire the other tokens with the same parent, and their access tokens. Keeps the rows.

    Their expiry becomes their creation time: see `expire` in access_tokens.py.
    """
    siblings = (
        RefreshToken.parent_id == token.parent_id,
        RefreshToken.session_id == token.session_id,
        RefreshToken.id != token.id,
    )
    their_access_tokens = select(RefreshToken.access_token_id).where(*siblings)
    is_unexpired = AccessToken.expires_at > AccessToken.created_at
    _execute(
        db,
        update(AccessToken)
        .where(AccessToken.id.in_(their_access_tokens), is_unexpired)
        .values(expires_at=AccessToken.created_at),
    )
    _execute(db, update(RefreshToken).where(*siblings).values(expires_at=RefreshToken.created_at))


def _execute(db: Session, statement: Update) -> None:
    db.execute(statement.execution_options(synchronize_session=False))


def _with_access_token() -> Select[RefreshToken, AccessToken]:
    return select(RefreshToken, AccessToken).join(
        AccessToken,
        and_(
            AccessToken.id == RefreshToken.access_token_id,
            # SQLite reuses the id of a deleted row, and a shell without foreign keys does not
            # delete the rows that refer to it.
            AccessToken.session_id == RefreshToken.session_id,
        ),
    )


# Built once: building these takes as long as PostgreSQL takes to run them.
_OF_DIGEST = _with_access_token().where(RefreshToken.token_digest == bindparam("digest"))
_FIND = _OF_DIGEST.execution_options(populate_existing=True)
_LOCK_USER = (
    _OF_DIGEST.join(LoginSession, LoginSession.id == RefreshToken.session_id)
    .join(User, User.id == LoginSession.user_id)
    .with_only_columns(RefreshToken, User)
    .options(joinedload(User.roles))
    .with_for_update(of=User, read=True, key_share=True)
)
_other = aliased(RefreshToken)
_is_sibling = and_(
    _other.parent_id == RefreshToken.parent_id,
    _other.session_id == RefreshToken.session_id,
    _other.id != RefreshToken.id,
)
_is_used_successor = and_(
    _other.parent_id == RefreshToken.id,
    _other.session_id == RefreshToken.session_id,
    _other.first_used_at.is_not(None),
)
_LOCK = (
    _OF_DIGEST.add_columns(exists().where(_is_sibling), exists().where(_is_used_successor))
    .with_for_update(of=AccessToken)
    .execution_options(populate_existing=True)
)
