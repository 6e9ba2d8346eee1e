"""Users whom an administrator renames or deletes."""

from collections.abc import Iterator

import pytest

from authentication.accounts import renaming, users
from authentication.audit import COMMAND
from authentication.errors import EmailTaken, LastAdministrator, NotFound, UsernameTaken
from authentication.settings import AuthenticationSettings
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql, count, give_role, user_id
from tests.support.client import Client

SETTINGS = AuthenticationSettings(released_name_days=7)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = Database(DatabaseSettings(database_url=database_url))
    yield found
    found.close()


def rename(database: Database, number: int, **fields: str | None) -> None:
    with database.transaction() as db:
        renaming.rename(db, SETTINGS, number, fields, origin=COMMAND)


def test_a_renamed_user_stays_signed_in_and_logs_in_by_the_new_names(
    client: Client, database: Database, sql: Sql
) -> None:
    tokens = client.sign_up(username="ada")
    sql("UPDATE users SET verified_email = email")
    rename(database, user_id(sql), email=" Lady@Example.org ", username="lady", surname="Lovelace")
    me = client.me(tokens).json()
    assert (me["email"], me["username"], me["surname"]) == ("lady@example.org", "lady", "Lovelace")
    client.log_in("LADY@example.org")
    assert client.try_to_log_in("ada").status_code == 401
    assert client.register("ada@example.org").json()["code"] == "email_taken"
    [(detail,)] = sql("SELECT detail FROM audit_events WHERE event = 'user.changed'")
    assert "surname" in str(detail)
    assert sql("SELECT verified_email FROM users") == [("ada@example.org",)]


def test_a_name_that_somebody_else_has_is_not_given(
    client: Client, database: Database, sql: Sql
) -> None:
    client.register(username="ada")
    client.register("other@example.org", username="other")
    for fields, error in (
        ({"email": "OTHER@example.org"}, EmailTaken),
        ({"username": "Other"}, UsernameTaken),
    ):
        with pytest.raises(error):
            rename(database, user_id(sql), **fields)
    with pytest.raises(NotFound):
        rename(database, 987_654, name="Nobody")


def test_imported_names_that_stay_need_not_be_valid(
    client: Client, database: Database, sql: Sql
) -> None:
    client.register()
    sql("UPDATE users SET email = 'SVC@company.local', username = 'a b'")
    rename(database, user_id(sql, "SVC@company.local"), email="SVC@company.local", username="a b")
    assert count(sql, "audit_events") == 1


def test_a_deleted_user_is_gone_at_once_and_the_last_administrator_stays(
    client: Client, database: Database, sql: Sql
) -> None:
    tokens = client.sign_up()
    give_role(sql, "admin")
    number = user_id(sql)
    with pytest.raises(LastAdministrator), database.transaction() as db:
        users.delete(db, SETTINGS, number, origin=COMMAND)
    client.register("other@example.org")
    give_role(sql, "admin", "other@example.org")
    with database.transaction() as db:
        users.delete(db, SETTINGS, number, origin=COMMAND)
    assert client.me(tokens).status_code == 401
    assert count(sql, "sessions") == 0
    assert client.register().json()["code"] == "email_taken"
    with pytest.raises(NotFound), database.transaction() as db:
        users.delete(db, SETTINGS, number, origin=COMMAND)
