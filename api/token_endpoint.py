"""The grants of the token endpoint: each reads its form and gets tokens for it."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from api.oauth_errors import OAuthException
from api.request import forms
from authentication.audit import Origin
from authentication.clients import client_authentication
from authentication.clients.client_authentication import ClientCredentials
from authentication.clients.grants import Grant
from authentication.credentials.issuance import TokenPair
from authentication.emails import LoginName
from authentication.grants import authorization_code, client_credentials, device_code
from authentication.grants import password as password_grant
from authentication.grants import refresh_token as refresh_grant
from authentication.grants.authorization_code import CodeRequest
from authentication.grants.password import LoginRequest
from authentication.grants.refresh_token import RefreshRequest
from authentication.service import Service
from authentication.settings import AuthenticationSettings


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """A form that was sent to the token endpoint, and what it says about its client."""

    service: Service
    form: dict[str, str]
    sent: ClientCredentials
    origin: Origin


GrantHandler = Callable[[TokenRequest], Awaitable[TokenPair]]


def grants(settings: AuthenticationSettings) -> dict[str, GrantHandler]:
    """The grants that this service accepts, in the order in which its metadata list them."""
    known: dict[str, GrantHandler] = {
        Grant.AUTHORIZATION_CODE: _redeem_code,
        Grant.REFRESH_TOKEN: _refresh,
        Grant.DEVICE_CODE: _poll,
        Grant.CLIENT_CREDENTIALS: _issue_to_client,
    }
    return {**known, Grant.PASSWORD: _log_in} if settings.password_grant else known


# Those that begin on our pages.
OF_PAGES = frozenset({Grant.AUTHORIZATION_CODE, Grant.DEVICE_CODE})


async def issue(request: TokenRequest) -> TokenPair:
    """The tokens for a form. Raises OAuthException, and the errors of its grant."""
    grant_type = _grant_type(request.form)
    issue_by = grants(request.service.settings).get(grant_type)
    if issue_by is None:
        raise OAuthException("unsupported_grant_type", "This grant type is not supported.")
    return await issue_by(request)


def _grant_type(form: dict[str, str]) -> str:
    """A form without grant_type is a login only if it looks like Swagger UI's or FastAPI's."""
    if "grant_type" in form:
        return form["grant_type"]
    if "username" in form and "password" in form:
        return Grant.PASSWORD
    raise OAuthException("invalid_request", "The parameter grant_type is missing.")


async def _log_in(request: TokenRequest) -> TokenPair:
    login = LoginRequest(
        name=LoginName.parse(forms.required(request.form, "username")),
        password=forms.required(request.form, "password"),
        scope=request.form.get("scope"),
        client_id=request.sent.client_id,
        client_secret=request.sent.secret,
    )
    return await password_grant.log_in(request.service, login, origin=request.origin)


async def _refresh(request: TokenRequest) -> TokenPair:
    token = forms.required_token(request.form, "refresh_token")
    client = await client_authentication.find_client(
        request.service, request.sent, origin=request.origin
    )
    client_authentication.demand_grant(client, Grant.REFRESH_TOKEN)
    exchange = RefreshRequest(token, request.form.get("scope"), request.sent.client_id, client)
    return await refresh_grant.refresh(request.service, exchange, origin=request.origin)


async def _redeem_code(request: TokenRequest) -> TokenPair:
    client = await client_authentication.get_client(
        request.service, request.sent, Grant.AUTHORIZATION_CODE, origin=request.origin
    )
    exchange = CodeRequest(
        client=client,
        code=forms.required_token(request.form, "code"),
        redirect_uri=forms.required(request.form, "redirect_uri"),
        code_verifier=forms.required(request.form, "code_verifier"),
    )
    return await authorization_code.redeem(request.service, exchange, origin=request.origin)


async def _poll(request: TokenRequest) -> TokenPair:
    client = await client_authentication.get_client(
        request.service, request.sent, Grant.DEVICE_CODE, origin=request.origin
    )
    code = forms.required_token(request.form, "device_code")
    return await device_code.poll(request.service, client, code, origin=request.origin)


async def _issue_to_client(request: TokenRequest) -> TokenPair:
    client = await client_authentication.get_client(
        request.service, request.sent, Grant.CLIENT_CREDENTIALS, origin=request.origin
    )
    scope = request.form.get("scope")
    return await client_credentials.issue(request.service, client, scope, origin=request.origin)
