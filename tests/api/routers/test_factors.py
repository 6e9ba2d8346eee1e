"""Authenticator apps and recovery codes: enrolling, logging in and confirming."""

import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pyotp
import pytest

from authentication.factors import sealing
from counterfoil.cookies import HEADER
from counterfoil.tokens import TokenKind, create
from database import clock
from harness.programs import require_program
from tests.support import factors
from tests.support.administrator import Sql, count, events, give_role, user_id
from tests.support.authenticator import Passkey
from tests.support.client import PASSWORD, Client, Tokens, read_tokens
from tests.support.factors import App, complete, confirm_session, mfa_token
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

MakeClient = Callable[..., Client]


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client(secret_keys=(factors.SECRET_KEY,), fresh_seconds=200)


@pytest.fixture
def tokens(client: Client) -> Tokens:
    return client.sign_up()


@pytest.fixture
def app(client: Client, tokens: Tokens, sql: Sql) -> App:
    return factors.enrol(client, tokens, sql)


def test_the_codes_are_those_of_oathtool(client: Client, tokens: Tokens) -> None:
    made = factors.begin(client, tokens).json()
    command = [require_program("oathtool"), "--totp", "--base32", made["secret"]]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    confirmed = factors.confirm(client, tokens, f"{code[:3]} {code[3:]}")
    assert confirmed.status_code == 200
    assert confirmed.headers["cache-control"] == "no-store"
    assert len(set(confirmed.json()["recovery_codes"])) == 10


def test_what_an_app_needs_is_shown_once(client: Client, tokens: Tokens) -> None:
    made = factors.begin(client, tokens, name="My phone")
    body = made.json()
    assert body["uri"].startswith("otpauth://totp/127.0.0.1:ada%40example.org?secret=")
    assert body["svg"].startswith("<svg")
    assert "<script" not in body["svg"]
    assert "style=" not in body["svg"]
    assert made.headers["cache-control"] == "no-store"
    assert client.http.get("/factors", headers=tokens.headers).json()["factors"] == []


def test_an_app_shows_the_name_of_the_application(make_client: MakeClient) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), application_name="Acme: Notes & more")
    uri = factors.begin(client, client.sign_up(), name="Phone").json()["uri"]
    assert uri.startswith("otpauth://totp/Acme%20Notes%20%26%20more:ada%40example.org?secret=")
    assert uri.endswith("&issuer=Acme%20Notes%20%26%20more")


def test_an_app_that_was_not_confirmed_is_never_asked_for(client: Client, tokens: Tokens) -> None:
    factors.begin(client, tokens)
    assert client.try_to_log_in().status_code == 200


def test_a_second_app_in_waiting_takes_the_place_of_the_first(
    client: Client, tokens: Tokens, sql: Sql
) -> None:
    first = App("", factors.begin(client, tokens).json()["secret"], [])
    second = App("", factors.begin(client, tokens).json()["secret"], [])
    assert count(sql, "totp_factors") == 1
    assert factors.confirm(client, tokens, first.code()).status_code == 403
    assert factors.confirm(client, tokens, second.code()).status_code == 200


def test_without_a_key_there_are_no_apps(make_client: MakeClient) -> None:
    client = make_client()
    answer = factors.begin(client, client.sign_up())
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


@pytest.mark.both_databases
def test_a_login_has_no_session_until_the_second_factor_is_given(
    client: Client, app: App, sql: Sql
) -> None:
    before = count(sql, "sessions")
    answer = client.try_to_log_in(client_id="Ada's phone")
    body = answer.json()
    assert body["methods"] == ["code", "recovery_code"]
    assert body["expires_in"] == 300
    assert answer.headers["www-authenticate"] == "Bearer"
    assert count(sql, "sessions") == before
    waiting = mfa_token(answer)
    assert client.me(waiting).status_code == 401
    begun = read_tokens(complete(client, mfa_token(client.try_to_log_in()), code=app.code()))
    give_role(sql, "admin")
    asked = client.http.post("/introspect", headers=begun.headers, data={"token": waiting})
    assert (asked.status_code, asked.json()) == (200, {"active": False})
    factors.wait_for_next_code(sql)
    begun = read_tokens(complete(client, waiting, code=app.code()))
    assert client.me(begun).status_code == 200
    assert client.sessions(begun)[0]["client_id"] == "Ada's phone"
    ((amr,),) = sql("SELECT amr FROM sessions WHERE client_id = 'Ada''s phone'")
    assert amr == "mfa otp pwd"
    assert "login.second_factor_asked" in events(sql)


