"""The command `demo` fills an empty database and rejects any other."""

from typer.testing import CliRunner

from api.commands.cli import cli
from tests.support.administrator import Sql
from tests.support.client import Client


def run_demo(database_url: str, people: int) -> tuple[int, str, str]:
    """Returns the exit status, standard output and standard error."""
    environment = {"DATABASE_URL": database_url, "COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    arguments = ["demo", "--users", str(people)]
    result = CliRunner().invoke(cli, arguments, env=environment, catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def test_the_administrator_of_the_demo_can_sign_in(client: Client, database_url: str) -> None:
    status, stdout, _ = run_demo(database_url, 30)
    email, password = stdout.split()
    assert status == 0
    tokens = client.log_in(email, password)
    assert "admin" in tokens.scope.split()


def test_the_demo_has_sessions_of_many_clients_and_events(database_url: str, sql: Sql) -> None:
    run_demo(database_url, 120)
    assert sql("SELECT count(*) FROM users") == [(120,)]
    (sessions, clients), *_ = sql("SELECT count(*), count(DISTINCT user_agent) FROM sessions")
    (live,), *_ = sql("SELECT count(*) FROM live_sessions")
    assert sessions > live > 100
    assert clients > 5
    events: dict[str, int] = dict(sql("SELECT event, count(*) FROM audit_events GROUP BY event"))
    assert events["login.succeeded"] == sessions
    assert {"login.failed", "session.revoked", "api_key.created", "user.created"} < set(events)
    assert sql("SELECT count(*) FROM api_keys")[0][0] == 15


def test_demo_users_have_only_reserved_addresses(database_url: str, sql: Sql) -> None:
    run_demo(database_url, 30)
    assert sql("SELECT count(*) FROM users WHERE email NOT LIKE '%@example.org'") == [(0,)]
    reserved = ("192.0.2.", "198.51.100.", "203.0.113.", "2001:db8:")
    for (address,) in sql("SELECT ip FROM sessions UNION SELECT ip FROM audit_events"):
        assert address.startswith(reserved)


def test_a_database_that_is_not_empty_is_rejected(
    client: Client, database_url: str, sql: Sql
) -> None:
    client.register()
    status, stdout, stderr = run_demo(database_url, 30)
    assert status == 1
    assert stdout == ""
    assert "counterfoil: The database is not empty." in stderr
    assert sql("SELECT email FROM users") == [("ada@example.org",)]


def test_users_can_register_after_the_demo(client: Client, database_url: str) -> None:
    run_demo(database_url, 30)
    tokens = client.sign_up("newcomer@example.org")
    assert client.me(tokens).json()["id"] > 30
