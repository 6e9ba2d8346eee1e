"""Pages for second factors, used without a browser: a passkey is made and signs in software."""

import html
import json
import re
from collections.abc import Callable
from typing import Any

import pyotp
import pytest
from httpx2 import Response

from authentication.factors import sealing
from tests.support.administrator import Sql
from tests.support.authenticator import Passkey
from tests.support.client import PASSWORD, Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, promote

pytestmark = pytest.mark.one_database

MakeConsole = Callable[..., ConsoleClient]

FACTORS = "/account/factors"


@pytest.fixture
def browser(make_console: MakeConsole) -> ConsoleClient:
    """Ada is signed in."""
    browser = make_console(secret_keys=sealing.create_key())
    assert Client(browser.http).register().status_code == 201
    assert browser.sign_in().status_code == 200
    browser.open(FACTORS)
    return browser


def elsewhere(browser: ConsoleClient) -> ConsoleClient:
    """A browser in which nobody is signed in, in place of this one."""
    browser.http.cookies.clear()
    return browser


def options(page: Response) -> dict[str, Any]:
    """What the page tells its script."""
    found = re.search(r'data-options="([^"]+)"', page.text)
    assert found, page.text
    read: dict[str, Any] = json.loads(html.unescape(found[1]))
    return read


def add_passkey(browser: ConsoleClient, passkey: Passkey) -> Response:
    made = passkey.register(options(browser.submit(f"{FACTORS}/passkeys/begin")))
    sent = json.dumps(made)
    return browser.submit(f"{FACTORS}/passkeys/new", name="Phone", passkey=sent)


def add_app(browser: ConsoleClient) -> pyotp.TOTP:
    page = browser.submit(f"{FACTORS}/apps/begin")
    assert page.text.count("<svg") == 1
    secret = re.search(r'class="mono">([A-Z2-7]{32})<', page.text)
    assert secret
    return pyotp.TOTP(secret[1])


def hidden(page: Response) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    return {name: html.unescape(value) for name, value in found}


def test_a_passkey_is_added_renamed_and_removed(browser: ConsoleClient) -> None:
    phone = Passkey.synced()
    assert "Your recovery codes" in add_passkey(browser, phone).text
    browser.open(FACTORS)
    assert "Phone synchronised" in browser.text
    assert "Recovery codes 10" in browser.text
    path = re.search(rf"{FACTORS}/passkeys/[0-9a-f-]{{36}}", browser.page.text)
    assert path
    browser.submit(f"{path[0]}/rename", name="<b>Old</b>")
    assert "It is renamed." in browser.text
    assert "&lt;b&gt;Old&lt;/b&gt;" in browser.page.text
    assert browser.submit(f"{path[0]}/rename", name="a\u200bb").status_code == 422
    assert "Use 1 to 200 visible characters." in browser.text
    assert 'value="a\u200bb"' in browser.page.text
    browser.submit(f"{path[0]}/remove")
    assert "It is removed." in browser.text
    assert "Recovery codes" not in browser.text


def test_a_passkey_with_an_odd_name_is_asked_for_again_and_the_name_is_kept(
    browser: ConsoleClient,
) -> None:
    phone = Passkey.synced()
    typed = 'The "<new>"\u200b phone'
    made = json.dumps(phone.register(options(browser.submit(f"{FACTORS}/passkeys/begin"))))
    again = browser.submit(f"{FACTORS}/passkeys/new", name=typed, passkey=made)
    assert again.status_code == 422
    assert "Use 1 to 200 visible characters." in browser.text
    assert f'value="{html.escape(typed)}"' in again.text.replace("&#34;", "&quot;")
    for wrong in (made, "{}", ""):
        again = browser.submit(f"{FACTORS}/passkeys/new", name="Phone", passkey=wrong)
        assert again.status_code == 400
        assert "This passkey cannot be added." in browser.text
    made = json.dumps(phone.register(options(again)))
    browser.submit(f"{FACTORS}/passkeys/new", name="Phone", passkey=made)
    assert "Your recovery codes" in browser.text


def test_who_took_long_to_make_a_passkey_confirms_and_need_not_make_another(
    browser: ConsoleClient, sql: Sql, database_url: str
) -> None:
    made = Passkey.synced().register(options(browser.submit(f"{FACTORS}/passkeys/begin")))
    sql(f"UPDATE sessions SET confirmed_at = {Clock(database_url).in_seconds(-301)}")
    browser.submit(f"{FACTORS}/passkeys/new", name="Phone", passkey=json.dumps(made))
    assert "To add a passkey, enter your password once more." in browser.text
    browser.confirm(f"{FACTORS}/passkeys/new")
    assert "Your recovery codes" in browser.text


