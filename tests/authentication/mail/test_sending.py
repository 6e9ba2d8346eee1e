"""Mails on their way to a mail server: retried, given up, and never sent in the clear by itself."""

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from authentication.mail import servers
from authentication.mail.sending import senders
from authentication.mail.sending.letters import Letter, Letters
from authentication.mail.sending.senders import SendingFailed
from authentication.mail.settings import MailSettings
from harness.server import REPOSITORY
from harness.smtp import Authority, MailServer, serve
from tests.support import mailbox
from tests.support.administrator import Sql
from tests.support.client import Client, MakeClient
from tests.support.mailbox import SENDER
from tests.support.waiting import until


@pytest.fixture
def running() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def server(running: ExitStack) -> MailServer:
    return running.enter_context(serve(MailServer()))


@pytest.fixture
def client(make_client: MakeClient, server: MailServer) -> Client:
    return make_client(
        mail_url=f"smtp+plain://127.0.0.1:{server.port}",
        mail_from=SENDER,
        mail_timeout_seconds=1,
        mails_per_recipient=100,
        mails_per_recipient_per_day=100,
    )


def forget(client: Client, email: str = "ada@example.org") -> None:
    assert client.http.post("/password/forgot", json={"email": email}).status_code == 202


def states(sql: Sql) -> list[tuple[Any, ...]]:
    """Of all mails: attempts, last error, whether it was sent, whether it was given up."""
    return sql(
        "SELECT attempts, error_code, sent_at IS NOT NULL, failed_at IS NOT NULL FROM outbox"
        " ORDER BY id"
    )


def until_tried(sql: Sql, attempts: int) -> None:
    """Until the only mail has been tried so often, and the attempt is over."""
    tried = f"SELECT id FROM outbox WHERE attempts = {attempts} AND leased_until IS NULL"
    until(lambda: sql(tried))


def make_due(sql: Sql) -> None:
    sql("UPDATE outbox SET next_attempt_at = '2020-01-01 00:00:00+00'")


def wake(client: Client) -> None:
    client.http.app.state.service.mailing.worker.wake()  # type: ignore[attr-defined]


def test_a_mail_reaches_its_one_recipient(client: Client, server: MailServer, sql: Sql) -> None:
    client.register()
    forget(client)
    until(lambda: server.received)
    ((recipients, content),) = server.received
    assert recipients == ["ada@example.org"]
    assert mailbox.parse(content).to == "ada@example.org"
    assert mailbox.parse(content).token.startswith("cfm_")
    until(lambda: states(sql) in ([(1, None, True, False)], [(1, None, 1, 0)]))
    assert "transaction" not in str(sql("SELECT data FROM outbox"))


@pytest.mark.one_database
def test_a_mail_reaches_an_address_with_an_accent(client: Client, server: MailServer) -> None:
    assert client.register("Ren\u00e9@example.org").status_code == 201
    forget(client, "ren\u00e9@example.org")
    until(lambda: server.received)
    ((recipients, content),) = server.received
    assert recipients == ["ren\u00e9@example.org"]
    assert mailbox.parse(content).to == "ren\u00e9@example.org"
    assert mailbox.parse(content).token.startswith("cfm_")


def test_a_mail_that_is_refused_for_now_is_sent_later_once(
    client: Client, server: MailServer, sql: Sql
) -> None:
    answers = ["451 Try again later"]
    server.to_recipient = lambda _: answers.pop() if answers else None
    client.register()
    forget(client)
    until_tried(sql, 1)
    assert server.received == []
    (waiting,) = sql("SELECT id FROM outbox WHERE next_attempt_at > created_at")
    assert waiting
    make_due(sql)
    wake(client)
    until(lambda: states(sql)[0][2])
    assert server.recipients == ["ada@example.org"]
    assert states(sql)[0][0] == 2


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
@pytest.mark.parametrize("reply", ["550 No such user", "552 The mailbox is full"])
def test_what_is_refused_for_good_is_given_up(
    client: Client, server: MailServer, sql: Sql, at: str, reply: str
) -> None:
    if at == "RCPT":
        server.to_recipient = lambda _: reply
    else:
        server.to_data = lambda _: reply
    client.register()
    forget(client)
    until(lambda: states(sql)[0][3])
    assert states(sql)[0][:2] == (1, f"smtp_{reply[:3]}")
    (event,) = sql("SELECT detail FROM audit_events WHERE event = 'mail.failed'")
    assert f"smtp_{reply[:3]}" in str(event)


