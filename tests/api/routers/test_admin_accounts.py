"""Accounts and roles that administrators create, change and delete, and lists as CSV."""

import csv
import io
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from httpx2 import Response
from sqlalchemy.engine import make_url

from authentication.administration import exports
from database.models import User
from database.models.user import NO_PASSWORD
from tests.support.administrator import Sql, give_role, take_role
from tests.support.client import Client, Tokens
from tests.support.mailbox import Mailbox

pytestmark = pytest.mark.one_database

MakeClient = Callable[..., Client]

ROLES = "GRANT INSERT, UPDATE, DELETE ON roles TO {0}; GRANT USAGE ON SEQUENCE roles_id_seq TO {0}"


@pytest.fixture
def admin(client: Client, sql: Sql) -> Tokens:
    """An administrator, user 1."""
    client.register("root@example.org", name="Root")
    give_role(sql, "admin", "root@example.org")
    return client.log_in("root@example.org")


@pytest.fixture
def may_change_roles(database_url: str, service_url: str, sql: Sql) -> Iterator[None]:
    """As after `migrate --grant-to ROLE --manage-roles`."""
    if database_url.startswith("sqlite"):
        yield
        return
    role = make_url(service_url).username
    sql(ROLES.format(role))
    yield
    sql(f"REVOKE INSERT, UPDATE, DELETE ON roles FROM {role}")


def call(client: Client, tokens: Tokens, method: str, path: str, body: Any = None) -> Response:
    return client.http.request(method, path, headers=tokens.headers, json=body)


def create(client: Client, admin: Tokens, email: str = "new@example.org", **more: Any) -> Response:
    return call(client, admin, "POST", "/admin/users", {"email": email, "name": "New", **more})


def test_a_person_is_created_and_sets_a_password_by_a_mail(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings)
    client.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    admin = client.log_in("root@example.org")
    made = create(client, admin, roles=["user", "moderator"])
    assert made.status_code == 201
    assert (made.json()["has_password"], made.json()["roles"]) == (False, ["moderator", "user"])
    assert client.try_to_log_in("new@example.org", NO_PASSWORD).status_code == 401
    sent = call(client, admin, "POST", f"/admin/users/{made.json()['id']}/reset")
    assert (sent.status_code, sent.content) == (202, b"")
    mail = mailbox.take_one("new@example.org")
    password = "a bernoulli number by engine"
    body = {"token": mail.token, "new_password": password}
    assert client.http.post("/password/reset", json=body).status_code in {200, 204}
    assert client.try_to_log_in("new@example.org", password).status_code == 200
    user = call(client, admin, "GET", f"/admin/users/{made.json()['id']}").json()
    assert user["has_password"] is True


def test_a_service_account_has_keys_that_an_administrator_makes(
    client: Client, admin: Tokens
) -> None:
    made = create(client, admin, "reports@example.org", roles=["moderator"]).json()
    path = f"/admin/users/{made['id']}/api-keys"
    key = call(client, admin, "POST", path, {"name": "Nightly", "scopes": ["moderate"]})
    assert key.status_code == 201
    assert client.me(key.json()["key"]).json()["email"] == "reports@example.org"
    mine = call(client, admin, "POST", "/admin/users/1/api-keys", {"name": "Nightly"})
    assert (mine.status_code, mine.json()["code"]) == (409, "password_set")
    more = {"name": "Nightly", "scopes": ["admin"]}
    assert call(client, admin, "POST", path, more).json()["code"] == "invalid_scope"


def test_nobody_but_an_administrator_can_open_a_service_account_to_people(
    make_client: MakeClient, mailbox: Mailbox, sql: Sql
) -> None:
    client = make_client(**mailbox.settings)
    client.register("root@example.org")
    give_role(sql, "admin", "root@example.org")
    admin = client.log_in("root@example.org")
    email = "reports@example.org"
    own = f"/admin/users/{create(client, admin, email).json()['id']}"
    assert client.http.post("/password/forgot", json={"email": email}).status_code == 202
    # A person who has been created asks for one as everybody does.
    assert mailbox.take_one(email).token
    key = call(client, admin, "POST", f"{own}/api-keys", {"name": "Nightly"}).json()
    mailbox.take()
    assert client.http.post("/password/forgot", json={"email": email}).status_code == 202
    assert mailbox.take() == []
    for password in ("", NO_PASSWORD, key["key"]):
        body = {"username": email, "password": password}
        assert client.http.post("/login", json=body).status_code in {401, 422}
        assert client.http.post("/token", data=body).status_code == 400
    assert call(client, admin, "POST", f"{own}/reset").status_code == 202
    assert mailbox.take_one(email).token


