"""Commands about registered clients: create, list, change, disable, enable, rotate, delete."""

from typing import Annotated

import typer

from api.commands import output, support
from authentication.audit import COMMAND
from authentication.clients import registration
from authentication.clients.grants import Grant
from authentication.clients.registration import ClientFields
from counterfoil.permissions import split_scopes

ClientArgument = Annotated[str, typer.Argument(metavar="CLIENT", help="The id of the client.")]
NameOption = Annotated[str | None, typer.Option(help="As users read it.")]
RedirectOption = Annotated[
    list[str] | None, typer.Option(help="Where answers may go. May be repeated.")
]
ScopeOption = Annotated[list[str] | None, typer.Option(help="May be repeated.")]
GrantOption = Annotated[
    list[str] | None,
    typer.Option(help="authorization_code, refresh_token, device_code, ... May be repeated."),
]
FirstPartyOption = Annotated[
    bool | None,
    typer.Option("--first-party/--third-party", help="Whether users are not asked for consent."),
]
AccountOption = Annotated[
    str | None,
    typer.Option(help="The user for whom client_credentials acts: e-mail, username or id."),
]


def create_client(
    name: Annotated[str, typer.Argument(help="As users read it.")],
    client_id: Annotated[str | None, typer.Option("--id", help="Default: a random one.")] = None,
    redirect_uri: RedirectOption = None,
    scope: ScopeOption = None,
    grant: GrantOption = None,
    confidential: Annotated[
        bool, typer.Option("--confidential", help="With a secret, which is printed once.")
    ] = False,
    first_party: FirstPartyOption = False,
    account: AccountOption = None,
) -> None:
    """Register a client. Prints its id and, if it has one, its secret."""
    default = [Grant.AUTHORIZATION_CODE, Grant.REFRESH_TOKEN]
    with support.connected() as (database, _), database.transaction() as db:
        wanted = ClientFields(
            name=name,
            redirect_uris=redirect_uri or [],
            scopes=_split(scope) or [],
            grants=_grants(grant) or default,
            is_first_party=first_party,
            account_id=support.get_user(db, account).id if account else None,
        )
        new = registration.register(
            db, wanted, client_id=client_id, is_confidential=confidential, origin=COMMAND
        )
        printed = [new.client.id, *([new.secret] if new.secret else [])]
    typer.echo("\t".join(printed))


def change_client(
    client: ClientArgument,
    name: NameOption = None,
    redirect_uri: RedirectOption = None,
    scope: ScopeOption = None,
    grant: GrantOption = None,
    first_party: FirstPartyOption = None,
    account: AccountOption = None,
) -> None:
    """Change a client. What is not given stays; a list that is given replaces the one before."""
    with support.connected() as (database, _), database.transaction() as db:
        wanted = ClientFields(
            name=name,
            redirect_uris=redirect_uri,
            scopes=_split(scope),
            grants=_grants(grant),
            is_first_party=first_party,
            account_id=support.get_user(db, account).id if account else None,
        )
        registration.change(db, client, wanted, origin=COMMAND)


def list_clients(
    limit: output.LimitOption = output.DEFAULT_LISTED,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List clients: id, name, kind, grants, scopes, redirect addresses, whether it is disabled."""
    with support.connected() as (database, _), database.transaction(read_only=True) as db:
        found = registration.list_clients(db, limit=limit + 1).items
        rows = [
            (
                client.id,
                client.name,
                "confidential" if client.is_confidential else "public",
                client.grants,
                client.scopes,
                client.redirect_uris,
                "disabled" if client.disabled_at else "enabled",
            )
            for client in found
        ]
        columns = ("id", "name", "kind", "grants", "scopes", "redirect_uris", "state")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def disable_client(client: ClientArgument) -> None:
    """Give a client no more tokens, and revoke its sessions."""
    with support.connected() as (database, _), database.transaction() as db:
        registration.disable(db, client, origin=COMMAND)


def enable_client(client: ClientArgument) -> None:
    """Let a client get tokens again."""
    with support.connected() as (database, _), database.transaction() as db:
        registration.enable(db, client, origin=COMMAND)


def rotate_client_secret(
    client: ClientArgument,
    overlap_seconds: Annotated[
        int,
        typer.Option(
            min=0, max=registration.MAX_OVERLAP_SECONDS, help="How long the old one works as well."
        ),
    ] = registration.DEFAULT_OVERLAP_SECONDS,
) -> None:
    """Make a new secret and print it. It cannot be shown again."""
    with support.connected() as (database, _):
        with database.transaction() as db:
            new = registration.rotate_secret(
                db, client, overlap_seconds=overlap_seconds, origin=COMMAND
            )
            secret = new.secret
        typer.echo(secret)


def delete_client(client: ClientArgument) -> None:
    """Delete a client with its sessions, codes and consents. Its tokens are rejected at once."""
    with support.connected() as (database, _), database.transaction() as db:
        registration.delete(db, client, origin=COMMAND)


def _split(scopes: list[str] | None) -> list[str] | None:
    """`--scope a --scope b` and `--scope "a b"` are the same."""
    return None if scopes is None else sorted(split_scopes(" ".join(scopes)))


def _grants(names: list[str] | None) -> list[Grant] | None:
    """By their names in RFC 6749, and `device_code` for the long one of RFC 8628."""
    if names is None:
        return None
    known = {**{grant.value: grant for grant in Grant}, "device_code": Grant.DEVICE_CODE}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise typer.BadParameter(f"there is no grant {unknown[0]!r}")
    return [known[name] for name in names]
