"""Commands about API keys: create, list, revoke."""

from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.orm import Session

from api.commands import output, support
from authentication import policies
from authentication.audit import COMMAND, Reason
from authentication.credentials import api_keys
from authentication.credentials.api_keys import KeyRequest
from authentication.errors import InvalidScope
from counterfoil import tokens
from counterfoil.permissions import split_scopes
from database import limits


def create_api_key(
    who: Annotated[str, typer.Argument(metavar="EMAIL", help=support.WHO)],
    name: Annotated[str, typer.Option(help="The purpose of the key.")] = "Made by command",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="May be repeated. Default: all that the roles grant now."),
    ] = None,
    expires_in_days: Annotated[
        int | None,
        typer.Option(min=1, max=limits.MAX_API_KEY_DAYS, help="Default: as the settings say."),
    ] = None,
    never_expires: Annotated[
        bool, typer.Option("--never-expires", help="Without an expiry.")
    ] = False,
) -> None:
    """Create an API key for a user. Prints only the key, which cannot be shown again."""
    if never_expires and expires_in_days is not None:
        raise typer.BadParameter("give one of --expires-in-days and --never-expires")
    with support.connected() as (database, settings):
        lifetime = policies.api_key_lifetime(settings, days=expires_in_days)
        request = KeyRequest(
            name=name,
            lifetime=None if never_expires else lifetime,
            scopes=_split(scope) if scope else None,
        )
        with database.transaction() as db:
            user = support.get_user(db, who)
            try:
                new = api_keys.create_for(db, settings, user, request, origin=COMMAND)
            except InvalidScope as error:
                support.fail(error.detail + _what_can_be_given(error))
        typer.echo(new.text)
        until = f"{new.stored.expires_at:%Y-%m-%d}" if new.stored.expires_at else "revoked"
        typer.echo(f"It acts for {user.email} until {until}, scopes: {_scopes(new)}.", err=True)


def _what_can_be_given(error: InvalidScope) -> str:
    if error.available is None:
        return ""
    return f" Their roles give: {', '.join(sorted(error.available)) or 'none'}."


def list_api_keys(
    user: support.UserOption = None,
    limit: output.LimitOption = output.DEFAULT_LISTED,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List live API keys, newest first: id, user, name, hint, scopes, last use, expiry."""
    with support.connected() as (database, _), database.transaction(read_only=True) as db:
        user_id = support.get_user(db, user).id if user else None
        rows = [
            (
                *(key.id, owner.email, key.name, f"...{key.hint}", key.scopes),
                *(key.last_used_at, key.expires_at),
            )
            for key, owner in api_keys.list_everywhere(db, user_id=user_id, limit=limit + 1)
        ]
        columns = ("id", "user", "name", "hint", "scopes", "last_used_at", "expires_at")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def revoke_api_keys(
    api_key_id: Annotated[UUID | None, typer.Option("--id", help="One key.")] = None,
    user: Annotated[str | None, typer.Option(help="All keys of a user.")] = None,
    key: Annotated[
        str | None, typer.Option(help="The key itself; - reads it from standard input.")
    ] = None,
) -> None:
    """Revoke API keys, and print how many were revoked. The next request with one is rejected."""
    if sum([api_key_id is not None, user is not None, key is not None]) != 1:
        raise typer.BadParameter("give one of --id, --user and --key")
    with support.connected() as (database, _):
        with database.transaction() as db:
            if user is not None:
                user_id = support.get_user(db, user).id
                revoked = api_keys.revoke_all(db, user_id, origin=COMMAND, reason=Reason.COMMAND)
            else:
                found = api_key_id or _id_of(db, key or "")
                api_keys.revoke_any(db, found, origin=COMMAND, reason=Reason.COMMAND)
                revoked = 1
        typer.echo(revoked)


def _id_of(db: Session, key: str) -> UUID:
    text = support.read_line("the key") if key == "-" else key
    return api_keys.get_id_by_key(db, tokens.strip(text))


def _split(scopes: list[str]) -> frozenset[str]:
    """`--scope a --scope b` and `--scope "a b"` are the same."""
    return split_scopes(" ".join(scopes))


def _scopes(new: api_keys.NewKey) -> str:
    return new.stored.scopes or "none"
