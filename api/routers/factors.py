"""The caller's own second factors: authenticator apps and recovery codes."""

from http import HTTPStatus

from fastapi import APIRouter, Response

from api.dependencies import AccountActor, AccountIdentity, AccountRevoker, ServiceDep, SessionDep
from api.openapi.problems import problems
from api.request.parameters import FactorId
from api.routing.json_route import JsonRoute
from authentication.factors import enrolment, listing
from schemas.factors import FactorsRead, RecoveryCodeSet, TotpConfirm, TotpCreate, TotpCreated

router = APIRouter(prefix="/factors", tags=["factors"], route_class=JsonRoute)

_NO_STORE = "no-store"


@router.get(
    "",
    summary="List your second factors",
    response_description="Your second factors.",
    responses=problems(400, 401, 403, 503),
)
def list_factors(identity: AccountIdentity, db: SessionDep) -> FactorsRead:
    """Those that logins ask for: authenticator apps and passkeys."""
    return FactorsRead.model_validate(listing.read(db, identity.user_id))


@router.post(
    "/totp",
    summary="Add an authenticator app",
    status_code=HTTPStatus.CREATED,
    response_description="The secret for the app, which is shown only once.",
    responses=problems(400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 503),
)
def begin_totp(
    response: Response, actor: AccountActor, service: ServiceDep, db: SessionDep, body: TotpCreate
) -> TotpCreated:
    """Logins ask for its codes once a first one has confirmed it: see `POST /factors/totp/confirm`.

    The session must be fresh: see `POST /sessions/confirm`. Where `COUNTERFOIL_SECRET_KEYS` is not
    set, the answer is 404.
    """
    response.headers["Cache-Control"] = _NO_STORE
    return TotpCreated.model_validate(enrolment.begin(db, service, actor, name=body.name))


@router.post(
    "/totp/confirm",
    summary="Confirm an authenticator app",
    response_description="Ten recovery codes, which are shown only once.",
    responses=problems(400, 401, 403, 404, 408, 413, 415, 422, 429, 503),
)
async def confirm_totp(
    response: Response, actor: AccountRevoker, service: ServiceDep, body: TotpConfirm
) -> RecoveryCodeSet:
    """Needs a first code of the app that was added, which is used up by it.

    The user's other sessions are revoked, unless `COUNTERFOIL_FACTOR_CHANGE_ENDS_SESSIONS` is off.
    There are recovery codes only for a user who has none from before.
    """
    response.headers["Cache-Control"] = _NO_STORE
    codes = await enrolment.confirm(service, actor, body.code)
    return RecoveryCodeSet(recovery_codes=list(codes))


@router.delete(
    "/totp/{factor_id}",
    summary="Remove an authenticator app",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The app is removed.",
    responses=problems(400, 401, 403, 404, 409, 422, 429, 503),
)
def remove_totp(
    factor_id: FactorId, actor: AccountRevoker, service: ServiceDep, db: SessionDep
) -> None:
    """The session must be fresh: see `POST /sessions/confirm`.

    The last factor of a user with a role that requires one cannot be removed.
    """
    enrolment.remove(db, service, actor, factor_id)


@router.post(
    "/recovery-codes",
    summary="Make new recovery codes",
    response_description="Ten recovery codes, which are shown only once.",
    responses=problems(400, 401, 403, 404, 422, 429, 503),
)
def replace_recovery_codes(
    response: Response, actor: AccountActor, db: SessionDep
) -> RecoveryCodeSet:
    """The ones from before are void. The session must be fresh: see `POST /sessions/confirm`."""
    response.headers["Cache-Control"] = _NO_STORE
    codes = enrolment.replace_recovery_codes(db, actor)
    return RecoveryCodeSet(recovery_codes=list(codes))
