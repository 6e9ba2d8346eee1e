"""What other services and OAuth clients ask: introspection, revocation, metadata."""

import json
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Request, Response

from api.dependencies import OriginDep, ServiceDep, origin_of
from api.errors import headers_of
from api.oauth_errors import OAuthRefusal, oauth_errors
from api.openapi.description import PlainRoute
from api.openapi.oauth import INTROSPECTION, ONE_TOKEN_FORM, oauth_problems
from api.request import forms
from authentication import permissions
from authentication.credentials import revocation
from authentication.errors import NotFound
from authentication.resolution import introspection
from authentication.service import Service
from counterfoil import tokens
from counterfoil.errors import InsufficientScope, InvalidToken
from schemas.oauth import ServerMetadata

router = APIRouter(tags=["oauth"])

_METADATA_PATH = "/.well-known/oauth-authorization-server"
_INACTIVE = '{"active":false}'


@oauth_errors
async def introspect(request: Request) -> Response:
    """What stands behind a token (RFC 7662), for callers with the scope `introspect`."""
    state = request.app.state
    caller = _caller(request)
    token = forms.required(await forms.read(request), "token")
    try:
        found = await introspection.introspect(state.service.resolver, token, caller=caller)
    except InvalidToken:
        ip = origin_of(request).ip
        state.service.refusals.note(caller, ip)
        _count_miss(request, "caller", ip or "")
        raise _invalid_client(request) from None
    except InsufficientScope as error:
        headers = headers_of(error)
        refusal = OAuthRefusal(
            error.code, error.detail, status=HTTPStatus.FORBIDDEN, headers=headers
        )
        raise refusal from None
    if found is None:
        _count_miss(request, "introspect", caller)
        return Response(_INACTIVE, media_type="application/json")
    members = introspection.describe(found, issuer=state.settings.api.issuer)
    return Response(json.dumps(members), media_type="application/json")


plain_routes = [PlainRoute("/introspect", introspect, methods=["POST"], operation=INTROSPECTION)]


def _count_miss(request: Request, *key: str) -> None:
    """Scanning is slowed down (RFC 7662, 4); whoever asks about a live token is always answered."""
    service: Service = request.app.state.service
    service.unknown_tokens.count(*key, limit=service.settings.introspection_misses_per_minute)


def _caller(request: Request) -> str:
    """The credential of whoever asks: as a protected route takes it, or as HTTP Basic's secret."""
    sent = request.app.state.counterfoil.find_credential(request.headers.raw)
    basic = forms.basic_credentials(request)
    if basic is not None and sent not in (None, basic[1]):
        raise OAuthRefusal("invalid_request", "More than one credential was sent. Send one.")
    caller = basic[1] if basic else sent
    if caller is None:
        raise _invalid_client(request)
    return caller


def _invalid_client(request: Request) -> OAuthRefusal:
    """The challenge is for the scheme that was used (RFC 6749, 5.2; RFC 6750, 3)."""
    scheme = request.headers.get("authorization", "").partition(" ")[0].lower()
    if scheme == "basic":
        challenge = 'Basic realm="counterfoil"'
    elif request.app.state.counterfoil.find_credential(request.headers.raw):
        challenge = 'Bearer error="invalid_token"'
    else:
        challenge = "Bearer"
    return OAuthRefusal(
        "invalid_client",
        "This needs an API key that is live, with the scope introspect.",
        status=HTTPStatus.UNAUTHORIZED,
        headers={"WWW-Authenticate": challenge},
    )


@router.post(
    "/revoke",
    summary="Revoke a token (OAuth 2.0)",
    response_class=Response,
    response_description="If it was a token, it is revoked.",
    responses=oauth_problems(400, 408, 413, 429, 503),
    openapi_extra=ONE_TOKEN_FORM,
)
@oauth_errors
async def revoke(request: Request, service: ServiceDep, origin: OriginDep) -> Response:
    """RFC 7009. Anyone who holds a token may revoke it. If you found a token, send it here.

    The answer is 200 for every token, known or unknown. Of an access token or an API key only that
    token or key is revoked, of a refresh token its session. The audit log records it.
    """
    token = forms.required(await forms.read(request), "token")
    # What cannot be a token is not worth a query.
    known = tokens.kind_of(token) is not None and await service.database.run(
        lambda db: revocation.revoke(db, token, origin=origin)
    )
    if not known:
        limit = service.settings.revocation_misses_per_minute
        service.unknown_tokens.count("revoke", origin.ip or "", limit=limit)
    return Response()


@router.get(
    _METADATA_PATH,
    summary="Metadata for OAuth clients",
    response_description="The metadata.",
)
async def read_metadata(request: Request, service: ServiceDep) -> ServerMetadata:
    """RFC 8414. The issuer is taken from the settings, never from the request."""
    return _metadata(request.app.state.settings.api.issuer, service)


@router.get(_METADATA_PATH + "/{path:path}", include_in_schema=False)
async def read_metadata_of_path(path: str, request: Request, service: ServiceDep) -> ServerMetadata:
    """Where the issuer has a path, it comes after the well-known one (RFC 8414, 3.1)."""
    issuer = request.app.state.settings.api.issuer
    if unquote(urlsplit(issuer).path) != f"/{path}":
        raise NotFound
    return _metadata(issuer, service)


def _metadata(issuer: str, service: Service) -> ServerMetadata:
    return ServerMetadata(
        issuer=issuer,
        token_endpoint=f"{issuer}/token",
        # Clients are not registered: they name themselves by client_id and have no secret.
        token_endpoint_auth_methods_supported=["none"],
        introspection_endpoint=f"{issuer}/introspect",
        introspection_endpoint_auth_methods_supported=["Bearer", "client_secret_basic"],
        revocation_endpoint=f"{issuer}/revoke",
        revocation_endpoint_auth_methods_supported=["none"],
        grant_types_supported=_grant_types(service),
        # There is no authorization endpoint; but the member is required, and clients rely on it.
        response_types_supported=[],
        scopes_supported=[permissions.ACCOUNT, permissions.ADMIN, permissions.INTROSPECT],
    )


def _grant_types(service: Service) -> list[str]:
    return ["password", "refresh_token"] if service.settings.password_grant else ["refresh_token"]
