"""Administration of accounts: created, renamed and deleted by somebody else than their owners."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api import api_key_response
from api.dependencies import AdministratorActor, ServiceDep, SessionDep, requires
from api.openapi.problems import problems
from api.request.parameters import UserId
from api.routing.json_route import JsonRoute
from authentication import permissions
from authentication.accounts.registration import Registration
from authentication.administration import accounts, mails
from authentication.errors import NotFound
from schemas.admin import AdminUserCreate, AdminUserRead
from schemas.api_keys import ApiKeyCreate, ApiKeyCreated

router = APIRouter(
    prefix="/admin/users",
    tags=["administration"],
    dependencies=[requires(permissions.ADMIN)],
    responses=problems(400, 401, 403, 503),
    route_class=JsonRoute,
)


@router.post(
    "",
    summary="Create a user",
    status_code=HTTPStatus.CREATED,
    response_description="The user, who has no password.",
    responses=problems(408, 409, 413, 415, 422, 429),
)
async def create_user(
    actor: AdministratorActor, service: ServiceDep, body: AdminUserCreate
) -> AdminUserRead:
    """The account has no password. A person sets one by the mail of `POST /admin/users/{id}/reset`;
    an account for API keys alone (a service account) needs none.

    The session must be fresh: see `POST /sessions/confirm`.
    """
    fields = body.model_dump(exclude={"roles"})
    account = Registration(password="", roles=tuple(body.roles), **fields)
    return AdminUserRead.model_validate(await accounts.create_user(service, actor, account))


@router.delete(
    "/{user_id}",
    summary="Delete a user",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The user and everything that belongs to them is deleted.",
    responses=problems(404, 409, 422, 429),
)
def delete_user(
    actor: AdministratorActor, service: ServiceDep, db: SessionDep, user_id: UserId
) -> None:
    """The last active administrator cannot be deleted. The session must be fresh.

    The names stay reserved for a while, and the audit log keeps what it has.
    """
    accounts.delete_user(db, service.settings, actor, user_id)


@router.post(
    "/{user_id}/reset",
    summary="Send a user a mail to set a new password",
    status_code=HTTPStatus.ACCEPTED,
    response_class=Response,
    response_description="A mail is on its way.",
    responses=problems(404, 422, 429),
)
async def send_reset(actor: AdministratorActor, service: ServiceDep, user_id: UserId) -> Response:
    """Nothing changes until the link is used, which nobody but the user sees.

    404 also for a disabled user, and where the service has no mail.
    """
    if not service.has_mail:
        raise NotFound("This service sends no mail.")
    await mails.send_reset(service, actor, user_id)
    return Response(status_code=HTTPStatus.ACCEPTED)


@router.post(
    "/{user_id}/api-keys",
    summary="Create an API key for a user without a password",
    status_code=HTTPStatus.CREATED,
    response_description="The key, which is shown only once.",
    responses=problems(404, 408, 409, 413, 415, 422, 429),
)
def create_api_key(
    actor: AdministratorActor,
    service: ServiceDep,
    db: SessionDep,
    user_id: UserId,
    body: ApiKeyCreate,
) -> ApiKeyCreated:
    """For service accounts, which cannot log in to create keys. The session must be fresh.

    409 `password_set` for any other account: its keys are its owner's.
    """
    request = api_key_response.read(body, service.settings)
    new = accounts.create_api_key(db, service.settings, actor, user_id, request)
    return api_key_response.show(new)