def test_a_service_account_is_no_administrator_who_is_left(client: Client, admin: Tokens) -> None:
    service = create(client, admin, "reports@example.org", roles=["admin"]).json()
    for method, path, body in (
        ("DELETE", "/users/me", None),
        ("DELETE", "/admin/users/1", None),
        ("PATCH", "/admin/users/1", {"is_active": False}),
        ("PATCH", "/admin/users/1", {"roles": ["user"]}),
    ):
        answer = call(client, admin, method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "last_administrator"), path
    assert call(client, admin, "DELETE", f"/admin/users/{service['id']}").status_code == 204


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_account_that_cannot_be_is_not_created(client: Client, admin: Tokens) -> None:
    bodies: list[tuple[Any, int]] = [
        ({"email": "root@example.org", "name": "Twice"}, 409),
        ({"email": "ROOT@example.org", "name": "Twice"}, 409),
        ({"email": "no address", "name": "New"}, 422),
        ({"email": "x@example.org", "name": " "}, 422),
        ({"email": "x@example.org", "name": "New", "roles": ["none"]}, 422),
        ({"email": "x@example.org", "name": "New", "password": "a password"}, 422),
        ({"email": "x@example.org", "name": "New", "username": "123"}, 422),
        ({"email": "x\u0000@example.org", "name": "New"}, 422),
        ({"email": "x@example.org"}, 422),
        ([], 422),
    ]
    for body, status in bodies:
        assert call(client, admin, "POST", "/admin/users", body).status_code == status, body


@pytest.mark.both_databases
def test_of_eight_that_create_the_same_user_one_succeeds(client: Client, admin: Tokens) -> None:
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: create(client, admin).status_code, range(8)))
    assert sorted(found) == [201, *[409] * 7]


def test_a_user_is_renamed_and_goes_on(client: Client, admin: Tokens) -> None:
    tokens = client.sign_up("ada@example.org", username="ada")
    change = {"email": "countess@example.org", "surname": "King", "username": None}
    changed = call(client, admin, "PATCH", "/admin/users/2", change)
    assert changed.status_code == 200
    seen = client.me(tokens).json()
    assert (seen["email"], seen["surname"], seen["username"], seen["name"]) == (
        *("countess@example.org", "King", None, "Ada"),
    )
    taken = call(client, admin, "PATCH", "/admin/users/2", {"email": "root@example.org"})
    assert taken.json()["code"] == "email_taken"
    # An address cannot be taken away.
    assert call(client, admin, "PATCH", "/admin/users/2", {"email": None}).status_code == 200
    assert client.me(tokens).json()["email"] == "countess@example.org"


@pytest.mark.both_databases
def test_a_deleted_user_is_gone_with_everything_but_the_last_administrator_stays(
    client: Client, admin: Tokens
) -> None:
    tokens = client.sign_up()
    key = client.create_api_key(tokens)["key"]
    assert call(client, admin, "DELETE", "/admin/users/2").status_code == 204
    assert (client.me(tokens).status_code, client.me(key).status_code) == (401, 401)
    assert call(client, admin, "DELETE", "/admin/users/2").status_code == 404
    last = call(client, admin, "DELETE", "/admin/users/1")
    assert (last.status_code, last.json()["code"]) == (409, "last_administrator")


