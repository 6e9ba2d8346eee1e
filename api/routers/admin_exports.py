"""Lists of administration as CSV, of any length: they are streamed batch by batch.

Unlike a page of a list, an export is recorded in the audit log.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from api import csv_response
from api.dependencies import AdministratorActor, ServiceDep, requires
from api.openapi.problems import problems
from authentication import permissions
from authentication.administration import exports, operations
from authentication.administration.operations import AuditFilter, SessionFilter, UserFilter
from counterfoil.authenticator import RESOLVED
from counterfoil.errors import CounterfoilError
from counterfoil.fastapi import authenticate
from schemas.admin import AuditFilters, SessionFilters, UserFilters

_CSV: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"text/csv": {"schema": {"type": "string"}}},
        "description": "All rows that match, with a line of names.",
    }
}

router = APIRouter(
    prefix="/admin",
    tags=["administration"],
    dependencies=[requires(permissions.ADMIN)],
    responses={**_CSV, **problems(400, 401, 403, 422, 429, 503)},
    default_response_class=StreamingResponse,
)


@router.get("/users.csv", summary="Export users", response_model=None)
async def export_users(
    request: Request,
    actor: AdministratorActor,
    service: ServiceDep,
    query: Annotated[UserFilters, Query()],
) -> StreamingResponse:
    """As `GET /admin/users`, all of them. A response that is cut off was not complete."""
    wanted = UserFilter(text=query.q, active=query.active, role=query.role)
    await exports.record(service, actor, "users")
    return _stream(request, "users.csv", exports.USERS, exports.users(service, wanted))


@router.get("/sessions.csv", summary="Export live sessions", response_model=None)
async def export_sessions(
    request: Request,
    actor: AdministratorActor,
    service: ServiceDep,
    query: Annotated[SessionFilters, Query()],
) -> StreamingResponse:
    """As `GET /admin/sessions`, all of them."""
    wanted = SessionFilter(text=query.q, user_id=query.user_id, client=query.client, ip=query.ip)
    await exports.record(service, actor, "sessions")
    return _stream(request, "sessions.csv", exports.SESSIONS, exports.sessions(service, wanted))


@router.get("/audit-events.csv", summary="Export the audit log", response_model=None)
async def export_audit_events(
    request: Request,
    actor: AdministratorActor,
    service: ServiceDep,
    query: Annotated[AuditFilters, Query()],
) -> StreamingResponse:
    """As `GET /admin/audit-events`, all of them. `detail` is JSON."""
    wanted = await service.database.run(
        lambda db: operations.with_named_users(db, AuditFilter(**query.model_dump())),
        read_only=True,
    )
    await exports.record(service, actor, "audit-events")
    return _stream(request, "audit-events.csv", exports.EVENTS, exports.events(service, wanted))


def _stream(
    request: Request, name: str, columns: exports.Row, batches: exports.Batches
) -> StreamingResponse:
    async def is_allowed() -> bool:
        # What the lookup of the request has found does not count any more.
        request.scope.pop(RESOLVED, None)
        try:
            identity = await authenticate(request)
        except CounterfoilError:
            return False
        return identity is not None and permissions.ADMIN in identity.scopes

    return csv_response.stream(name, columns, batches, is_allowed=is_allowed)
