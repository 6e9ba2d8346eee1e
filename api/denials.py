"""Records requests whose credential is live but lacks a scope, a role or a session (403)."""

from fastapi import Request

from api.not_started import NOT_STARTED
from api.request import client_address
from authentication.audit import Event
from authentication.service import Service
from counterfoil.errors import (
    AmbiguousCredentials,
    CounterfoilError,
    ForgedRequest,
    InsufficientRole,
    InsufficientScope,
    SessionRequired,
)

# Callers of /verify choose the scopes that they demand.
_MAX_REASON_LENGTH = 200


def record(request: Request, error: CounterfoilError, credential: str | None = None) -> None:
    """Record a 403, in the background and in bounded numbers; other errors are not recorded.

    The credential is that of the request's headers unless one is given.
    """
    match error:
        case InsufficientScope(scopes=missing):
            reason = f"needs the scope {' '.join(sorted(missing))}"
        case InsufficientRole(roles=missing):
            reason = f"needs the role {' or '.join(sorted(missing))}"
        case SessionRequired():
            reason = "needs a session"
        case _:
            return
    service: Service = request.app.state.service
    if service is NOT_STARTED:
        # Only a test that acts as a user comes as far.
        return
    credential = credential or _credential(request)
    if credential is not None:
        ip = client_address.of(request, request.app.state.proxy_networks)
        printable = "".join(filter(str.isprintable, reason))[:_MAX_REASON_LENGTH]
        service.rejected_tokens.record(credential, ip, event=Event.ACCESS_DENIED, reason=printable)


def _credential(request: Request) -> str | None:
    try:
        found: str | None = request.app.state.counterfoil.find(request.scope)
    except (AmbiguousCredentials, ForgedRequest):
        return None
    return found
