"""The command that imports users: checked as a whole, resumable, and nothing that is in the way."""

import csv
import json
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import passlib.hash
import pytest
from typer.testing import Result

from authentication.importing import rows
from tests.support.administrator import Sql, count, user_id
from tests.support.client import PASSWORD, Client

pytestmark = pytest.mark.one_database

Command = Callable[..., Result]
MakeClient = Callable[..., Client]

PASSLIB: Any = passlib.hash
HASHED = PASSLIB.pbkdf2_sha256.using(rounds=9, salt=b"salt").hash(PASSWORD)


@pytest.fixture(autouse=True)
def accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COUNTERFOIL_FOREIGN_PASSWORD_HASHES", "pbkdf2_sha256")


def write(path: Path, *users: dict[str, Any]) -> str:
    """As CSV or JSON, by the name of the file."""
    if path.suffix == ".json":
        path.write_text(json.dumps(users))
    elif path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, users)))
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(
                file, list(dict.fromkeys(name for one in users for name in one))
            )
            writer.writeheader()
            writer.writerows(users)
    return str(path)


def problems(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("row ")]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
@pytest.mark.both_databases
def test_imported_users_log_in_with_their_ids_names_and_roles(
    command: Command, make_client: MakeClient, sql: Sql, tmp_path: Path, suffix: str
) -> None:
    path = write(
        tmp_path / f"users.{suffix}",
        {
            "id": 4_000,
            "email": " Ada@Example.org",
            "username": "ada@home",
            "name": "Ada",
            "hashed_password": HASHED,
            "roles": "admin",
            "created_at": "2020-02-02 10:00:00+01",
            "email_verified": "t",
        },
        {"id": 3_999, "email": "SVC@company.local", "hashed_password": HASHED, "name": ""},
    )
    result = command("import-users", path)
    assert (result.exit_code, result.stdout) == (0, "2\n")
    client = make_client(foreign_password_hashes=("pbkdf2_sha256",))
    me = client.me(client.log_in("ada@example.org")).json()
    assert (me["id"], me["name"], me["roles"]) == (4_000, "Ada", ["admin", "user"])
    assert me["created_at"].startswith("2020-02-02T09:00:00")
    assert sql("SELECT verified_email FROM users WHERE id = 4000") == [("ada@example.org",)]
    assert sql("SELECT hashed_password FROM users WHERE id = 4000")[0][0].startswith("$bcrypt-sha")
    client.log_in("ADA@home")
    assert client.me(client.log_in("svc@company.local")).json()["id"] == 3_999
    assert client.register("new@example.org").json()["id"] == 4_001


def test_names_with_characters_that_do_not_show_are_listed_and_taken_as_they_are(
    command: Command, make_client: MakeClient, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "users.csv",
        {"email": "ada@example.org", "username": "ada", "name": "Ada", "surname": "King"},
        {
            "email": "eve\u200b@example.org",
            "username": "\u202eada",
            "name": "A\u3164da",
            "surname": "K\u00ading",
            "hashed_password": HASHED,
        },
    )
    result = command("import-users", path)
    assert (result.exit_code, result.stdout) == (0, "2\n")
    columns = [line.split(": ")[:2] for line in problems(result)]
    assert columns == [["row 3", one] for one in ("email", "username", "name", "surname")]
    client = make_client(foreign_password_hashes=("pbkdf2_sha256",))
    me = client.me(client.log_in("\u202eada")).json()
    assert (me["name"], me["surname"]) == ("A\u3164da", "K\u00ading")


def test_a_user_without_a_hash_has_no_password(
    command: Command, client: Client, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "users.csv",
        {"email": "a@example.org", "hashed_password": ""},
        {"email": "b@example.org", "hashed_password": "!b8NZ0"},
    )
    assert command("import-users", path).stdout == "2\n"
    for email, password in (("a@example.org", "!"), ("b@example.org", "!b8NZ0")):
        assert client.try_to_log_in(email, password).status_code == 401


