"""Commands about roles: list, create, change, grant, revoke, delete."""

from typing import Annotated

import typer

from api.commands import output, support
from authentication.accounts import roles
from authentication.audit import COMMAND
from database.models import Role

RoleArgument = Annotated[str, typer.Argument(metavar="ROLE")]
ScopeOption = Annotated[
    list[str] | None, typer.Option(help="May be repeated. Several in one are divided by spaces.")
]


def list_roles(
    limit: output.LimitOption = output.DEFAULT_LISTED,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List roles by name: name, scopes, users who have it, description, if it requires a factor."""
    with support.connected() as (database, _), database.transaction(read_only=True) as db:
        rows = [
            (role.name, role.scopes.split(), count, role.description, role.requires_second_factor)
            for role, count in roles.list_with_counts(db)
        ]
        columns = ("name", "scopes", "users", "description", "requires_second_factor")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def create_role(
    name: RoleArgument,
    scope: ScopeOption = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    requires_second_factor: Annotated[
        bool,
        typer.Option(
            "--requires-second-factor",
            help="It gives nothing to a session in which no second factor was given.",
        ),
    ] = False,
) -> None:
    """Create a role. Give it to users by `roles grant`."""
    with support.connected() as (database, _):
        with database.transaction() as db:
            role = roles.create(
                db,
                name,
                description=description,
                scopes=" ".join(scope or []),
                requires_second_factor=requires_second_factor,
                origin=COMMAND,
            )
        typer.echo(f"Created the role {role.name}, scopes: {role.scopes or 'none'}.", err=True)


def change_role(
    name: RoleArgument,
    scope: ScopeOption = None,
    no_scopes: Annotated[bool, typer.Option("--no-scopes", help="Take all scopes.")] = False,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    requires_second_factor: Annotated[
        bool | None,
        typer.Option(
            "--requires-second-factor/--requires-no-second-factor",
            help="Whether it gives nothing to a session in which no second factor was given.",
        ),
    ] = None,
) -> None:
    """Give a role other scopes, another description, or require a second factor of its users.

    Holds from their next request on.
    """
    if no_scopes and scope:
        raise typer.BadParameter("give one of --scope and --no-scopes")
    if not (no_scopes or scope) and description is None and requires_second_factor is None:
        raise typer.BadParameter("give an option that says what to change")
    scopes = "" if no_scopes else " ".join(scope) if scope else None
    with support.connected() as (database, _):
        with database.transaction() as db:
            role = roles.change(
                db,
                name,
                description=description,
                scopes=scopes,
                requires_second_factor=requires_second_factor,
                origin=COMMAND,
            )
        typer.echo(f"{role.name} has the scopes: {role.scopes or 'none'}.", err=True)


def grant_role(who: support.UserArgument, name: RoleArgument) -> None:
    """Give a user a role, from the next request on."""
    with support.connected() as (database, _):
        with database.transaction() as db:
            user = roles.grant(db, support.get_user(db, who).id, name, origin=COMMAND)
        typer.echo(f"{user.email} has the roles {_names(user.roles)}.", err=True)


def revoke_role(who: support.UserArgument, name: RoleArgument) -> None:
    """Take a role from a user, from the next request on."""
    with support.connected() as (database, _):
        with database.transaction() as db:
            user = roles.revoke(db, support.get_user(db, who).id, name, origin=COMMAND)
        typer.echo(f"{user.email} has the roles {_names(user.roles)}.", err=True)


def delete_role(name: RoleArgument, yes: support.YesOption = False) -> None:
    """Delete a role, and so take it from everybody who has it."""
    with support.connected() as (database, _):
        support.confirm(f"Delete the role {name}?", yes=yes)
        with database.transaction() as db:
            roles.delete(db, name, origin=COMMAND)
        typer.echo(f"Deleted the role {name}.", err=True)


def _names(found: list[Role]) -> str:
    return ", ".join(sorted(role.name for role in found)) or "-"