def test_an_app_is_added_by_its_first_code(browser: ConsoleClient) -> None:
    totp = add_app(browser)
    wrong = browser.submit(f"{FACTORS}/apps/confirm", code="000000")
    assert wrong.status_code == 403
    assert "This code is wrong" in browser.text
    odd = browser.submit(f"{FACTORS}/apps/confirm", code=totp.now(), name="My\u200b phone")
    assert odd.status_code == 422
    assert "Use 1 to 200 visible characters." in browser.text
    assert 'value="My\u200b phone"' in odd.text
    shown = browser.submit(f"{FACTORS}/apps/confirm", code=totp.now(), name="My phone")
    assert len(re.findall(r"(?:[A-Z2-7]{4}-){5}[A-Z2-7]{4}", shown.text)) == 10
    assert '<p class="printed">Counterfoil · ada@example.org</p>' in shown.text
    assert ">My phone<" in browser.open(FACTORS).text


def test_who_lacks_a_factor_that_a_role_requires_is_told(browser: ConsoleClient, sql: Sql) -> None:
    hint = "One of your roles requires a second factor, and gives you nothing until you have one."
    assert hint not in browser.open("/account").text
    sql("UPDATE roles SET requires_second_factor = true WHERE name = 'user'")
    assert hint in browser.open("/account").text
    assert hint in browser.open(FACTORS).text
    page = browser.open("/users")
    assert page.status_code == 403
    assert f"This needs the scope admin. {hint}" in page.text
    assert 'href="/account/factors">Add one<' in page.text
    add_passkey(browser, Passkey.synced())
    assert hint not in browser.open("/account").text
    assert hint not in browser.open("/users").text


def test_the_last_factor_stays_while_a_role_requires_one(browser: ConsoleClient, sql: Sql) -> None:
    add_passkey(browser, Passkey.synced())
    sql("UPDATE roles SET requires_second_factor = true WHERE name = 'user'")
    page = browser.open(FACTORS)
    [path] = re.findall(rf"{FACTORS}/passkeys/[0-9a-f-]{{36}}/remove", page.text)
    assert browser.submit(path).status_code == 409
    assert "One of your roles requires a second factor. Add another one first." in browser.text
    assert sql("SELECT name FROM passkeys") == [("Phone",)]


def test_somebody_signs_in_by_a_passkey_alone(browser: ConsoleClient) -> None:
    phone = Passkey.synced()
    add_passkey(browser, phone)
    other = elsewhere(browser)
    other.open("/sign-in", **{"Accept-Language": "de"})
    assert "Mit einem Passkey anmelden" in other.text
    asked = other.http.post("/passkeys/login/options").json()
    wrong = phone.clone(flags=1).sign(asked)
    assert other.submit("/sign-in/passkey", passkey=json.dumps(wrong)).status_code == 403
    assert other.submit("/sign-in/passkey", passkey="{").status_code == 403
    asked = other.http.post("/passkeys/login/options").json()
    other.submit("/sign-in/passkey", passkey=json.dumps(phone.sign(asked)), next=FACTORS)
    assert "How you sign in" in other.text


def test_a_password_is_followed_by_the_second_factor(browser: ConsoleClient) -> None:
    phone = Passkey.synced()
    shown = add_passkey(browser, phone)
    code = re.search(r"(?:[A-Z2-7]{4}-){5}[A-Z2-7]{4}", shown.text)
    assert code
    other = elsewhere(browser)
    asking = other.sign_in()
    assert "Your second factor" in other.text
    fields = hidden(asking)
    wrong = other.submit("/sign-in/second-factor", **{**fields, "recovery_code": "AAAA"})
    assert wrong.status_code == 403
    assert "This code is wrong" in other.text
    fields = hidden(wrong)
    body = {"mfa_token": fields["mfa_token"]}
    signed = phone.sign(other.http.post("/passkeys/login/options", json=body).json())
    other.submit("/sign-in/second-factor", **{**fields, "passkey": json.dumps(signed)})
    assert other.is_let_in(other.token)

    third = elsewhere(browser)
    fields = hidden(third.sign_in())
    third.submit("/sign-in/second-factor", **{**fields, "recovery_code": code[0]})
    assert third.is_let_in(third.token)
    # Without a second factor there is no session, whatever the form says.
    fourth = elsewhere(browser)
    fields = hidden(fourth.sign_in())
    assert fourth.submit("/sign-in/second-factor", **fields).status_code == 403
    assert "counterfoil_session" not in str(fourth.http.cookies)


