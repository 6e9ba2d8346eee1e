"""docs/how-to/moving.md: users and tokens of other systems are moved, and nobody notices."""

import csv
import json
import shlex
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.commands.cli import cli
from harness.programs import require_other_services
from harness.server import REPOSITORY
from tests.support import documentation
from tests.support.administrator import Sql, run_sql
from tests.support.client import PASSWORD, Client

MakeClient = Callable[..., Client]

PAGE = REPOSITORY / "docs" / "how-to" / "moving.md"

# What these systems made of PASSWORD: Django 5.2.19, fastapi-users 15.0.5 with pwdlib 0.3.0.
BCRYPT = "$2b$12$EGrupS1QC3KmUOLt.tHcjefbGS5Bb3BRbCKs0kubTVis3xheLCpFC"
ARGON2 = (
    "$argon2id$v=19$m=65536,t=3,p=4$Qde0zXnQ3F3J/Hv5fbV1pg"
    "$bOG2U2RZXZx9seALb4hjMuxpMvoplI1bpV72npUqnlM"
)
DJANGO_BCRYPT = "bcrypt$$2b$12$iCdEIYzM0nNLryIKmb00m.v.GYT4ui2lK8iKCwS6.S3W/BAG51Xv."
DJANGO_DEFAULT = (
    "pbkdf2_sha256$1000000$zlcARmlhVhEcM1kehKRDKm$XJGfHVMFfMsqwW+gTlBUXvZEVUAxl/BQKmPKTKe0q0U="
)
DJANGO_BCRYPT_SHA256 = "bcrypt_sha256$$2b$12$L8zEDajZSHvYoDNrcfYrz.dfn/RIPEeFpAyrfgBSrf5ykfvtwiUuK"
DJANGO_ARGON2 = (
    "argon2$argon2id$v=19$m=102400,t=2,p=8$QjlUcG9LVFdnM3dMaGZ4QUliYzkxaw"
    "$FuXqR5Tdrsoap03SDWV46N4gRd2Y7nT7BMi8NzFRnYg"
)
PASSLIB = "$bcrypt-sha256$v=2,t=2b,r=4$dcZaB41fb5Z6tNIS6jhwU.$TzFgvAdgWpXoJsz1bQys8whGenzfuvm"

FASTAPI_USERS = """
CREATE TABLE "user" (
    id CHAR(36) PRIMARY KEY, email VARCHAR(320) NOT NULL UNIQUE,
    hashed_password VARCHAR(1024) NOT NULL,
    is_active BOOLEAN NOT NULL, is_superuser BOOLEAN NOT NULL, is_verified BOOLEAN NOT NULL
)
"""
DJANGO = """
CREATE TABLE auth_user (
    id INTEGER PRIMARY KEY, password VARCHAR(128) NOT NULL, last_login {time},
    is_superuser BOOLEAN NOT NULL, username VARCHAR(150) NOT NULL UNIQUE,
    first_name VARCHAR(150) NOT NULL, last_name VARCHAR(150) NOT NULL, email VARCHAR(254) NOT NULL,
    is_staff BOOLEAN NOT NULL, is_active BOOLEAN NOT NULL, date_joined {time} NOT NULL
)
"""


@pytest.fixture
def page(database_url: str, sql: Sql) -> Iterator["Page"]:
    """The page, and the tables that it copies from, which are gone afterwards."""
    time = "datetime" if database_url.startswith("sqlite") else "timestamptz"
    sql(FASTAPI_USERS)
    sql(DJANGO.format(time=time))
    yield Page(database_url)
    sql('DROP TABLE "user"')
    sql("DROP TABLE auth_user")


class Page:
    """Types a section of the page, and returns the rows of its last statement."""

    def __init__(self, url: str) -> None:
        self._url = url

    def type(self, title: str) -> list[tuple[object, ...]]:
        rows: list[tuple[object, ...]] = []
        for statement in documentation.statements(PAGE, title, self._url.partition(":")[0]):
            rows = run_sql(self._url, statement)
        return rows


