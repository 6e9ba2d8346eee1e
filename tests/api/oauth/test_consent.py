"""Consent on pages: forms that are not ours, and how it is taken back."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.console import COOKIE, ConsoleClient
from tests.support.oauth import Application, answer_of, transaction_of

pytestmark = pytest.mark.one_database

Sql = Callable[..., list[tuple[Any, ...]]]

DECIDE = "/authorize/decision"


def test_consent_from_another_origin_is_rejected(calendar: Application, sql: Sql) -> None:
    ada = calendar.browser
    session = ada.http.cookies[COOKIE]
    for headers in (
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
    ):
        form = {"transaction": transaction_of(calendar.open()), "decision": "allow"}
        form["csrf_token"] = ada.form_token
        assert ada.submit_with(headers, DECIDE, **form).status_code == 403
        # Browsers do not send the cookie from another site.
        ada.http.cookies.delete(COOKIE)
        assert ada.submit_with(headers, DECIDE, **form).status_code == 403
        ada.http.cookies.set(COOKIE, session, domain="testserver.local")
    assert sql("SELECT count(*) FROM authorization_codes") == [(0,)]
    calendar.open()
    assert calendar.decide("allow", form["transaction"]).status_code == 200


def test_a_form_token_that_is_stale_or_of_another_session_is_rejected(
    calendar: Application, sql: Sql
) -> None:
    ada, transaction = calendar.browser, transaction_of(calendar.open())
    stale = ada.form_token
    ada.http.cookies.delete(COOKIE)
    ada.sign_in()
    for decision in ("allow", "deny"):
        for token in (stale, "", "0" * 80):
            ada.submit(DECIDE, transaction=transaction, decision=decision, csrf_token=token)
            assert ada.page.status_code == 403
    assert sql("SELECT count(*) FROM authorization_requests") == [(1,)]


def test_another_decision_is_none(calendar: Application, sql: Sql) -> None:
    for decision in ("", "Allow", "allow deny"):
        assert calendar.decide(decision, transaction_of(calendar.open())).status_code == 400
    assert sql("SELECT count(*) FROM authorization_codes") == [(0,)]


def test_a_stolen_session_allows_nothing_and_may_deny(
    calendar: Application, sql: Sql, database_url: str
) -> None:
    ada, hour_ago = calendar.browser, Clock(database_url).in_seconds(-3600)
    for decision, status in (("allow", 403), ("deny", 200)):
        transaction = transaction_of(calendar.open())
        sql(f"UPDATE sessions SET confirmed_at = {hour_ago}")
        assert calendar.decide(decision, transaction).status_code == status
    calendar.decide("allow", transaction_of(calendar.open()))
    assert "To allow this application, enter your password once more." in ada.text
    ada.confirm(DECIDE, "wrong")
    assert sql("SELECT count(*) FROM authorization_codes") == [(0,)]
    assert "code" in answer_of(ada.confirm(DECIDE))

    device = calendar.post("/device_authorization").json()
    sql(f"UPDATE sessions SET confirmed_at = {hour_ago}")
    ada.open("/device")
    ada.submit("/device/decision", user_code=device["user_code"], decision="allow")
    assert "To allow this device" in ada.text
    assert sql("SELECT approved_at FROM device_codes") == [(None,)]
    ada.confirm("/device/decision")
    assert sql("SELECT approved_at FROM device_codes") != [(None,)]


def test_what_was_allowed_is_taken_back_in_the_account(
    calendar: Application, api: Client, sql: Sql
) -> None:
    ada, tokens = calendar.browser, calendar.log_in()
    unused = answer_of(calendar.open())["code"]
    ada.open("/account")
    assert "Applications 1" in ada.text
    ada.submit("/account/applications/calendar/remove")
    assert "The application has no access any more." in ada.text
    assert "Applications" not in ada.text
    assert calendar.call(tokens) == 401
    assert calendar.redeem(unused).json()["error"] == "invalid_grant"
    assert 'value="allow"' in calendar.open().text
    ada.submit("/account/applications/calendar/remove")
    assert ada.page.status_code == 404
    assert "There is nothing here" in ada.text


def test_another_users_consent_is_not_touched(calendar: Application, api: Client, sql: Sql) -> None:
    tokens = calendar.log_in()
    ada = calendar.browser
    api.register("grace@example.org")
    ada.http.cookies.clear()
    ada.sign_in("grace@example.org")
    assert "Applications" not in ada.text
    ada.submit("/account/applications/calendar/remove")
    assert ada.page.status_code == 404
    assert calendar.call(tokens) == 200


def test_a_device_form_of_another_origin_or_with_another_token_is_rejected(
    calendar: Application, ada: ConsoleClient, sql: Sql
) -> None:
    device = calendar.post("/device_authorization").json()
    ada.open("/device")
    form = {"user_code": device["user_code"], "decision": "allow"}
    for path in ("/device", "/device/decision"):
        ada.open("/device")
        assert ada.submit_with({"Origin": "https://evil.example"}, path, **form).status_code == 403
        assert ada.submit(path, **form, csrf_token="0" * 80).status_code == 403
    assert sql("SELECT approved_at FROM device_codes") == [(None,)]
