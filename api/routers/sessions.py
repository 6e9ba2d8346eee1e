"""The caller's own sessions."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import AccountIdentity, OriginDep, SessionDep
from api.openapi.problems import problems
from api.request.paging import LINK, link
from authentication.audit import Reason
from authentication.credentials import sessions
from schemas.paging import ListQuery
from schemas.sessions import SessionRead, SessionsEnded

router = APIRouter(prefix="/sessions", tags=["sessions"])


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
def end_session(
    session_id: UUID, identity: AccountIdentity, db: SessionDep, origin: OriginDep
) -> None:
    """The next request with a token of that session is rejected."""
    sessions.revoke_own(db, identity, session_id, origin=origin, reason=Reason.BY_USER)


@router.delete(
    "",
    summary="Revoke all of your sessions",
    response_description="How many sessions were revoked.",
    responses=problems(400, 401, 403, 422, 429, 503),
)
def end_sessions(
    identity: AccountIdentity,
    db: SessionDep,
    origin: OriginDep,
    keep_current: bool = False,
) -> SessionsEnded:
    """With `keep_current=true`, all except that of the caller. Stops logins in progress, too."""
    ended = sessions.revoke_all(
        db,
        identity.user_id,
        origin=origin,
        reason=Reason.BY_USER,
        keep=identity.session_id if keep_current else None,
    )
    return SessionsEnded(ended=ended)
