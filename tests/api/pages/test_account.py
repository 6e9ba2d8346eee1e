"""The pages on which users change their profile and their e-mail address."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import PASSWORD, Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]
MakeConsole = Callable[..., ConsoleClient]

NAMES = {"name": "Augusta", "surname": "King", "username": "ada", "website": ""}


def test_a_user_changes_their_names(ada: ConsoleClient, sql: Sql) -> None:
    ada.open("/account/profile")
    assert 'value="Ada"' in ada.page.text
    ada.submit("/account/profile", **NAMES)
    assert "Your profile is changed." in ada.text
    assert "Augusta King" in ada.text
    [stored] = sql("SELECT name, surname, username, website FROM users")
    assert stored == ("Augusta", "King", "ada", None)


def test_what_is_wrong_with_a_name_is_said_beside_it_and_nothing_is_changed(
    ada: ConsoleClient, api: Client, sql: Sql
) -> None:
    api.register("grace@example.org", username="grace")
    for changed, said in (
        ({"name": ""}, "Fill this in."),
        ({"name": "x" * 201}, "Use at most 200 characters."),
        ({"name": "\u202e"}, "Use 1 to 200 visible characters."),
        ({"surname": "a\x07b"}, "This must not contain control characters."),
        ({"username": "grace"}, "An account with this username exists already"),
        ({"username": "12"}, "and not digits alone."),
    ):
        ada.open("/account/profile")
        ada.submit("/account/profile", **{**NAMES, **changed})
        assert ada.page.status_code in {409, 422}, changed
        assert said in ada.text, changed
        [field] = changed
        assert f'aria-describedby="{field}-error"' in ada.page.text
    assert sql("SELECT name FROM users WHERE id = 1") == [("Ada",)]


def test_a_new_username_takes_a_recent_password_and_other_names_do_not(
    ada: ConsoleClient, sql: Sql, clock: Clock
) -> None:
    sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-301)}")
    ada.open("/account/profile")
    ada.submit("/account/profile", **{**NAMES, "username": ""})
    assert "Your profile is changed." in ada.text
    ada.open("/account/profile")
    ada.submit("/account/profile", **NAMES)
    assert "To change your username" in ada.text
    assert sql("SELECT username FROM users") == [(None,)]
    ada.confirm("/account/profile")
    assert sql("SELECT username FROM users") == [("ada",)]


def test_without_mail_an_address_changes_at_once_and_with_the_password(
    ada: ConsoleClient, sql: Sql
) -> None:
    for password, said in (("wrong", "password is wrong"), (PASSWORD, "address is changed")):
        ada.open("/account/email")
        ada.submit("/account/email", email="new@example.org", current_password=password)
        assert said in ada.text
        expected = "new@example.org" if password == PASSWORD else "ada@example.org"
        assert sql("SELECT email FROM users") == [(expected,)]


def test_with_mail_an_address_waits_to_be_confirmed_whether_it_is_taken_or_not(
    make_console: MakeConsole, mailbox: Mailbox, sql: Sql
) -> None:
    ada = make_console(**mailbox.settings, mail_notices="")
    client = Client(ada.http)
    client.register()
    client.register("grace@example.org")
    ada.sign_in()
    for address in ("grace@example.org", "new@example.org"):
        ada.open("/account/email")
        ada.submit("/account/email", email=address, current_password=PASSWORD)
        assert "A mail to the new address is on its way." in ada.text
        assert f"{address} waits to be confirmed" in ada.text
    assert sql("SELECT email FROM users WHERE id = 1") == [("ada@example.org",)]
    assert mailbox.take_one("new@example.org").token


def test_an_address_is_confirmed_by_a_code_that_may_be_mistyped(
    make_console: MakeConsole, mailbox: Mailbox, sql: Sql
) -> None:
    ada = make_console(**mailbox.settings, mail_notices="")
    Client(ada.http).register()
    ada.sign_in()
    ada.open("/account/email")
    ada.submit("/account/email/verification")
    transaction = ada.page.text.partition('name="transaction" value="')[2].partition('"')[0]
    code = mailbox.take_one().code
    for typed, status in (("BBBB-BBBB", 400), (code, 200)):
        form = {"transaction": transaction, "code": typed}
        ada.page = ada.http.post("/account/confirm-email", data=form)
        assert ada.page.status_code == status
    assert "Your address is confirmed" in ada.text
    assert sql("SELECT verified_email FROM users") == [("ada@example.org",)]
    ada.open("/account/email")
    assert "Send a mail to confirm it" not in ada.text


def test_the_account_speaks_the_language_of_the_browser(ada: ConsoleClient) -> None:
    ada.http.headers["Accept-Language"] = "de-AT,de;q=0.9,en;q=0.5"
    ada.open("/account")
    assert "Wo Sie angemeldet sind" in ada.text
    assert "gerade eben" in ada.text
    assert "Konto angelegt" in ada.text
    ada.submit("/account/sessions/end")
    assert "Es war keine Sitzung ausgewählt" in ada.text
    ada.http.headers["Accept-Language"] = "fr"
    assert "Where you are signed in" in ada.open("/account").text


def test_an_administrator_finds_the_console_and_others_do_not(
    ada: ConsoleClient, api: Client, sql: Sql
) -> None:
    assert "/console/" not in ada.open("/account").text
    sql("INSERT INTO user_roles SELECT 1, id FROM roles WHERE name = 'admin'")
    assert 'href="/console/"' in ada.open("/account").text
