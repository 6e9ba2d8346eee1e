"""The audit log, with filters."""

import re
from collections.abc import Iterable

from fastapi import APIRouter, Request, Response

from api.console import parameters, words
from api.console.rendering import page
from api.console.visitors import AdministratorDep
from api.dependencies import SessionDep
from authentication import audit
from authentication.administration import operations
from authentication.administration.operations import AuditFilter
from database.models import AuditEvent

router = APIRouter(prefix="/events")

PAGE = 50
_USER = re.compile(r"user:([0-9]{1,9})")


@router.get("")
def list_events(request: Request, admin: AdministratorDep, db: SessionDep) -> Response:
    """Newest first. The days are days in UTC, and the last one is included."""
    names = ("event", "subject", "actor", "ip", "since", "until")
    query = {name: parameters.text(request, name) for name in names}
    wanted = AuditFilter(
        event=query["event"],
        subject=_who(query["subject"]),
        actor=_who(query["actor"]),
        ip=query["ip"],
        since=parameters.day(request, "since"),
        until=parameters.day(request, "until", after=1),
    )
    cursor = parameters.text(request, "cursor")
    found = operations.list_audit_events(db, wanted, limit=PAGE, cursor=cursor)
    return page(
        request,
        "events.html",
        found=found,
        names=operations.name_users(db, users_in(found.items)),
        kinds=sorted(words.EVENTS.items(), key=lambda kind: kind[1]),
        query=query,
        is_filtered=any(query.values()),
        is_first=cursor is None,
    )


def users_in(events: Iterable[AuditEvent]) -> list[int]:
    """The ids of the users that these events name."""
    who = {name for event in events for name in (event.actor, event.subject) if name}
    return sorted(int(match[1]) for name in who if (match := _USER.fullmatch(name)))


def _who(text: str | None) -> str | None:
    """As the log has it; a number alone is a user."""
    return audit.user(int(text)) if text and re.fullmatch("[0-9]{1,9}", text) else text