@pytest.mark.usefixtures("may_change_roles")
@pytest.mark.parametrize("invisible", ["\u202e", "\u200b", "\u3164"], ids=ascii)
def test_no_role_is_named_or_described_with_a_character_that_does_not_show(
    client: Client, admin: Tokens, invisible: str
) -> None:
    text = f"sup{invisible}port"
    for method, path, body, field in (
        ("POST", "/admin/roles", {"name": text}, "name"),
        ("POST", "/admin/roles", {"name": "support", "description": text}, "description"),
        ("PATCH", "/admin/roles/user", {"description": text}, "description"),
    ):
        answer = call(client, admin, method, path, body)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


@pytest.mark.usefixtures("may_change_roles")
def test_a_role_is_created_given_changed_and_deleted_and_holds_at_once(
    client: Client, admin: Tokens
) -> None:
    tokens = client.sign_up()
    body = {"name": "support", "description": "Reads orders", "scopes": "orders:read"}
    assert call(client, admin, "POST", "/admin/roles", body).json() == {
        **body,
        "scopes": ["orders:read"],
        "requires_second_factor": False,
    }
    assert call(client, admin, "POST", "/admin/roles", body).json()["code"] == "role_taken"
    call(client, admin, "PATCH", "/admin/users/2", {"roles": ["support", "user"]})
    assert scopes(client, tokens) == "account orders:read"
    call(client, admin, "PATCH", "/admin/roles/support", {"scopes": "orders:write"})
    assert scopes(client, tokens) == "account orders:write"
    (support,) = (
        role
        for role in call(client, admin, "GET", "/admin/roles").json()
        if role["name"] == "support"
    )
    assert (support["users"], support["description"]) == (1, "Reads orders")
    assert call(client, admin, "DELETE", "/admin/roles/support").status_code == 204
    assert scopes(client, tokens) == "account"
    assert call(client, admin, "DELETE", "/admin/roles/support").status_code == 404
    for name, code in (("user", "role_required"), ("admin", "last_administrator")):
        assert call(client, admin, "DELETE", f"/admin/roles/{name}").json()["code"] == code


def scopes(client: Client, tokens: Tokens) -> str:
    return str(client.http.get("/verify", headers=tokens.headers).headers["X-Auth-Scopes"])


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_service_that_may_not_change_roles_says_so(client: Client, admin: Tokens) -> None:
    for method, path, body in (
        ("POST", "/admin/roles", {"name": "support"}),
        ("PATCH", "/admin/roles/user", {"scopes": "x"}),
        ("DELETE", "/admin/roles/moderator", None),
    ):
        answer = call(client, admin, method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "roles_read_only")


@pytest.mark.both_databases
def test_users_are_sorted_and_counted(client: Client, admin: Tokens) -> None:
    for name in ("c", "a", "b"):
        client.register(f"{name}@example.org")
    for order, expected in (
        ("newest", ["b", "a", "c", "root"]),
        ("oldest", ["root", "c", "a", "b"]),
        ("email", ["a", "b", "c", "root"]),
    ):
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            query = f"order={order}&limit=3&with_total=true{cursor}"
            page = call(client, admin, "GET", f"/admin/users?{query}").json()
            assert page["total"] == 4
            found += [user["email"].partition("@")[0] for user in page["items"]]
            cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else None
        assert found == expected
    assert call(client, admin, "GET", "/admin/users").json()["total"] is None
    assert call(client, admin, "GET", "/admin/users?order=id").status_code == 422


@pytest.mark.both_databases
def test_the_audit_log_is_searched_by_address(client: Client, admin: Tokens) -> None:
    client.sign_up("ada@example.org")
    client.sign_up("grace@example.org")
    for field in ("subject", "actor"):
        path = f"/admin/audit-events?{field}=Ada@example.org"
        found = call(client, admin, "GET", path).json()["items"]
        assert found
        assert {event[field] for event in found} == {"user:2"}
    path = "/admin/audit-events?subject=nobody@example.org"
    assert call(client, admin, "GET", path).json()["items"] == []


def rows(answer: Response) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    return list(csv.DictReader(io.StringIO(answer.text, newline="")))


