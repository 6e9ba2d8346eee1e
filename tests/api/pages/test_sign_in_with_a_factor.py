"""Signing in on the page that asks for the second factor, by codes."""

import html
import re
from collections.abc import Callable

import pytest
from httpx2 import Response

from tests.support.administrator import Sql, count
from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.console import COOKIE, ConsoleClient
from tests.support.factors import SECRET_KEY, App, enrol
from tests.support.oauth import Application, add_client, answer_of, transaction_of

pytestmark = pytest.mark.one_database

ASKED = "Your second factor"
PAGE = "/sign-in/second-factor"


@pytest.fixture
def browser(make_console: Callable[..., ConsoleClient]) -> ConsoleClient:
    """A browser in which nobody is signed in."""
    return make_console(secret_keys=SECRET_KEY)


@pytest.fixture
def app(browser: ConsoleClient, sql: Sql) -> App:
    """Ada's authenticator app."""
    client = Client(browser.http)
    return enrol(client, client.sign_up(), sql)


def hidden(page: Response) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    return {name: html.unescape(value) for name, value in found}


def give(browser: ConsoleClient, **fields: str) -> Response:
    """Send the page that asks, with all that is hidden in it."""
    return browser.submit(PAGE, **{**hidden(browser.page), **fields})


def test_the_second_factor_is_asked_before_consent(
    browser: ConsoleClient, app: App, sql: Sql, database_url: str
) -> None:
    add_client(sql, database_url)
    calendar = Application(browser)
    browser.open(calendar.address())
    browser.sign_in_to(browser.page.url.params["next"])
    assert ASKED in browser.text
    assert COOKIE not in browser.http.cookies
    assert calendar.ask(prompt="none")["error"] == "login_required"

    browser.open(calendar.address())
    browser.sign_in_to(browser.page.url.params["next"])
    consent = give(browser, code=app.code())
    assert consent.url.path == "/authorize"
    answer = answer_of(calendar.decide("allow", transaction_of(consent)))
    assert calendar.redeem(answer["code"]).status_code == 200


def test_five_wrong_codes_begin_the_sign_in_anew(browser: ConsoleClient, app: App) -> None:
    browser.sign_in()
    for _ in range(5):
        assert give(browser, code="12345").status_code == 403
        assert "This code is wrong" in browser.text
        assert ASKED in browser.text
    assert give(browser, code=app.code()).status_code == 403
    assert "This login has ended." in browser.text
    assert 'name="password"' in browser.page.text
    assert COOKIE not in browser.http.cookies


def test_a_sign_in_waits_five_minutes_for_the_code(
    browser: ConsoleClient, app: App, sql: Sql, database_url: str
) -> None:
    browser.sign_in()
    sql(f"UPDATE challenges SET expires_at = {Clock(database_url).in_seconds(-1)}")
    assert give(browser, code=app.code()).status_code == 403
    assert "This login has ended." in browser.text
    assert COOKIE not in browser.http.cookies


def test_a_code_from_a_form_of_another_browser_is_rejected(
    browser: ConsoleClient, app: App, sql: Sql
) -> None:
    sessions = count(sql, "sessions")
    fields = hidden(browser.sign_in())
    browser.http.cookies.clear()
    browser.open("/sign-in")
    assert browser.submit(PAGE, **{**fields, "code": app.code()}).status_code == 403
    assert count(sql, "sessions") == sessions
    fields["csrf_token"] = hidden(browser.open("/sign-in"))["csrf_token"]
    browser.submit(PAGE, **{**fields, "code": app.code()})
    assert browser.is_let_in(browser.token)
