"""Accounts: registering, reading, changing and deleting one's own."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Response

from tests.support.administrator import Sql, count, events, give_role, insert_user
from tests.support.client import PASSWORD, Client, Tokens, read_tokens

pytestmark = pytest.mark.one_database

NEW = "another correct horse"


def patch(client: Client, tokens: Tokens, **fields: Any) -> Response:
    return client.http.patch("/users/me", json=fields, headers=tokens.headers)


def change_password(client: Client, tokens: Tokens, current: str, new: str) -> Response:
    body = {"current_password": current, "new_password": new}
    return client.http.put("/users/me/password", json=body, headers=tokens.headers)


def fields_of(response: Response) -> list[str]:
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"
    return [error["field"] for error in response.json()["errors"]]


def test_the_body_of_the_tutorials_registers_a_user(client: Client) -> None:
    body = {
        "name": "Ada",
        "surname": "Lovelace",
        "email": "ada@example.org",
        "website": "https://example.org/ada",
        "password": PASSWORD,
    }
    answer = client.http.post("/register", json=body)
    assert answer.status_code == 201
    user = answer.json()
    assert {field: user[field] for field in body if field != "password"} == {
        field: value for field, value in body.items() if field != "password"
    }
    assert user["roles"] == ["user"]
    assert "password" not in answer.text


def test_a_body_with_username_and_full_name_registers_a_user(client: Client) -> None:
    body = {
        "username": "ada",
        "full_name": "Ada Lovelace",
        "email": "ada@example.org",
        "password": PASSWORD,
    }
    answer = client.http.post("/register", json=body)
    assert answer.status_code == 201
    assert answer.json()["name"] == "Ada Lovelace"
    assert answer.json()["username"] == "ada"


@pytest.mark.both_databases
def test_an_address_is_taken_in_every_spelling(client: Client) -> None:
    client.register()
    for email in ["ada@example.org", "ADA@example.org", "ａｄａ@example.org"]:
        answer = client.register(email)
        assert answer.status_code == 409
        assert answer.json()["code"] == "email_taken"


def test_an_address_with_a_zero_width_character_is_refused(client: Client) -> None:
    assert fields_of(client.register("ad\u200ba@example.org")) == ["email"]


@pytest.mark.both_databases
def test_a_username_is_optional_and_taken_in_every_case(client: Client) -> None:
    assert client.register(username="Ada").json()["username"] == "Ada"
    taken = client.register("other@example.org", username="aDA")
    assert (taken.status_code, taken.json()["code"]) == (409, "username_taken")
    assert client.register("other@example.org").status_code == 201
    assert client.register("third@example.org").json()["username"] is None


@pytest.mark.both_databases
def test_one_logs_in_by_username_in_any_case(client: Client) -> None:
    client.register(username="Ada")
    for name in ("Ada", "ada", "ADA"):
        answer = client.http.post("/login", json={"username": name, "password": PASSWORD})
        assert answer.status_code == 200


def test_a_username_that_could_be_mistaken_is_refused(client: Client) -> None:
    for username in ["", "a b", "a@b", "-ada", "адa", "a" * 65, "a\x00"]:
        assert fields_of(client.register(username=username)) == ["username"]


def test_a_value_that_cannot_be_used_is_refused_by_the_name_of_its_field(client: Client) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"email": "no address"}, "email"),
        ({"email": None}, "email"),
        ({"name": ""}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "A" * 201}, "name"),
        ({"name": "A\x00"}, "name"),
        ({"name": "Ada\r\nX-Auth-Roles: admin"}, "name"),
        ({"surname": "A" * 201}, "surname"),
        ({"website": "x" * 2001}, "website"),
        ({"password": "short"}, "password"),
        ({"password": "passwordpassword"}, "password"),
        ({"password": "x" * 1025}, "password"),
        ({"password": "\ufdfa" * 300}, "password"),
        ({"password": 12345678}, "password"),
        ({"password": None}, "password"),
        ({"password": "ada@example.org"}, "password"),
        ({"surname": "Lovelace-Byron", "password": "lovelace-byron"}, "password"),
    ]
    for changes, field in cases:
        assert fields_of(client.register(**{"email": "ada@example.org", **changes})) == [field]


def test_a_name_is_needed(client: Client) -> None:
    body = {"email": "ada@example.org", "password": PASSWORD}
    assert fields_of(client.http.post("/register", json=body)) == ["name"]


SECRET = "hunter2 hunter2 hunter2"
WRONG_BODIES = [
    {"password": SECRET},
    {"email": "no address", "password": SECRET, "name": "Ada"},
    {"email": "ada@example.org", "password": [SECRET], "name": "Ada"},
    {"email": "ada@example.org", "password": {"p": SECRET}, "name": "Ada"},
    {"email": "ada@example.org", "password": SECRET * 50, "name": "Ada"},
    {"email": SECRET, "username": SECRET, "password": SECRET, "name": "Ada"},
    {"email": "ada@example.org", "password": "passwordpassword", "name": SECRET + "\x00"},
    [SECRET],
    SECRET,
]


def test_no_refusal_repeats_what_was_sent(client: Client) -> None:
    for body in WRONG_BODIES:
        for path in ["/register", "/login"]:
            answer = client.http.post(path, json=body)
            assert answer.status_code in {401, 422}
            assert SECRET not in answer.text


def test_a_password_change_is_refused_without_repeating_a_password(client: Client) -> None:
    tokens = client.sign_up()
    for body in ({"new_password": SECRET}, {"current_password": SECRET, "new_password": [SECRET]}):
        answer = client.http.put("/users/me/password", json=body, headers=tokens.headers)
        assert answer.status_code == 422
        assert SECRET not in answer.text


def test_a_body_that_cannot_be_read_is_refused_as_such(client: Client) -> None:
    headers = {"Content-Type": "application/json"}
    for body in [
        b"NaN",
        b'{"email": NaN, "password": Infinity}',
        b'"\\ud800"',
        b'{"email": "ada@example.org", "name": "\\ud800", "password": "correct horse battery"}',
        b'{"email": "ada@example.org", "name": "Ada", "password": "correct horse \\udfff"}',
        b'{"email": "ad\\ud800a@example.org", "name": "Ada", "password": "correct horse 1"}',
        b"\xff\xfe",
        b"[" * 60_000,
        b"9" * 5000,
        b'{"email": ',
        b"",
    ]:
        for path in ("/register", "/login"):
            answer = client.http.post(path, content=body, headers=headers)
            # A login knows no name: there the rest is well-formed.
            assert answer.status_code in ({400, 422} if path == "/register" else {400, 401, 422})
            assert answer.headers["content-type"] == "application/problem+json"
            json.loads(answer.text)


def test_the_own_account_is_read_by_one_self_alone(client: Client) -> None:
    tokens = client.sign_up(surname="Lovelace", username="ada")
    registered = client.me(tokens).json()
    assert registered["surname"] == "Lovelace"
    assert set(registered) == {
        *("id", "email", "username", "name", "surname", "website", "roles"),
        *("created_at", "updated_at"),
    }


def test_what_a_change_leaves_out_stays_and_what_it_sets_to_null_goes(client: Client) -> None:
    tokens = client.sign_up(surname="Lovelace", username="ada", website="https://example.org")
    answer = patch(client, tokens, surname=None, username=None, name="Augusta")
    assert answer.status_code == 200
    changed = client.me(tokens).json()
    assert changed == answer.json()
    assert changed["name"] == "Augusta"
    assert changed["surname"] is None
    assert changed["username"] is None
    assert changed["website"] == "https://example.org"


def test_a_name_and_an_address_cannot_be_set_to_nothing(client: Client) -> None:
    tokens = client.sign_up()
    assert patch(client, tokens, name=None, email=None).status_code == 200
    assert client.me(tokens).json()["name"] == "Ada"
    assert client.me(tokens).json()["email"] == "ada@example.org"


def test_an_empty_change_is_a_change_of_nothing(client: Client) -> None:
    tokens = client.sign_up()
    before = client.me(tokens).json()
    assert patch(client, tokens).status_code == 200
    assert client.me(tokens).json() == before


def test_nobody_promotes_himself(client: Client) -> None:
    assert client.register(roles=["admin"]).status_code == 422
    tokens = client.sign_up()
    for field in ({"roles": ["admin"]}, {"id": 1}, {"hashed_password": "x"}, {"session_epoch": 9}):
        assert patch(client, tokens, **field).status_code == 422
    assert client.me(tokens).json()["roles"] == ["user"]
    client.log_in()


def test_a_new_address_needs_the_current_password(client: Client) -> None:
    tokens = client.sign_up()
    for current in [None, "a wrong password", ""]:
        answer = patch(client, tokens, email="new@example.org", current_password=current)
        assert answer.status_code in {403, 422}
        assert client.me(tokens).json()["email"] == "ada@example.org"


def test_with_the_current_password_the_address_changes(client: Client) -> None:
    tokens = client.sign_up()
    answer = patch(client, tokens, email="New@Example.org", current_password=PASSWORD)
    assert answer.json()["email"] == "new@example.org"
    assert client.try_to_log_in("ada@example.org").status_code == 401
    client.log_in("new@example.org")


def test_the_same_address_in_another_spelling_is_no_change(client: Client) -> None:
    tokens = client.sign_up()
    assert patch(client, tokens, email="ADA@example.org").status_code == 200


def test_an_account_in_capitals_can_be_changed_without_the_password(
    client: Client, sql: Sql
) -> None:
    insert_user(sql, "ROOT@EXAMPLE.ORG")
    tokens = client.log_in("root@example.org")
    answer = patch(client, tokens, email="root@example.org", name="Root")
    assert answer.status_code == 200


@pytest.mark.both_databases
def test_what_another_holds_cannot_be_taken(client: Client) -> None:
    client.register("other@example.org", username="other")
    tokens = client.sign_up(username="ada")
    name = patch(client, tokens, username="OTHER")
    assert (name.status_code, name.json()["code"]) == (409, "username_taken")
    email = patch(client, tokens, email="OTHER@example.org", current_password=PASSWORD)
    assert (email.status_code, email.json()["code"]) == (409, "email_taken")
    assert patch(client, tokens, username="ADA").status_code == 200


@pytest.mark.both_databases
def test_a_new_password_ends_every_other_session_and_keeps_the_current_one(
    client: Client,
) -> None:
    tokens = client.sign_up()
    phone = client.log_in(client_id="phone")
    answer = change_password(client, tokens, PASSWORD, NEW)
    assert answer.headers["Cache-Control"] == "no-store"
    renewed = read_tokens(answer)

    assert client.me(phone).status_code == 401
    refused = client.refresh(phone.refresh_token, client_id="phone")
    assert refused.json()["error"] == "invalid_grant"
    assert client.me(renewed).status_code == 200
    assert [session["current"] for session in client.sessions(renewed)] == [True]
    assert client.refresh(renewed.refresh_token).status_code == 200

    assert client.try_to_log_in(password=PASSWORD).status_code == 401
    client.log_in(password=NEW)


def test_a_wrong_current_password_changes_nothing(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    phone = client.log_in()
    answer = change_password(client, tokens, "wrong horse", NEW)
    assert (answer.status_code, answer.json()["code"]) == (403, "wrong_password")
    assert client.me(phone).status_code == 200
    client.log_in(password=PASSWORD)
    assert "user.password_changed" not in events(sql)


def test_a_new_password_is_judged_as_at_registration(client: Client) -> None:
    names = {"username": "adalovelace", "name": "Ada King", "surname": "Augusta King"}
    tokens = client.sign_up("ada-lovelace@example.org", **names)
    for weak in [
        "short",
        "passwordpassword",
        "adalovelace",
        "ada-lovelace@example.org",
        "Augusta King",
    ]:
        assert fields_of(change_password(client, tokens, PASSWORD, weak)) == ["new_password"]
        assert fields_of(client.register("ada-lovelace@example.org", **names, password=weak)) == [
            "password"
        ]


def test_what_precedes_the_at_sign_is_no_password_later_on_either(client: Client) -> None:
    tokens = client.sign_up("ada-lovelace@example.org")
    assert fields_of(change_password(client, tokens, PASSWORD, "Ada-Lovelace")) == ["new_password"]


def test_a_narrowed_token_cannot_manage_the_account(client: Client, sql: Sql) -> None:
    client.register()
    give_role(sql, "moderator")
    tokens = client.log_in(scope="moderate")
    assert client.me(tokens).status_code == 200
    for answer in (
        patch(client, tokens, name="Eve"),
        change_password(client, tokens, PASSWORD, NEW),
        client.http.delete("/users/me", headers=tokens.headers),
        client.http.get("/sessions", headers=tokens.headers),
        client.http.delete("/sessions", headers=tokens.headers),
    ):
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_scope")


@pytest.mark.both_databases
def test_deleting_the_account_ends_it_at_once(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    assert client.http.delete("/users/me", headers=tokens.headers).status_code == 204
    assert client.me(tokens).status_code == 401
    assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant"
    assert client.try_to_log_in().status_code == 401
    assert count(sql, "users") == count(sql, "access_tokens") == count(sql, "sessions") == 0
    assert "user.deleted" in events(sql)


def test_the_last_administrator_cannot_delete_himself(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    give_role(sql, "admin")
    answer = client.http.delete("/users/me", headers=tokens.headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator")
    assert client.me(tokens).status_code == 200

    client.register("second@example.org")
    give_role(sql, "admin", "second@example.org")
    assert client.http.delete("/users/me", headers=tokens.headers).status_code == 204


@pytest.mark.both_databases
def test_of_many_registrations_of_one_address_exactly_one_succeeds(
    client: Client, sql: Sql
) -> None:
    spellings = ["ada@example.org", "Ada@Example.org", "ａｄａ@example.org", "ADA@EXAMPLE.ORG"] * 3
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(client.register, spellings))
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 11
    assert count(sql, "users") == 1


def test_an_account_shows_its_roles_even_to_a_credential_that_may_use_fewer(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]
    # The key was created before, and so may not use it.
    give_role(sql, "moderator")
    assert client.me(tokens).json()["roles"] == ["moderator", "user"]
    assert client.me(key).json()["roles"] == ["moderator", "user"]