def put_into_fastapi_users(sql: Sql, email: str, hashed: str, *, superuser: bool = False) -> None:
    row = f"'{email}', '{email}', '{hashed}', true, {superuser}, true"
    sql(f'INSERT INTO "user" VALUES ({row})')


def put_into_django(sql: Sql, number: int, email: str, hashed: str, **names: str) -> None:
    username, first = names.get("username", f"name{number}"), names.get("first_name", "")
    row = f"{number}, '{hashed}', NULL, true, '{username}', '{first}', '', '{email}', true, true"
    sql(f"INSERT INTO auth_user VALUES ({row}, '2020-02-02 10:00:00')")


def test_people_of_fastapi_users_log_in(client: Client, sql: Sql, page: Page) -> None:
    put_into_fastapi_users(sql, "Ada@example.org", BCRYPT, superuser=True)
    put_into_fastapi_users(sql, "charles@example.org", ARGON2)
    assert page.type("Before you copy by SQL") == []
    page.type("From fastapi-users by SQL")

    ada = client.log_in("ada@example.org")
    assert client.me(ada).json()["roles"] == ["admin", "user"]
    ((stored,),) = sql("SELECT hashed_password FROM users WHERE email = 'ada@example.org'")
    assert stored.startswith("$bcrypt-sha256$")
    client.log_in("ada@example.org")

    refused = client.try_to_log_in("charles@example.org")
    assert refused.json()["code"] == "invalid_credentials"
    assert [email for _, email in page.type("What happens to passwords")] == ["charles@example.org"]


def test_people_of_django_log_in_and_keep_their_numbers(
    make_client: MakeClient, sql: Sql, page: Page
) -> None:
    client = make_client(foreign_password_hashes=("django_bcrypt",), hashing_deadline_seconds=60)
    put_into_django(sql, 42, "ada@example.org", DJANGO_BCRYPT, username="ada", first_name="Ada")
    put_into_django(sql, 43, "two@example.org", DJANGO_DEFAULT, username="two@example.org")
    put_into_django(sql, 44, "", DJANGO_BCRYPT)
    put_into_django(sql, 45, "svc@company.local", DJANGO_BCRYPT, username="42")
    assert page.type("Before you copy by SQL") == [("", 1)]
    page.type("From django-rest-knox by SQL")

    me = client.me(client.log_in("ada")).json()
    assert (me["id"], me["name"], me["surname"]) == (42, "Ada", None)
    assert me["created_at"].startswith("2020-02-02")
    assert me["roles"] == ["admin", "user"]
    assert client.try_to_log_in("two@example.org").status_code == 401
    assert client.me(client.log_in("svc@company.local")).json()["username"] is None
    # Whoever registers from now on gets a number of their own.
    assert client.register("new@example.org").json()["id"] == 46


@pytest.mark.parametrize(
    "hashed", [BCRYPT, BCRYPT.replace("$2b$", "$2y$"), BCRYPT.replace("$2b$", "$2a$"), PASSLIB]
)
def test_these_hashes_work(client: Client, sql: Sql, page: Page, hashed: str) -> None:
    put_into_fastapi_users(sql, "ada@example.org", hashed)
    page.type("From fastapi-users by SQL")
    client.log_in()


@pytest.mark.parametrize("hashed", [ARGON2, DJANGO_BCRYPT_SHA256])
def test_these_hashes_are_like_a_wrong_password_unless_a_setting_accepts_them(
    client: Client, sql: Sql, page: Page, hashed: str
) -> None:
    put_into_fastapi_users(sql, "ada@example.org", hashed)
    page.type("From fastapi-users by SQL")
    refused, wrong = client.try_to_log_in(), client.try_to_log_in(password=PASSWORD + "!")
    assert (refused.status_code, refused.json()) == (wrong.status_code, wrong.json())
    assert refused.status_code == 401


OTHER_SERVICES = REPOSITORY / "harness" / "other_services"
UNTIL = date(2999, 12, 31)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """Logs Ada in at a service of another maker. Returns the tokens; its file is old.db, here."""
    monkeypatch.chdir(tmp_path)

    def log_in(program: str) -> dict[str, Any]:
        python = require_other_services()
        words: list[str | Path] = [
            python,
            OTHER_SERVICES / program,
            "old.db",
            "ada@example.org",
            PASSWORD,
        ]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        assert answer.pop("status") == 200
        return answer

    return log_in


