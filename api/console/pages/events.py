"""The audit log page, with filters."""

import re
from collections.abc import Iterable

from fastapi import APIRouter, Request, Response
from sqlalchemy.orm import Session

from api.dependencies import SessionDep
from api.web import formatting, parameters
from api.web.rendering import page
from api.web.signed_in_user import AdministratorDep
from authentication import audit
from authentication.administration import operations
from authentication.administration.operations import AuditFilter
from database.models import AuditEvent

router = APIRouter(prefix="/events")

PAGE = 50
_USER = re.compile(r"user:([0-9]{1,9})")


@router.get("")
def list_events(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """Audit events, newest first. `since` and `until` are dates in UTC, and both are included."""
    names = ("event", "subject", "actor", "ip", "since", "until")
    query = {name: parameters.text(request, name) for name in names}
    wanted = read_filter(db, request)
    cursor = parameters.text(request, "cursor")
    found = operations.list_audit_events(db, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "events.html",
        found=found,
        names=operations.find_emails(db, users_in(found.items)),
        kinds=sorted(formatting.EVENTS.items(), key=lambda kind: kind[1]),
        query=query,
        is_filtered=any(query.values()),
        is_first=cursor is None,
        trail=parameters.trail(request),
        cursor=cursor,
    )


def read_filter(db: Session, request: Request) -> AuditFilter:
    """What the query parameters of the page ask for. Users are named by id or by address."""
    wanted = AuditFilter(
        event=parameters.text(request, "event"),
        subject=_actor(parameters.text(request, "subject")),
        actor=_actor(parameters.text(request, "actor")),
        ip=parameters.text(request, "ip"),
        since=parameters.day(request, "since"),
        until=parameters.day(request, "until", after=1),
    )
    return operations.with_named_users(db, wanted)


def users_in(events: Iterable[AuditEvent]) -> list[int]:
    """The ids of the users that are the actor or the subject of these events."""
    names = {name for event in events for name in (event.actor, event.subject) if name}
    return sorted(int(match[1]) for name in names if (match := _USER.fullmatch(name)))


def _actor(text: str | None) -> str | None:
    """A user id as the log writes it, "user:42". Other text is left as it is."""
    return audit.user(int(text)) if text and re.fullmatch("[0-9]{1,9}", text) else text
