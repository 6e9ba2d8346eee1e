"""A server that takes no writes, as a standby or with a full disk, is unavailable for writing."""

import pytest
from sqlalchemy.engine import make_url

from tests.conftest import Sql
from tests.support.client import Client

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_a_server_made_read_only_goes_on_checking_tokens(
    client: Client, sql: Sql, database_url: str
) -> None:
    tokens = client.sign_up()
    name = make_url(database_url).database
    sql(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    try:
        client.http.app.state.service.database.engine.dispose()  # type: ignore[attr-defined]
        assert client.me(tokens).status_code == 200
        refused = client.try_to_log_in()
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    finally:
        sql(f"SET default_transaction_read_only = off; ALTER DATABASE {name} RESET ALL")
