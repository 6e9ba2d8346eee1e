"""Commands about mail: test, list, retry."""

import asyncio
from typing import Annotated

import typer

from api.commands import output, support
from authentication.mail.sending import senders
from authentication.mail.sending.letters import Envelope, Letter, Letters
from authentication.mail.sending.senders import SendingFailed
from authentication.mail.settings import MailSettings
from database import queries
from database.models import OutgoingMail


def send_test_mail(
    address: str,
    language: Annotated[str, typer.Option(help="The language of the mail.")] = "en",
) -> None:
    """Send a mail at once, past the outbox, to see whether the settings are right."""
    with support.connected_with_mail() as (_, settings):
        try:
            envelope = Letters(settings).render(Letter("test", address, language))
        except ValueError as error:
            support.fail(str(error))
        try:
            asyncio.run(_send(settings, envelope))
        except SendingFailed as failure:
            support.fail(f"{failure.code}: {failure}")
        typer.echo(f"The mail server took a mail to {envelope.recipient}.", err=True)


async def _send(settings: MailSettings, envelope: Envelope) -> None:
    sender = senders.create(settings.server, timeout_seconds=settings.mail_timeout_seconds)
    try:
        await sender.send(envelope)
    finally:
        await sender.close()


def list_mails(
    unsent: Annotated[bool, typer.Option("--unsent", help="Only those that are not sent.")] = False,
    limit: output.LimitOption = 100,
    as_json: output.JsonOption = False,
    headers: output.HeadersOption = None,
) -> None:
    """List mails of the outbox, newest first: id, kind, address, state, attempts, last error."""
    with (
        support.connected_with_mail() as (database, _),
        database.transaction(read_only=True) as db,
    ):
        rows = [
            (mail.id, mail.kind, mail.address, _state(mail), mail.attempts, mail.error_code)
            for mail, _stored in queries.outbox.search(db, unsent=unsent, limit=limit + 1)
        ]
        columns = ("id", "kind", "address", "state", "attempts", "error")
        output.show_list(columns, rows, limit=limit, as_json=as_json, headers=headers)


def _state(mail: OutgoingMail) -> str:
    if mail.sent_at:
        return f"sent {mail.sent_at:%Y-%m-%d %H:%M}"
    if mail.failed_at:
        return f"failed {mail.failed_at:%Y-%m-%d %H:%M}"
    return f"due {mail.next_attempt_at:%Y-%m-%d %H:%M}"


def retry_mails(
    mail_id: Annotated[
        int | None, typer.Argument(metavar="[ID]", help="One mail, even if it was given up.")
    ] = None,
) -> None:
    """Have mails tried again now that wait for their next attempt, and print how many.

    With an id, that mail alone. The service sends it, unless it is too old to make sense.
    """
    with support.connected_with_mail() as (database, _):
        with database.transaction() as db:
            if mail_id is None:
                count = queries.outbox.retry_all(db)
            elif queries.outbox.retry(db, mail_id):
                count = 1
            else:
                support.fail("there is no such mail that could be sent")
        typer.echo(count)
