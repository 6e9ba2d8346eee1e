"""The commands about registered clients, as an administrator calls them."""

from collections.abc import Callable

from typer.testing import Result

from tests.support.administrator import Sql, count, events
from tests.support.client import Client
from tests.support.oauth import CALLBACK

Command = Callable[..., Result]


def test_a_client_is_registered_by_command_and_gets_tokens(
    client: Client, command: Command, sql: Sql
) -> None:
    client.register()
    made = command(
        *("clients", "create", "Backup", "--id", "backup", "--confidential"),
        *("--grant", "client_credentials", "--account", "ada@example.org", "--scope", "a b"),
    )
    assert made.exit_code == 0, made.output
    client_id, secret = made.stdout.split()
    form = {"grant_type": "client_credentials", "client_id": client_id}

    def status(text: str) -> int:
        return client.http.post("/token", data={**form, "client_secret": text}).status_code

    assert status(secret) == 200
    renewed = command("clients", "rotate-secret", "backup").stdout.strip()
    assert (status(secret), status(renewed)) == (200, 200)
    latest = command("clients", "rotate-secret", "backup", "--overlap-seconds", "0").stdout.strip()
    assert (status(renewed), status(latest)) == (401, 200)
    assert command("clients", "disable", "backup").exit_code == 0
    assert status(latest) == 401
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(0,)]
    assert command("clients", "enable", "backup").exit_code == 0
    changed = command("clients", "change", "backup", "--name", "Copies", "--scope", "a")
    assert changed.exit_code == 0
    listed = command("clients", "list").stdout
    assert listed == "backup\tCopies\tconfidential\tclient_credentials\ta\t-\tenabled\n"
    assert command("clients", "delete", "backup").exit_code == 0
    assert count(sql, "oauth_clients") == count(sql, "sessions") == 0
    assert sql("SELECT DISTINCT actor FROM audit_events WHERE event = 'client.deleted'") == [
        ("command",)
    ]


def test_what_cannot_be_registered_is_said_in_one_line(command: Command, sql: Sql) -> None:
    for words, said in (
        (["clients", "create", "Web"], "needs an address"),
        (["clients", "create", "Web", "--redirect-uri", "http://example.org/"], "https"),
        (["clients", "create", "Web", "--grant", "client_credentials"], "needs a secret"),
        (["clients", "create", "Web", "--account", "nobody"], "no such user"),
        (["clients", "delete", "nobody"], "no such client"),
    ):
        refused = command(*words)
        assert refused.exit_code == 1
        database, line = refused.stderr.splitlines()
        assert database.startswith("Database: ")
        assert said in line
    wrong = command("clients", "create", "Web", "--grant", "implicit", "--redirect-uri", CALLBACK)
    assert wrong.exit_code == 2
    assert count(sql, "oauth_clients") == 0
    assert "client.created" not in events(sql)
