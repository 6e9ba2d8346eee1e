"""Commands about second factors, and about the keys that encrypt their secrets."""

import typer

from api.commands import output, support
from authentication.audit import COMMAND, Reason
from authentication.factors import changes, listing, sealing, totp_secrets
from authentication.factors.sealing import Sealer
from database.queries.factors import Listed


def list_factors(
    who: support.UserArgument,
    limit: output.LimitOption = output.DEFAULT_LISTED,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List the second factors of a user: id, kind, name, and when it was added, used and copied."""
    with (
        support.connected() as (database, _),
        database.transaction(read_only=True) as db,
    ):
        found = listing.read(db, support.get_user(db, who).id)
        output.show_list(
            Listed._fields, found.factors, limit=limit, as_json=as_json, headers=headers
        )
    typer.echo(f"{found.recovery_codes_left} recovery codes are left.", err=True)


def remove_factors(who: support.UserArgument) -> None:
    """Remove all second factors of a user who has lost them, and print how many there were.

    Their recovery codes are void, and their sessions are revoked. The password is enough for the
    next login, so check that the request comes from the user.
    """
    with support.connected() as (database, _):
        with database.transaction() as db:
            user = support.get_user(db, who)
            removed = changes.remove_all(db, user.id, origin=COMMAND, reason=Reason.COMMAND)
        typer.echo(removed)
        typer.echo(f"{user.email} logs in by password alone from now on.", err=True)


def make_secret_key(context: typer.Context) -> None:
    """Print a new key for COUNTERFOIL_SECRET_KEYS, which encrypts the secrets of apps."""
    if context.invoked_subcommand is None:
        typer.echo(sealing.create_key())


def rotate_secret_keys() -> None:
    """Encrypt anew, by the first of COUNTERFOIL_SECRET_KEYS, and print how many secrets.

    That is what the other keys have encrypted: after that they are not needed any more. Fails if
    there is something that no key decrypts.
    """
    with support.connected() as (database, settings):
        sealer = Sealer.of(settings.secret_keys)
        if not sealer.is_on:
            support.fail("there is no key: set COUNTERFOIL_SECRET_KEYS")
        again = unreadable = 0
        for sealed, failed in totp_secrets.rotate(database, sealer):
            again, unreadable = again + sealed, unreadable + failed
        typer.echo(again)
        if unreadable:
            support.fail(f"{unreadable} secrets of authenticator apps cannot be decrypted")
