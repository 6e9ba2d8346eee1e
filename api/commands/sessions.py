"""Commands about sessions: list, revoke."""

from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from api.commands import output, support
from authentication.audit import COMMAND, Reason
from authentication.credentials import sessions
from counterfoil import tokens


def list_sessions(
    user: support.UserOption = None,
    limit: output.LimitOption = output.DEFAULT_LISTED,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List live sessions, newest first: id, user, client, IP address, last use, expiry."""
    with (
        support.connected() as (database, _),
        database.transaction(read_only=True) as db,
    ):
        user_id = support.get_user(db, user).id if user else None
        rows = [
            (
                *(session.id, owner.email, session.client_id, session.ip),
                *(session.last_used_at, session.expires_at),
            )
            for session, owner in sessions.list_everywhere(db, user_id=user_id, limit=limit + 1)
        ]
        columns = ("id", "user", "client", "ip", "last_used_at", "expires_at")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def revoke_sessions(
    session_id: Annotated[UUID | None, typer.Option("--id", help="One session.")] = None,
    user: Annotated[str | None, typer.Option(help="All sessions of a user.")] = None,
    token: Annotated[
        str | None, typer.Option(help="The session of a token; - reads it from standard input.")
    ] = None,
    everyone: Annotated[bool, typer.Option("--all", help="Every session of every user.")] = False,
) -> None:
    """Revoke sessions, and print how many were revoked. The next request of each is rejected."""
    if sum([session_id is not None, user is not None, token is not None, everyone]) != 1:
        raise typer.BadParameter("give one of --id, --user, --token and --all")
    with support.connected() as (database, _):
        with database.transaction() as db:
            if everyone:
                revoked = sessions.revoke_everywhere(db, origin=COMMAND, reason=Reason.COMMAND)
            elif user is not None:
                user_id = support.get_user(db, user).id
                revoked = sessions.revoke_all(db, user_id, origin=COMMAND, reason=Reason.COMMAND)
            else:
                found = session_id or _session_of(db, token or "")
                sessions.revoke_any(db, found, origin=COMMAND, reason=Reason.COMMAND)
                revoked = 1
        typer.echo(revoked)


def _session_of(db: Session, token: str) -> UUID:
    text = support.read_line("the token") if token == "-" else token
    return sessions.get_id_by_token(db, tokens.strip(text))
