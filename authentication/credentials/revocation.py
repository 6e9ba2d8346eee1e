"""Ends a token at the word of whoever holds it (RFC 7009).

No more is asked of them: who holds a token can do worse with it than end it. That makes this also
the place to send a token that was found where it should not be.
"""

from contextlib import suppress

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin
from authentication.credentials import api_keys
from authentication.errors import NotFound
from authentication.resolution import tokens
from authentication.resolution.tokens import TokenKind
from database.queries import access_tokens, refresh_tokens, sessions
from database.queries import api_keys as api_key_queries

_REASON = "revoked_by_holder"


def revoke(session: Session, text: str, *, origin: Origin) -> bool:
    """End what the token stands for. False if it never was one; it is none the worse to have ended.

    An access token and an API key end by themselves. A refresh token, used or not, takes its
    session along, and so every token of it.
    """
    digest = tokens.digest(text)
    # A token says itself of which kind it is, so that no hint is needed to find it.
    match tokens.kind_of(text):
        case TokenKind.ACCESS:
            return _revoke_access_token(session, digest, origin)
        case TokenKind.REFRESH:
            return _revoke_refresh_token(session, digest, origin)
        case TokenKind.API_KEY:
            return _revoke_api_key(session, digest, origin)
    return False


def _revoke_access_token(session: Session, digest: bytes, origin: Origin) -> bool:
    token = access_tokens.find_by_digest(session, digest)
    if token is not None and access_tokens.expire(session, digest):
        audit.record(
            session,
            Event.TOKEN_REVOKED,
            origin=origin,
            subject=audit.user(token.user_id),
            session=str(token.session_id),
            reason=_REASON,
        )
    return token is not None


def _revoke_refresh_token(session: Session, digest: bytes, origin: Origin) -> bool:
    found = refresh_tokens.find_by_digest(session, digest)
    if found is None:
        return False
    session_id = found[0].session_id
    if sessions.revoke_unended(session, session_id, reason=_REASON):
        audit.record(
            session,
            Event.SESSION_REVOKED,
            origin=origin,
            subject=audit.user(found[1].user_id),
            session=str(session_id),
            reason=_REASON,
        )
    return True


def _revoke_api_key(session: Session, digest: bytes, origin: Origin) -> bool:
    key = api_key_queries.find_by_digest(session, digest)
    if key is not None:
        with suppress(NotFound):
            api_keys.revoke(session, key.id, user_id=None, origin=origin, reason=_REASON)
    return key is not None
