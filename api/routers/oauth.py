"""Token revocation and the metadata of the authorization server, for OAuth clients."""

from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Request, Response

from api.dependencies import OriginDep, ServiceDep
from api.oauth_errors import oauth_errors
from api.openapi.oauth import ONE_TOKEN_FORM, oauth_problems
from api.request import forms, prefix
from authentication import permissions
from authentication.credentials import revocation
from authentication.errors import NotFound
from authentication.service import Service
from schemas.oauth import ServerMetadata

router = APIRouter(tags=["oauth"])


@router.post(
    "/revoke",
    summary="Revoke a token (OAuth 2.0)",
    response_class=Response,
    response_description="If it was a token, it is revoked.",
    responses=oauth_problems(400, 408, 413, 415, 429, 503),
    openapi_extra=ONE_TOKEN_FORM,
)
@oauth_errors
async def revoke(request: Request, service: ServiceDep, origin: OriginDep) -> Response:
    """RFC 7009. Anyone who holds a token may revoke it. If you found a token, send it here.

    The answer is 200 for every token, known or unknown. Of an access token or an API key only that
    token or key is revoked, of a refresh token its session. The audit log records it.
    """
    token = forms.required_token(await forms.read(request), "token")
    limit = service.settings.revocation_misses_per_minute
    service.unknown_tokens.reject_flood("revoke", origin, limit=limit)
    # A repeated revocation writes as well: it waits until the first is committed.
    if not (
        await service.issued_tokens.is_issued(token)
        and await service.database.run(
            lambda db: revocation.revoke(db, token, origin=origin), is_untrusted=True
        )
    ):
        service.unknown_tokens.count_in("revoke", origin, limit=limit)
    return Response()


@router.get(
    prefix.METADATA_PATH,
    summary="Metadata for OAuth clients",
    response_description="The metadata.",
)
async def read_metadata(request: Request, service: ServiceDep) -> ServerMetadata:
    """RFC 8414. The issuer is taken from the settings, never from the request."""
    return _metadata(request.app.state.settings.api.issuer, service)


@router.get(prefix.METADATA_PATH + "/{path:path}", include_in_schema=False)
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
