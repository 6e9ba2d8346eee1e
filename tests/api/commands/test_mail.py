"""The commands mail test, mail list and mail retry, and notices of what commands do."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from api.commands.cli import cli
from tests.support.administrator import Sql, user_id
from tests.support.client import Client
from tests.support.mailbox import SENDER, Mailbox

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, mailbox: Mailbox) -> Run:
    def run(*arguments: str, typed: str | None = None, **environment: str) -> Result:
        found = {
            "DATABASE_URL": database_url,
            "COUNTERFOIL_BCRYPT_ROUNDS": "4",
            "COUNTERFOIL_MAIL_URL": f"file:{mailbox.directory}",
            "COUNTERFOIL_MAIL_FROM": SENDER,
            **environment,
        }
        return CliRunner(env=found).invoke(cli, arguments, input=typed)

    return run


def test_a_test_mail_is_sent_at_once(run: Run, mailbox: Mailbox) -> None:
    done = run("mail", "test", "ada@example.org", "--language", "de")
    assert (done.exit_code, done.stdout) == (0, "")
    assert mailbox.take_one().subject == "Test-Mail von Example"


@pytest.mark.parametrize(
    ("address", "url", "said"),
    [
        ("nobody", "file:mail", "no mail can be sent to this address"),
        ("ada@example.org", "smtp+plain://127.0.0.1:9", "connection"),
        ("ada@example.org", "none", "there is no mail"),
    ],
)
def test_what_is_wrong_with_a_test_mail_is_one_line(
    run: Run, address: str, url: str, said: str
) -> None:
    done = run("mail", "test", address, COUNTERFOIL_MAIL_URL=url)
    assert done.exit_code == 1
    assert said in done.stderr
    # The first names the database.
    assert done.stderr.count("\n") == 2


def insert(sql: Sql, number: int, **values: str) -> None:
    columns = {"id": str(number), "kind": "'verify'", "locale": "'en'", **values}
    columns.setdefault("address", f"'a{number}@example.org'")
    sql(f"INSERT INTO outbox ({', '.join(columns)}) VALUES ({', '.join(columns.values())})")


PAST, FUTURE = "'2026-01-02 03:04:05+00'", "'2100-01-02 03:04:05+00'"


def test_mails_are_listed_with_what_became_of_them(run: Run, sql: Sql, database_url: str) -> None:
    insert(sql, 1, created_at="'2026-01-01 00:00:00+00'", sent_at=PAST, attempts="1")
    failed = {"failed_at": PAST, "error_code": "'smtp_550'", "attempts": "1"}
    insert(sql, 2, created_at="'2026-01-02 00:00:00+00'", **failed)
    waiting = {"next_attempt_at": FUTURE, "error_code": "'timeout'", "attempts": "2"}
    insert(sql, 3, created_at="'2026-01-03 00:00:00+00'", **waiting)
    lines = [
        "3\tverify\ta3@example.org\tdue 2100-01-02 03:04\t2\ttimeout",
        "2\tverify\ta2@example.org\tfailed 2026-01-02 03:04\t1\tsmtp_550",
        "1\tverify\ta1@example.org\tsent 2026-01-02 03:04\t1\t-",
    ]
    assert run("mail", "list").stdout.splitlines() == lines
    assert run("mail", "list", "--unsent").stdout.splitlines() == lines[:2]
    assert run("mail", "list", "--limit", "1").stdout.splitlines() == lines[:1]


def test_mails_that_wait_are_tried_again_or_one_that_was_given_up(run: Run, sql: Sql) -> None:
    insert(sql, 1, sent_at=PAST, attempts="1")
    insert(sql, 2, failed_at=PAST, error_code="'smtp_550'", attempts="1")
    insert(sql, 3, next_attempt_at=FUTURE, error_code="'timeout'", attempts="2")
    insert(sql, 4, failed_at=PAST, error_code="'superseded'")
    due = f"SELECT id FROM outbox WHERE failed_at IS NULL AND next_attempt_at < {FUTURE} AND id > 1"
    assert run("mail", "retry").stdout == "1\n"
    assert sql(due) == [(3,)]
    assert run("mail", "retry", "2").stdout == "1\n"
    assert sorted(sql(due)) == [(2,), (3,)]
    for number in ("1", "4", "5"):
        assert run("mail", "retry", number).exit_code == 1


def test_a_user_is_told_of_a_password_that_a_command_has_set(
    run: Run, client: Client, sql: Sql
) -> None:
    client.register()
    done = run("set-password", "ada@example.org", "--password-stdin", typed="another passphrase\n")
    assert done.exit_code == 0
    assert sql("SELECT kind, user_id FROM outbox") == [("password_changed", user_id(sql))]
