"""Registering, and the caller's own account."""

from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response

from api.dependencies import (
    AccountActor,
    AccountRevoker,
    CurrentIdentity,
    OriginDep,
    ServiceDep,
    SessionDep,
)
from api.mail_response import accepted
from api.openapi.problems import problems
from api.request import session_cookie
from api.routing.fast_route import FastRoute
from api.routing.json_route import JsonRoute
from api.token_response import respond
from authentication import policies
from authentication.accounts import password_change, profiles, registration, users
from authentication.accounts.profiles import ProfileChange
from authentication.accounts.registration import Registration
from authentication.settings import Registration as Mode
from schemas.mail import MailTransaction
from schemas.tokens import TokenRead
from schemas.users import (
    PasswordChange,
    UserCreate,
    UserRead,
    UserUpdate,
    UserWithPendingEmail,
)

router = APIRouter(tags=["users"], route_class=JsonRoute)

_CONFIRMED_BY_MAIL: dict[int | str, dict[str, Any]] = {
    202: {
        "model": MailTransaction,
        "description": "The account begins once the address is confirmed.",
    }
}


async def read_me(identity: CurrentIdentity) -> Response:
    """Returns the data of the token lookup, without a further query."""
    account = UserRead.model_validate(identity)
    return Response(account.model_dump_json(), media_type="application/json")


# What clients call most. A decorator could not name the class of a single route.
router.add_api_route(
    "/users/me",
    read_me,
    route_class_override=FastRoute,
    summary="Read your account",
    response_description="Your account.",
    response_model=UserRead,
    responses=problems(400, 401, 503),
)


@router.post(
    "/register",
    summary="Create an account",
    status_code=HTTPStatus.CREATED,
    response_model=UserRead,
    response_description="The new account.",
    responses={**problems(400, 403, 408, 409, 413, 415, 422, 429, 503), **_CONFIRMED_BY_MAIL},
)
async def register(body: UserCreate, service: ServiceDep, origin: OriginDep) -> UserRead | Response:
    """E-mail addresses are normalised before they are compared.

    Where registration is closed, the answer is 403 (`registration_closed`). Where it has to be
    confirmed by mail, the answer is 202, whether the address is taken or not.
    """
    account = Registration(**body.model_dump())
    if service.settings.registration is Mode.CONFIRM:
        return accepted(await registration.request(service, account, origin=origin))
    user = await registration.register(service, account, origin=origin)
    return UserRead.model_validate(user)


@router.patch(
    "/users/me",
    summary="Change your account",
    response_description="Your account after the change.",
    responses=problems(400, 401, 403, 408, 409, 413, 415, 422, 429, 503),
)
async def update_me(
    body: UserUpdate, actor: AccountActor, service: ServiceDep
) -> UserWithPendingEmail | UserRead:
    """Omitted fields do not change. A new e-mail address requires the current password.

    A new username requires it too, unless the session is fresh: see `POST /sessions/confirm`. Where
    mails are sent, a fresh session suffices for a new address as well. Until a mail confirms it, it
    is the `pending_email`, whether it is taken or not.
    """
    changes = body.model_dump(exclude_unset=True, exclude={"email", "current_password"})
    if changes.get("name", "") is None:
        del changes["name"]
    change = ProfileChange(fields=changes, email=body.email, current_password=body.current_password)
    user = await profiles.change_profile(service, actor, change)
    model = UserWithPendingEmail if service.has_mail else UserRead
    return model.model_validate(user)


@router.delete(
    "/users/me",
    summary="Delete your account",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The account is deleted.",
    responses=problems(400, 401, 403, 409, 422, 429, 503),
)
def delete_me(actor: AccountRevoker, service: ServiceDep, db: SessionDep) -> None:
    """Also deletes all sessions, tokens and API keys. The events in the audit log remain.

    For some time, nobody can create an account with its e-mail address or username. The session
    must be fresh: see `POST /sessions/confirm`.
    """
    users.delete_own(db, service.settings, actor)


@router.put(
    "/users/me/password",
    summary="Change your password",
    response_model=TokenRead,
    response_description="The password is changed; these tokens replace those of your session.",
    responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def change_password(
    request: Request, body: PasswordChange, actor: AccountRevoker, service: ServiceDep
) -> Response:
    """Requires the current password. Revokes every other session, and every API key.

    A session in a cookie gets a new cookie, and the answer is 204.

    With `"end_api_keys": false` the API keys remain valid. The session of the caller goes on with
    new tokens: a copy of the old ones, which somebody else may have, is of no use any more.
    """
    is_by_cookie = session_cookie.is_used_by(request)
    pair = await password_change.change_password(
        service,
        actor,
        current=body.current_password,
        new=body.new_password,
        end_api_keys=body.end_api_keys,
        settings=policies.for_browsers(service.settings) if is_by_cookie else None,
    )
    if not is_by_cookie:
        return respond(pair)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    session_cookie.write(response, pair.access_token, seconds=service.settings.session_seconds)
    return response
