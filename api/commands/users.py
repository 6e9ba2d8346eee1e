"""Commands about accounts: create, set a password, disable and enable."""

import sys
from typing import Annotated

import typer

from api.commands import support
from authentication.accounts import password_change, registration, users
from authentication.accounts.registration import Registration
from authentication.accounts.roles import DEFAULT_ROLE
from authentication.audit import COMMAND
from authentication.passwords import strength
from authentication.passwords.hasher import PasswordHasher

PasswordStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


def create_user(
    email: str,
    name: Annotated[str | None, typer.Option(help="Default: what precedes the @.")] = None,
    username: Annotated[str | None, typer.Option(help="Another name to log in with.")] = None,
    role: Annotated[
        list[str] | None, typer.Option(help="In addition to `user`. May be repeated.")
    ] = None,
    password_stdin: PasswordStdin = False,
) -> None:
    """Create a user, and print the id. Asks for the password on a terminal."""
    password = _read_password(password_stdin)
    roles = tuple(dict.fromkeys([DEFAULT_ROLE, *(name.strip() for name in role or [])]))
    account = Registration(
        email=email,
        password=password,
        name=name or email.strip().partition("@")[0],
        username=username,
        roles=roles,
    )
    with support.connected() as (database, settings):
        account = registration.validate(account, settings)
        hashed = PasswordHasher(settings).hash(password)
        with database.transaction() as db:
            user = registration.create(db, account, hashed, origin=COMMAND)
        typer.echo(user.id)
        typer.echo(f"Created {user.email} with the roles {', '.join(sorted(roles))}.", err=True)


def set_password(
    who: support.UserArgument,
    password_stdin: PasswordStdin = False,
    keep_api_keys: Annotated[
        bool, typer.Option("--keep-api-keys", help="Do not revoke their API keys.")
    ] = False,
) -> None:
    """Set a user's password, and revoke all their sessions and API keys.

    The networks from which they have logged in before become unknown.
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
        revoked = "sessions are" if keep_api_keys else "sessions and API keys are"
        typer.echo(f"The password of {user.email} is set; their {revoked} revoked.", err=True)


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
