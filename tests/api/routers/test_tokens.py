"""Logging in by the OAuth form and by JSON, to the letter of RFC 6749 and of the design."""

import base64
from contextlib import ExitStack
from typing import Any

import bcrypt
import pytest
from httpx2 import Response

from tests.support.administrator import Sql, count, events, give_role, insert_user, user_id
from tests.support.client import PASSWORD, Client, MakeClient, read_tokens

pytestmark = pytest.mark.one_database

LOGIN = {"grant_type": "password", "username": "ada@example.org", "password": PASSWORD}


def ask(client: Client, form: Any = None, **more: Any) -> Response:
    return client.http.post("/token", data=LOGIN if form is None else form, **more)


def assert_oauth_error(answer: Response, error: str, status: int = 400) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    assert answer.json()["error"] == error
    assert set(answer.json()) == {"error", "error_description"}
    assert answer.text.isascii()


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_the_form_of_oauth_gets_a_pair_of_tokens(client: Client) -> None:
    client.register(username="ada")
    for name in ("ada@example.org", "ADA@example.org", "ada"):
        answer = ask(client, {**LOGIN, "username": name})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert set(body) == {"access_token", "token_type", "expires_in", "refresh_token", "scope"}
        assert (body["token_type"], body["expires_in"]) == ("bearer", 3600)
        assert body["access_token"].startswith("cfa_")
        assert body["refresh_token"].startswith("cfr_")
        assert client.me(body["access_token"]).status_code == 200


def test_json_gets_the_same_pair_as_the_form(client: Client) -> None:
    client.register(username="ada")
    form = ask(client)
    for field, name in (("email", "ada@example.org"), ("username", "ada"), ("username", "Ada")):
        answer = client.http.post("/login", json={field: name, "password": PASSWORD})
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert set(answer.json()) == set(form.json())
        assert client.me(answer.json()["access_token"]).status_code == 200


def test_json_takes_exactly_one_name(client: Client) -> None:
    for names in [{}, {"email": "ada@example.org", "username": "ada"}]:
        assert client.http.post("/login", json={**names, "password": PASSWORD}).status_code == 422


ERRORS: list[tuple[dict[str, Any], str]] = [
    ({}, "invalid_request"),
    ({"grant_type": "password"}, "invalid_request"),
    ({"grant_type": "password", "username": "ada@example.org"}, "invalid_request"),
    ({"grant_type": "password", "password": PASSWORD}, "invalid_request"),
    ({"username": "ada@example.org"}, "invalid_request"),
    ({"grant_type": "refresh_token"}, "invalid_request"),
    ({"refresh_token": "cfr_x"}, "invalid_request"),
    ({**LOGIN, "grant_type": "Password"}, "unsupported_grant_type"),
    ({**LOGIN, "grant_type": "implicit"}, "unsupported_grant_type"),
    (
        {**LOGIN, "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"},
        "unsupported_grant_type",
    ),
    ({**LOGIN, "password": "wrong horse"}, "invalid_grant"),
    ({**LOGIN, "username": "nobody@example.org"}, "invalid_grant"),
    ({**LOGIN, "password": ""}, "invalid_request"),
    ({**LOGIN, "password": "x" * 5000}, "invalid_grant"),
    ({**LOGIN, "username": "x" * 5000}, "invalid_grant"),
    ({**LOGIN, "username": "ada@example.org\x00"}, "invalid_request"),
    ({**LOGIN, "password": "a\x00b"}, "invalid_request"),
    ({**LOGIN, "scope": "admin"}, "invalid_scope"),
    ({**LOGIN, "scope": "account nonsense"}, "invalid_scope"),
    ({**LOGIN, "client_id": "x" * 201}, "invalid_request"),
    ({**LOGIN, "client_id": "phone\r\nX-Auth-Roles: admin"}, "invalid_request"),
    ({"grant_type": "refresh_token", "refresh_token": "nonsense"}, "invalid_grant"),
    ({"grant_type": "refresh_token", "refresh_token": "cfr_" + "a" * 49}, "invalid_grant"),
]


