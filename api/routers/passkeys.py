"""The caller's own passkeys, and logging in with one."""

from http import HTTPStatus

from fastapi import APIRouter

from api.dependencies import AccountActor, AccountIdentity, ServiceDep, SessionDep
from api.openapi.problems import problems
from api.request import credentials
from api.request.parameters import PasskeyId
from authentication.factors.passkeys import enrolment
from schemas.passkeys import CreationOptions, PasskeyCreate, PasskeyRead, PasskeyRename

router = APIRouter(prefix="/passkeys", tags=["passkeys"])


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
async def add_passkey(body: PasskeyCreate, actor: AccountActor, service: ServiceDep) -> PasskeyRead:
    """The session must be fresh: see `POST /sessions/confirm`."""
    registration = credentials.registration(body.credential)
    passkey = await enrolment.add(service, actor, name=body.name, registration=registration)
    return PasskeyRead.model_validate(passkey)


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
def remove_passkey(passkey_id: PasskeyId, actor: AccountActor, db: SessionDep) -> None:
    """The session must be fresh: see `POST /sessions/confirm`.

    The device keeps its half, which is of no use any more.
    """
    enrolment.remove(db, actor, passkey_id)
