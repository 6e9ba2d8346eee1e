"""A session in a cookie, for a single-page application of the same origin."""

from contextlib import suppress
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.dependencies import CurrentIdentity, OriginDep, ServiceDep
from api.openapi.problems import problems
from api.request import proofs, session_cookie
from api.routing.json_route import JsonRoute
from authentication.audit import Origin
from authentication.credentials import logout
from authentication.credentials.issuance import TokenPair
from authentication.emails import LoginName
from authentication.errors import TooManyAttempts
from authentication.factors.proofs import Proof
from authentication.grants import browser as browser_grant
from authentication.grants import second_factor
from authentication.grants.password import LoginRequest
from authentication.service import Service
from counterfoil import cookies
from counterfoil.cookies import SessionCookie
from counterfoil.errors import InvalidToken, NotAuthenticated
from counterfoil.identity import SessionKind
from schemas.browser_session import BrowserSessionRead
from schemas.factors import SecondFactor
from schemas.tokens import Login

router = APIRouter(prefix="/browser-session", tags=["sessions"], route_class=JsonRoute)


@router.post(
    "",
    summary="Log in, with the session in a cookie",
    response_description="Who is logged in. The cookie has the token.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def begin_browser_session(
    request: Request, response: Response, body: Login, service: ServiceDep, origin: OriginDep
) -> BrowserSessionRead:
    """Begins a session, and revokes the one that the browser had before.

    Needs the header `X-Counterfoil-CSRF`, like every request with the cookie that is not a GET.
    """
    _reject_forged(request)
    login = LoginRequest(
        name=LoginName.parse(body.identifier),
        password=body.password,
        scope=body.scope,
        client_id=body.client_id,
    )
    pair = await browser_grant.begin(service, login, origin=origin)
    return await _begun(request, response, service, origin, pair)


@router.post(
    "/second-factor",
    summary="Complete a login by a second factor, with the session in a cookie",
    response_description="Who is logged in. The cookie has the token.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def complete_browser_session(
    request: Request, response: Response, body: SecondFactor, service: ServiceDep, origin: OriginDep
) -> BrowserSessionRead:
    """As `POST /login/second-factor` does, for a login by `POST /browser-session`."""
    _reject_forged(request)
    pair = await second_factor.complete(
        service,
        body.mfa_token,
        proofs.read(body) or Proof(),
        origin=origin,
        kind=SessionKind.BROWSER,
    )
    return await _begun(request, response, service, origin, pair)


async def _begun(
    request: Request, response: Response, service: Service, origin: Origin, pair: TokenPair
) -> BrowserSessionRead:
    """Give the browser the cookie of a session that has begun, in place of the one from before."""
    former = cookies.read(request.headers.raw)
    if former is not None:
        # The new session has begun, whatever becomes of an unknown cookie.
        with suppress(TooManyAttempts):
            await logout.log_out(service, former, SessionKind.BROWSER, origin=origin)
    identity = await service.resolver.resolve(pair.access_token, session_kind=SessionKind.BROWSER)
    if identity is None:
        raise InvalidToken
    session_cookie.write(response, pair.access_token, seconds=service.settings.session_seconds)
    return BrowserSessionRead.model_validate(identity)


@router.get(
    "",
    summary="Who is logged in, by the cookie",
    response_description="Who is logged in.",
    responses=problems(400, 401, 403, 503),
)
async def read_browser_session(request: Request, identity: CurrentIdentity) -> BrowserSessionRead:
    """Extends the session, as every request to the service does."""
    if not session_cookie.is_used_by(request):
        raise NotAuthenticated
    return BrowserSessionRead.model_validate(identity)


@router.delete(
    "",
    summary="Log out, by the cookie",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The session is revoked, and the cookie deleted.",
    responses=problems(400, 403, 429, 503),
)
async def end_browser_session(
    request: Request, response: Response, service: ServiceDep, origin: OriginDep
) -> None:
    """Also if the session has ended already, or there is no cookie."""
    _reject_forged(request)
    token = cookies.read(request.headers.raw)
    if token is not None:
        await logout.log_out(service, token, SessionKind.BROWSER, origin=origin)
    session_cookie.clear(response)


def _reject_forged(request: Request) -> None:
    """Also without a cookie: another site must not log anybody in, as whom it likes, or out."""
    cookie: SessionCookie = request.app.state.counterfoil.cookie
    cookie.reject_forged(request.scope)
