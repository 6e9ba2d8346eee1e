"""Introspection: another service asks for the identity behind a token that it received."""

import json
from http import HTTPStatus

from fastapi import APIRouter, Request, Response

from api import denials
from api.dependencies import origin_of
from api.errors import headers_of
from api.oauth_errors import OAuthException, oauth_errors
from api.openapi.oauth import INTROSPECTION, oauth_problems
from api.request import forms
from api.routing.fast_route import FastRoute
from authentication import permissions
from authentication.clients import client_authentication
from authentication.clients.client_authentication import ClientCredentials
from authentication.resolution import introspection
from authentication.service import Service
from counterfoil.errors import InsufficientScope, InvalidToken
from counterfoil.identity import Identity, SessionKind
from counterfoil.introspection import answer
from counterfoil.permissions import split_scopes
from counterfoil.resolver import credential_kind
from database.models import OAuthClient
from schemas.oauth import Introspection

router = APIRouter(tags=["oauth"], route_class=FastRoute)

_INACTIVE = '{"active":false}'


@router.post(
    "/introspect",
    summary="Introspect a token (OAuth 2.0)",
    response_description="The user, scopes and expiry of the token, or that it is not active.",
    response_model=Introspection,
    responses=oauth_problems(400, 401, 403, 408, 413, 415, 429, 503),
    openapi_extra=INTROSPECTION,
)
@oauth_errors
async def introspect(request: Request) -> Response:
    """The identity behind a token (RFC 7662), for callers with the scope `introspect`."""
    state = request.app.state
    form = await forms.read(request)
    sent = forms.client_credentials(request, form)
    client = await _find_client(request, sent)
    if client is not None:
        return await _introspect_for_client(request, form, client)
    caller = _caller(request)
    token = forms.required_token(form, "token")
    kind = _session_kind(form)
    try:
        found = await introspection.introspect(
            state.service.resolver, token, caller=caller, session_kind=kind
        )
    except InvalidToken:
        origin = origin_of(request)
        state.service.rejected_tokens.record(caller, origin.ip)
        state.service.unknown_tokens.count_in("caller", origin, limit=_limit(state.service))
        raise _invalid_client(request) from None
    except InsufficientScope as error:
        denials.record(request, error, caller)
        headers = headers_of(error)
        exception = OAuthException(
            error.code, error.detail, status=HTTPStatus.FORBIDDEN, headers=headers
        )
        raise exception from None
    return _answer(request, found, caller, kind)


async def _find_client(request: Request, sent: ClientCredentials) -> OAuthClient | None:
    """The registered client that asks. None if the secret is an API key or an access token."""
    if sent.secret is None or credential_kind(sent.secret) is not None:
        return None
    service: Service = request.app.state.service
    return await client_authentication.find_client(service, sent, origin=origin_of(request))


async def _introspect_for_client(
    request: Request, form: dict[str, str], client: OAuthClient
) -> Response:
    """A registered client with a secret may introspect if it is registered with the scope."""
    service: Service = request.app.state.service
    if permissions.INTROSPECT not in split_scopes(client.scopes):
        detail = "This client is not registered with the scope introspect."
        raise OAuthException("insufficient_scope", detail, status=HTTPStatus.FORBIDDEN)
    token, kind = forms.required_token(form, "token"), _session_kind(form)
    found = await service.resolver.resolve(token, session_kind=kind)
    return _answer(request, found, client.id, kind)


def _session_kind(form: dict[str, str]) -> SessionKind:
    """Where the caller found the token: in a header, unless they say that it was in a cookie."""
    sent = form.get(answer.SESSION_KIND, SessionKind.API)
    for kind in (SessionKind.API, SessionKind.BROWSER):
        if sent == kind:
            return kind
    raise OAuthException("invalid_request", "The session_kind must be api or browser.")


def _answer(request: Request, found: Identity | None, caller: str, kind: SessionKind) -> Response:
    state = request.app.state
    if found is None or (kind is SessionKind.BROWSER and not state.settings.api.browser_sessions):
        # Limits scanning for tokens (RFC 7662, 4). Live tokens are never limited.
        state.service.unknown_tokens.count("introspect", caller, limit=_limit(state.service))
        return Response(_INACTIVE, media_type="application/json")
    members = answer.write(found, issuer=state.settings.api.issuer, session_kind=kind)
    return Response(json.dumps(members), media_type="application/json")


def _limit(service: Service) -> int:
    return service.settings.introspection_misses_per_minute


def _caller(request: Request) -> str:
    """The caller's credential, as a protected route accepts it or as the secret of HTTP Basic."""
    sent = request.app.state.counterfoil.find_credential(request.headers.raw)
    # Clients that were given no secret send an empty one.
    _, secret = forms.basic_credentials(request) or ("", "")
    if secret and sent not in (None, secret):
        raise OAuthException("invalid_request", "More than one credential was sent. Send one.")
    caller = secret or sent
    if caller is None:
        raise _invalid_client(request)
    return caller


def _invalid_client(request: Request) -> OAuthException:
    """The challenge is for the scheme that was used (RFC 6749, 5.2; RFC 6750, 3)."""
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme == "basic":
        challenge = 'Basic realm="counterfoil"'
    elif request.app.state.counterfoil.find_credential(request.headers.raw):
        challenge = 'Bearer error="invalid_token"'
    else:
        challenge = "Bearer"
    return OAuthException(
        "invalid_client",
        "This needs an API key that is live, with the scope introspect.",
        status=HTTPStatus.UNAUTHORIZED,
        headers={"WWW-Authenticate": challenge},
    )
