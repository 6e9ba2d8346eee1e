"""The caller's own passkeys, and logging in with one."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.dependencies import (
    AccountActor,
    AccountIdentity,
    AccountRevoker,
    OriginDep,
    ServiceDep,
    SessionDep,
)
from api.openapi.problems import problems
from api.request import credentials
from api.request.parameters import PasskeyId
from api.routing.json_route import JsonRoute
from api.token_response import respond
from authentication.factors.passkeys import enrolment
from authentication.grants import passkey as passkey_grant
from authentication.grants import second_factor
from schemas.passkeys import (
    CreationOptions,
    PasskeyCreate,
    PasskeyCreated,
    PasskeyLogin,
    PasskeyLoginOptions,
    PasskeyRead,
    PasskeyRename,
    RequestOptions,
)
from schemas.tokens import TokenRead

router = APIRouter(prefix="/passkeys", tags=["passkeys"], route_class=JsonRoute)


@router.get(
    "",
    summary="List your passkeys",
    response_description="Your passkeys.",
    responses=problems(400, 401, 403, 503),
)
def list_passkeys(identity: AccountIdentity, db: SessionDep) -> list[PasskeyRead]:
    """Oldest first. One with `clone_suspected_at` should be removed, and a new one added."""
    found = enrolment.list_own(db, identity.user_id)
    return [PasskeyRead.model_validate(passkey) for passkey in found]


@router.post(
    "/options",
    summary="Begin to add a passkey",
    response_description="What the browser needs.",
    responses=problems(400, 401, 403, 409, 422, 429, 503),
)
def begin_passkey(actor: AccountActor, service: ServiceDep, db: SessionDep) -> CreationOptions:
    """The challenge works once, for five minutes, in this session.

    The session must be fresh: see `POST /sessions/confirm`.
    """
    return CreationOptions.model_validate(enrolment.begin(db, service, actor))


@router.post(
    "",
    summary="Add a passkey",
    status_code=HTTPStatus.CREATED,
    response_description="The passkey.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def add_passkey(
    response: Response, body: PasskeyCreate, actor: AccountActor, service: ServiceDep
) -> PasskeyCreated:
    """The session must be fresh: see `POST /sessions/confirm`.

    Logins by a password ask for a second factor from now on. The user's other sessions are revoked,
    unless `COUNTERFOIL_FACTOR_CHANGE_ENDS_SESSIONS` is off. There are recovery codes only for a
    user who has none from before.
    """
    response.headers["Cache-Control"] = "no-store"
    registration = credentials.registration(body.credential)
    added = await enrolment.add(service, actor, name=body.name, registration=registration)
    passkey = PasskeyRead.model_validate(added.passkey).model_dump()
    return PasskeyCreated(**passkey, recovery_codes=list(added.recovery_codes))


@router.post(
    "/login/options",
    summary="Begin to log in with a passkey",
    response_description="What the browser needs.",
    responses=problems(400, 401, 408, 413, 415, 422, 429, 503),
)
async def begin_passkey_login(
    service: ServiceDep, origin: OriginDep, body: PasskeyLoginOptions | None = None
) -> RequestOptions:
    """The challenge works once, for five minutes. The user chooses one of their passkeys.

    With the `mfa_token` of a login that waits for its second factor, it is for
    `POST /login/second-factor`, and one of that user's passkeys has to sign.
    """
    if body is None or body.mfa_token is None:
        options = await passkey_grant.begin(service, origin=origin)
    else:
        options = await second_factor.begin_passkey(service, body.mfa_token, origin=origin)
    return RequestOptions.model_validate(options)


@router.post(
    "/login",
    summary="Log in with a passkey",
    response_model=TokenRead,
    response_description="The tokens, which are shown only once.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def log_in_by_passkey(body: PasskeyLogin, service: ServiceDep, origin: OriginDep) -> Response:
    """Begin a session. The device verifies its user, so no other factor is asked for.

    The 401 (`invalid_passkey`) is the same for whatever is wrong.
    """
    login = passkey_grant.PasskeyLogin(
        credentials.assertion(body.credential), scope=body.scope, client_id=body.client_id or None
    )
    return respond(await passkey_grant.log_in(service, login, origin=origin))


@router.patch(
    "/{passkey_id}",
    summary="Rename one of your passkeys",
    response_description="The passkey.",
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)
def rename_passkey(
    passkey_id: PasskeyId, body: PasskeyRename, actor: AccountActor, db: SessionDep
) -> PasskeyRead:
    """A name helps to recognise it once there are several."""
    return PasskeyRead.model_validate(enrolment.rename(db, actor, passkey_id, body.name))


@router.delete(
    "/{passkey_id}",
    summary="Remove one of your passkeys",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The passkey is removed.",
    responses=problems(400, 401, 403, 404, 409, 422, 429, 503),
)
def remove_passkey(
    passkey_id: PasskeyId, actor: AccountRevoker, service: ServiceDep, db: SessionDep
) -> None:
    """The session must be fresh: see `POST /sessions/confirm`.

    The last factor of a user with a role that requires one cannot be removed. The device keeps its
    half of the passkey, which is of no use any more.
    """
    enrolment.remove(db, service.settings, actor, passkey_id)
