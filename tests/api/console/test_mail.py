"""What the console shows of mails, and what administrators can do about them."""

from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from tests.support.administrator import Sql, events, user_id
from tests.support.client import PASSWORD, Client, MakeApp
from tests.support.console import ConsoleClient, promote
from tests.support.mailbox import Mailbox
from tests.support.waiting import until

pytestmark = pytest.mark.one_database

GRACE = "grace@example.org"


@pytest.fixture
def app(make_app: MakeApp, mailbox: Mailbox) -> FastAPI:
    return make_app(**mailbox.settings, mail_notices="", mails_per_recipient=2)


@pytest.fixture
def console(app: FastAPI, sql: Sql) -> Iterator[ConsoleClient]:
    """Ada, who is an administrator, beside Grace."""
    console = ConsoleClient(app)
    with console.http:
        client = Client(console.http)
        client.register()
        client.register(GRACE)
        promote(sql, "ada@example.org")
        console.sign_in()
        yield console


def test_an_administrator_sends_a_user_a_mail_to_set_a_new_password(
    console: ConsoleClient, mailbox: Mailbox, sql: Sql
) -> None:
    path = f"/users/{user_id(sql, GRACE)}"
    console.open(path)
    console.submit(f"{path}/reset")
    assert "A mail with a link to set a new password is on its way." in console.text
    mail = mailbox.take_one(GRACE)
    assert mail.token not in console.page.text
    body = {"token": mail.token, "new_password": "an entirely new passphrase"}
    assert console.http.post("/password/reset", json=body).status_code == 204
    recorded = sql("SELECT actor, subject FROM audit_events WHERE event = 'mail.reset_requested'")
    assert recorded == [(f"user:{user_id(sql)}", f"user:{user_id(sql, GRACE)}")]


def test_the_limit_for_a_recipient_holds_for_administrators_too(
    console: ConsoleClient, mailbox: Mailbox, sql: Sql
) -> None:
    path = f"/users/{user_id(sql, GRACE)}"
    statuses = []
    for _ in range(3):
        console.open(path)
        statuses.append(console.submit(f"{path}/reset").status_code)
    assert statuses == [200, 200, 429]


def test_a_disabled_user_is_offered_no_mail(
    console: ConsoleClient, mailbox: Mailbox, sql: Sql
) -> None:
    path = f"/users/{user_id(sql, GRACE)}"
    console.open(path)
    sql(f"UPDATE users SET is_active = false WHERE email = '{GRACE}'")
    assert console.submit(f"{path}/reset").status_code == 404
    console.open(path)
    assert "Forgotten password" not in console.text
    assert mailbox.take() == []


def test_pages_show_whether_an_address_is_confirmed_and_which_one_waits(
    console: ConsoleClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = Client(console.http)
    body = {"email": "new@example.org", "current_password": PASSWORD}
    headers = client.log_in(GRACE).headers
    assert console.http.patch("/users/me", json=body, headers=headers).status_code == 200
    console.open(f"/users/{user_id(sql, GRACE)}")
    assert "address not confirmed · wants to have new@example.org" in console.text
    sql("UPDATE users SET verified_email = email, pending_email_expires_at = '2020-01-01 00:00:00'")
    console.open(f"/users/{user_id(sql, GRACE)}")
    assert "address confirmed" in console.text
    assert "new@example.org" not in console.text
    console.open("/account")
    assert "address confirmed" in console.text


def test_the_outbox_shows_mails_and_has_one_tried_again(
    console: ConsoleClient, mailbox: Mailbox, sql: Sql
) -> None:
    console.open("/outbox")
    assert "No mail has been written yet." in console.text
    sql(
        "INSERT INTO outbox (id, kind, user_id, address, locale, failed_at, error_code, attempts)"
        f" VALUES (7000, 'password_changed', {user_id(sql, GRACE)}, '{GRACE}', 'en',"
        " '2026-01-01 00:00:00', 'smtp_550', 1)"
    )
    console.open("/outbox")
    assert "password changed" in console.text
    assert "given up" in console.text
    console.submit("/outbox/7000/retry")
    assert "The mail is tried again now." in console.text
    until(lambda: sql("SELECT id FROM outbox WHERE sent_at IS NOT NULL"))
    assert [mail.to for mail in mailbox.take()] == [GRACE]
    assert "mail.retried" in events(sql)
    console.open("/outbox")
    assert console.submit("/outbox/7000/retry").status_code == 404


def test_the_outbox_is_for_administrators_and_exists_only_with_mail(
    console: ConsoleClient, make_app: MakeApp
) -> None:
    console.http.cookies.clear()
    console.sign_in(GRACE)
    assert console.open("/outbox").status_code == 403
    without = ConsoleClient(make_app())
    with without.http:
        without.sign_in()
        assert without.open("/outbox").status_code == 404
        assert "Outbox" not in without.text
