"""Logging in, refreshing, logging out."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api import token_endpoint
from api.dependencies import OriginDep, ServiceDep
from api.oauth_errors import oauth_errors
from api.openapi.oauth import TOKEN_FORM
from api.openapi.problems import problems
from api.request import forms, proofs
from api.routing.json_route import JsonRoute
from api.token_endpoint import TokenRequest
from api.token_response import respond
from authentication.credentials import logout
from authentication.emails import LoginName
from authentication.factors.proofs import Proof
from authentication.grants import password as password_grant
from authentication.grants import second_factor
from authentication.grants.password import LoginRequest
from counterfoil.errors import InvalidToken, NotAuthenticated
from counterfoil.fastapi import SCHEME_NAME
from counterfoil.identity import SessionKind
from schemas.factors import SecondFactor
from schemas.problems import OAuthError
from schemas.tokens import AccessTokenRead, Login, TokenRead

router = APIRouter(tags=["tokens"], route_class=JsonRoute)


@router.post(
    "/token",
    summary="Get tokens (OAuth 2.0)",
    response_model=TokenRead | AccessTokenRead,
    response_description="The tokens, which are shown only once.",
    responses={
        400: {"model": OAuthError, "description": "Rejected; `error` says why (RFC 6749, 5.2)."},
        401: {"model": OAuthError, "description": "The client does not prove who it is."},
        408: {"model": OAuthError, "description": "The form took too long to arrive."},
        413: {"model": OAuthError, "description": "The form is too large."},
        415: {"model": OAuthError, "description": "The body is no form, or is compressed."},
        429: {"model": OAuthError, "description": "Too many attempts; see Retry-After."},
        503: {"model": OAuthError, "description": "Temporarily unavailable; see Retry-After."},
    },
    openapi_extra=TOKEN_FORM,
)
@oauth_errors
async def issue_tokens(request: Request, service: ServiceDep, origin: OriginDep) -> Response:
    """The token endpoint of RFC 6749, for each of its grants.

    A registered client authenticates with HTTP Basic or by `client_secret`, unless it is public.
    Any other `client_id` is a label that the client chooses, for the grants `password` and
    `refresh_token`: the session shows it, and its refresh tokens are bound to it. For a user with a
    second factor the answer to a password is 400 `second_factor_required` with an `mfa_token` for
    `POST /login/second-factor`.
    """
    form = await forms.read(request)
    sent = forms.client_credentials(request, form)
    pair = await token_endpoint.issue(TokenRequest(service, form, sent, origin))
    return respond(pair)


@router.post(
    "/login",
    summary="Log in",
    response_model=TokenRead,
    response_description="The tokens, which are shown only once.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def log_in(body: Login, service: ServiceDep, origin: OriginDep) -> Response:
    """Begin a session. The answer to a failure does not reveal whether the user exists.

    For a user with a second factor there is no session yet: the answer is 401 with the code
    `second_factor_required`, an `mfa_token` for `POST /login/second-factor`, and its `methods`.
    """
    login = LoginRequest(
        name=LoginName.parse(body.identifier),
        password=body.password,
        scope=body.scope,
        client_id=body.client_id,
    )
    return respond(await password_grant.log_in(service, login, origin=origin))


@router.post(
    "/login/second-factor",
    summary="Complete a login by a second factor",
    response_model=TokenRead,
    response_description="The tokens, which are shown only once.",
    responses=problems(400, 401, 408, 409, 413, 415, 422, 429, 503),
)
async def complete_login(body: SecondFactor, service: ServiceDep, origin: OriginDep) -> Response:
    """Begins the session of a login, by `POST /login` or `POST /token`, that waits for it.

    The answer to a wrong code is 401 with `invalid_code`. After five of them, five minutes, or a
    revocation of all sessions it is `invalid_mfa_token`, and the login has to begin again.
    """
    proof = proofs.read(body) or Proof()
    return respond(await second_factor.complete(service, body.mfa_token, proof, origin=origin))


@router.post(
    "/logout",
    summary="Log out",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The session is revoked.",
    responses=problems(400, 401, 403, 429, 503),
    # As a route with the dependency `CurrentIdentity` has, which would reject expired tokens.
    openapi_extra={"security": [{SCHEME_NAME: []}]},
)
async def log_out(request: Request, service: ServiceDep, origin: OriginDep) -> None:
    """Revoke the session of the access token or refresh token that was sent.

    The token may have expired. If the session has already been revoked, the response is 401.
    """
    token = request.app.state.counterfoil.find_credential(request.headers.raw)
    if token is None:
        raise NotAuthenticated
    if not await logout.log_out(service, token, SessionKind.API, origin=origin):
        raise InvalidToken