def test_the_token_endpoint_asks_for_it_too(client: Client, app: App) -> None:
    form = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}
    answer = client.http.post("/token", data={**form, "scope": "account"})
    body = answer.json()
    assert (answer.status_code, body["error"]) == (400, "second_factor_required")
    assert body["methods"] == ["code", "recovery_code"]
    begun = read_tokens(complete(client, body["mfa_token"], code=app.code()))
    assert begun.scope == "account"


@pytest.mark.both_databases
def test_a_code_works_once(client: Client, tokens: Tokens, sql: Sql) -> None:
    made = factors.begin(client, tokens).json()
    app = App(made["id"], made["secret"], [])
    code = app.code()
    assert factors.confirm(client, tokens, code).status_code == 200
    waiting = mfa_token(client.try_to_log_in())
    # That of the confirmation, in several spellings.
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
    for spelling in (code, f" {code[:3]} {code[3:]}", wide):
        answer = complete(client, waiting, code=spelling)
        assert (answer.status_code, answer.json()["code"]) == (401, "invalid_code")
    factors.wait_for_next_code(sql)
    begun = read_tokens(complete(client, waiting, code=code))
    assert confirm_session(client, begun, code=code).status_code == 403
    assert complete(client, mfa_token(client.try_to_log_in()), code=code).status_code == 401


@pytest.mark.both_databases
def test_of_eight_logins_with_one_code_one_succeeds(client: Client, app: App) -> None:
    waiting = [mfa_token(client.try_to_log_in()) for _ in range(8)]
    code = app.code()
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda one: complete(client, one, code=code), waiting))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]


@pytest.mark.both_databases
def test_of_eight_requests_with_one_login_one_succeeds(client: Client, app: App, sql: Sql) -> None:
    before, waiting = count(sql, "sessions"), mfa_token(client.try_to_log_in())
    with ThreadPoolExecutor(8) as threads:
        given = [{"recovery_code": code} for code in app.recovery_codes[:8]]
        answers = list(threads.map(lambda one: complete(client, waiting, **one), given))
    assert [answer.status_code for answer in answers].count(200) == 1
    assert count(sql, "sessions") == before + 1
    assert sql("SELECT count(*) FROM recovery_codes WHERE used_at IS NOT NULL") == [(1,)]


@pytest.mark.parametrize(("steps", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 401)])
@pytest.mark.both_databases
def test_a_code_is_accepted_one_step_late_by_the_clock_of_the_database(
    client: Client, app: App, monkeypatch: pytest.MonkeyPatch, steps: int, status: int
) -> None:
    waiting = mfa_token(client.try_to_log_in())
    # The clock of the database is an hour ahead of that of the worker, and stands still.
    hour_ahead = datetime.now(UTC) + timedelta(hours=1)
    monkeypatch.setattr(clock, "read", lambda *_: hour_ahead)
    code = pyotp.TOTP(app.secret).at(int(hour_ahead.timestamp()) + 30 * steps)
    assert complete(client, waiting, code=code).status_code == status


@pytest.mark.both_databases
def test_no_code_before_the_last_one_is_accepted(client: Client, app: App, sql: Sql) -> None:
    factors.log_in(client, app)
    waiting = mfa_token(client.try_to_log_in())
    assert complete(client, waiting, code=app.code(-1)).status_code == 401


