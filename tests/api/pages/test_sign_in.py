"""Signing in and out, and the session cookie."""

from collections.abc import Callable
from typing import Any

import pytest

from api.settings import ApiSettings
from tests.support.client import PASSWORD, Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]
MakeConsole = Callable[..., ConsoleClient]


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(
    console: ConsoleClient, api: Client
) -> None:
    api.register()
    console.open("/sign-in")
    form = {"csrf_token": console.form_token, "username": "ada@example.org", "password": PASSWORD}
    answer = console.http.post("/sign-in", data=form, follow_redirects=False)

    assert answer.status_code == 303
    cookie = next(
        line
        for line in answer.headers.get_list("set-cookie")
        if line.startswith("__Host-counterfoil_session=cfa_")
    )
    attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert attributes == {"httponly", "secure", "samesite=strict", "path=/"}
    assert answer.headers["cache-control"] == "no-store"


def test_the_api_never_accepts_the_cookie(ada: ConsoleClient, api: Client) -> None:
    assert ada.http.get("/users/me").status_code == 401
    assert ada.http.post("/logout").status_code == 401
    assert ada.is_let_in(ada.token)


def test_a_failure_keeps_the_name_and_does_not_say_what_was_wrong(
    console: ConsoleClient, api: Client
) -> None:
    api.register()
    texts = []
    for email in ("ada@example.org", "nobody@example.org"):
        assert console.sign_in(email, "not the password").status_code == 403
        assert email in console.page.text
        assert "not the password" not in console.page.text
        texts.append(console.text)
    assert texts[0] == texts[1]
    assert "The user name or the password is wrong." in texts[0]


def test_a_username_can_sign_in(console: ConsoleClient, api: Client) -> None:
    api.register(username="ada")
    console.sign_in("ADA")
    assert "Where you are signed in" in console.text


def test_empty_and_overlong_credentials_are_rejected(console: ConsoleClient) -> None:
    for text in ("", "x" * 2000):
        for name, password in ((text, PASSWORD), ("ada@example.org", text)):
            assert console.sign_in(name, password).status_code == 403


def test_signing_in_goes_on_to_the_page_that_was_asked_for(
    console: ConsoleClient, api: Client
) -> None:
    api.register()
    console.open("/account/password?from=mail")
    assert console.page.url.path == "/sign-in"
    next_page = console.page.url.params["next"]
    console.submit("/sign-in", username="ada@example.org", password=PASSWORD, next=next_page)
    assert str(console.page.url) == "https://testserver/account/password?from=mail"


