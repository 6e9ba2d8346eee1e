"""Commands about users: list, show, create, rename, disable, enable, delete, set a password."""

import sys
from typing import Annotated

import typer

from api.commands import output, support
from authentication.accounts import password_change, registration, renaming, users
from authentication.accounts.registration import Registration
from authentication.accounts.roles import DEFAULT_ROLE
from authentication.administration import operations
from authentication.administration.operations import UserFilter
from authentication.audit import COMMAND
from authentication.credentials import api_keys
from authentication.factors import listing
from authentication.passwords import strength
from authentication.passwords.hasher import NO_PASSWORD, PasswordHasher
from database.models import User

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def list_users(
    search: Annotated[
        str | None, typer.Option(help="Words with which a name or an address begins.")
    ] = None,
    role: Annotated[str | None, typer.Option(help="Only those who have it.")] = None,
    active: Annotated[
        bool | None, typer.Option("--active/--disabled", help="Only those who are so.")
    ] = None,
    limit: output.LimitOption = output.DEFAULT_LISTED,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List users, newest first: id, e-mail, username, name, active, roles, since when."""
    with support.connected() as (database, _), database.transaction(read_only=True) as db:
        wanted = UserFilter(text=search, active=active, role=role)
        rows = [
            (
                *(user.id, user.email, user.username, _full_name(user)),
                *(user.is_active, [role.name for role in user.roles], user.created_at),
            )
            for user in operations.list_users(db, wanted, limit=limit + 1).items
        ]
        columns = ("id", "email", "username", "name", "active", "roles", "created_at")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def show_user(who: support.UserArgument, as_json: output.JsonOption = False) -> None:
    """Show one user: names, roles, and how many sessions and API keys are live."""
    with support.connected() as (database, _), database.transaction(read_only=True) as db:
        user = support.get_user(db, who)
        sessions = operations.count_live_sessions(db, [user.id]).get(user.id, 0)
        fields = {
            "id": user.id,
            "email": user.email,
            "email_verified": user.is_email_verified,
            "username": user.username,
            "name": user.name,
            "surname": user.surname,
            "website": user.website,
            "active": user.is_active,
            "roles": [role.name for role in user.roles],
            "password": user.hashed_password != NO_PASSWORD,
            "created_at": user.created_at,
            "updated_at": user.updated_at,
            "live_sessions": sessions,
            "live_api_keys": api_keys.count_live(db, user.id),
        }
        output.show_one(fields, as_json=as_json)


def _full_name(user: User) -> str:
    return f"{user.name} {user.surname}" if user.surname else user.name


def create_user(
    email: str,
    name: Annotated[str | None, typer.Option(help="Default: what precedes the @.")] = None,
    username: Annotated[str | None, typer.Option(help="Another name to log in with.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="In addition to `user`. May be repeated.")
    ] = None,
    password_stdin: PasswordStdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="For API keys alone: nobody can log in.")
    ] = False,
) -> None:
    """Create a user, and print the id. Asks for the password on a terminal."""
    password = "" if no_password else _read_password(password_stdin)
    roles = tuple(dict.fromkeys([DEFAULT_ROLE, *(name.strip() for name in role or [])]))
    account = Registration(
        email=email,
        password=password,
        name=name or email.strip().partition("@")[0],
        username=username,
        roles=roles,
    )
    with support.connected() as (database, settings):
        if no_password:
            account, hashed = registration.clean(account), NO_PASSWORD
        else:
            account = registration.validate(account, settings)
            hashed = PasswordHasher(settings).hash(password)
        with database.transaction() as db:
            user = registration.create(db, account, hashed, origin=COMMAND)
        typer.echo(user.id)
        typer.echo(f"Created {user.email} with the roles {', '.join(sorted(roles))}.", err=True)


def rename_user(
    who: support.UserArgument,
    email: Annotated[str | None, typer.Option(help="It has to be verified again.")] = None,
    username: Annotated[str | None, typer.Option(help="Empty for none.")] = None,
    name: Annotated[str | None, typer.Option(help="The first name.")] = None,
    surname: Annotated[str | None, typer.Option(help="Empty for none.")] = None,
) -> None:
    """Give a user another address or other names. Their sessions go on.

    Nobody else can take what was given up for a while; the former address gets no mail.
    """
    given = {"email": email, "username": username, "name": name, "surname": surname}
    fields: dict[str, str | None] = {
        # What is optional is removed by an empty text; what is not is rejected by it.
        field: None if not value and field in {"username", "surname"} else value
        for field, value in given.items()
        if value is not None
    }
    if not fields:
        raise typer.BadParameter("give --email, --username, --name or --surname")
    with support.connected() as (database, settings):
        with database.transaction() as db:
            user_id = support.get_user(db, who).id
            user = renaming.rename(db, settings, user_id, fields, origin=COMMAND)
        typer.echo(f"User {user.id} is {user.email}, {_full_name(user)}.", err=True)


def delete_user(who: support.UserArgument, yes: support.YesOption = False) -> None:
    """Delete a user with all their sessions and API keys. Audit events stay.

    Nobody else can take the address or the username for a while.
    """
    with support.connected() as (database, settings):
        with database.transaction(read_only=True) as db:
            user = support.get_user(db, who)
        support.confirm(f"Delete {user.email}, whose id is {user.id}?", yes=yes)
        with database.transaction() as db:
            users.delete(db, settings, user.id, origin=COMMAND)
        typer.echo(f"Deleted {user.email}, whose id was {user.id}.", err=True)


def set_password(
    who: support.UserArgument,
    password_stdin: PasswordStdin = False,
    keep_api_keys: Annotated[
        bool, typer.Option("--keep-api-keys", help="Do not revoke their API keys.")
    ] = False,
) -> None:
    """Set a user's password, and revoke all their sessions and API keys.

    The networks from which they have logged in before become unknown. Second factors stay: if
    somebody else may have added one, remove them by `factors remove`.
    """
    password = _read_password(password_stdin)
    with support.connected() as (database, settings):
        with database.transaction(read_only=True) as db:
            user = support.get_user(db, who)
            words = strength.words_about(user, user.email)
        strength.reject_weak(password, settings=settings, words=words)
        hashed = PasswordHasher(settings).hash(password)
        with database.transaction() as db:
            user = support.get_user(db, who)
            password_change.store_password(
                db, user, hashed, origin=COMMAND, end_api_keys=not keep_api_keys
            )
            factors = listing.read(db, user.id).factors
        revoked = "sessions are" if keep_api_keys else "sessions and API keys are"
        typer.echo(f"The password of {user.email} is set; their {revoked} revoked.", err=True)
        if factors:
            typer.echo("Their second factors stay: see `factors list`.", err=True)


def disable_user(who: support.UserArgument) -> None:
    """Disable a user, and revoke their sessions. Their API keys are rejected from now on."""
    _set_active(who, active=False)


def enable_user(who: support.UserArgument) -> None:
    """Enable a user again. Sessions stay revoked; API keys that were not revoked work again."""
    _set_active(who, active=True)


def _set_active(who: str, *, active: bool) -> None:
    with support.connected() as (database, _):
        with database.transaction() as db:
            user = support.get_user(db, who)
            users.set_active(db, user.id, active=active, origin=COMMAND)
        typer.echo(f"{user.email} is {'enabled' if active else 'disabled'}.", err=True)


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return support.read_line("the password")
    if not sys.stdin.isatty():
        raise typer.BadParameter("give --password-stdin, or run this at a terminal")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