def export_users(number: int) -> None:
    """Write users.csv by the statement of the page, as `sqlite3 -header -csv` does."""
    statement = documentation.statements(PAGE, "Import users from a file", "sqlite")[number]
    with closing(sqlite3.connect("old.db")) as old, Path("users.csv").open("w") as file:
        found = old.execute(statement)
        writer = csv.writer(file)
        writer.writerow(column for column, *_ in found.description)
        writer.writerows(found)


def run_commands(title: str, database_url: str, **replaced: str) -> list[str]:
    """Run the commands of a section. Returns what each prints."""
    blocks = documentation.FENCE.findall(documentation.section(PAGE, title))
    environment = {"DATABASE_URL": database_url, "COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    printed = []
    for line in "".join(text for language, text in blocks if language == "sh").splitlines():
        words = shlex.split(line)
        if words[0] == "export":
            name, _, value = words[1].partition("=")
            environment[name] = value
            continue
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        assert words[:2] == ["python", "api.py"]
        environment["COUNTERFOIL_FOREIGN_PASSWORD_HASHES"] = "argon2,pbkdf2_sha256"
        arguments = [replaced.get(word, word) for word in words[2:]]
        done = CliRunner(env=environment).invoke(cli, arguments)
        assert done.exit_code == 0, f"{line}\n{done.output}"
        printed.append(done.stdout.strip())
    return printed


def me(client: Client, authorization: str) -> Any:
    return client.http.get("/users/me", headers={"Authorization": authorization})


def log_out_by_sql(database_url: str) -> None:
    [statement] = documentation.statements(PAGE, "Keep clients logged in", "sqlite")
    run_sql(database_url, statement)


def make_moved(make_client: MakeClient) -> Client:
    return make_client(
        foreign_tokens_until=UNTIL,
        foreign_password_hashes=("argon2", "pbkdf2_sha256"),
        # The hashes cost what they cost there, and tests run beside each other.
        hashing_deadline_seconds=60,
    )


# The rest of the way is the same on both databases, and each of these services takes its time.
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_a_client_of_the_real_knox_or_drf_notices_nothing_and_is_logged_out_by_sql(
    make_client: MakeClient, database_url: str, old: Callable[[str], dict[str, Any]]
) -> None:
    tokens = old("with_knox.py")
    client = make_moved(make_client)
    assert me(client, f"Token {tokens['knox']}").status_code == 401
    assert run_commands("What happens to passwords", database_url) == ["ok"]
    export_users(0)
    assert run_commands("Import users from a file", database_url) == ["1", "1"]
    assert run_commands("Keep clients logged in", database_url) == ["1", "1"]
    run_commands("Keep clients logged in", database_url, knox="drf")
    for kind in ("knox", "drf"):
        account = me(client, f"Token {tokens[kind]}").json()
        assert (account["email"], account["username"]) == ("ada@example.org", "ada")
        assert account["roles"] == ["admin", "user"]
    assert client.me(client.log_in("ada")).json()["surname"] == "Lovelace"
    log_out_by_sql(database_url)
    for kind in ("knox", "drf"):
        assert me(client, f"Token {tokens[kind]}").status_code == 401


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_client_of_the_real_fastapi_users_notices_nothing_and_is_logged_out_by_sql(
    make_client: MakeClient, database_url: str, old: Callable[[str], dict[str, Any]]
) -> None:
    token = old("with_fastapi_users.py")["fastapi-users"]
    client = make_moved(make_client)
    export_users(1)
    assert run_commands("Import users from a file", database_url) == ["1", "1"]
    source = {"knox": "fastapi-users"}
    assert run_commands("Keep clients logged in", database_url, **source) == ["1", "1"]
    assert me(client, f"Bearer {token}").json()["email"] == "ada@example.org"
    client.log_in()
    log_out_by_sql(database_url)
    assert me(client, f"Bearer {token}").status_code == 401
