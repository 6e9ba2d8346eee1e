"""Behind PgBouncer, which gives a connection to others between any two transactions."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.pgbouncer import run_pgbouncer
from harness.server import Server
from tests.support.administrator import run_sql
from tests.support.client import Client, Tokens, connected

SETTINGS = {
    "COUNTERFOIL_PREPARED_STATEMENTS": "off",
    "COUNTERFOIL_BCRYPT_ROUNDS": "4",
    "COUNTERFOIL_PRUNE_INTERVAL_SECONDS": "1",
    "COUNTERFOIL_METRICS": "on",
}


@pytest.fixture
def server(database_url: str) -> Iterator[Server]:
    with (
        run_pgbouncer(database_url) as address,
        Server.launch(address, workers=2, environment=SETTINGS) as running,
    ):
        yield running


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_the_whole_life_of_sessions(server: Server, database_url: str) -> None:
    with connected(server.url) as client:
        client.register()
    with ThreadPoolExecutor(8) as threads:
        lives = [threads.submit(live, server.url) for _ in range(8)]
        tokens = [life.result() for life in lives]
    run_sql(database_url, "DELETE FROM sessions")
    with connected(server.url) as client:
        assert [client.me(each).status_code for each in tokens] == [401] * 8
        assert client.http.get("/health/ready").status_code == 200
    assert "prepared statement" not in server.log()
    assert "pruning was cut short" not in server.log()


def live(url: str) -> Tokens:
    """Log in, use, refresh, and look again."""
    with connected(url) as client:
        tokens = client.log_in()
        for _ in range(10):
            use(client, tokens)
            body = client.refresh(tokens.refresh_token).json()
            old, tokens = (
                tokens,
                Tokens(
                    body["access_token"], body["refresh_token"], body["scope"], body["expires_in"]
                ),
            )
            assert client.me(old).status_code == 401
        use(client, tokens)
        return tokens


def use(client: Client, tokens: Tokens) -> None:
    assert client.me(tokens).status_code == 200
    assert any(session["current"] for session in client.sessions(tokens))
