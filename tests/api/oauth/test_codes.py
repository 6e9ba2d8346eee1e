"""Codes are exchanged once, by the client that asked for them, with the verifier that it kept."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.administrator import Sql, events, user_id
from tests.support.client import Client
from tests.support.console import ConsoleClient
from tests.support.oauth import SECRET, Application

pytestmark = pytest.mark.one_database

WRONG_VERIFIER = "a-verifier-of-somebody-else.0123456789-0123456789"


@pytest.mark.both_databases
def test_a_code_leads_to_tokens_that_work_refresh_and_end(
    calendar: Application, server: Application, sql: Sql
) -> None:
    for application in (calendar, server):
        tokens = application.log_in()
        assert application.call(tokens) == 200
        assert tokens["scope"] == "account"
        renewed = application.refresh(tokens["refresh_token"]).json()
        assert application.call(renewed) == 200
        assert application.post("/revoke", token=renewed["refresh_token"]).status_code == 200
        assert application.call(renewed) == 401
    assert sql(
        "SELECT client_id, oauth_client_id FROM sessions WHERE kind = 'api' ORDER BY client_id"
    ) == [
        ("calendar", "calendar"),
        ("server", "server"),
    ]
    recorded = events(sql)
    assert recorded.count("authorization.approved") == recorded.count("code.redeemed") == 2


def test_a_stolen_code_that_lacks_something_harms_nobody(
    calendar: Application, server: Application, sql: Sql
) -> None:
    for wrong in (
        {"code_verifier": WRONG_VERIFIER},
        {"redirect_uri": "https://calendar.example.org/callback/"},
        {"client_id": "server", "client_secret": SECRET},
    ):
        code = calendar.get_code()
        assert calendar.redeem(code, **wrong).json()["error"] == "invalid_grant"
        tokens = calendar.redeem(code).json()
        assert calendar.call(tokens) == 200
        # As a replay it is no better.
        assert calendar.redeem(code, **wrong).json()["error"] == "invalid_grant"
        assert calendar.call(tokens) == 200
    assert "code.reused" not in events(sql)


def test_a_replay_with_everything_that_it_takes_ends_what_the_code_gave(
    server: Application, sql: Sql
) -> None:
    code = server.get_code()
    tokens = server.redeem(code).json()
    other = server.log_in()
    for _ in range(2):
        replay = server.redeem(code)
        assert (replay.status_code, replay.json()["error"]) == (400, "invalid_grant")
    assert server.call(tokens) == 401
    assert server.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"
    assert server.call(other) == 200
    assert events(sql).count("code.reused") == 1


def test_a_replay_of_an_expired_code_ends_nothing(calendar: Application, sql: Sql) -> None:
    code = calendar.get_code()
    tokens = calendar.redeem(code).json()
    sql("UPDATE authorization_codes SET expires_at = created_at")
    assert calendar.redeem(code).json()["error"] == "invalid_grant"
    assert calendar.call(tokens) == 200


@pytest.mark.both_databases
def test_an_expired_code_gives_nothing(calendar: Application, sql: Sql) -> None:
    code = calendar.get_code()
    sql("UPDATE authorization_codes SET expires_at = created_at")
    assert calendar.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.both_databases
def test_of_eight_redemptions_at_once_one_gets_tokens(calendar: Application, sql: Sql) -> None:
    for _ in range(3):
        code = calendar.get_code()
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: calendar.redeem(code), range(8)))  # noqa: B023
        statuses = sorted(answer.status_code for answer in answers)
        assert statuses == [200] + [400] * 7
        # The others had everything that it takes, so the session has ended again.
        tokens = next(answer.json() for answer in answers if answer.status_code == 200)
        assert calendar.call(tokens) == 401
    begun = "SELECT count(*) FROM sessions WHERE oauth_client_id = 'calendar'"
    assert sql(begun) == [(3,)]


@pytest.mark.both_databases
def test_a_statement_between_approval_and_redemption_voids_the_code(
    calendar: Application, api: Client, register: Callable[..., None], sql: Sql
) -> None:
    of_user = (
        "DELETE FROM access_tokens WHERE user_id = {user}",
        "DELETE FROM sessions WHERE user_id = {user}",
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {user}",
        "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {user}",
        "UPDATE users SET is_active = false WHERE id = {user}",
        "DELETE FROM users WHERE id = {user}",
    )
    of_client = (
        "UPDATE oauth_clients SET disabled_at = CURRENT_TIMESTAMP",
        "DELETE FROM oauth_clients",
    )
    for number, statement in enumerate([*of_user, *of_client]):
        email = f"user{number}@example.org"
        api.register(email)
        calendar.browser.http.cookies.clear()
        calendar.browser.sign_in(email)
        code = calendar.get_code()
        sql(statement.format(user=user_id(sql, email)))
        error = "invalid_client" if statement in of_client else "invalid_grant"
        assert calendar.redeem(code).json()["error"] == error, statement
        sql("DELETE FROM oauth_clients")
        register()


def test_a_code_falls_with_the_session_that_approved_it(calendar: Application) -> None:
    code = calendar.get_code()
    calendar.browser.open("/account")
    calendar.browser.submit("/sign-out")
    assert calendar.redeem(code).json()["error"] == "invalid_grant"


@pytest.mark.both_databases
def test_deleting_a_client_by_sql_ends_its_tokens_at_once(
    calendar: Application, server: Application, sql: Sql
) -> None:
    tokens, others = calendar.log_in(), server.log_in()
    sql("DELETE FROM oauth_clients WHERE id = 'calendar'")
    assert (calendar.call(tokens), server.call(others)) == (401, 200)


def test_the_lifetimes_of_a_client_are_those_of_its_registration(
    ada: ConsoleClient, register: Callable[..., None], sql: Sql
) -> None:
    register(access_token_seconds=77, refresh_token_seconds=99, session_seconds=500)
    application = Application(ada)
    tokens = application.log_in()
    assert 75 <= tokens["expires_in"] <= 77
    assert 75 <= application.refresh(tokens["refresh_token"]).json()["expires_in"] <= 77
    sql("UPDATE oauth_clients SET grants = 'authorization_code'")
    assert "refresh_token" not in application.log_in()


def test_the_verifier_has_the_length_and_the_characters_of_the_standard(
    calendar: Application,
) -> None:
    code = calendar.get_code()
    for verifier in ("a" * 42, "a" * 129, "ä" * 50, "a" * 42 + "\n", " " * 50):
        answer = calendar.redeem(code, code_verifier=verifier)
        assert answer.json()["error"] == "invalid_grant", verifier
    for missing in ("code_verifier", "redirect_uri"):
        assert calendar.redeem(code, **{missing: None}).json()["error"] == "invalid_request"
    assert calendar.redeem(code).status_code == 200


def test_unknown_codes_are_limited(api: Client, calendar: Application) -> None:
    statuses = [calendar.redeem("cfc_made-up").status_code for _ in range(121)]
    assert statuses.count(400) == 120
    assert statuses[-1] == 429