@pytest.mark.parametrize(
    "ended",
    [
        "UPDATE challenges SET expires_at = created_at",
        "UPDATE users SET session_epoch = session_epoch + 1",
        "UPDATE users SET is_active = false",
        "DELETE FROM challenges",
        "UPDATE challenges SET attempts = 5",
    ],
)
@pytest.mark.both_databases
def test_a_login_that_waits_ends(client: Client, app: App, sql: Sql, ended: str) -> None:
    waiting = mfa_token(client.try_to_log_in())
    sql(ended)
    answer = complete(client, waiting, code=app.code())
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid_mfa_token")


def test_a_login_that_waits_ends_when_a_factor_is_removed(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), factor_change_ends_sessions=False)
    tokens = client.sign_up()
    app = factors.enrol(client, tokens, sql)
    other = factors.begin(client, tokens, name="Tablet").json()
    assert factors.confirm(client, tokens, pyotp.TOTP(other["secret"]).now()).status_code == 200
    waiting = mfa_token(client.try_to_log_in())
    removed = client.http.delete(f"/factors/totp/{other['id']}", headers=tokens.headers)
    assert removed.status_code == 204
    assert complete(client, waiting, code=app.code()).json()["code"] == "invalid_mfa_token"


def test_a_login_that_waits_ends_after_five_wrong_codes(client: Client, app: App) -> None:
    waiting = mfa_token(client.try_to_log_in())
    codes = [complete(client, waiting, code="000000").json()["code"] for _ in range(5)]
    assert codes == ["invalid_code"] * 5
    assert complete(client, waiting, code=app.code()).json()["code"] == "invalid_mfa_token"
    assert client.me(factors.log_in(client, app)).status_code == 200


def test_a_login_that_waits_works_once_and_for_its_user_alone(
    client: Client, app: App, sql: Sql
) -> None:
    bob = factors.enrol(client, client.sign_up("bob@example.org"), sql)
    waiting = mfa_token(client.try_to_log_in())
    assert complete(client, waiting, code=bob.code()).json()["code"] == "invalid_code"
    assert complete(client, waiting, recovery_code=bob.recovery_codes[0]).status_code == 401
    assert complete(client, waiting, code=app.code()).status_code == 200
    factors.wait_for_next_code(sql)
    assert complete(client, waiting, code=app.code()).json()["code"] == "invalid_mfa_token"


@pytest.mark.both_databases
def test_a_factor_that_is_deleted_by_sql_is_not_asked_for_any_more(
    client: Client, app: App, sql: Sql
) -> None:
    waiting = mfa_token(client.try_to_log_in())
    sql(f"DELETE FROM totp_factors WHERE user_id = {user_id(sql)}")
    assert complete(client, waiting, code=app.code()).json()["code"] == "invalid_code"
    code = app.recovery_codes[0]
    assert complete(client, waiting, recovery_code=code).json()["code"] == "invalid_code"
    assert client.try_to_log_in().status_code == 200


def test_a_recovery_code_works_once(client: Client, app: App, sql: Sql) -> None:
    first = app.recovery_codes[0]
    waiting = mfa_token(client.try_to_log_in())
    begun = complete(client, waiting, recovery_code=first.lower().replace("-", " "))
    tokens = read_tokens(begun)
    again = mfa_token(client.try_to_log_in())
    assert complete(client, again, recovery_code=first).json()["code"] == "invalid_code"
    left = client.http.get("/factors", headers=tokens.headers).json()["recovery_codes_left"]
    assert left == 9
    assert "factor.recovery_code_used" in events(sql)
    made = client.http.post("/factors/recovery-codes", headers=tokens.headers).json()
    old, new = app.recovery_codes[1], made["recovery_codes"][0]
    assert complete(client, again, recovery_code=old).status_code == 401
    assert complete(client, again, recovery_code=new).status_code == 200


@pytest.mark.both_databases
def test_two_requests_with_one_recovery_code_get_one_pair(client: Client, app: App) -> None:
    waiting = [mfa_token(client.try_to_log_in()) for _ in range(8)]
    code = app.recovery_codes[0]
    with ThreadPoolExecutor(8) as threads:
        answers = list(threads.map(lambda one: complete(client, one, recovery_code=code), waiting))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 7]


