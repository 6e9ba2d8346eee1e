"""Sessions of the console, which are extended by use.

They live in a browser's cookie, so they are shorter than others and have no refresh token that
anyone keeps: two tabs that refreshed at once would look like a theft.
"""

import time

from sqlalchemy.orm import Session

from authentication import policies
from authentication.audit import Origin
from authentication.credentials.issuance import TokenPair
from authentication.emails import LoginName
from authentication.grants import password as password_grant
from authentication.grants.password import LoginRequest
from authentication.service import Service
from authentication.settings import AuthenticationSettings
from counterfoil.errors import InvalidToken
from counterfoil.identity import Identity, SessionKind
from database import clock, queries
from database.models import LoginSession

CLIENT_ID = "console"

# An access token is extended when it has been used for this long since it last was.
_STEP_SECONDS = 60


async def begin(service: Service, identifier: str, password: str, *, origin: Origin) -> TokenPair:
    """Log in. Raises what a login raises."""
    request = LoginRequest(
        LoginName.parse(identifier),
        password,
        client_id=CLIENT_ID,
        session_kind=SessionKind.CONSOLE,
    )
    settings = lifetimes(service.settings)
    return await password_grant.log_in(service, request, origin=origin, settings=settings)


def lifetimes(settings: AuthenticationSettings) -> AuthenticationSettings:
    """The settings with the lifetimes of a session of the console."""
    return settings.model_copy(
        update={
            "access_token_seconds": settings.console_idle_seconds,
            "refresh_token_seconds": settings.console_idle_seconds,
            "session_seconds": settings.console_session_seconds,
        }
    )


async def keep_alive(service: Service, identity: Identity) -> None:
    """Extend the session by the idle time, but not beyond its absolute expiry.

    Our own clock only decides whether a write is worthwhile; the new expiry is computed by the
    clock of the database.
    """
    if identity.expires_at is None or identity.session_id is None:
        return
    left = identity.expires_at - time.time()
    if left < service.settings.console_idle_seconds - _STEP_SECONDS:
        await service.database.run(lambda db: _extend(db, service.settings, identity))


def _extend(db: Session, settings: AuthenticationSettings, identity: Identity) -> None:
    held = _hold(db, identity)
    now = clock.read(db)
    until = policies.access_token_end(lifetimes(settings), now, held.expires_at)
    queries.access_tokens.extend(db, held.id, until=until)


def _hold(db: Session, identity: Identity) -> LoginSession:
    """The caller's session, locked. Raises InvalidToken if it was revoked meanwhile."""
    held = queries.sessions.lock_valid(db, identity.session_id) if identity.session_id else None
    if held is None:
        raise InvalidToken
    return held
