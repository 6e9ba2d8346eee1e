"""Ends a token at the word of whoever holds it (RFC 7009).

No more is asked of them: who holds a token can do worse with it than end it. That makes this also
the place to send a token that was found where it should not be.
"""

from contextlib import suppress

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys
from authentication.errors import NotFound
from counterfoil import tokens
from counterfoil.tokens import TokenKind
from database import queries


def revoke(db: Session, text: str, *, origin: Origin) -> bool:
    """End what the token stands for. False if it never was one; it is none the worse to have ended.

    An access token and an API key end by themselves. A refresh token, used or not, takes its
    session along, and so every token of it.
    """
    digest = tokens.digest(text)
    # A token says itself of which kind it is, so that no hint is needed to find it.
    match tokens.kind_of(text):
        case TokenKind.ACCESS:
            return _revoke_access_token(db, digest, origin)
        case TokenKind.REFRESH:
            return _revoke_refresh_token(db, digest, origin)
        case TokenKind.API_KEY:
            return _revoke_api_key(db, digest, origin)
    return False


def _revoke_access_token(db: Session, digest: bytes, origin: Origin) -> bool:
    token = queries.access_tokens.find_by_digest(db, digest)
    if token is not None and queries.access_tokens.expire(db, digest):
        audit.record(
            db,
            Event.TOKEN_REVOKED,
            origin=origin,
            subject=audit.user(token.user_id),
            session=str(token.session_id),
            reason=Reason.BY_HOLDER,
        )
    return token is not None


def _revoke_refresh_token(db: Session, digest: bytes, origin: Origin) -> bool:
    found = queries.refresh_tokens.find_by_digest(db, digest)
    if found is None:
        return False
    session_id = found[0].session_id
    if queries.sessions.revoke_unrevoked(db, session_id, reason=Reason.BY_HOLDER):
        audit.record(
            db,
            Event.SESSION_REVOKED,
            origin=origin,
            subject=audit.user(found[1].user_id),
            session=str(session_id),
            reason=Reason.BY_HOLDER,
        )
    return True


def _revoke_api_key(db: Session, digest: bytes, origin: Origin) -> bool:
    key = queries.api_keys.find_by_digest(db, digest)
    if key is not None:
        with suppress(NotFound):
            api_keys.revoke_any(db, key.id, origin=origin, reason=Reason.BY_HOLDER)
    return key is not None