def test_strangers_who_guess_codes_do_not_lock_the_owner_out(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(
        secret_keys=(factors.SECRET_KEY,),
        factor_attempts_per_account=7,
        trusted_proxies="10.0.0.0/8",
    )
    client.http._transport.client = ("10.0.0.1", 1234)  # type: ignore[attr-defined]
    come_from(client, "192.0.2.7")
    app = factors.enrol(client, client.sign_up(), sql)
    come_from(client, "203.0.113.9")
    assert [guess(client) for _ in range(2)] == [[401] * 5, [401, 401, 429, 429, 429]]
    # Not by the right code either.
    waiting = mfa_token(client.try_to_log_in())
    answer = complete(client, waiting, code=app.code())
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) > 1
    come_from(client, "192.0.2.7")
    assert client.me(factors.log_in(client, app)).status_code == 200
    assert events(sql).count("attempts.throttled") == 1


def guess(client: Client) -> list[int]:
    """Five wrong codes for one login."""
    waiting = mfa_token(client.try_to_log_in())
    return [complete(client, waiting, code="000000").status_code for _ in range(5)]


def come_from(client: Client, address: str) -> None:
    client.http.headers["X-Forwarded-For"] = address


def test_the_others_sessions_end_when_a_factor_is_added_or_removed(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    other = client.log_in()
    app = factors.enrol(client, tokens, sql)
    assert (client.me(tokens).status_code, client.me(other).status_code) == (200, 401)
    other = factors.log_in(client, app)
    removed = client.http.delete(f"/factors/totp/{app.id}", headers=tokens.headers)
    assert removed.status_code == 204
    assert (client.me(tokens).status_code, client.me(other).status_code) == (200, 401)
    assert count(sql, "recovery_codes") == 0
    assert client.try_to_log_in().status_code == 200


def test_other_sessions_stay_if_the_settings_say_so_and_are_not_fresh(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), factor_change_ends_sessions=False)
    tokens = client.sign_up()
    other = client.log_in()
    factors.enrol(client, tokens, sql)
    assert client.me(other).status_code == 200
    assert factors.begin(client, other).json()["code"] == "insufficient_user_authentication"


def test_the_password_alone_does_not_make_a_session_fresh_if_there_is_a_factor(
    client: Client, app: App, tokens: Tokens, sql: Sql, database_url: str
) -> None:
    factors.age(sql, database_url)
    answer = confirm_session(client, tokens, password=PASSWORD)
    assert (answer.status_code, answer.json()["code"]) == (401, "second_factor_required")
    assert answer.json()["methods"] == ["code", "recovery_code"]
    assert "mfa_token" not in answer.json()
    for request in dangerous(app):
        answer = client.http.request(headers=tokens.headers, **request)
        assert answer.json()["code"] == "insufficient_user_authentication", request
        challenge = 'Bearer error="insufficient_user_authentication", max_age="200"'
        assert answer.headers["www-authenticate"] == challenge
    assert confirm_session(client, tokens, code=app.code()).status_code == 204
    assert client.create_api_key(tokens)


def dangerous(app: App) -> list[dict[str, Any]]:
    """What a stolen session must not do, even with the password."""
    password = {"current_password": PASSWORD}
    new = {"new_password": "another horse of another colour"}
    return [
        {"method": "PUT", "url": "/users/me/password", "json": {**password, **new}},
        {"method": "PATCH", "url": "/users/me", "json": {"email": "eve@example.org", **password}},
        {"method": "PATCH", "url": "/users/me", "json": {"username": "eve", **password}},
        {"method": "POST", "url": "/factors/totp", "json": {}},
        {"method": "POST", "url": "/factors/recovery-codes"},
        {"method": "DELETE", "url": f"/factors/totp/{app.id}"},
        {"method": "POST", "url": "/api-keys", "json": {"name": "Key"}},
        {"method": "DELETE", "url": "/users/me"},
    ]


