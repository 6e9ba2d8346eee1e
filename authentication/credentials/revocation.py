"""Revokes a token for a client that holds it (RFC 7009).

The token itself is the only authorization that is needed: its holder could do worse than revoke it.
So anyone who finds a leaked token can revoke it.
"""

from sqlalchemy.orm import Session

from authentication import audit
from authentication.audit import Event, Origin, Reason
from authentication.credentials import api_keys
from authentication.errors import NotFound
from counterfoil import tokens
from counterfoil.tokens import TokenKind
from database import queries


def revoke(db: Session, text: str, *, origin: Origin) -> bool:
    """Revoke a token. Returns False if that changes nothing: it was not issued, or is dead already.

    Of an access token or an API key, only that is revoked. Of a refresh token, used or not, the
    whole session is revoked, with all its tokens.
    """
    # The prefix names the kind, so no hint is needed.
    match tokens.recognise(text):
        case (TokenKind.ACCESS, digest):
            return _revoke_access_token(db, digest, origin)
        case (TokenKind.REFRESH, digest):
            return _revoke_refresh_token(db, digest, origin)
        case (TokenKind.API_KEY, digest):
            return _revoke_api_key(db, digest, origin)
    return False


def _revoke_access_token(db: Session, digest: bytes, origin: Origin) -> bool:
    token = queries.access_tokens.find_by_digest(db, digest)
    if token is None or not queries.access_tokens.expire(db, digest):
        return False
    audit.record(
        db,
        Event.TOKEN_REVOKED,
        origin=origin,
        subject=audit.user(token.user_id),
        session=str(token.session_id),
        reason=Reason.BY_HOLDER,
    )
    return True


def _revoke_refresh_token(db: Session, digest: bytes, origin: Origin) -> bool:
    found = queries.refresh_tokens.find_by_digest(db, digest)
    if found is None:
        return False
    session_id = found[0].session_id
    if not queries.sessions.revoke_unrevoked(db, session_id, reason=Reason.BY_HOLDER):
        return False
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
    if key is None:
        return False
    try:
        api_keys.revoke_any(db, key.id, origin=origin, reason=Reason.BY_HOLDER)
    except NotFound:
        return False
    return True
