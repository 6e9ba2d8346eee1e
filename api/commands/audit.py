"""The command that lists the audit log."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlalchemy.orm import Session

from api.commands import output, support
from authentication.administration import operations
from authentication.administration.operations import AuditFilter

MomentOption = typer.Option(
    formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], help="In UTC."
)


def list_events(
    event: Annotated[str | None, typer.Option(help="Such as login.failed.")] = None,
    user: Annotated[str | None, typer.Option(help=f"Of whom. {support.WHO}")] = None,
    actor: Annotated[str | None, typer.Option(help="Such as user:42, or command.")] = None,
    ip: Annotated[str | None, typer.Option(help="An IP address.")] = None,
    since: Annotated[datetime | None, MomentOption] = None,
    until: Annotated[datetime | None, MomentOption] = None,
    limit: output.LimitOption = 100,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List audit events, newest first: id, time, event, actor, subject, IP address, details."""
    with support.connected() as (database, _), database.transaction(read_only=True) as db:
        wanted = AuditFilter(
            event=event,
            actor=actor,
            subject=_subject(db, user),
            ip=ip,
            since=_in_utc(since),
            until=_in_utc(until),
        )
        found = operations.list_audit_events(db, wanted, limit=limit + 1)
        rows = [
            (
                one.id,
                # Events of one minute are told apart.
                one.at if as_json else f"{one.at:%Y-%m-%d %H:%M:%S}",
                *(one.event, one.actor, one.subject, one.ip, one.detail),
            )
            for one in found.items
        ]
        columns = ("id", "at", "event", "actor", "subject", "ip", "detail")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def _subject(db: Session, who: str | None) -> str | None:
    """That of a user who need not be there any more, if an id is given."""
    if who is None:
        return None
    if who.isascii() and who.isdigit():
        return f"user:{int(who)}"
    return f"user:{support.get_user(db, who).id}"


def _in_utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=UTC)