def test_after_a_reset_by_mail_the_factor_is_asked_for(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), **mailbox.settings)
    app = factors.enrol(client, client.sign_up(), sql)
    waiting = mfa_token(client.try_to_log_in())
    mailbox.take()
    client.http.post("/password/forgot", json={"email": "ada@example.org"})
    token = mailbox.take_one().token
    new = "another horse of another colour"
    answer = client.http.post("/password/reset", json={"token": token, "new_password": new})
    assert answer.status_code == 204, answer.text
    assert complete(client, waiting, code=app.code()).json()["code"] == "invalid_mfa_token"
    assert mfa_token(client.try_to_log_in(password=new))


def test_a_wrong_key_stops_codes_and_neither_recovery_codes_nor_passkeys(
    client: Client, tokens: Tokens, make_client: MakeClient, app: App
) -> None:
    phone, bearer = Passkey.synced(), tokens.headers
    made = phone.register(client.http.post("/passkeys/options", headers=bearer).json())
    named = {"name": "Phone", "credential": made}
    assert client.http.post("/passkeys", headers=bearer, json=named).status_code == 201
    other = make_client(secret_keys=(sealing.create_key(),))
    waiting = mfa_token(other.try_to_log_in())
    answer = complete(other, waiting, code=app.code())
    assert (answer.status_code, answer.json()["code"]) == (503, "totp_unavailable")
    assert complete(other, waiting, recovery_code=app.recovery_codes[0]).status_code == 200
    signed = phone.sign(other.http.post("/passkeys/login/options", json={}).json())
    begun = other.http.post("/passkeys/login", json={"credential": signed})
    assert begun.status_code == 200
    both = make_client(secret_keys=(sealing.create_key(), factors.SECRET_KEY))
    assert both.me(factors.log_in(both, app)).status_code == 200


def test_a_secret_that_is_copied_to_another_user_does_not_open(
    client: Client, app: App, sql: Sql
) -> None:
    factors.enrol(client, client.sign_up("bob@example.org"), sql)
    sql(
        "UPDATE totp_factors SET secret_sealed ="
        f" (SELECT secret_sealed FROM totp_factors WHERE id = '{app.id}')"
    )
    waiting = mfa_token(client.try_to_log_in("bob@example.org"))
    assert complete(client, waiting, code=app.code()).status_code == 503


def test_the_last_factor_stays_where_a_role_requires_one(
    client: Client, app: App, tokens: Tokens, sql: Sql
) -> None:
    give_role(sql, "moderator")
    sql("UPDATE roles SET requires_second_factor = true WHERE name = 'moderator'")
    answer = client.http.delete(f"/factors/totp/{app.id}", headers=tokens.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_factor")
    second = factors.enrol(client, tokens, sql)
    assert second.recovery_codes == []
    answer = client.http.delete(f"/factors/totp/{app.id}", headers=tokens.headers)
    assert answer.status_code == 204


def test_codes_cannot_be_guessed_from_a_stolen_session(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), factor_attempts_per_account=4)
    tokens = client.sign_up()
    app = factors.enrol(client, tokens, sql)
    statuses = [confirm_session(client, tokens, code="000000").status_code for _ in range(6)]
    assert statuses == [403, 403, 403, 403, 429, 429]
    assert confirm_session(client, tokens, code=app.code()).status_code == 429
    # Logins of the owner are counted apart, and end what was counted.
    begun = factors.log_in(client, app)
    factors.wait_for_next_code(sql)
    assert confirm_session(client, begun, code=app.code()).status_code == 204
    assert events(sql).count("factor.refused") == 4


def test_a_user_has_so_many_apps(client: Client, tokens: Tokens, sql: Sql) -> None:
    for _ in range(5):
        factors.enrol(client, tokens, sql)
    assert factors.begin(client, tokens).json()["code"] == "totp_limit_reached"
    other = factors.begin(client, client.sign_up("bob@example.org")).json()
    answer = client.http.delete(f"/factors/totp/{other['id']}", headers=tokens.headers)
    assert answer.status_code == 404


