"""The applications that the caller has allowed something, or is logged in with."""

from http import HTTPStatus

from fastapi import APIRouter

from api.dependencies import AccountIdentity, AccountRevoker, SessionDep
from api.openapi.problems import problems
from api.request.parameters import ClientId
from authentication.clients import consents
from schemas.clients import ApplicationRead

router = APIRouter(
    prefix="/users/me/applications",
    tags=["users"],
    responses=problems(400, 401, 403, 503),
)


@router.get(
    "",
    summary="List the applications that you use",
    response_description="The applications.",
)
def list_applications(identity: AccountIdentity, db: SessionDep) -> list[ApplicationRead]:
    """By name. Each has your consent, or a session of yours."""
    found = consents.list_own(db, identity.user_id)
    return [ApplicationRead.model_validate(one) for one in found]


@router.delete(
    "/{client_id}",
    summary="Take back what you have allowed an application",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="Its sessions are revoked.",
    responses=problems(404, 422, 429),
)
def remove_application(
    actor: AccountRevoker,
    db: SessionDep,
    client_id: ClientId,
) -> None:
    """Its next request is rejected. It has to ask you again."""
    consents.take_back(db, actor, client_id)