def test_an_old_session_is_confirmed_by_the_passkey_before_a_change(
    browser: ConsoleClient, sql: Sql, database_url: str
) -> None:
    phone = Passkey.synced()
    add_passkey(browser, phone)
    browser.open(FACTORS)
    before = Clock(database_url).in_seconds(-301)
    sql(f"UPDATE sessions SET confirmed_at = {before}")
    asking = browser.submit(f"{FACTORS}/recovery-codes")
    assert asking.status_code == 403
    assert "Confirm that it is you" in browser.text
    assert 'type="password"' not in asking.text
    by_password = browser.submit(f"{FACTORS}/recovery-codes", confirmation_password=PASSWORD)
    assert by_password.status_code == 403
    signed = json.dumps(phone.sign(options(by_password)))
    browser.submit(f"{FACTORS}/recovery-codes", confirmation_passkey=signed)
    assert "They are shown this once." in browser.text


def test_a_changed_password_needs_the_factor_first_and_no_password_is_in_the_page(
    browser: ConsoleClient, sql: Sql, database_url: str
) -> None:
    phone = Passkey.synced()
    add_passkey(browser, phone)
    browser.open("/account/password")
    before = Clock(database_url).in_seconds(-301)
    sql(f"UPDATE sessions SET confirmed_at = {before}")
    passwords = {"new_password": "another battery staple"}
    passwords["repeated_password"] = passwords["new_password"]
    asking = browser.submit("/account/password", current_password=PASSWORD, **passwords)
    assert asking.status_code == 403
    assert PASSWORD not in asking.text
    signed = json.dumps(phone.sign(options(asking)))
    browser.submit("/account/password", confirmation_passkey=signed)
    browser.submit("/account/password", current_password=PASSWORD, **passwords)
    assert "Your password is changed." in browser.text


def test_a_changed_address_needs_the_factor_first(
    browser: ConsoleClient, sql: Sql, database_url: str
) -> None:
    phone = Passkey.synced()
    add_passkey(browser, phone)
    browser.open("/account/email")
    before = Clock(database_url).in_seconds(-301)
    sql(f"UPDATE sessions SET confirmed_at = {before}")
    sent = {"email": "new@example.org", "current_password": PASSWORD}
    asking = browser.submit("/account/email", **sent)
    signed = json.dumps(phone.sign(options(asking)))
    again = browser.submit("/account/email", email=sent["email"], confirmation_passkey=signed)
    assert 'value="new@example.org"' in again.text
    browser.submit("/account/email", **sent)
    assert "Your e-mail address is changed." in browser.text


def test_an_administrator_sees_and_removes_the_factors_of_a_user(
    browser: ConsoleClient, sql: Sql
) -> None:
    add_passkey(browser, Passkey.synced())
    token = browser.token
    Client(browser.http).register("root@example.org")
    promote(sql, "root@example.org")
    root = elsewhere(browser)
    root.sign_in("root@example.org")
    root.open("/users/1")
    assert re.search(r"Phone passkey, added [^,]*, [^,]*, never used", root.text)
    sql("UPDATE passkeys SET last_used_at = created_at, clone_suspected_at = created_at")
    root.open("/users/1")
    assert re.search(r"Phone may have been copied passkey, .*, last used just now; a", root.text)
    assert "10 recovery codes left" in root.text
    root.submit("/users/1/factors/remove")
    assert "signs in by the password alone" in root.text
    sql("UPDATE roles SET requires_second_factor = true WHERE name = 'user'")
    assert "A role requires a second factor" in root.open("/users/1").text
    assert not browser.is_let_in(token)
    assert elsewhere(browser).sign_in().status_code == 200


def test_passkeys_need_no_script_in_the_page_and_the_policy_stays(browser: ConsoleClient) -> None:
    page = browser.submit(f"{FACTORS}/passkeys/begin")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert re.findall(r"<script(?![^>]* src=)", page.text) == []
    assert page.headers["Cache-Control"] == "no-store"
