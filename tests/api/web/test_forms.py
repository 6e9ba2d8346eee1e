"""Forms: only those of the console's pages, and dangerous ones only with a recent password."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import PASSWORD, Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]


def live_sessions(sql: Sql) -> int:
    [(count,)] = sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL")
    return int(count)


def test_a_form_that_another_site_sends_changes_nothing(ada: ConsoleClient, sql: Sql) -> None:
    for headers in (
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://["},
        {"Origin": "https://[testserver]"},
        {"Origin": "https://testserver]"},
    ):
        ada.open("/account")
        assert ada.submit_with(headers, "/sign-out").status_code == 403
        assert "This form was rejected" in ada.text
    assert live_sessions(sql) == 1


def test_a_form_without_the_token_of_a_page_changes_nothing(ada: ConsoleClient, sql: Sql) -> None:
    for token in ("", "0" * 80, "é" * 80):
        assert ada.submit("/sign-out", csrf_token=token).status_code == 403
        assert "Go back, reload the page and try again." in ada.text
    assert live_sessions(sql) == 1


def test_the_token_of_one_session_is_worth_nothing_in_another(ada: ConsoleClient, sql: Sql) -> None:
    of_another_session = ada.form_token
    ada.http.cookies.delete("__Host-counterfoil_session")
    ada.sign_in()
    assert ada.submit("/sign-out", csrf_token=of_another_session).status_code == 403
    assert live_sessions(sql) == 2


def test_the_form_to_sign_in_has_a_token_too(console: ConsoleClient, api: Client) -> None:
    api.register()
    console.open("/sign-in")
    token, name = console.form_token, "ada@example.org"
    console.submit("/sign-in", csrf_token="", username=name, password=PASSWORD)
    assert console.page.status_code == 403
    console.http.cookies.clear()
    console.submit("/sign-in", csrf_token=token, username=name, password=PASSWORD)
    assert "did not send back the cookie" in console.text


def test_a_form_of_the_same_origin_is_accepted(ada: ConsoleClient) -> None:
    headers = {"Sec-Fetch-Site": "same-origin", "Origin": "https://testserver"}
    assert ada.submit_with(headers, "/sign-out").status_code == 200


def test_a_body_that_is_not_a_form_is_rejected(ada: ConsoleClient) -> None:
    form = "application/x-www-form-urlencoded"
    for body, media_type in (
        (b"{}", "application/json"),
        (b"session=%00", form),
        (b"session=%ff", form),
        (b"session=\xff", form),
        (b"&".join([b"a=1"] * 600), form),
    ):
        headers = {"Content-Type": media_type}
        answer = ada.http.post("/sign-out", content=body, headers=headers)
        assert answer.status_code == (400 if media_type == form else 415), body
        assert "cannot be read as a form" in answer.text


def test_a_malformed_session_id_is_rejected(ada: ConsoleClient) -> None:
    assert ada.submit("/account/sessions/end", only="nonsense").status_code == 400


DANGEROUS = ["disable", "enable", "roles"]


@pytest.fixture
def stale(admin: ConsoleClient, api: Client, sql: Sql, clock: Clock) -> ConsoleClient:
    """An administrator who signed in a while ago, looking at somebody's page."""
    api.register("ada@example.org")
    sql(f"UPDATE sessions SET confirmed_at = {clock.in_seconds(-301)}")
    admin.open("/users/2")
    return admin


def test_dangerous_actions_ask_for_the_password_first(stale: ConsoleClient, sql: Sql) -> None:
    for action in DANGEROUS:
        stale.open("/users/2")
        stale.submit(f"/users/2/{action}", role=["user", "moderator"])
        assert stale.page.status_code == 403
        assert "Nothing has been changed yet." in stale.text
    assert sql("SELECT event FROM audit_events WHERE actor = 'user:1' AND subject = 'user:2'") == []


def test_ending_everybodys_sessions_asks_for_the_password_first(
    stale: ConsoleClient, api: Client, sql: Sql
) -> None:
    api.log_in()
    stale.submit("/sessions/end-everybody")
    assert "To end the sessions of everybody" in stale.text
    assert live_sessions(sql) == 2
    stale.confirm("/sessions/end-everybody")
    assert "1 session has ended" in stale.text
    assert live_sessions(sql) == 1


def test_with_the_password_the_same_form_goes_through(stale: ConsoleClient, sql: Sql) -> None:
    stale.submit("/users/2/roles", role=["user", "moderator"])
    stale.confirm("/users/2/roles", "not the password")
    assert stale.page.status_code == 403
    assert "The current password is wrong." in stale.text
    assert "not the password" not in stale.page.text

    stale.confirm("/users/2/roles")
    assert "The roles are changed" in stale.text
    roles = sql(
        "SELECT roles.name FROM roles JOIN user_roles ON role_id = roles.id"
        " WHERE user_id = 2 ORDER BY 1"
    )
    assert roles == [("moderator",), ("user",)]


def test_a_password_entered_recently_is_not_asked_for_again(stale: ConsoleClient) -> None:
    stale.submit("/users/2/disable")
    stale.confirm("/users/2/disable")
    assert "The account is disabled." in stale.text
    stale.submit("/users/2/enable")
    assert "The account is enabled." in stale.text


def test_a_password_given_in_one_session_counts_for_that_one_alone(
    stale: ConsoleClient, sql: Sql
) -> None:
    stale.submit("/users/2/disable")
    stale.confirm("/users/2/disable")
    confirmed = sql("SELECT id FROM sessions WHERE confirmed_at IS NOT NULL")
    stale.http.cookies.delete("__Host-counterfoil_session")
    stale.sign_in("root@example.org")
    sql("UPDATE sessions SET confirmed_at = NULL WHERE id <> '" + str(confirmed[0][0]) + "'")
    stale.open("/users/2")
    assert stale.submit("/users/2/enable").status_code == 403


def test_forms_count_for_the_account_unless_they_revoke(
    make_console: Callable[..., ConsoleClient], sql: Sql
) -> None:
    console = make_console(writes_per_minute=3)
    assert Client(console.http).register().status_code == 201
    statuses = []
    for _ in range(2):
        console.http.cookies.clear()
        console.sign_in()
        console.open("/account/api-keys/new")
        token = console.form_token
        for _ in range(2):
            new = console.submit("/account/api-keys/new", csrf_token=token, name="A", days="30")
            statuses.append(new.status_code)
    assert statuses == [200, 200, 200, 429]
    [(key,)] = sql("SELECT max(CAST(id AS text)) FROM api_keys")
    revoked = console.submit(f"/account/api-keys/{key}/revoke", csrf_token=token)
    assert revoked.status_code == 200
    assert console.submit("/account/sessions/end-others", csrf_token=token).status_code == 200
    assert live_sessions(sql) == 1


def test_the_log_of_a_rejected_form_has_no_query_string(
    console: ConsoleClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "counterfoil")

    console.open("/sign-in")
    fields = {"username": "ada", "password": "Tr0ub4dor", "csrf_token": "of another page"}
    page = console.http.post("/sign-in?username=ada&password=Tr0ub4dor", data=fields)

    assert page.status_code == 403
    [line] = [one for one in caplog.records if "CSRF" in one.getMessage()]
    assert line.getMessage().endswith(" at /sign-in")