MALFORMED: list[dict[str, Any]] = [
    {},
    {"mfa_token": "cft_x"},
    {"mfa_token": "cft_x", "code": "1", "recovery_code": "2"},
    {"mfa_token": "cft_x", "code": None},
    {"mfa_token": "cft_x", "code": 492039},
    {"mfa_token": "cft_x", "code": "49\x002039"},
    {"mfa_token": "cft_x", "code": "1" * 51},
    {"mfa_token": ["cft_x"], "code": "1"},
    {"mfa_token": "x" * 201, "code": "1"},
    {"mfa_token": "cft_x", "code": "1", "password": "x"},
]


# It is rejected before the database is asked.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_malformed_second_step_is_rejected(client: Client) -> None:
    for body in MALFORMED:
        answer = client.http.post("/login/second-factor", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, "validation_failed"), body


def test_an_unknown_login_is_limited_like_any_unknown_token(make_client: MakeClient) -> None:
    client = make_client(refresh_misses_per_minute=3)
    unknown = create(TokenKind.TRANSACTION).text
    answers = [complete(client, unknown, code="000000") for _ in range(16)]
    assert {answer.status_code for answer in answers} <= {401, 429}
    assert answers[0].json()["code"] == "invalid_mfa_token"


def test_a_login_of_one_kind_is_not_completed_as_another(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), browser_sessions=True)
    app = factors.enrol(client, client.sign_up(), sql)
    login = {"email": "ada@example.org", "password": PASSWORD}
    own = {"Sec-Fetch-Site": "same-origin", HEADER: "1"}
    waiting = mfa_token(client.http.post("/browser-session", json=login, headers=own))
    assert complete(client, waiting, code=app.code()).json()["code"] == "invalid_mfa_token"
    body = {"mfa_token": waiting, "code": app.code()}
    assert client.http.post("/browser-session/second-factor", json=body).status_code == 403
    answer = client.http.post("/browser-session/second-factor", json=body, headers=own)
    assert answer.status_code == 200
    assert "cfa_" not in answer.text
    assert answer.cookies
    waiting = mfa_token(client.try_to_log_in())
    body = {"mfa_token": waiting, "recovery_code": app.recovery_codes[0]}
    answer = client.http.post("/browser-session/second-factor", json=body, headers=own)
    assert answer.json()["code"] == "invalid_mfa_token"


def test_an_administrator_sees_and_removes_the_factors_of_a_user(
    client: Client, app: App, tokens: Tokens, sql: Sql, database_url: str
) -> None:
    client.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    root, path = client.log_in("root@example.org"), f"/admin/users/{user_id(sql)}/factors"
    assert client.http.get(path, headers=tokens.headers).status_code == 403
    found = client.http.get(path, headers=root.headers).json()
    [listed] = found["factors"]
    assert (listed["kind"], listed["name"]) == ("totp", "Ada's app")
    assert (listed["last_used_at"], listed["clone_suspected_at"]) == (None, None)
    assert found["recovery_codes_left"] == 10
    assert client.http.get("/admin/users/999/factors", headers=root.headers).status_code == 404
    factors.age(sql, database_url)
    answer = client.http.delete(path, headers=root.headers)
    assert answer.json()["code"] == "insufficient_user_authentication"
    assert confirm_session(client, root, password=PASSWORD).status_code == 204
    assert client.http.delete(path, headers=root.headers).json() == {"removed": 1}
    assert client.me(tokens).status_code == 401
    assert client.try_to_log_in().status_code == 200
    assert client.http.delete(path, headers=root.headers).json() == {"removed": 0}


def test_the_user_is_told_of_factors_that_are_added_used_up_and_removed(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(secret_keys=(factors.SECRET_KEY,), **mailbox.settings)
    tokens = client.sign_up()
    mailbox.take()
    app = factors.enrol(client, tokens, sql)
    added = mailbox.take_one()
    assert added.subject == "New second factor for your account at Example"
    assert "Ada's app" in added.text
    waiting = mfa_token(client.try_to_log_in())
    assert complete(client, waiting, recovery_code=app.recovery_codes[0]).status_code == 200
    assert mailbox.take_one().subject == "A recovery code of your account at Example was used"
    client.http.delete(f"/factors/totp/{app.id}", headers=tokens.headers)
    assert mailbox.take_one().subject == "Second factor removed from your account at Example"
