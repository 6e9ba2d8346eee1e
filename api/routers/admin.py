"""Administration. Everything here takes the scope `admin`, of a session or of an API key."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from api.dependencies import AdministratorActor, ServiceDep, SessionDep, requires
from api.openapi.problems import problems
from api.request.paging import LINK, link
from api.request.parameters import ApiKeyId, SessionId, UserId
from api.routing.json_route import JsonRoute
from authentication import permissions
from authentication.administration import factors, operations
from authentication.administration.operations import (
    AuditFilter,
    SessionFilter,
    UserChange,
    UserFilter,
    UserSession,
)
from counterfoil.identity import Identity
from database.queries.users import Order
from schemas.admin import (
    AdminSessionPage,
    AdminSessionRead,
    AdminUserPage,
    AdminUserRead,
    AdminUserUpdate,
    AuditEventPage,
    AuditQuery,
    SessionQuery,
    SessionsRevoke,
    SessionsRevoked,
    UserQuery,
)
from schemas.api_keys import ApiKeyRead
from schemas.factors import FactorsRead, FactorsRemoved
from schemas.paging import ListQuery
from schemas.sessions import SessionRead, SessionsEnded

_is_administrator = requires(permissions.ADMIN)

router = APIRouter(
    prefix="/admin",
    tags=["administration"],
    dependencies=[_is_administrator],
    responses=problems(400, 401, 403, 503),
    route_class=JsonRoute,
)

# For routes that want to know who asks.
_Administrator = Annotated[Identity, _is_administrator]


@router.get(
    "/users",
    summary="Find users",
    response_description="A page of users.",
    responses=problems(422),
)
def list_users(db: SessionDep, query: Annotated[UserQuery, Query()]) -> AdminUserPage:
    """Newest first, unless asked otherwise. `q` matches the beginnings of words of names and e-mail
    addresses.
    """
    wanted = UserFilter(query.q, query.active, query.role, Order(query.order))
    page = operations.list_users(db, wanted, limit=query.limit, cursor=query.cursor)
    total = operations.count_users(db, wanted) if query.with_total else None
    items = [AdminUserRead.model_validate(user) for user in page.items]
    return AdminUserPage(items=items, next_cursor=page.next_cursor, total=total)


@router.get(
    "/users/{user_id}",
    summary="Read a user",
    response_description="The user.",
    responses=problems(404, 422),
)
def read_user(db: SessionDep, user_id: UserId) -> AdminUserRead:
    """The account as administrators see it, without the password hash."""
    return AdminUserRead.model_validate(operations.get_user(db, user_id))


@router.patch(
    "/users/{user_id}",
    summary="Change a user: names, roles, whether they may log in",
    response_description="The user after the change.",
    responses=problems(404, 408, 409, 413, 415, 422, 429),
)
def change_user(
    actor: AdministratorActor,
    service: ServiceDep,
    db: SessionDep,
    user_id: UserId,
    body: AdminUserUpdate,
) -> AdminUserRead:
    """Takes effect on the user's next request. The last active administrator cannot be removed.

    The session must be fresh: see `POST /sessions/confirm`.
    """
    change = UserChange(is_active=body.is_active, roles=body.roles, names=body.names)
    changed = operations.change_user(db, service.settings, actor, user_id, change)
    return AdminUserRead.model_validate(changed)


@router.delete(
    "/users/{user_id}/sessions",
    summary="Revoke all sessions of a user",
    response_description="How many sessions were revoked.",
    responses=problems(404, 422, 429),
)
def end_user_sessions(actor: AdministratorActor, db: SessionDep, user_id: UserId) -> SessionsEnded:
    """Stops logins in progress, too. If the user is the caller, their own session is included."""
    return SessionsEnded(ended=operations.revoke_user_sessions(db, actor, user_id))


@router.get(
    "/sessions",
    summary="Find live sessions of all users",
    response_description="A page of sessions.",
    responses=problems(422),
)
def list_sessions(
    admin: _Administrator, db: SessionDep, query: Annotated[SessionQuery, Query()]
) -> AdminSessionPage:
    """Newest first. The session of the caller is marked `current`.

    With filters that match many sessions, a page may have fewer items than `limit`, or none,
    without being the last: continue while there is a `next_cursor`.
    """
    wanted = SessionFilter(text=query.q, user_id=query.user_id, client=query.client, ip=query.ip)
    page = operations.list_sessions(db, wanted, limit=query.limit, cursor=query.cursor)
    total = operations.count_sessions(db, wanted) if query.with_total else None
    items = [_session(found, current=admin.session_id) for found in page.items]
    return AdminSessionPage(items=items, next_cursor=page.next_cursor, total=total)


@router.delete(
    # A UUID and nothing else, so that /sessions/revoke is not taken for one.
    "/sessions/{session_id:uuid}",
    summary="Revoke a session of any user",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The session is revoked.",
    responses=problems(404, 422, 429),
)
def end_session(actor: AdministratorActor, db: SessionDep, session_id: SessionId) -> None:
    """The next request with a token of that session is rejected."""
    operations.revoke_session(db, actor, session_id)


@router.post(
    "/sessions/revoke",
    summary="Revoke many sessions",
    response_description="How many sessions were revoked, and whether there are more.",
    responses=problems(408, 413, 415, 422, 429),
)
def revoke_sessions(
    actor: AdministratorActor, db: SessionDep, body: SessionsRevoke
) -> SessionsRevoked:
    """Revokes the sessions with these ids, or with `"*"` those of all users, in batches.

    Repeat until `more` is false. Ids that are unknown or no longer live are ignored. `"*"` does not
    revoke the session of the caller, unless `include_current` is true, and requires a fresh session
    (see `POST /sessions/confirm`). A login in progress is not a session yet and is not stopped.
    """
    ids = body.session_ids
    if ids is not None:
        revoked = operations.revoke_sessions(db, actor, ids)
    else:
        keep_current = not body.include_current
        revoked = operations.revoke_session_batch(db, actor, keep_current=keep_current)
    return SessionsRevoked(processed=revoked.processed, more=revoked.more)


@router.get(
    "/audit-events",
    summary="Read the audit log",
    response_description="A page of events.",
    responses=problems(422),
)
def list_audit_events(db: SessionDep, query: Annotated[AuditQuery, Query()]) -> AuditEventPage:
    """Newest first. Events contain no token and no password, and remain when users are deleted."""
    filters = AuditFilter(**query.model_dump(exclude={"limit", "cursor"}))
    wanted = operations.with_named_users(db, filters)
    page = operations.list_audit_events(db, wanted, limit=query.limit, cursor=query.cursor)
    return AuditEventPage.model_validate(page)


@router.get(
    "/users/{user_id}/api-keys",
    summary="List the API keys of a user",
    response_description="The live keys of the user.",
    responses={**LINK, **problems(404, 422)},
)
def list_api_keys(
    db: SessionDep,
    response: Response,
    user_id: UserId,
    query: Annotated[ListQuery, Query()],
) -> list[ApiKeyRead]:
    """Live keys, newest first, with their last characters. A disabled user has no live keys.

    If there are more than `limit`, the header `Link` leads to the next page.
    """
    page = operations.list_api_keys(db, user_id, limit=query.limit, cursor=query.cursor)
    link(response, page, query)
    return [ApiKeyRead.model_validate(key) for key in page.items]


@router.delete(
    "/api-keys/{api_key_id}",
    summary="Revoke an API key of any user",
    status_code=HTTPStatus.NO_CONTENT,
    response_description="The key is revoked.",
    responses=problems(404, 422, 429),
)
def revoke_api_key(actor: AdministratorActor, db: SessionDep, api_key_id: ApiKeyId) -> None:
    """The next request with that key is rejected."""
    operations.revoke_api_key(db, actor, api_key_id)


@router.get(
    "/users/{user_id}/factors",
    summary="List the second factors of a user",
    response_description="The second factors of the user.",
    responses=problems(404, 422),
)
def list_factors(db: SessionDep, user_id: UserId) -> FactorsRead:
    """Authenticator apps and passkeys, by the names that the user gave them."""
    return FactorsRead.model_validate(factors.read(db, user_id))


@router.delete(
    "/users/{user_id}/factors",
    summary="Remove all second factors of a user",
    response_description="How many were removed.",
    responses=problems(404, 422, 429),
)
def remove_factors(actor: AdministratorActor, db: SessionDep, user_id: UserId) -> FactorsRemoved:
    """For users who have lost them: the password is enough for their next login.

    Also voids recovery codes, and revokes all sessions of the user, who is told by mail. The
    session must be fresh: see `POST /sessions/confirm`.
    """
    return FactorsRemoved(removed=factors.remove_all(db, actor, user_id))


def _session(found: UserSession, *, current: UUID | None) -> AdminSessionRead:
    session, user = SessionRead.model_validate(found.session), found.user
    session.current = session.id == current
    return AdminSessionRead(user_id=user.id, email=user.email, **session.model_dump())
