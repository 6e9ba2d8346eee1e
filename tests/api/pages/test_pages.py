"""The pages that links lead to: what opening them does, and what their buttons do."""

import re
from html import unescape

import pytest
from httpx2 import Response

from tests.support.administrator import Sql, events
from tests.support.client import PASSWORD, Client, MakeClient
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

NEW = "an entirely new passphrase"
GERMAN = {"Accept-Language": "de"}


@pytest.fixture
def client(make_client: MakeClient, mailbox: Mailbox) -> Client:
    return make_client(**mailbox.settings, mail_notices="email_changed")


def open_page(client: Client, path: str, **headers: str) -> Response:
    return client.http.get(f"/account{path}", headers=headers)


def submit(client: Client, page: Response, **fields: str) -> Response:
    """Send the only form of a page, with its hidden fields."""
    (action,) = re.findall(r'<form method="post" action="([^"]+)"', page.text)
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', page.text)
    form = {**{name: unescape(value) for name, value in hidden}, **fields}
    return client.http.post(action, data=form, follow_redirects=False)


def forget(client: Client, email: str = "ada@example.org") -> Response:
    return submit(client, open_page(client, "/forgot-password"), email=email)


def text_of(page: Response) -> str:
    return unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.text)))


def reset_page(client: Client, mailbox: Mailbox) -> Response:
    client.register()
    forget(client)
    return open_page(client, f"/reset-password?token={mailbox.take_one().token}")


def test_a_forgotten_password_is_set_anew_on_pages_alone(client: Client, mailbox: Mailbox) -> None:
    page = reset_page(client, mailbox)
    done = submit(client, page, new_password=NEW, repeated_password=NEW)
    assert (done.status_code, done.headers["location"]) == (303, "/account/done/password")
    assert "Log in with the new password" in text_of(client.http.get("/account/done/password"))
    assert client.try_to_log_in(password=NEW).status_code == 200


def test_the_code_can_be_typed_into_the_page_that_sent_the_mail(
    client: Client, mailbox: Mailbox
) -> None:
    client.register()
    page = forget(client)
    code = mailbox.take_one().code
    passwords = {"new_password": NEW, "repeated_password": NEW}
    wrong = submit(client, page, code="BBBB-BBBB", **passwords)
    assert wrong.status_code == 400
    assert "does not work any more" in text_of(wrong)
    assert submit(client, wrong, code=code, **passwords).status_code == 303
    assert client.try_to_log_in(password=NEW).status_code == 200


def test_the_page_is_the_same_for_nobodys_address(client: Client) -> None:
    client.register()
    pages = [forget(client, f"{name}@example.org") for name in ("ada", "nobody")]
    assert {page.status_code for page in pages} == {200}
    without = [re.sub(r"cft_[\w-]+", "", page.text) for page in pages]
    assert without[0] == without[1]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_opening_a_link_uses_nothing_up(client: Client, mailbox: Mailbox, method: str) -> None:
    page = reset_page(client, mailbox)
    for _ in range(5):
        assert client.http.request(method, str(page.url)).status_code == 200
    form = {"new_password": NEW, "repeated_password": NEW}
    assert submit(client, page, **form).status_code == 303
    again = submit(client, page, **form)
    unknown = open_page(client, "/reset-password?token=cfm_unknown")
    assert (again.status_code, again.text) == (unknown.status_code, unknown.text)
    assert again.status_code == 400


def test_what_is_wrong_with_a_password_is_said_and_the_link_stays_good(
    client: Client, mailbox: Mailbox
) -> None:
    page = reset_page(client, mailbox)
    other = submit(client, page, new_password=NEW, repeated_password="another one entirely")
    assert (other.status_code, "are not the same" in text_of(other)) == (422, True)
    weak = submit(client, other, new_password="password", repeated_password="password")
    assert (weak.status_code, "among the most common" in text_of(weak)) == (422, True)
    assert NEW not in other.text
    assert submit(client, weak, new_password=NEW, repeated_password=NEW).status_code == 303