def test_each_fault_of_a_form_has_its_code(client: Client) -> None:
    client.register()
    for form, error in ERRORS:
        assert_oauth_error(ask(client, form), error)


def test_a_repeated_parameter_is_refused(client: Client) -> None:
    client.register()
    for name in ["grant_type", "username", "password", "scope", "client_id"]:
        form = {**LOGIN, name: [LOGIN.get(name, "account")] * 2}
        assert_oauth_error(ask(client, form), "invalid_request")


def test_what_is_no_form_is_refused_in_oauths_own_words(client: Client) -> None:
    for content, kind in [
        (b"username=%ff&password=x", "application/x-www-form-urlencoded"),
        (b"username=\xff&password=x", "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=b" % n for n in range(500)), "application/x-www-form-urlencoded"),
        (b"username=%ED%A0%80&password=x", "application/x-www-form-urlencoded"),
    ]:
        answer = client.http.post("/token", content=content, headers={"Content-Type": kind})
        assert_oauth_error(answer, "invalid_request")
    for kind in ("application/json", "text/plain"):
        answer = client.http.post(
            "/token", content=b"grant_type=password", headers={"Content-Type": kind}
        )
        assert_oauth_error(answer, "invalid_request", 415)


def test_nothing_is_taken_from_the_query_string(client: Client) -> None:
    client.register()
    assert_oauth_error(ask(client, {}, params=LOGIN), "invalid_request")
    partly = {"username": LOGIN["username"], "password": "wrong horse"}
    assert_oauth_error(ask(client, partly, params={"password": PASSWORD}), "invalid_grant")
    empty = client.http.post("/login", params={"email": "ada@example.org", "password": PASSWORD})
    assert empty.status_code == 422


def test_only_post_is_taken(client: Client) -> None:
    for path in ["/token", "/login", "/logout", "/register"]:
        answer = client.http.get(path, params=LOGIN)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert answer.json()["code"] == "method_not_allowed"


def test_a_missing_grant_type_is_a_login_only_with_name_and_password(client: Client) -> None:
    client.register()
    form = {name: value for name, value in LOGIN.items() if name != "grant_type"}
    assert ask(client, form).status_code == 200
    assert ask(client, {**form, "grant_type": ""}).status_code == 200
    assert_oauth_error(ask(client, {**form, "password": ""}), "invalid_request")


def test_the_empty_client_credentials_of_swagger_are_ignored(client: Client) -> None:
    client.register()
    tokens = read_tokens(ask(client, headers={"Authorization": "Basic Og=="}))
    for scheme in ["Basic", "basic"]:
        assert ask(client, headers={"Authorization": f"{scheme} Og=="}).status_code == 200
        assert client.sessions(tokens)[0]["client_id"] is None


def test_the_client_may_give_its_label_by_http_basic_or_in_the_form(client: Client) -> None:
    client.register()
    by_form = read_tokens(ask(client, {**LOGIN, "client_id": "phone"}))
    ask(client, headers=basic("Ada%27s+laptop:"))
    ask(client, {**LOGIN, "client_id": "tv"}, headers=basic("tv:any secret"))
    labels = {session["client_id"] for session in client.sessions(by_form)}
    assert labels == {"phone", "Ada's laptop", "tv"}


def test_http_basic_that_cannot_be_read_or_contradicts_the_form_is_refused(client: Client) -> None:
    client.register()
    form = {**LOGIN, "client_id": "phone"}
    for header in [
        *(b"Basic !!", b"Basic \xe9", b"Basic bm8gY29sb24=", b"Basic AGE6", b"Basic /////w=="),
        *(b"Basic dHY6", b"Basic JWZmOg=="),
    ]:
        assert_oauth_error(ask(client, form, headers={b"Authorization": header}), "invalid_request")


