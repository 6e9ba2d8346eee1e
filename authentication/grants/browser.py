"""Sessions of single-page applications, whose token is in a cookie and is extended by use."""

from dataclasses import replace

from authentication import policies
from authentication.audit import Origin
from authentication.credentials.issuance import TokenPair
from authentication.grants import password as password_grant
from authentication.grants.password import LoginRequest
from authentication.service import Service
from counterfoil.identity import SessionKind

CLIENT_ID = "browser"


async def begin(service: Service, request: LoginRequest, *, origin: Origin) -> TokenPair:
    """Log in. Raises what a login raises. Nobody gets the refresh token, which is not accepted."""
    request = replace(
        request,
        client_id=request.client_id or CLIENT_ID,
        session_kind=SessionKind.BROWSER,
    )
    settings = policies.for_browsers(service.settings)
    return await password_grant.log_in(service, request, origin=origin, settings=settings)
