"""The caller's own sessions."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Response

from api.dependencies import AccountIdentity, AccountRevoker, ServiceDep, SessionDep
from api.openapi.problems import problems
from api.request import proofs
from api.request.paging import LINK, link
from api.request.parameters import SessionId
from api.routing.json_route import JsonRoute
from authentication.credentials import sessions
from authentication.factors import confirmation
from authentication.factors.confirmation import Confirmation
from schemas.paging import ListQuery
from schemas.passkeys import RequestOptions
from schemas.sessions import SessionConfirm, SessionRead, SessionsEnded

router = APIRouter(prefix="/sessions", tags=["sessions"], route_class=JsonRoute)


@router.get(
    "",
    summary="List your sessions",
    response_description="Your live sessions.",
    responses={**LINK, **problems(400, 401, 403, 422, 503)},
)
def list_sessions(
    identity: AccountIdentity,
    db: SessionDep,
    response: Response,
    query: Annotated[ListQuery, Query()],
) -> list[SessionRead]:
    """Live sessions, newest first. The session of the caller is marked `current`.

    If there are more than `limit`, the header `Link` leads to the next page.
    """
    page = sessions.list_own(db, identity, limit=query.limit, cursor=query.cursor)
    link(response, page, query)
    listed = [SessionRead.model_validate(session) for session in page.items]
    for session in listed:
        session.current = session.id == identity.session_id
    return listed


@router.delete(
    "/{session_id}",
    summary="Revoke one of your sessions",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The session is revoked.",
    responses=problems(400, 401, 403, 404, 422, 429, 503),
)
def end_session(session_id: SessionId, actor: AccountRevoker, db: SessionDep) -> None:
    """The next request with a token of that session is rejected."""
    sessions.revoke_own(db, actor, session_id)


@router.delete(
    "",
    summary="Revoke all of your sessions",
    response_description="How many sessions were revoked.",
    responses=problems(400, 401, 403, 422, 429, 503),
)
def end_sessions(
    actor: AccountRevoker,
    db: SessionDep,
    keep_current: Annotated[
        bool, Query(description="Whether to keep the session of this request.")
    ] = False,
) -> SessionsEnded:
    """With `keep_current=true`, all except that of the caller. Stops logins in progress, too."""
    return SessionsEnded(ended=sessions.revoke_all_own(db, actor, keep_current=keep_current))


@router.post(
    "/confirm/options",
    summary="Begin to confirm who you are by a passkey",
    response_description="What the browser needs.",
    responses=problems(400, 401, 403, 422, 429, 503),
)
async def begin_confirmation(actor: AccountRevoker, service: ServiceDep) -> RequestOptions:
    """What the browser returns is the `passkey` of `POST /sessions/confirm`."""
    return RequestOptions.model_validate(await confirmation.begin_passkey(service, actor))


@router.post(
    "/confirm",
    summary="Confirm who you are",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The session is fresh.",
    responses=problems(400, 401, 403, 408, 413, 415, 422, 429, 503),
)
async def confirm_session(body: SessionConfirm, actor: AccountRevoker, service: ServiceDep) -> None:
    """Makes the session fresh for a while (`COUNTERFOIL_FRESH_SECONDS`), as a login does.

    Takes the password, or of a user who has a second factor that: the password alone is then a 401
    with the code `second_factor_required`.

    Sensitive actions are answered by a 401 with the code `insufficient_user_authentication`
    (RFC 9470) while the session is not fresh: changing the password, names and second factors,
    creating and rotating API keys, deleting the account, and what administrators do to users, roles
    and clients, but for revoking sessions and API keys of one user.
    """
    given = Confirmation(body.password, proofs.read(body))
    await confirmation.confirm(service, actor, given)
