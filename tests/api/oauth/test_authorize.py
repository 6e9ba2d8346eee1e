"""The authorization endpoint: what it accepts, what it rejects and to whom it says so."""

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.administrator import Sql, count, events, give_role
from tests.support.client import Client
from tests.support.console import ConsoleClient
from tests.support.oauth import (
    CALLBACK,
    ISSUER,
    Application,
    answer_of,
    transaction_of,
)

pytestmark = pytest.mark.one_database


def test_every_client_has_to_use_pkce_with_s256(calendar: Application, server: Application) -> None:
    wrong: list[dict[str, Any]] = [
        {"code_challenge": None},
        {"code_challenge_method": "plain"},
        {"code_challenge_method": None},
        {"code_challenge": "a" * 42},
        {"code_challenge": "a" * 129},
        {"code_challenge": "a" * 42 + "="},
    ]
    for application in (calendar, server):
        for challenge in wrong:
            answer = application.ask(**challenge)
            assert (answer["error"], answer["iss"]) == ("invalid_request", ISSUER), challenge


def test_a_redirect_address_is_exactly_a_registered_one(
    ada: ConsoleClient, register: Callable[..., None]
) -> None:
    registered = f"{CALLBACK} http://127.0.0.1/cb http://[::1]:8080/cb com.example.app:/cb"
    register(redirect_uris=registered)
    application = Application(ada)
    origin = "https://calendar.example.org"
    for address in (
        f"{origin}/other",
        f"{origin}/callback/../x",
        f"{origin}/x/../callback",
        f"{origin}/%2e%2e/callback",
        f"{CALLBACK}?added=1",
        f"{CALLBACK}#fragment",
        f"{CALLBACK} ",
        f"{CALLBACK}\\",
        f"{CALLBACK}\x00",
        f"{CALLBACK} {CALLBACK}",
        registered,
        "https://CALENDAR.example.org/callback",
        "HTTPS://calendar.example.org/callback",
        "https://calendar.example.org:443/callback",
        "http://calendar.example.org/callback",
        "http://127.0.0.1:80@evil.example/cb",
        "http://127.0.0.1.evil.example/cb",
        "http://127.0.0.1:99999/cb",
        "http://127.0.0.1:/cb",
        "http://127.0.0.1:51004/cb/",
        "http://localhost:51004/cb",
        "http://[::1]:51004/cb\\@evil.example",
        "com.example.app:/cb2",
        "javascript:alert(1)",
        "",
    ):
        page = application.open(redirect_uri=address)
        assert (page.status_code, page.headers.get("location")) == (400, None), address
        assert "text/html" in page.headers["content-type"]
    for address in ("http://127.0.0.1:51004/cb", "http://[::1]:51004/cb", "http://127.0.0.1/cb"):
        assert application.open(redirect_uri=address).status_code == 200, address
    assert application.open(redirect_uri="com.example.app:/cb").status_code == 200


def test_what_is_repeated_or_unreadable_is_rejected(calendar: Application) -> None:
    http = calendar.browser.http
    for twice in ("client_id=calendar", "redirect_uri=https%3A%2F%2Fcalendar.example.org%2Fx"):
        page = http.get(f"{calendar.address()}&{twice}", follow_redirects=False)
        assert (page.status_code, page.headers.get("location")) == (400, None)
    for twice in ("state=x", "scope=&scope=", "code_challenge=x", "unknown=1&unknown=2"):
        page = http.get(f"{calendar.address()}&{twice}", follow_redirects=False)
        assert answer_of(page)["error"] == "invalid_request", twice
    for query in ("client_id=%ff", "client_id=%00", "&".join(f"a{n}=" for n in range(60))):
        assert http.get(f"/authorize?{query}").status_code == 400
    for client_id in ("nobody", "", "cal\x00endar", "x" * 5000):
        assert calendar.open(client_id=client_id).status_code == 400


