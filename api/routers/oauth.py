"""Token revocation and the metadata of the authorization server, for OAuth clients."""

from urllib.parse import unquote, urlsplit

from fastapi import APIRouter, Request, Response

from api import token_endpoint
from api.dependencies import OriginDep, ServiceDep
from api.oauth_errors import oauth_errors
from api.openapi.oauth import DEVICE_FORM, ONE_TOKEN_FORM, oauth_problems
from api.request import forms, prefix
from api.token_response import NO_STORE
from authentication import permissions
from authentication.clients import client_authentication, devices
from authentication.credentials import revocation
from authentication.errors import NotFound
from authentication.service import Service
from schemas.oauth import DeviceAuthorizationRead, ServerMetadata

router = APIRouter(tags=["oauth"])

_CLIENT_AUTHENTICATION = ["client_secret_basic", "client_secret_post", "none"]


@router.post(
    "/revoke",
    summary="Revoke a token (OAuth 2.0)",
    response_class=Response,
    response_description="If it was a token, it is revoked.",
    responses=oauth_problems(400, 401, 408, 413, 415, 429, 503),
    openapi_extra=ONE_TOKEN_FORM,
)
@oauth_errors
async def revoke(request: Request, service: ServiceDep, origin: OriginDep) -> Response:
    """RFC 7009. Anyone who holds a token may revoke it. If you found a token, send it here.

    The answer is 200 for every token, known or unknown. Of an access token or an API key only that
    token or key is revoked, of a refresh token its session. The audit log records it.
    """
    form = await forms.read(request)
    token, sent = forms.required_token(form, "token"), forms.client_credentials(request, form)
    # A client that names itself has to prove it (RFC 7009, 2.1), though it need not do so.
    await client_authentication.find_client(service, sent, origin=origin)
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


@router.post(
    "/device_authorization",
    summary="Begin on a device (OAuth 2.0)",
    response_model=DeviceAuthorizationRead,
    response_description="The codes for the device and its user.",
    responses=oauth_problems(400, 401, 408, 413, 415, 429, 503),
    openapi_extra=DEVICE_FORM,
)
@oauth_errors
async def authorize_device(request: Request, service: ServiceDep, origin: OriginDep) -> Response:
    """RFC 8628, for devices on which nobody can sign in, and for command-line tools.

    The device shows the user code and the address where its user enters it, and asks `POST /token`
    for its tokens until the user has decided.
    """
    form = await forms.read(request)
    sent = forms.client_credentials(request, form)
    codes = await devices.begin(service, sent, form.get("scope"), origin=origin)
    page = f"{request.app.state.settings.api.issuer}/device"
    body = DeviceAuthorizationRead(
        device_code=codes.device_code,
        user_code=codes.user_code,
        verification_uri=page,
        verification_uri_complete=f"{page}?user_code={codes.user_code}",
        expires_in=devices.CODE_SECONDS,
        interval=devices.INTERVAL_SECONDS,
    )
    return Response(body.model_dump_json(), headers=NO_STORE, media_type="application/json")


@router.get(
    prefix.METADATA_PATH,
    summary="Metadata for OAuth clients",
    response_model=ServerMetadata,
    response_description="The metadata.",
)
async def read_metadata(request: Request, service: ServiceDep) -> Response:
    """RFC 8414. The issuer is taken from the settings, never from the request."""
    return _metadata(request, service)


@router.get(prefix.METADATA_PATH + "/{path:path}", include_in_schema=False)
async def read_metadata_of_path(path: str, request: Request, service: ServiceDep) -> Response:
    """Where the issuer has a path, it comes after the well-known one (RFC 8414, 3.1)."""
    issuer = request.app.state.settings.api.issuer
    if unquote(urlsplit(issuer).path) != f"/{path}":
        raise NotFound
    return _metadata(request, service)


def _metadata(request: Request, service: Service) -> Response:
    settings = request.app.state.settings.api
    issuer, has_pages = settings.issuer, settings.pages
    metadata = ServerMetadata(
        issuer=issuer,
        authorization_endpoint=f"{issuer}/authorize" if has_pages else None,
        token_endpoint=f"{issuer}/token",
        token_endpoint_auth_methods_supported=_CLIENT_AUTHENTICATION,
        device_authorization_endpoint=f"{issuer}/device_authorization" if has_pages else None,
        introspection_endpoint=f"{issuer}/introspect",
        introspection_endpoint_auth_methods_supported=["Bearer", *_CLIENT_AUTHENTICATION[:2]],
        revocation_endpoint=f"{issuer}/revoke",
        revocation_endpoint_auth_methods_supported=_CLIENT_AUTHENTICATION,
        grant_types_supported=_grants(service, has_pages=has_pages),
        response_types_supported=["code"] if has_pages else [],
        response_modes_supported=["query"],
        code_challenge_methods_supported=["S256"],
        authorization_response_iss_parameter_supported=True,
        scopes_supported=[permissions.ACCOUNT, permissions.ADMIN, permissions.INTROSPECT],
    )
    return Response(metadata.model_dump_json(exclude_none=True), media_type="application/json")


def _grants(service: Service, *, has_pages: bool) -> list[str]:
    known = token_endpoint.grants(service.settings)
    return [grant for grant in known if has_pages or grant not in token_endpoint.OF_PAGES]
