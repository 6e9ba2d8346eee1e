"""A server that takes no writes, as a standby or with a full disk, is unavailable for writing."""

from collections.abc import Callable

import pytest
from sqlalchemy.engine import make_url

from tests.support.client import Client

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


def test_a_server_made_read_only_goes_on_checking_tokens(
    make_client: Callable[..., Client], database_url: str
) -> None:
    tokens = make_client().sign_up()
    read_only = make_url(database_url).update_query_dict(
        {"options": "-c default_transaction_read_only=on"}
    )
    client = make_client(database_url=read_only.render_as_string(hide_password=False))
    assert client.me(tokens).status_code == 200
    refused = client.try_to_log_in()
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
