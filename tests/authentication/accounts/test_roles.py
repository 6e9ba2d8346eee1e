"""Roles that an administrator creates, changes and deletes."""

from collections.abc import Iterator

import pytest

from authentication.accounts import roles
from authentication.audit import COMMAND
from authentication.errors import (
    InvalidField,
    LastAdministrator,
    NotFound,
    RoleRequired,
    RoleTaken,
)
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql, events, give_role, take_role, user_id
from tests.support.client import Client


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(DatabaseSettings(database_url=database_url))
    yield found
    found.close()


def create(database: Database, name: str = "editor", scopes: str = "articles:write") -> None:
    with database.transaction() as db:
        roles.create(db, name, description=" Writes. ", scopes=scopes, origin=COMMAND)


def test_a_role_gives_its_scopes_from_the_next_request_on(
    client: Client, database: Database, sql: Sql
) -> None:
    tokens = client.sign_up()
    create(database, scopes="  b  admin ")
    stored = sql("SELECT scopes, description FROM roles WHERE name = 'editor'")
    assert stored == [("admin b", "Writes.")]

    def list_users() -> int:
        return int(client.http.get("/admin/users", headers=tokens.headers).status_code)

    assert list_users() == 403
    with database.transaction() as db:
        roles.grant(db, user_id(sql), "editor", origin=COMMAND)
    assert client.me(tokens).json()["roles"] == ["editor", "user"]
    assert list_users() == 200
    give_role(sql, "admin")
    with database.transaction() as db:
        roles.change(db, "editor", scopes="c", origin=COMMAND)
    take_role(sql, "admin")
    assert list_users() == 403
    with database.transaction() as db:
        roles.revoke(db, user_id(sql), "editor", origin=COMMAND)
    assert client.me(tokens).json()["roles"] == ["user"]
    changes = [event for event in events(sql) if "role" in event]
    assert changes == ["role.created", "user.roles_changed", "role.changed", "user.roles_changed"]


def test_a_role_that_is_deleted_is_taken_from_its_users(
    client: Client, database: Database, sql: Sql
) -> None:
    tokens = client.sign_up()
    create(database)
    give_role(sql, "editor")
    with database.transaction(read_only=True) as db:
        assert [(role.name, count) for role, count in roles.list_with_counts(db)] == [
            *(("admin", 0), ("editor", 1), ("moderator", 0), ("user", 1)),
        ]
    with database.transaction() as db:
        roles.delete(db, "editor", origin=COMMAND)
    assert client.me(tokens).json()["roles"] == ["user"]
    with database.transaction() as db, pytest.raises(NotFound):
        roles.delete(db, "editor", origin=COMMAND)


@pytest.mark.parametrize("name", ["", "a=b", "a;b", "a,b", "a b", "x" * 65, "\u0430dmin", "a\x00"])
def test_a_name_that_would_divide_or_disguise_roles_is_rejected(
    database: Database, name: str
) -> None:
    with pytest.raises(InvalidField):
        create(database, name)


@pytest.mark.parametrize("scopes", ["a;b", 'a"b', "a\\b", "a\tb", "\u00e4", "x" * 2001])
def test_scopes_are_those_that_oauth_allows(database: Database, scopes: str) -> None:
    with pytest.raises(InvalidField):
        create(database, scopes=scopes)


def test_two_names_do_not_differ_in_case_alone(database: Database) -> None:
    with pytest.raises(RoleTaken):
        create(database, "Admin")


def test_the_role_of_new_accounts_stays(database: Database) -> None:
    with database.transaction() as db, pytest.raises(RoleRequired):
        roles.delete(db, "user", origin=COMMAND)


def test_no_change_of_a_role_takes_the_last_administrator(
    client: Client, database: Database, sql: Sql
) -> None:
    client.register()
    create(database, "chief", scopes="admin")
    give_role(sql, "chief")
    for act in (
        lambda db: roles.delete(db, "chief", origin=COMMAND),
        lambda db: roles.change(db, "chief", scopes="administer", origin=COMMAND),
        lambda db: roles.revoke(db, user_id(sql), "chief", origin=COMMAND),
    ):
        with pytest.raises(LastAdministrator), database.transaction() as db:
            act(db)
    assert sql("SELECT scopes FROM roles WHERE name = 'chief'") == [("admin",)]
    give_role(sql, "admin")
    with database.transaction() as db:
        roles.delete(db, "chief", origin=COMMAND)
    take_role(sql, "admin")