def test_an_address_is_confirmed_by_the_button_and_not_by_opening_the_page(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    tokens = client.sign_up()
    client.http.post("/email/verification", headers=tokens.headers)
    page = open_page(client, f"/confirm-email?token={mailbox.take_one().token}")
    assert "ada@example.org" in text_of(page)
    assert sql("SELECT verified_email FROM users") == [(None,)]
    assert submit(client, page).headers["location"] == "/account/done/verify"
    assert sql("SELECT verified_email FROM users") == [("ada@example.org",)]


def test_a_change_of_the_address_is_confirmed_and_taken_back_on_pages(
    client: Client, mailbox: Mailbox, sql: Sql
) -> None:
    tokens = client.sign_up()
    sql("UPDATE users SET verified_email = email")
    body = {"email": "new@example.org", "current_password": PASSWORD}
    client.http.patch("/users/me", json=body, headers=tokens.headers)
    page = open_page(client, f"/confirm-email?token={mailbox.take_one('new@example.org').token}")
    assert submit(client, page).headers["location"] == "/account/done/change"
    back = open_page(client, f"/revert-email?token={mailbox.take_one().token}")
    assert sql("SELECT email FROM users") == [("new@example.org",)]
    assert submit(client, back).headers["location"] == "/account/done/revert"
    assert sql("SELECT email FROM users") == [("ada@example.org",)]
    assert client.me(tokens).status_code == 401
    assert {"user.email_changed", "user.email_reverted"} <= set(events(sql))


def test_pages_keep_the_token_in_their_address_secret(client: Client, mailbox: Mailbox) -> None:
    page = reset_page(client, mailbox)
    unknown = open_page(client, "/reset-password?token=x")
    for answer in (page, unknown):
        assert answer.headers["referrer-policy"] == "no-referrer"
    for answer in (page, unknown, forget(client)):
        assert answer.headers["cache-control"] == "no-store"
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.findall(r'(?:src|href)="(?!/account/|/sign-in|#main)', answer.text)


def test_pages_speak_the_language_of_the_browser(client: Client, mailbox: Mailbox) -> None:
    page = client.http.get("/account/forgot-password", headers=GERMAN)
    assert '<html lang="de">' in page.text
    assert "Passwort vergessen?" in text_of(page)
    weak = client.http.post(
        "/account/reset-password",
        data={"token": "x", "new_password": "a", "repeated_password": "b"},
        headers=GERMAN,
    )
    assert "stimmen nicht überein" in text_of(weak)


def test_a_number_in_a_message_is_kept_in_its_translation(client: Client, mailbox: Mailbox) -> None:
    page = reset_page(client, mailbox)
    client.http.headers.update(GERMAN)
    short = submit(client, page, new_password="abcd", repeated_password="abcd")
    assert "mindestens 8 Zeichen" in text_of(short)


@pytest.mark.parametrize("path", ["/nothing", "/done/nothing", "/done/%0d%0a"])
def test_what_is_not_there_is_a_page_too(client: Client, path: str) -> None:
    page = open_page(client, path)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


def test_other_methods_and_bodies_are_rejected(client: Client) -> None:
    assert client.http.delete("/account/reset-password").status_code == 405
    body = {"email": "ada@example.org"}
    assert client.http.post("/account/forgot-password", json=body).status_code == 415


def test_pages_lie_below_the_path_of_the_issuer(make_client: MakeClient, mailbox: Mailbox) -> None:
    client = make_client(
        **mailbox.settings, issuer="https://id.example.com/auth", console=False, pages=False
    )
    page = client.http.get("/account/forgot-password")
    assert 'action="/auth/account/forgot-password"' in page.text
    assert 'href="/auth/account/static/style.css?v=' in page.text
    assert "sign-in" not in page.text
    assert client.http.get("/account/static/style.css").status_code == 200


def test_the_sign_in_page_leads_to_it(client: Client, make_client: MakeClient) -> None:
    assert "/account/forgot-password" in client.http.get("/sign-in").text
    without = make_client().http.get("/sign-in")
    assert "forgot" not in without.text
