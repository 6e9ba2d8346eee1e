"""Logs out: revokes the session of a token, which may have expired."""

from authentication.audit import Origin
from authentication.credentials import sessions
from authentication.service import Service
from counterfoil.identity import SessionKind


async def log_out(service: Service, token: str, kind: SessionKind, *, origin: Origin) -> bool:
    """Revoke the session of an access or a refresh token, if it is of this kind.

    Returns False if there is nothing to revoke. Raises SessionRequired for an API key, and
    TooManyAttempts for too many unknown tokens from one network.
    """
    identity = await service.resolver.resolve(token, session_kind=kind)
    if identity is None:
        return await _log_out_by_dead_token(service, token, kind, origin)
    actor = origin.acting_as(identity.actor)
    await service.database.run(lambda db: sessions.log_out(db, identity, origin=actor))
    return True


async def _log_out_by_dead_token(
    service: Service, token: str, kind: SessionKind, origin: Origin
) -> bool:
    """Only a token that was issued causes a transaction that writes."""
    limit = service.settings.revocation_misses_per_minute
    service.unknown_tokens.reject_flood("logout", origin, limit=limit)
    if (
        await service.issued_tokens.is_issued(token)
        and await service.database.run(
            lambda db: sessions.has_session(db, token, kind),
            read_only=True,
            is_untrusted=True,
        )
        and await service.database.run(
            lambda db: sessions.log_out_by_token(db, token, kind, origin=origin),
            is_untrusted=True,
        )
    ):
        return True
    service.rejected_tokens.record(token, origin.ip)
    service.unknown_tokens.count_in("logout", origin, limit=limit)
    return False