def test_an_empty_label_is_no_label(client: Client) -> None:
    client.register()
    tokens = client.log_in(client_id=" ")
    assert client.sessions(tokens)[0]["client_id"] is None
    assert client.refresh(tokens.refresh_token).status_code == 200


def test_the_label_of_json_and_of_the_form_is_the_same_label(client: Client) -> None:
    client.register()
    tokens = client.log_in(client_id=" phone ")
    assert client.refresh(tokens.refresh_token, client_id=" phone ").status_code == 200


def test_the_password_grant_can_be_switched_off(make_client: MakeClient) -> None:
    client = make_client(password_grant=False)
    tokens = client.sign_up()
    assert_oauth_error(ask(client), "unsupported_grant_type")
    without = {name: value for name, value in LOGIN.items() if name != "grant_type"}
    assert_oauth_error(ask(client, without), "unsupported_grant_type")
    assert client.refresh(tokens.refresh_token).status_code == 200


def comparable(answer: Response) -> tuple[int, dict[str, str], str]:
    # Every answer has an id of its own.
    headers = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
    return answer.status_code, headers, answer.text


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Grows by one for each hash that bcrypt computes."""
    computed: list[bytes] = []
    compute = bcrypt.hashpw

    def count_and_compute(password: bytes, salt: bytes) -> bytes:
        computed.append(salt)
        return compute(password, salt)

    monkeypatch.setattr(bcrypt, "hashpw", count_and_compute)
    return computed


def test_failed_logins_cannot_be_told_apart(client: Client, sql: Sql, hashes: list[bytes]) -> None:
    client.register(username="ada")
    client.register("off@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'off@example.org'")
    insert_user(sql, "byhand@example.org")
    sql("UPDATE users SET is_active = false WHERE email = 'byhand@example.org'")
    attempts = [
        ("nobody@example.org", PASSWORD),
        ("nobody", PASSWORD),
        ("n o b o d y", PASSWORD),
        ("no@body@nowhere", PASSWORD),
        ("ada@example.org", "wrong horse"),
        ("ADA", "wrong horse"),
        ("off@example.org", PASSWORD),
        ("off@example.org", "wrong horse"),
        ("byhand@example.org", PASSWORD),
    ]
    for path in ("/login", "/token"):
        answers, costs = [], []
        for name, password in attempts:
            hashes.clear()
            body = {"username": name, "password": password}
            if path == "/login":
                answers.append(comparable(client.http.post(path, json=body)))
            else:
                answers.append(comparable(client.http.post(path, data=body)))
            costs.append(len(hashes))
        assert all(answer == answers[0] for answer in answers)
        assert costs == [1] * len(attempts)
        assert answers[0][0] == (401 if path == "/login" else 400)


def test_a_failed_json_login_is_a_problem_with_a_challenge(client: Client) -> None:
    answer = client.try_to_log_in("nobody@example.org")
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.json()["code"] == "invalid_credentials"


def test_each_outcome_is_in_the_audit_log_without_a_secret(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    client.try_to_log_in(password="hunter2 hunter2")
    # Typed into the wrong field.
    client.try_to_log_in("hunter2 hunter2", "x")
    assert events(sql) == ["user.created", "login.succeeded", "login.failed", "login.failed"]
    log = str(sql("SELECT event, actor, subject, ip, detail FROM audit_events"))
    for secret in ("hunter2", PASSWORD, tokens.access_token, tokens.refresh_token):
        assert secret not in log
    assert "wrong password" in log
    assert "unknown user" in log


def fill_hashing(client: Client, stack: ExitStack) -> None:
    hashing = client.http.app.state.service.hashing  # type: ignore[attr-defined]
    while not hashing.is_full():
        stack.enter_context(hashing.reserve())


def test_too_many_passwords_at_once_are_told_to_come_back(
    make_client: MakeClient, request: pytest.FixtureRequest
) -> None:
    client = make_client(hashing_reserve=0)
    tokens = client.sign_up()
    taken = ExitStack()
    request.addfinalizer(taken.close)
    fill_hashing(client, taken)
    for answer in (client.try_to_log_in(), client.register("other@example.org")):
        assert answer.status_code == 503
        assert answer.headers["retry-after"] == "1"
        assert answer.json()["code"] == "busy"
    form = ask(client)
    assert_oauth_error(form, "temporarily_unavailable", 503)
    assert form.headers["retry-after"] == "1"
    assert client.me(tokens).status_code == 200


def test_a_login_may_ask_for_less_but_not_for_more(client: Client, sql: Sql) -> None:
    client.register()
    assert ask(client, {**LOGIN, "scope": "account"}).json()["scope"] == "account"
    assert ask(client, {**LOGIN, "scope": ""}).json()["scope"] == "account"
    assert client.try_to_log_in(scope="admin").json()["code"] == "invalid_scope"
    give_role(sql, "admin")
    assert ask(client).json()["scope"] == "account admin introspect moderate"
    narrowed = read_tokens(ask(client, {**LOGIN, "scope": "moderate introspect"}))
    assert narrowed.scope == "introspect moderate"
    refused = client.http.get("/sessions", headers=narrowed.headers)
    assert refused.json()["code"] == "insufficient_scope"


def test_a_scope_that_cannot_be_given_begins_no_session(client: Client, sql: Sql) -> None:
    client.register()
    assert_oauth_error(ask(client, {**LOGIN, "scope": "admin"}), "invalid_scope")
    assert count(sql, "sessions") == 0


def test_a_hash_of_lower_cost_is_upgraded_at_login(
    client: Client, make_client: MakeClient, sql: Sql
) -> None:
    client.register()
    dearer = make_client(bcrypt_rounds=5)
    dearer.log_in()
    assert ",r=5$" in sql("SELECT hashed_password FROM users")[0][0]
    client.log_in()
    assert ",r=5$" in sql("SELECT hashed_password FROM users")[0][0]


def test_a_stored_hash_that_is_none_refuses_the_login(client: Client, sql: Sql) -> None:
    client.register()
    for stored in ("", "!", PASSWORD, "$2b$12$"):
        sql(f"UPDATE users SET hashed_password = '{stored}'")
        assert client.try_to_log_in().status_code == 401


def test_a_token_that_the_client_brings_along_is_ignored(client: Client) -> None:
    client.register()
    mine = "cfa_" + "a" * 49
    form = {**LOGIN, "access_token": mine, "token": mine, "session_id": mine}
    headers = {"Authorization": f"Bearer {mine}", "Cookie": f"session={mine}"}
    tokens = read_tokens(ask(client, form, headers=headers))
    assert tokens.access_token != mine
    assert client.me(mine).status_code == 401
    again = client.log_in()
    assert again.access_token != tokens.access_token


def test_the_database_holds_no_token_that_was_given_out(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    rows = str(sql("SELECT * FROM access_tokens") + sql("SELECT * FROM refresh_tokens"))
    for token in (tokens.access_token, tokens.refresh_token):
        assert token not in rows
        assert token[4:20] not in rows


def test_a_password_typed_on_another_keyboard_is_the_same_password(client: Client) -> None:
    client.register(password="caf\u00e9 au lait")
    client.log_in(password="cafe\u0301 au lait")


def test_a_password_is_checked_to_its_last_character(client: Client) -> None:
    client.register(password="0123456789" * 7 + "abc")
    assert client.try_to_log_in(password="0123456789" * 7 + "abX").status_code == 401
    client.log_in(password="0123456789" * 7 + "abc")


def test_a_password_may_hold_nul_and_a_thousand_characters(client: Client, sql: Sql) -> None:
    for number, password in enumerate(["nul\x00nul\x00", "🐎🔋📎 " * 256]):
        email = f"ada{number}@example.org"
        assert client.register(email, password=password).status_code == 201
        client.log_in(email, password)
        assert client.try_to_log_in(email, password[:-1]).status_code == 401
        assert user_id(sql, email)