def test_signing_in_never_goes_on_to_another_site(console: ConsoleClient, api: Client) -> None:
    api.register()
    for elsewhere in (
        *("//evil.example", "https://evil.example", "/\\evil.example", "javascript:x"),
        *("/account@evil.example", "/account//evil.example:x@y", "/accounts", "/account\n"),
    ):
        console.http.cookies.clear()
        console.open("/sign-in")
        token, name = console.form_token, "ada@example.org"
        form = {"csrf_token": token, "username": name, "password": PASSWORD, "next": elsewhere}
        answer = console.http.post("/sign-in", data=form, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["location"] == "/account"


def test_signing_out_ends_the_session_and_not_only_the_cookie(
    ada: ConsoleClient, api: Client
) -> None:
    token = ada.token
    ada.submit("/sign-out")
    assert "You are signed out." in ada.text
    assert not ada.is_let_in(token)
    assert "__Host-counterfoil_session" not in ada.http.cookies


def test_the_cookie_that_deletes_has_the_attributes_of_the_one_that_it_deletes(
    ada: ConsoleClient,
) -> None:
    """Browsers ignore it otherwise: the name alone demands Secure and the path."""
    form = {"csrf_token": ada.form_token}
    answer = ada.http.post("/sign-out", data=form, follow_redirects=False)
    [cookie] = [
        line
        for line in answer.headers.get_list("set-cookie")
        if line.startswith("__Host-counterfoil_session=")
    ]
    value, *attributes = (part.strip().lower() for part in cookie.split(";"))
    assert value.partition("=")[2] in {"", '""'}
    assert {"httponly", "secure", "samesite=strict", "path=/", "max-age=0"} <= set(attributes)
    assert not any(one.startswith("domain") for one in attributes)


def test_signing_in_anew_gives_a_new_token_and_ends_the_session_before(
    ada: ConsoleClient, api: Client
) -> None:
    before = ada.token
    ada.http.cookies.delete("__Host-counterfoil_session")
    ada.open("/sign-in")
    ada.http.cookies.set("__Host-counterfoil_session", before, domain="testserver.local")
    ada.submit("/sign-in", username="ada@example.org", password=PASSWORD)
    assert ada.token != before
    assert not ada.is_let_in(before)
    assert ada.is_let_in(ada.token)


def test_a_session_ended_by_sql_is_rejected_by_the_next_page(ada: ConsoleClient, sql: Sql) -> None:
    sql("DELETE FROM access_tokens")
    ada.open("/account")
    assert ada.page.url.path == "/sign-in"
    assert "Your session is over. Sign in again." in ada.text


def test_only_an_access_token_with_the_scope_account_signs_in(
    admin: ConsoleClient, api: Client
) -> None:
    narrow = api.log_in("root@example.org", scope="admin")
    for token in (narrow.access_token, narrow.refresh_token, "cfk_" + "A" * 49, "nonsense"):
        admin.http.cookies.set("__Host-counterfoil_session", token, domain="testserver.local")
        assert admin.open("/users").url.path == "/sign-in"


def test_looking_at_pages_keeps_the_session_alive_but_not_past_its_end(
    make_console: MakeConsole, sql: Sql, clock: Clock
) -> None:
    # All lifetimes differ, from their defaults as well.
    ada = make_console(
        console_idle_seconds=1800,
        console_session_seconds=9000,
        access_token_seconds=600,
        refresh_token_seconds=20_000,
        session_seconds=30_000,
    )
    Client(ada.http).register()
    ada.sign_in()
    assert 1700 < seconds_left(sql, clock) <= 1800
    [(whole,)] = sql(f"SELECT {clock.seconds_until('expires_at')} FROM sessions")
    assert 8900 < float(whole) <= 9000
    sql(f"UPDATE access_tokens SET expires_at = {clock.in_seconds(1000)}")
    ada.open("/account")
    assert 1700 < seconds_left(sql, clock) <= 1800

    sql(f"UPDATE access_tokens SET expires_at = {clock.in_seconds(60)}")
    sql(f"UPDATE sessions SET expires_at = {clock.in_seconds(120)}")
    ada.open("/account")
    assert 60 < seconds_left(sql, clock) <= 120


def seconds_left(sql: Sql, clock: Clock) -> float:
    """Until the access token expires."""
    [(seconds,)] = sql(f"SELECT {clock.seconds_until('expires_at')} FROM access_tokens")
    return float(seconds)


def test_a_link_from_another_site_finds_the_user_signed_in(ada: ConsoleClient) -> None:
    """Browsers do not send a SameSite=Strict cookie then, so the first answer is a reload."""
    token = ada.token
    ada.http.cookies.clear()
    ada.open("/account", **{"Sec-Fetch-Site": "cross-site"})
    assert '<meta http-equiv="refresh" content="0; url=/account">' in ada.page.text
    ada.http.cookies.set("__Host-counterfoil_session", token, domain="testserver.local")
    ada.open("/account", **{"Sec-Fetch-Site": "same-origin"})
    assert "Where you are signed in" in ada.text


def test_too_many_attempts_get_an_error_page(make_console: MakeConsole) -> None:
    console = make_console(login_attempts_per_account=2)
    Client(console.http).register()
    for _ in range(3):
        console.sign_in(password="not the password")
    assert console.page.status_code == 429
    assert "Too many attempts. Try again later." in console.text
    assert int(console.page.headers["retry-after"]) > 0


def test_behind_plain_http_the_cookie_has_another_name(make_console: MakeConsole) -> None:
    console = make_console(issuer="http://intranet.example.org")
    Client(console.http).register()
    console.sign_in()
    assert "Where you are signed in" in console.text
    assert console.http.cookies["counterfoil_session"].startswith("cfa_")


def test_links_lead_below_the_path_of_the_issuer(make_console: MakeConsole) -> None:
    console = make_console(issuer="https://example.org/auth")
    page = console.http.get("/account", follow_redirects=False)
    assert page.headers["location"].startswith("/auth/sign-in")


@pytest.mark.parametrize(
    ("settings", "gone", "left"),
    [
        ({"console": False}, ["/console", "/console/"], ["/sign-in"]),
        (
            {"console": False, "pages": False},
            ["/console/", "/sign-in", "/account", "/account/static/style.css"],
            ["/health/live"],
        ),
    ],
)
def test_pages_can_be_switched_off(
    make_console: MakeConsole, settings: dict[str, bool], gone: list[str], left: list[str]
) -> None:
    console = make_console(**settings)
    for path in gone:
        page = console.http.get(path)
        assert page.status_code == 404
        assert page.headers["content-type"] == "application/problem+json"
    for path in left:
        assert console.http.get(path).status_code == 200


def test_the_console_cannot_do_without_the_page_to_sign_in() -> None:
    with pytest.raises(ValueError, match="CONSOLE needs PAGES"):
        ApiSettings(pages=False)


def test_the_former_address_of_the_console_leads_to_the_page(
    console: ConsoleClient, admin: ConsoleClient
) -> None:
    admin.submit("/sign-out")
    page = console.http.get("/console/sign-in")
    assert page.url.path == "/sign-in"
    assert page.url.params["next"] == "/console/"
