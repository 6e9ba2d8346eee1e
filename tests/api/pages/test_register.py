"""The pages by which people create an account."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import PASSWORD, Client
from tests.support.console import ConsoleClient
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]
MakeConsole = Callable[..., ConsoleClient]

FIELDS = {"email": "ada@example.org", "name": "Ada", "password": PASSWORD, "username": ""}


def register(console: ConsoleClient, **changed: str) -> None:
    console.open("/account/register?next=/account/profile")
    console.submit("/account/register", **{**FIELDS, "next": "/account/profile", **changed})


def test_an_account_begins_and_its_owner_signs_in_and_goes_on(console: ConsoleClient) -> None:
    console.open("/sign-in")
    assert "Create an account" in console.text
    register(console)
    assert "Your account has begun. Sign in." in console.text
    assert console.page.url.path == "/sign-in"
    next_page = console.page.url.params["next"]
    console.submit("/sign-in", username="ada@example.org", password=PASSWORD, next=next_page)
    assert console.page.url.path == "/account/profile"


def test_what_is_wrong_is_said_beside_the_field_and_the_rest_is_kept(
    console: ConsoleClient, api: Client, sql: Sql
) -> None:
    api.register("grace@example.org", username="grace")
    for changed, said in (
        ({"email": "grace@example.org"}, "An account with this e-mail address exists already"),
        ({"email": "a@x.org, b@x.org"}, "not an e-mail address that we can use"),
        ({"email": "a" * 255}, "Use at most 254 characters."),
        ({"username": "GRACE"}, "An account with this username exists already"),
        ({"password": "password"}, "among the most common ones"),
        ({"password": ""}, "Fill this in."),
    ):
        register(console, **changed)
        assert console.page.status_code in {409, 422}, changed
        assert said in console.text, changed
        [field] = changed
        assert f'aria-describedby="{field}-error"' in console.page.text
        assert 'value="Ada"' in console.page.text
        assert PASSWORD not in console.page.text
        assert 'name="next" value="/account/profile"' in console.page.text
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_a_form_of_another_browser_or_site_creates_nothing(
    console: ConsoleClient, sql: Sql
) -> None:
    register(console, csrf_token="0" * 80)
    assert console.page.status_code == 403
    console.open("/account/register")
    console.submit_with({"Origin": "https://evil.example"}, "/account/register", **FIELDS)
    assert console.page.status_code == 403
    console.open("/account/register")
    token = console.form_token
    console.http.cookies.clear()
    console.submit("/account/register", **FIELDS, csrf_token=token)
    assert console.page.status_code == 403
    assert "did not send back the cookie" in console.text
    assert sql("SELECT count(*) FROM users") == [(0,)]


def test_where_a_mail_has_to_confirm_it_nothing_tells_whether_an_address_is_taken(
    make_console: MakeConsole, mailbox: Mailbox, sql: Sql
) -> None:
    console = make_console(**mailbox.settings, registration="confirm", mail_notices="")
    register(console)
    link = mailbox.take_one().token
    console.page = console.http.post("/account/confirm-email", data={"token": link})
    assert "Your account has begun" in console.text
    answers = []
    for email in ("ada@example.org", "new@example.org"):
        register(console, email=email)
        answers.append((console.page.status_code, console.text))
    assert answers[0] == answers[1]
    assert "A mail is on its way." in answers[0][1]
    assert sql("SELECT count(*) FROM users") == [(1,)]


def test_where_registration_is_off_there_is_no_such_page(make_console: MakeConsole) -> None:
    console = make_console(registration="off")
    assert "Create an account" not in console.open("/sign-in").text
    assert console.open("/account/register").status_code == 404