def test_after_the_last_attempt_a_mail_is_given_up(
    client: Client, server: MailServer, sql: Sql
) -> None:
    server.to_data = lambda _: "451 Try again later"
    client.register()
    forget(client)
    for attempt in range(1, 6):
        until_tried(sql, attempt)
        make_due(sql)
        wake(client)
    until(lambda: states(sql)[0][3])
    assert server.received == []


def test_a_template_that_is_wrong_can_be_mended_before_the_next_attempt(
    make_client: MakeClient, server: MailServer, sql: Sql, tmp_path: Path
) -> None:
    template = tmp_path / "reset.txt"
    template.write_text("{% extends 'layout.txt' %}{% block subject %}{{ nobody }}{% endblock %}")
    client = make_client(
        mail_url=f"smtp+plain://127.0.0.1:{server.port}",
        mail_from=SENDER,
        mail_templates=tmp_path,
    )
    client.register()
    forget(client)
    until_tried(sql, 1)
    assert states(sql)[0][1] == "template"
    template.write_text("{% extends 'layout.txt' %}{% block subject %}Mended{% endblock %}")
    make_due(sql)
    wake(client)
    until(lambda: states(sql)[0][2])
    assert mailbox.parse(server.received[0][1]).subject == "Mended"


def test_a_mail_at_which_workers_die_is_given_up(
    client: Client, server: MailServer, sql: Sql
) -> None:
    user = client.register().json()["id"]
    sql(
        "INSERT INTO outbox (kind, user_id, address, locale, attempts) VALUES"
        f" ('password_changed', {user}, 'ada@example.org', 'en', 10)"
    )
    wake(client)
    until(lambda: states(sql)[0][3])
    assert states(sql)[0][1] == "abandoned"
    assert server.received == []


def test_a_mail_that_makes_no_sense_any_more_is_not_sent(
    client: Client, server: MailServer, sql: Sql
) -> None:
    server.to_data = lambda _: "451 Try again later"
    client.register()
    forget(client)
    until_tried(sql, 1)
    server.to_data = lambda _: None
    sql("UPDATE outbox SET created_at = '2020-01-01 00:00:00+00'")
    make_due(sql)
    wake(client)
    until(lambda: states(sql)[0][3])
    assert states(sql)[0][1] == "expired"
    assert server.received == []


def test_of_two_attempts_both_links_work_and_one_use_ends_both(
    client: Client, server: MailServer, sql: Sql
) -> None:
    """A mail server may take a mail and its answer may be lost."""
    client.register()
    forget(client)
    until(lambda: states(sql)[0][2])
    sql("UPDATE outbox SET sent_at = NULL, leased_until = NULL")
    first = mailbox.parse(server.received[0][1])
    # What the lost answer would have emptied.
    sql("UPDATE outbox SET data = '{}'")
    make_due(sql)
    wake(client)
    until(lambda: len(server.received) == 2)
    second = mailbox.parse(server.received[1][1])
    assert first.token != second.token

    def reset(token: str) -> int:
        body = {"token": token, "new_password": "an entirely new passphrase"}
        return client.http.post("/password/reset", json=body).status_code

    assert reset(first.token) == 204
    assert reset(second.token) == 400


def test_a_server_that_hangs_delays_no_request_and_no_other_mail(
    client: Client, server: MailServer, sql: Sql
) -> None:
    server.hangs_for = lambda address: 60.0 if address == "ada@example.org" else 0.0
    client.register()
    client.register("grace@example.org")
    forget(client)
    until(lambda: sql("SELECT id FROM outbox WHERE leased_until IS NOT NULL"))
    forget(client, "grace@example.org")
    until(lambda: server.recipients == ["grace@example.org"])
    until(lambda: (1, "timeout") in [state[:2] for state in states(sql)])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_lease_that_has_ended_is_taken_over(client: Client, server: MailServer, sql: Sql) -> None:
    """A worker that dies leaves a lease, which is not for ever."""
    client.register()
    ids = "SELECT id FROM users"
    for number, until_ in ((1, "now() + interval '1 hour'"), (2, "now() - interval '1 second'")):
        sql(
            "INSERT INTO outbox (id, kind, user_id, address, locale, leased_until) VALUES"
            f" ({number}, 'password_changed', ({ids}), 'a{number}@example.org', 'en', {until_})"
        )
    wake(client)
    until(lambda: server.received)
    assert server.recipients == ["a2@example.org"]
    # Noted only after the server has taken it.
    until(lambda: sql("SELECT id FROM outbox WHERE sent_at IS NULL") == [(1,)])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


