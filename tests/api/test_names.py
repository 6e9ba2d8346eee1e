"""Names and labels: one rule for what is new, and whatever is stored is found as it is typed."""

from typing import Any

import pytest
from httpx2 import Response
from passlib.hash import bcrypt

from tests.support.administrator import Sql, give_role, insert_user
from tests.support.client import PASSWORD, Client, MakeClient, Tokens
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

INVISIBLE = [
    *("\u202e", "\u2066", "\u200b", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u061c", "\u2028"),
    *("\u3164", "\u115f", "\ufe0f", "\u2800", "\U000e0041", "\x1b", "\ue000"),
]


def patch(client: Client, tokens: Tokens, **fields: Any) -> Response:
    return client.http.patch("/users/me", json=fields, headers=tokens.headers)


def token_form(client: Client, **fields: str) -> Response:
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD, **fields}
    return client.http.post("/token", data=form)


@pytest.mark.parametrize("invisible", INVISIBLE, ids=ascii)
def test_no_door_takes_a_new_name_with_a_character_that_does_not_show(
    client: Client, invisible: str
) -> None:
    tokens = client.sign_up(username="ada")
    text = f"Ad{invisible}a"
    for field in ("name", "surname", "username", "website"):
        for answer in (
            client.register("new@example.org", **{"name": "New", field: text}),
            patch(client, tokens, **{field: text}),
        ):
            assert answer.status_code == 422
            assert answer.json()["errors"][0]["field"] == field
    assert patch(client, tokens, email=f"{text}@example.org").status_code == 422
    assert client.try_to_log_in(client_id=text).json()["errors"][0]["field"] == "client_id"
    refused = token_form(client, client_id=text)
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_request")
    key = client.http.post("/api-keys", json={"name": text}, headers=tokens.headers)
    assert key.json()["errors"][0]["field"] == "name"


@pytest.mark.parametrize("invisible", ["\u202e", "\u200b", "\u3164"], ids=ascii)
def test_nor_does_a_door_of_administrators(client: Client, sql: Sql, invisible: str) -> None:
    client.register(username="ada")
    give_role(sql, "admin")
    headers = client.log_in().headers
    text = f"Ad{invisible}a"

    def field(method: str, path: str, **body: Any) -> str:
        answer = client.http.request(method, path, json=body, headers=headers)
        assert answer.status_code == 422
        return str(answer.json()["errors"][0]["field"])

    for name in ("name", "surname", "username", "website"):
        new = {"email": "new@example.org", "name": "New", name: text}
        assert field("POST", "/admin/users", **new) == name
        assert field("PATCH", "/admin/users/1", **{name: text}) == name
    assert field("POST", "/admin/users", email=f"{text}@example.org", name="New") == "email"
    assert field("PATCH", "/admin/users/1", email=f"{text}@example.org") == "email"
    assert field("POST", "/admin/clients", name=text, redirect_uris=["https://a.example"]) == "name"


def test_a_name_in_any_script_is_a_name(client: Client) -> None:
    tokens = client.sign_up(username="ada")
    for name in ("Ада", "山田　太郎", "José", "نور", "O'Neil", "👋 Ada"):
        assert patch(client, tokens, name=name).json()["name"] == name


def test_nobody_takes_the_address_of_an_account_in_another_spelling(
    client: Client, sql: Sql
) -> None:
    insert_user(sql, "rene\u0301@example.org")
    assert client.register("ren\u00e9@example.org").json()["code"] == "email_taken"
    tokens = client.sign_up()
    change = {"email": "Ren\u00e9@example.org", "current_password": PASSWORD}
    taken = patch(client, tokens, **change)
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")


def test_a_stored_name_that_could_not_be_given_today_may_stay(client: Client, sql: Sql) -> None:
    tokens = client.sign_up(username="ada")
    sql("UPDATE users SET name = 'Ad\u200da', surname = 'Love\u202elace', username = 'ada l'")
    profile = {"name": "Ad\u200da", "surname": "Love\u202elace", "username": "ada l"}
    answer = patch(client, tokens, **profile, website="https://example.org")
    assert answer.status_code == 200
    assert {field: answer.json()[field] for field in profile} == profile
    assert patch(client, tokens, username="ada m").status_code == 422


def test_a_session_whose_label_could_not_be_given_today_can_be_refreshed(
    client: Client, sql: Sql
) -> None:
    client.register()
    tokens = client.log_in(client_id="phone")
    sql("UPDATE sessions SET client_id = 'pho\u200dne'")
    assert client.refresh(tokens.refresh_token, client_id="pho\u200dne").status_code == 200


@pytest.mark.parametrize("space", [" ", "\t", "\n", "\u3000", "\u00a0"], ids=ascii)
def test_white_space_around_a_name_is_taken_off_at_every_door(client: Client, space: str) -> None:
    def spaced(text: str) -> str:
        return f"{space}{text}{space}"

    client.register(spaced("ada@example.org"), username=spaced("ada"))
    for name in ("ada", "ada@example.org", "ADA"):
        body = {"username": spaced(name), "password": PASSWORD}
        assert client.http.post("/login", json=body).status_code == 200
        assert token_form(client, username=spaced(name)).status_code == 200
    tokens = client.log_in(spaced("ada@example.org"))
    changes = {"email": spaced("ADA@example.org"), "username": spaced("Ada"), "name": spaced("A")}
    me = patch(client, tokens, **changes).json()
    assert (me["email"], me["username"], me["name"]) == ("ada@example.org", "Ada", "A")
    assert client.create_api_key(tokens, name=spaced("Report"))["name"] == "Report"