def test_lists_are_exported_and_no_cell_is_a_formula(
    client: Client, admin: Tokens, sql: Sql
) -> None:
    formula, in_full_width = '=HYPERLINK("http://evil.example")', "\uff1d1+1"
    names = {"name": formula, "surname": 'a "b", c', "website": in_full_width}
    client.sign_up("ada@example.org", **names)
    users = rows(call(client, admin, "GET", "/admin/users.csv"))
    assert [user["email"] for user in users] == ["ada@example.org", "root@example.org"]
    assert (users[0]["name"], users[0]["website"]) == (f"'{formula}", f"'{in_full_width}")
    assert (users[0]["surname"], users[0]["roles"]) == ('a "b", c', "user")
    assert users[1]["roles"] == "admin user"
    (one,) = rows(call(client, admin, "GET", "/admin/users.csv?q=root"))
    assert one["id"] == "1"
    sessions = rows(call(client, admin, "GET", "/admin/sessions.csv?user_id=2"))
    assert [session["email"] for session in sessions] == ["ada@example.org"]
    events = rows(call(client, admin, "GET", "/admin/audit-events.csv?subject=ada@example.org"))
    assert {event["subject"] for event in events} == {"user:2"}
    for path in ("/admin/users.csv", "/admin/sessions.csv", "/admin/audit-events.csv"):
        text = call(client, admin, "GET", path).text
        assert "cfa_" not in text
        assert "bcrypt" not in text
        assert call(client, admin, "GET", f"{path}?limit=1").status_code == 422


def test_the_audit_log_has_who_exported_which_list(client: Client, admin: Tokens, sql: Sql) -> None:
    names = ("users", "sessions", "audit-events")
    for name in names:
        assert call(client, admin, "GET", f"/admin/{name}.csv?nonsense=1").status_code == 422
        assert call(client, admin, "GET", f"/admin/{name}.csv").status_code == 200
    events = rows(call(client, admin, "GET", "/admin/audit-events.csv?event=list.exported"))
    listed = [(event["actor"], json.loads(event["detail"])["list"]) for event in events]
    assert listed == [("user:1", name) for name in ("audit-events", *reversed(names))]
    other = client.sign_up("ada@example.org")
    assert call(client, other, "GET", "/admin/users.csv").status_code == 403
    assert sql("SELECT count(*) FROM audit_events WHERE event = 'list.exported'") == [(4,)]


@pytest.mark.both_databases
def test_an_export_of_several_batches_is_complete(
    client: Client, admin: Tokens, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "_BATCH", 2)
    for number in range(4):
        client.register(f"user{number}@example.org")
    users = rows(call(client, admin, "GET", "/admin/users.csv"))
    assert [user["id"] for user in users] == ["5", "4", "3", "2", "1"]


@pytest.mark.both_databases
def test_an_export_is_cut_off_when_its_reader_is_demoted(
    client: Client, admin: Tokens, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(5):
        client.register(f"user{number}@example.org")
    make_row = exports._user

    def demote_and_make_row(user: User) -> exports.Row:
        if user.id == 4:
            take_role(sql, "admin", "root@example.org")
        return make_row(user)

    monkeypatch.setattr(exports, "_BATCH", 1)
    monkeypatch.setattr(exports, "_user", demote_and_make_row)
    answer = call(client, admin, "GET", "/admin/users.csv")
    assert [line.partition(",")[0] for line in answer.text.splitlines()] == ["id", "6", "5"]


@pytest.mark.usefixtures("may_change_roles")
def test_a_role_can_require_a_second_factor(client: Client, admin: Tokens) -> None:
    assert call(client, admin, "GET", "/admin/roles").json()[0]["requires_second_factor"] is False
    wrong = call(client, admin, "PATCH", "/admin/roles/admin", {"requires_second_factor": "yes"})
    assert wrong.status_code == 422
    body = {"requires_second_factor": True}
    changed = call(client, admin, "PATCH", "/admin/roles/moderator", body).json()
    assert (changed["requires_second_factor"], changed["scopes"]) == (True, ["moderate"])
    made = call(client, admin, "POST", "/admin/roles", {"name": "support", **body})
    assert (made.status_code, made.json()["requires_second_factor"]) == (201, True)
    # It holds for the session that has changed it as well.
    assert call(client, admin, "PATCH", "/admin/roles/admin", body).status_code == 200
    assert call(client, admin, "GET", "/admin/roles").status_code == 403
