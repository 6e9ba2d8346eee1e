"""A session in a cookie, for a single-page application of the same origin."""

from contextlib import suppress
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api.dependencies import CurrentIdentity, OriginDep, ServiceDep
from api.openapi.problems import problems
from api.request import session_cookie
from authentication.credentials import logout
from authentication.emails import LoginName
from authentication.errors import TooManyAttempts
from authentication.grants import browser as browser_grant
from authentication.grants.password import LoginRequest
from counterfoil import cookies
from counterfoil.cookies import SessionCookie
from counterfoil.errors import InvalidToken, NotAuthenticated
from counterfoil.identity import SessionKind
from schemas.browser_session import BrowserSessionRead
from schemas.tokens import Login

router = APIRouter(prefix="/browser-session", tags=["sessions"])


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
    former = cookies.read(request.headers.raw)
    pair = await browser_grant.begin(service, login, origin=origin)
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
