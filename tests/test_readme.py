"""What the README promises beyond what can be typed; test_documentation.py runs what can."""

from harness.server import REPOSITORY
from tests.support import documentation
from tests.support.administrator import Sql
from tests.support.client import Client
from tests.support.documentation import FENCE

README = REPOSITORY / "README.md"


def test_every_statement_of_the_readme_logs_out_at_once(
    client: Client, sql: Sql, database_url: str
) -> None:
    ((_, block),) = FENCE.findall(documentation.section(README, "Log people out by SQL"))
    statements = block.splitlines()[1:]
    assert len(statements) == 6
    if database_url.startswith("sqlite"):
        # What SQLite lacks, the page about revoking by SQL says in its words.
        statements = [
            s.replace("now()", "datetime('now')") for s in statements if "sha256" not in s
        ]
    for number, statement in enumerate(statements):
        tokens = client.sign_up(f"user{number}@example.org")
        user_id = client.me(tokens).json()["id"]
        sql(statement.replace("42", str(user_id)).replace("cfa_...", tokens.access_token))
        assert client.me(tokens).status_code == 401, statement
        assert client.refresh(tokens.refresh_token).json()["error"] == "invalid_grant", statement