def test_so_it_is_at_the_doors_of_administrators_and_of_those_who_have_forgotten(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings)
    client.register()
    give_role(sql, "admin")
    headers = client.log_in().headers
    names = {"email": "\tEve@example.org\n", "username": " eve ", "name": "\u3000Eve "}
    eve = client.http.post("/admin/users", json=names, headers=headers).json()
    assert (eve["email"], eve["username"], eve["name"]) == ("eve@example.org", "eve", "Eve")
    path = f"/admin/users/{eve['id']}"
    renamed = client.http.patch(path, json={"name": " Eva\n"}, headers=headers).json()
    assert renamed["name"] == "Eva"
    mailbox.take()
    for typed in (" ada@example.org", "ada@example.org\n"):
        asked = client.http.post("/password/forgot", json={"email": typed})
        assert asked.status_code == 202
        assert mailbox.take_one().to == "ada@example.org"


def test_white_space_around_a_password_belongs_to_it(client: Client) -> None:
    client.register(password=f" {PASSWORD} ")
    assert client.try_to_log_in(password=PASSWORD).status_code == 401
    assert client.try_to_log_in(password=f" {PASSWORD} ").status_code == 200


ADDRESSES = [
    "svc@company.local",
    "SVC@Company.local",
    "root@localhost",
    "no address at all",
    "rene\u0301@example.org",
    "ÉVE@example.org",
    "a\u200bb@example.org",
]


@pytest.mark.parametrize("address", ADDRESSES, ids=ascii)
def test_an_account_is_found_by_the_address_with_which_it_was_moved(
    client: Client, sql: Sql, address: str
) -> None:
    insert_user(sql, address)
    body = {"username": address, "password": PASSWORD}
    assert token_form(client, username=address).status_code == 200
    assert client.http.post("/login", json=body).status_code == 200
    tokens = client.log_in(address)
    assert patch(client, tokens, email=address, name="Moved").status_code == 200
    assert patch(client, tokens, email="new@company.local").status_code == 422


def test_an_account_is_found_by_an_address_that_is_too_long_to_be_new(
    client: Client, sql: Sql
) -> None:
    address = "x" * 308 + "@example.org"
    insert_user(sql, address)
    client.log_in(address)
    assert token_form(client, username=address).status_code == 200


def test_an_account_is_found_by_the_username_with_which_it_was_moved(
    client: Client, sql: Sql
) -> None:
    insert_user(sql, "ada@example.org")
    for username in ("svc@company.local", "Ada Lovelace", "Ünal"):
        sql(f"UPDATE users SET username = '{username}'")
        assert token_form(client, username=username).status_code == 200


def test_a_password_that_another_system_has_hashed_as_it_was_typed_is_right_at_every_door(
    client: Client, sql: Sql
) -> None:
    password = "Straße\u00b2024 \ufb01ve"
    insert_user(sql, "ada@example.org", password)
    tokens = client.log_in(password=password)
    upgraded = sql("SELECT hashed_password FROM users")
    assert upgraded[0][0].startswith("$bcrypt-sha256$")
    client.log_in(password="Straße2024 five")

    insert_user(sql, "eve@example.org", password)
    eve = client.log_in("eve@example.org", password)
    sql(f"UPDATE users SET hashed_password = '{bcrypt.using(rounds=4).hash(password)}'")
    assert token_form(client, username="ada@example.org", password=password).status_code == 200
    sql(f"UPDATE users SET hashed_password = '{bcrypt.using(rounds=4).hash(password)}'")
    answer = patch(client, tokens, email="new@example.org", current_password=password)
    assert answer.status_code == 200
    body = {"current_password": password, "new_password": "another correct horse"}
    changed = client.http.put("/users/me/password", json=body, headers=eve.headers)
    assert changed.is_success


def test_the_address_that_was_typed_comes_before_its_normal_form(client: Client, sql: Sql) -> None:
    moved = insert_user(sql, "rene\u0301@example.org", "the password of the first")
    other = insert_user(sql, "ren\u00e9@example.org")
    first = client.log_in("rene\u0301@example.org", "the password of the first")
    assert client.me(first).json()["id"] == moved
    assert client.me(client.log_in("ren\u00e9@example.org")).json()["id"] == other


@pytest.mark.parametrize(
    "username", ["1", "0042", "１", "²", "+1", "-1", " 1", "1 ", "٣", "1\u200b", "", " "], ids=ascii
)
def test_nobody_takes_a_username_that_could_be_an_id(client: Client, username: str) -> None:
    tokens = client.sign_up()
    for answer in (
        client.register("new@example.org", username=username),
        patch(client, tokens, username=username),
    ):
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "username"


def test_a_username_may_contain_digits(client: Client) -> None:
    for number, username in enumerate(("a1", "1a", "1.0", "1-2", "007_")):
        assert client.register(f"{number}@example.org", username=username).status_code == 201