def send(url: str) -> None:
    """Send one mail, as a worker does."""
    settings = MailSettings(mail_url=url, mail_from=SENDER)  # type: ignore[arg-type]
    envelope = Letters(settings).render(Letter("test", "ada@example.org", "en"))

    async def run() -> None:
        sender = senders.create(servers.parse_url(url), timeout_seconds=5)
        try:
            await sender.send(envelope)
        finally:
            await sender.close()

    asyncio.run(run())


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_a_mail_is_encrypted_on_its_way(
    running: ExitStack, authority: Authority, scheme: str
) -> None:
    kind = "starttls" if scheme == "smtp+starttls" else "tls"
    server = running.enter_context(serve(MailServer(), **{kind: authority.context}))
    send(f"{scheme}://127.0.0.1:{server.port}?cafile={authority.cafile}")
    assert server.recipients == ["ada@example.org"]


@pytest.mark.parametrize("scheme", ["smtp+starttls", "smtps"])
def test_a_certificate_of_somebody_else_is_not_trusted(
    running: ExitStack, authority: Authority, scheme: str
) -> None:
    kind = "starttls" if scheme == "smtp+starttls" else "tls"
    server = running.enter_context(serve(MailServer(), **{kind: authority.context}))
    with pytest.raises(SendingFailed, match="certificate") as failed:
        send(f"{scheme}://127.0.0.1:{server.port}")
    assert (failed.value.code, failed.value.is_final) == ("tls", False)
    assert server.received == []


def test_a_server_that_offers_no_starttls_gets_nothing(server: MailServer) -> None:
    for credentials in ("", "user:secret@"):
        with pytest.raises(SendingFailed, match="STARTTLS") as failed:
            send(f"smtp+starttls://{credentials}127.0.0.1:{server.port}")
        assert (failed.value.code, failed.value.is_final) == ("tls", False)
    assert server.received == []


def test_a_server_that_is_not_there_is_tried_again(server: MailServer) -> None:
    with pytest.raises(SendingFailed) as failed:
        send("smtp+plain://127.0.0.1:9")
    assert (failed.value.code, failed.value.is_final) == ("connection", False)


def test_the_log_says_why_and_names_neither_address_nor_link(
    client: Client, server: MailServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.to_recipient = lambda _: "550 No such user"
    caplog.set_level(logging.WARNING, "counterfoil.mail")
    client.register()
    forget(client)
    until(lambda: "smtp" in caplog.text or "550" in caplog.text)
    assert "550" in caplog.text
    assert "ada@" not in caplog.text
    assert "cfm_" not in caplog.text


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    send(f"file:{tmp_path}/mail")
    (file,) = (tmp_path / "mail").iterdir()
    assert file.suffix == ".eml"
    assert file.stat().st_mode & 0o777 == 0o600


WORKER = """
import asyncio, sys
from authentication.instrumentation import NullInstrumentation
from authentication.mail.mailing import Mailing
from authentication.mail.settings import MailSettings
from database.engine.session import Database
from database.settings import DatabaseSettings
async def main():
    database = Database(DatabaseSettings(database_url=sys.argv[1]))
    settings = MailSettings(mail_url=sys.argv[2], mail_from="Example <no-reply@example.org>")
    mailing = Mailing(settings, database, public_url="http://x", is_limited=True,
                      instrumentation=NullInstrumentation())
    await mailing.worker.send_due()
    database.close()
asyncio.run(main())
"""


def test_a_worker_that_is_killed_after_data_loses_no_mail(
    make_client: MakeClient, running: ExitStack, sql: Sql, database_url: str
) -> None:
    server = MailServer()
    taken = threading.Event()
    let_go = threading.Event()

    def answer_late(_: str) -> str | None:
        taken.set()
        let_go.wait(30)
        return None

    server.to_data = answer_late
    running.enter_context(serve(server))
    user = make_client().register().json()["id"]
    sql(
        "INSERT INTO outbox (kind, user_id, address, locale) VALUES"
        f" ('password_changed', {user}, 'ada@example.org', 'en')"
    )
    url = f"smtp+plain://127.0.0.1:{server.port}"
    command = [sys.executable, "-c", WORKER, database_url, url]
    with subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ}) as worker:
        assert taken.wait(30)
        worker.send_signal(signal.SIGKILL)
    let_go.set()
    assert sql("SELECT sent_at FROM outbox") == [(None,)]
    until(lambda: len(server.received) == 1)
    sql("UPDATE outbox SET leased_until = '2020-01-01 00:00:00+00'")
    subprocess.run(command, cwd=REPOSITORY, check=True)
    assert sql("SELECT id FROM outbox WHERE sent_at IS NULL") == []
    assert 1 <= len(server.received) <= 2
