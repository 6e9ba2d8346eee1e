"""The caller's own API keys."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api import api_key_response
from api.dependencies import (
    AccountActor,
    AccountIdentity,
    AccountRevoker,
    CurrentIdentity,
    KeyActor,
    ServiceDep,
    SessionDep,
)
from api.openapi.problems import problems
from api.request.paging import LINK, link
from api.request.parameters import ApiKeyId
from api.routing.json_route import JsonRoute
from authentication.credentials import api_keys
from database.models import ApiKeyUse
from schemas.api_keys import (
    ApiKeyCreate,
    ApiKeyCreated,
    ApiKeyRead,
    ApiKeyRotate,
    ApiKeyUses,
    CurrentApiKey,
)
from schemas.paging import ListQuery

router = APIRouter(prefix="/api-keys", tags=["api_keys"], route_class=JsonRoute)


@router.get(
    "",
    summary="List your API keys",
    response_description="Your live keys.",
    responses={**LINK, **problems(400, 401, 403, 422, 503)},
)
def list_api_keys(
    identity: AccountIdentity,
    db: SessionDep,
    response: Response,
    query: Annotated[ListQuery, Query()],
) -> list[ApiKeyRead]:
    """Live keys, newest first, each with its name and its last characters.

    If there are more than `limit`, the header `Link` leads to the next page.
    """
    user_id = identity.user_id
    page = api_keys.list_of_user(db, user_id, limit=query.limit, cursor=query.cursor)
    link(response, page, query)
    return [ApiKeyRead.model_validate(key) for key in page.items]


@router.get(
    "/current",
    summary="Show the API key that asks",
    response_description="The key that has sent the request.",
    responses=problems(400, 401, 403, 422, 429, 503),
)
def show_current_api_key(identity: CurrentIdentity, db: SessionDep) -> CurrentApiKey:
    """Its scopes, its end, its limit, and how often it was used. For API keys only."""
    key = api_keys.get_own(db, identity)
    return CurrentApiKey(
        **ApiKeyRead.model_validate(key).model_dump(),
        user_id=identity.user_id,
        usable_scopes=sorted(identity.scopes),
        uses=_uses(api_keys.list_uses(db, identity, key.id, days=30)),
    )


@router.post(
    "/current/rotate",
    summary="Rotate the API key that asks",
    status_code=HTTPStatus.CREATED,
    response_description="The new key, which is shown only once.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
def rotate_current_api_key(
    actor: KeyActor,
    service: ServiceDep,
    db: SessionDep,
    body: ApiKeyRotate | None = None,
) -> ApiKeyCreated:
    """For API keys with the scope `rotate`, without their owner.

    The new key has the name, the current scopes, the limit and the lifetime of the old one. Both
    work until the overlap ends.
    """
    overlap_seconds = body.overlap_seconds if body else None
    new = api_keys.rotate_itself(db, service.settings, actor, overlap_seconds=overlap_seconds)
    return api_key_response.show(new)


@router.get(
    "/{api_key_id}/uses",
    summary="How often one of your API keys was used",
    response_description="The days on which it was used.",
    responses=problems(400, 401, 403, 404, 422, 503),
)
def list_uses_of_api_key(
    api_key_id: ApiKeyId, identity: AccountIdentity, db: SessionDep
) -> list[ApiKeyUses]:
    """Up to 90 days, newest first. Days without a use are left out."""
    return _uses(api_keys.list_uses(db, identity, api_key_id, days=90))


@router.post(
    "",
    summary="Create an API key",
    status_code=HTTPStatus.CREATED,
    response_description="The key, which is shown only once.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
def create_api_key(
    body: ApiKeyCreate, actor: AccountActor, service: ServiceDep, db: SessionDep
) -> ApiKeyCreated:
    """The key is shown only once. It can have no scope that the token of the caller lacks.

    The session must be fresh: see `POST /sessions/confirm`.
    """
    request = api_key_response.read(body, service.settings)
    return api_key_response.show(api_keys.create(db, service.settings, actor, request))


@router.delete(
    "/{api_key_id}",
    summary="Revoke one of your API keys",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The key is revoked.",
    responses=problems(400, 401, 403, 404, 422, 429, 503),
)
def revoke_api_key(api_key_id: ApiKeyId, actor: AccountRevoker, db: SessionDep) -> None:
    """The next request with that key is rejected."""
    api_keys.revoke_own(db, actor, api_key_id)


@router.post(
    "/{api_key_id}/rotate",
    summary="Rotate one of your API keys",
    status_code=HTTPStatus.CREATED,
    response_description="The new key, which is shown only once.",
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
)
def rotate_api_key(
    api_key_id: ApiKeyId,
    actor: AccountActor,
    service: ServiceDep,
    db: SessionDep,
    body: ApiKeyRotate | None = None,
) -> ApiKeyCreated:
    """The new key has the name, the current scopes and the lifetime of the old one.

    Both keys work until the overlap ends. The session must be fresh: see `POST /sessions/confirm`.
    """
    overlap_seconds = body.overlap_seconds if body else None
    new = api_keys.rotate(db, service.settings, actor, api_key_id, overlap_seconds=overlap_seconds)
    return api_key_response.show(new)


def _uses(found: Sequence[ApiKeyUse]) -> list[ApiKeyUses]:
    return [ApiKeyUses.model_validate(one) for one in found]