@pytest.mark.both_databases
def test_what_is_in_the_way_is_listed_by_row_and_nothing_is_imported(
    command: Command, client: Client, sql: Sql, tmp_path: Path
) -> None:
    client.register("taken@example.org", username="taken")
    number = user_id(sql, "taken@example.org")
    fine = {"email": "fine@example.org", "hashed_password": HASHED}
    path = write(
        tmp_path / "users.json",
        fine,
        {"email": " "},
        {"email": "x" * 321},
        {"email": "a\x00b@example.org"},
        {"email": "c@example.org", "username": "+12"},
        {"email": "d@example.org", "username": "x" * 65},
        {"email": "e@example.org", "hashed_password": "$argon2id$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$AA"},
        {"email": "f@example.org", "roles": ["king"]},
        {"email": "g@example.org", "is_active": "perhaps"},
        {"email": "h@example.org", "created_at": "yesterday"},
        {"email": "i@example.org", "id": 0},
        {"email": "j@example.org", "id": True},
        {"email": "FINE@example.org"},
        {"email": "k@example.org", "username": "TAKEN"},
        {"email": "l@example.org", "id": number},
        {"email": 7},
    )
    result = command("import-users", path)
    assert (result.exit_code, result.stdout) == (1, "")
    assert [line.split(": ")[:2] for line in problems(result)] == [
        ["row 2", "email"],
        ["row 3", "email"],
        ["row 4", "email"],
        ["row 5", "username"],
        ["row 6", "username"],
        ["row 7", "hashed_password"],
        ["row 8", "roles"],
        ["row 9", "is_active"],
        ["row 10", "created_at"],
        ["row 11", "id"],
        ["row 12", "id"],
        ["row 13", "email"],
        ["row 14", "username"],
        ["row 15", "id"],
        ["row 16", "email"],
    ]
    assert count(sql, "users") == 1
    assert command("import-users", path, "--skip-faulty").stdout == "1\n"
    assert count(sql, "users") == 2


@pytest.mark.both_databases
def test_ids_are_those_of_all_rows_or_of_none(command: Command, sql: Sql, tmp_path: Path) -> None:
    path = write(
        tmp_path / "users.json",
        {"email": "a@example.org"},
        {"email": "b@example.org", "id": 1},
        {"email": "c@example.org"},
    )
    assert problems(command("import-users", path)) == [
        "row 2: id: either all rows have an id, or none"
    ]
    assert command("import-users", path, "--skip-faulty").stdout == "2\n"
    assert count(sql, "users") == 2


@pytest.mark.both_databases
def test_a_dry_run_imports_nothing_and_a_second_run_goes_on(
    command: Command, sql: Sql, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 2)
    users = [{"id": 10 + n, "email": f"{n}@example.org", "name": str(n)} for n in range(5)]
    path = write(tmp_path / "users.csv", *users)
    assert command("import-users", path, "--dry-run").stdout == "5\n"
    assert count(sql, "users") == 0
    # As if the first run had been interrupted after a batch.
    assert command("import-users", write(tmp_path / "first.csv", *users[:2])).stdout == "2\n"
    again = command("import-users", path)
    assert (again.exit_code, again.stdout) == (0, "3\n")
    assert "2 of 5 rows are users already." in again.stderr
    assert sql("SELECT id, email FROM users ORDER BY id") == [
        (10 + n, f"{n}@example.org") for n in range(5)
    ]
    assert count(sql, "user_roles") == count(sql, "audit_events") == 5


def test_a_user_whose_address_is_spelt_otherwise_is_a_user_already(
    command: Command, sql: Sql, tmp_path: Path
) -> None:
    composed = "zo\u00eb@example.org"
    path = write(tmp_path / "users.csv", {"email": composed.upper(), "name": "Zoe"})
    assert command("import-users", path).stdout == "1\n"
    decomposed = unicodedata.normalize("NFD", composed)
    sql(f"UPDATE users SET email = '{decomposed}'")
    for spelling in (composed, decomposed):
        again = command("import-users", write(tmp_path / "again.csv", {"email": spelling}))
        assert (again.exit_code, again.stdout) == (0, "0\n")
        assert "1 of 1 rows are users already." in again.stderr
    # The same address, and somebody else by the id.
    other = command("import-users", write(tmp_path / "other.csv", {"id": 4711, "email": composed}))
    assert problems(other) == ["row 2: email: another user has it already"]
    assert count(sql, "users") == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "row"),
        ("a.csv", b"name\nAda\n", "row 2 has no email"),
        ("a.csv", b"email,password\na@b.org,x\n", "unknown column"),
        ("a.csv", b"email,email\na@b.org,x\n", "names a column twice"),
        ("a.csv", b"email,name\na@b.org\n", "line 2 has not as many cells"),
        ("a.csv", b'email\n"a@b.org\n', "is no CSV"),
        ("a.csv", b"email\n\xff@b.org\n", "is not UTF-8"),
        ("a.json", b"[1]", "row 1 is no object"),
        ("a.json", b"[", "line 1 is no JSON"),
        ("a.jsonl", b'{"email": "a@b.org"}\n{', "line 2 is no JSON"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_in_one_line(
    command: Command, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    result = command("import-users", str(path))
    if content:
        assert (result.exit_code, result.stdout) == (1, "")
        assert message in result.stderr
        assert PASSWORD not in result.stderr
    else:
        assert (result.exit_code, result.stdout) == (0, "0\n")
    assert "cannot be read" in command("import-users", str(tmp_path / "none.csv")).stderr
    assert "no regular file" in command("import-users", str(tmp_path)).stderr
