"""Clients that are registered, and their user Ada, who is signed in."""

from collections.abc import Callable

import pytest

from tests.support.administrator import Sql
from tests.support.console import ConsoleClient
from tests.support.oauth import SECRET, Application, add_client


@pytest.fixture
def register(sql: Sql, database_url: str) -> Callable[..., None]:
    """Registers a client by SQL."""
    return lambda client_id="calendar", **fields: add_client(sql, database_url, client_id, **fields)


@pytest.fixture
def calendar(ada: ConsoleClient, register: Callable[..., None]) -> Application:
    """A public client."""
    register()
    return Application(ada)


@pytest.fixture
def server(ada: ConsoleClient, register: Callable[..., None]) -> Application:
    """A confidential client."""
    register("server", secret=SECRET, name="Server")
    return Application(ada, "server", SECRET)
