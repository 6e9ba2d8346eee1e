"""Devices on which nobody can sign in (RFC 8628)."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.administrator import Sql, count, events, user_id
from tests.support.client import Client
from tests.support.console import ConsoleClient
from tests.support.oauth import DEVICE_GRANT, SECRET, Application

pytestmark = pytest.mark.one_database

EARLIER = "UPDATE device_codes SET polled_at = '2026-01-01 00:00:00+00:00'"


def begin(application: Application, **fields: Any) -> dict[str, Any]:
    answer = application.post("/device_authorization", **fields)
    assert answer.status_code == 200, answer.text
    codes: dict[str, Any] = answer.json()
    return codes


def poll(application: Application, codes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    form = {"grant_type": DEVICE_GRANT, "device_code": codes["device_code"], **fields}
    answer: dict[str, Any] = application.post("/token", **form).json()
    return answer


def decide(application: Application, user_code: str, decision: str = "allow") -> str:
    """The text of the page after the decision."""
    browser = application.browser
    browser.open("/device")
    browser.submit("/device", user_code=user_code)
    browser.submit("/device/decision", user_code=user_code, decision=decision)
    return browser.text


@pytest.mark.both_databases
def test_a_device_gets_tokens_once_its_user_has_allowed_it(calendar: Application, sql: Sql) -> None:
    codes = begin(calendar)
    assert codes["verification_uri_complete"].endswith(f"/device?user_code={codes['user_code']}")
    assert (codes["expires_in"], codes["interval"]) == (600, 5)
    assert poll(calendar, codes)["error"] == "authorization_pending"
    browser = calendar.browser
    browser.open("/device", **{"user-agent": "Mozilla"})
    # Case and dashes do not matter.
    typed = codes["user_code"].replace("-", " ").lower()
    browser.submit("/device", user_code=typed)
    for shown in ("Calendar", "testclient", "account"):
        assert shown in browser.text
    assert "connected" in decide(calendar, typed)
    tokens = poll(calendar, codes)
    assert calendar.call(tokens) == 200
    assert calendar.refresh(tokens["refresh_token"]).status_code == 200
    # It works once, and a second time ends nothing: somebody may have seen the code.
    assert poll(calendar, codes)["error"] == "invalid_grant"
    assert events(sql).count("device.approved") == events(sql).count("device.redeemed") == 1
    assert "No device shows this code" in decide(calendar, typed)


def test_a_device_is_told_what_became_of_its_request(calendar: Application, sql: Sql) -> None:
    denied, expired = begin(calendar), begin(calendar)
    assert "no access" in decide(calendar, denied["user_code"], "deny")
    assert poll(calendar, denied)["error"] == "access_denied"
    sql("UPDATE device_codes SET expires_at = created_at WHERE denied_at IS NULL")
    assert poll(calendar, expired)["error"] == "expired_token"
    assert "No device shows this code" in decide(calendar, expired["user_code"])
    assert poll(calendar, {"device_code": "cfd_made-up"})["error"] == "invalid_grant"
    assert events(sql).count("device.denied") == 1


@pytest.mark.both_databases
def test_a_device_that_asks_too_often_has_to_wait_longer_for_good(
    calendar: Application, sql: Sql
) -> None:
    codes = begin(calendar)
    assert poll(calendar, codes)["error"] == "authorization_pending"
    assert poll(calendar, codes)["error"] == "slow_down"
    assert poll(calendar, codes)["error"] == "slow_down"
    assert sql("SELECT interval_seconds FROM device_codes") == [(15,)]
    sql(EARLIER)
    assert poll(calendar, codes)["error"] == "authorization_pending"
    assert sql("SELECT interval_seconds FROM device_codes") == [(15,)]


def test_a_device_code_is_of_one_client_and_one_user(
    calendar: Application, server: Application, api: Client, sql: Sql
) -> None:
    codes = begin(calendar)
    decide(calendar, codes["user_code"])
    stolen = poll(calendar, codes, client_id="server", client_secret=SECRET)
    assert stolen["error"] == "invalid_grant"
    for statement in (
        "DELETE FROM access_tokens WHERE user_id = {user}",
        "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {user}",
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {user}",
    ):
        calendar.browser.http.cookies.clear()
        calendar.browser.sign_in()
        codes = begin(calendar)
        decide(calendar, codes["user_code"])
        sql(statement.format(user=user_id(sql)))
        assert poll(calendar, codes)["error"] == "invalid_grant", statement


@pytest.mark.both_databases
def test_of_eight_polls_at_once_one_gets_tokens(calendar: Application, sql: Sql) -> None:
    codes = begin(calendar)
    decide(calendar, codes["user_code"])
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda _: poll(calendar, codes), range(8)))
    assert sorted("access_token" in answer for answer in answers) == [False] * 7 + [True]
    assert calendar.call(next(one for one in answers if "access_token" in one)) == 200


def test_guesses_at_user_codes_are_few(calendar: Application) -> None:
    codes = begin(calendar)
    browser = calendar.browser
    browser.open("/device")
    statuses = [browser.submit("/device", user_code="BCDF-GHJK").status_code for _ in range(20)]
    assert set(statuses) == {404}
    refused = browser.submit("/device", user_code=codes["user_code"])
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) > 0
    browser.open("/device")
    form = {"user_code": codes["user_code"], "decision": "allow"}
    assert browser.submit("/device/decision", **form).status_code == 429
    assert poll(calendar, codes)["error"] == "authorization_pending"


def test_device_codes_are_few_and_take_a_client_that_may_have_them(
    calendar: Application, server: Application, register: Callable[..., None], sql: Sql
) -> None:
    register("web", grants="authorization_code")
    for form, error in (
        ({"client_id": None}, "invalid_client"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": "server"}, "invalid_client"),
        ({"client_id": "web"}, "unauthorized_client"),
        ({"scope": "admin"}, "invalid_scope"),
        ({"client_id": "server", "client_secret": "cfs_wrong"}, "invalid_client"),
    ):
        assert calendar.post("/device_authorization", **form).json()["error"] == error, form
    assert count(sql, "device_codes") == 0
    statuses = [calendar.post("/device_authorization").status_code for _ in range(31)]
    assert (statuses.count(200), statuses[-1]) == (30, 429)
    assert count(sql, "device_codes") == 30


def test_only_somebody_who_is_signed_in_enters_a_code(
    console: ConsoleClient, register: Callable[..., None]
) -> None:
    register()
    codes = begin(Application(console))
    page = console.http.get(f"/device?user_code={codes['user_code']}", follow_redirects=False)
    assert page.headers["location"].startswith("/sign-in?next=%2Fdevice%3Fuser_code")
    assert console.http.post("/device", data={"user_code": codes["user_code"]}).status_code == 200
    assert "Sign in" in console.open("/device").text