def test_errors_go_back_to_the_client_with_state_and_issuer(
    calendar: Application, register: Callable[..., None]
) -> None:
    for parameters, error in (
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": None}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"request": "x"}, "request_not_supported"),
        ({"request_uri": "https://calendar.example.org/r"}, "request_uri_not_supported"),
        ({"scope": "account admin"}, "invalid_scope"),
        ({"prompt": "none login"}, "invalid_request"),
        ({"prompt": "dance"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
        ({"prompt": "none"}, "consent_required"),
        ({"code_challenge": "x" * 5000}, "invalid_request"),
    ):
        answer = calendar.ask(**parameters)
        expected = {"error": error, "state": "a state & more", "iss": ISSUER}
        assert {name: answer[name] for name in expected} == expected, parameters
    register("machine", grants="client_credentials")
    assert Application(calendar.browser, "machine").ask()["error"] == "unauthorized_client"
    # A state that is far too long is not carried around.
    assert "state" not in calendar.ask(state="x" * 5000)


def test_the_user_decides_and_is_not_asked_twice(calendar: Application, sql: Sql) -> None:
    denied = calendar.ask("deny")
    assert (denied["error"], denied["iss"]) == ("access_denied", ISSUER)
    assert count(sql, "consents") == 0
    allowed = calendar.ask()
    assert (allowed["state"], allowed["iss"]) == ("a state & more", ISSUER)
    page = calendar.open(prompt="none")
    assert page.status_code == 303
    assert answer_of(page).keys() == {"code", "state", "iss"}
    # Asked for by the client, and for what was not allowed before.
    assert "transaction" in calendar.open(prompt="consent").text
    sql("UPDATE consents SET scopes = ''")
    assert "transaction" in calendar.open().text
    recorded = events(sql)
    assert recorded.count("authorization.denied") == 1
    assert recorded.count("authorization.approved") == 2
    assert count(sql, "authorization_requests") == 2


def test_first_party_clients_need_no_consent_and_public_programs_always_do(
    ada: ConsoleClient, register: Callable[..., None], sql: Sql
) -> None:
    register("own", is_first_party=True)
    assert "code" in answer_of(Application(ada, "own").open(prompt="none"))
    assert count(sql, "consents") == 0
    register("tool", redirect_uris="http://127.0.0.1/cb")
    sql("INSERT INTO consents (user_id, client_id, scopes) SELECT id, 'tool', 'account' FROM users")
    # Another program on the computer can say that it is this one.
    page = Application(ada, "tool").open(redirect_uri="http://127.0.0.1:5000/cb")
    assert "transaction" in page.text


def test_scopes_are_given_as_they_are_named_or_not_at_all(
    ada: ConsoleClient, register: Callable[..., None], sql: Sql
) -> None:
    register(scopes="account admin moderate", is_first_party=True)
    application = Application(ada)
    assert application.ask(scope="account admin")["error"] == "invalid_scope"
    # Without a name it gets those that the user has.
    assert application.log_in()["scope"] == "account"
    give_role(sql, "moderator")
    assert application.log_in()["scope"] == "account moderate"
    assert application.log_in(scope="moderate")["scope"] == "moderate"


def test_nothing_is_stored_before_somebody_is_signed_in(
    console: ConsoleClient, api: Client, register: Callable[..., None], sql: Sql
) -> None:
    register()
    api.register()
    application = Application(console)
    page = application.open(login_hint="ada@example.org")
    assert (page.status_code, urlsplit(page.headers["location"]).path) == (303, "/sign-in")
    assert count(sql, "authorization_requests") == count(sql, "sessions") == 0
    assert application.ask(prompt="none")["error"] == "login_required"

    form = console.http.get(page.headers["location"])
    assert 'value="ada@example.org"' in form.text
    next_page = re.search(r'name="next" value="([^"]+)"', form.text)
    assert next_page is not None
    console.page = form
    console.sign_in_to(next_page[1].replace("&amp;", "&"))
    assert "Calendar asks for access" in console.text


def test_a_signed_in_user_signs_in_again_if_the_client_demands_it(
    calendar: Application, sql: Sql
) -> None:
    calendar.get_code()
    assert "code" in answer_of(calendar.open(max_age="300"))
    sql("UPDATE sessions SET confirmed_at = '2026-01-01 00:00:00+00:00'")
    demands: list[dict[str, Any]] = [
        {"prompt": "login"},
        {"prompt": "select_account"},
        {"max_age": "300"},
    ]
    for demand in demands:
        page = calendar.open(**demand)
        assert "again=1" in page.headers["location"]
        # The form is shown, although somebody is signed in.
        assert "Password" in calendar.browser.http.get(page.headers["location"]).text
    assert calendar.ask(prompt="none", max_age="300")["error"] == "login_required"
    page = calendar.open(max_age="0", prompt="login")
    form = calendar.browser.http.get(page.headers["location"])
    calendar.browser.page = form
    found = re.search(r'name="next" value="([^"]+)"', form.text)
    assert found is not None
    page = calendar.browser.sign_in_to(found[1].replace("&amp;", "&"))
    # One login is enough, and a page leads on: Chromium would not follow a redirect.
    assert page.status_code == 200
    assert "code" in answer_of(page)


def test_a_decision_is_that_of_the_browser_that_was_asked(
    calendar: Application,
) -> None:
    transaction = transaction_of(calendar.open())
    ada = calendar.browser
    assert ada.http.post("/authorize/decision", data={"decision": "allow"}).status_code == 403
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        fields = {"decision": "allow", "transaction": transaction}
        page = ada.submit_with(headers, "/authorize/decision", **fields)
        assert page.status_code == 403
        calendar.open()
    # Another browser of the same user has another session.
    cookies = dict(ada.http.cookies)
    ada.http.cookies.clear()
    ada.sign_in()
    ada.open("/account")
    stolen = calendar.decide("allow", transaction)
    assert (stolen.status_code, "location" in stolen.headers) == (403, False)
    ada.http.cookies.clear()
    ada.http.cookies.update(cookies)
    calendar.open()
    assert "code" in answer_of(calendar.decide("allow", transaction))
    ada.open("/account")
    assert calendar.decide("allow", transaction).status_code == 403


def test_a_page_that_is_too_old_or_of_a_changed_client_decides_nothing(
    calendar: Application, sql: Sql
) -> None:
    for statement in (
        "UPDATE authorization_requests SET expires_at = created_at",
        f"UPDATE oauth_clients SET redirect_uris = '{CALLBACK}/moved'",
        "UPDATE oauth_clients SET disabled_at = CURRENT_TIMESTAMP",
    ):
        sql(f"UPDATE oauth_clients SET disabled_at = NULL, redirect_uris = '{CALLBACK}'")
        transaction = transaction_of(calendar.open())
        sql(statement)
        assert calendar.decide("allow", transaction).status_code == 403, statement
    assert count(sql, "authorization_codes") == 0


def test_the_requests_of_one_session_are_few(calendar: Application, sql: Sql) -> None:
    first = transaction_of(calendar.open())
    for _ in range(20):
        latest = transaction_of(calendar.open())
    assert count(sql, "authorization_requests") == 20
    assert calendar.decide("allow", first).status_code == 403
    calendar.open()
    assert "code" in answer_of(calendar.decide("allow", latest))


def test_the_page_cannot_be_framed_and_shows_names_as_text(
    ada: ConsoleClient, register: Callable[..., None]
) -> None:
    register(name="<script>alert(1)</script>")
    page = Application(ada).open()
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert "&lt;script&gt;alert(1)" in page.text
    assert "<script>alert" not in page.text
    assert page.headers["cache-control"] == "no-store"


def test_a_request_by_post_or_from_another_site_comes_again_by_get(calendar: Application) -> None:
    parameters = dict(pair.split("=") for pair in calendar.address().split("?")[1].split("&"))
    form = "&".join(f"{name}={value}" for name, value in parameters.items())
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    sent = calendar.browser.http.post(
        "/authorize", content=form, headers=headers, follow_redirects=False
    )
    assert sent.status_code == 303
    assert "transaction" in calendar.browser.http.get(sent.headers["location"]).text
    arriving = calendar.open(headers={"Sec-Fetch-Site": "cross-site"})
    assert arriving.status_code == 200
    assert '<meta http-equiv="refresh"' in arriving.text
    assert "transaction" not in arriving.text
