"""The lists of the console as CSV, with the filters of their pages."""

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from api import csv_response
from api.console.pages import events, sessions, users
from api.dependencies import ServiceDep
from api.web.signed_in_user import SignedInAdministrator, find_signed_in_user
from authentication.administration import exports

router = APIRouter()


@router.get("/users.csv")
async def export_users(
    request: Request, actor: SignedInAdministrator, service: ServiceDep
) -> StreamingResponse:
    """All users that the filters match."""
    wanted = users.read_filter(request)
    await exports.record(service, actor, "users")
    return _stream(request, "users.csv", exports.USERS, exports.users(service, wanted))


@router.get("/sessions.csv")
async def export_sessions(
    request: Request, actor: SignedInAdministrator, service: ServiceDep
) -> StreamingResponse:
    """All live sessions that the filters match."""
    wanted = sessions.read_filter(request)
    await exports.record(service, actor, "sessions")
    return _stream(request, "sessions.csv", exports.SESSIONS, exports.sessions(service, wanted))


@router.get("/events.csv")
async def export_events(
    request: Request, actor: SignedInAdministrator, service: ServiceDep
) -> StreamingResponse:
    """All events that the filters match."""
    wanted = await service.database.run(lambda db: events.read_filter(db, request), read_only=True)
    await exports.record(service, actor, "audit-events")
    return _stream(request, "events.csv", exports.EVENTS, exports.events(service, wanted))


def _stream(
    request: Request, name: str, columns: exports.Row, batches: exports.Batches
) -> StreamingResponse:
    async def is_allowed() -> bool:
        user = await find_signed_in_user(request)
        return user is not None and user.is_administrator

    return csv_response.stream(name, columns, batches, is_allowed=is_allowed)
