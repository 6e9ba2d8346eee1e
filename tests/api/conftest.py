"""Users who are signed in on pages, on both databases."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import FastAPI

from tests.support.client import Client
from tests.support.clock import Clock
from tests.support.console import ConsoleClient, promote

MakeConsole = Callable[..., ConsoleClient]


@pytest.fixture
def clock(database_url: str) -> Clock:
    """The database's own time."""
    return Clock(database_url)


@pytest.fixture
def make_console(make_app: Callable[..., FastAPI]) -> Iterator[MakeConsole]:
    """A browser on a running application. Takes settings by their names, or an application."""
    with ExitStack() as running:

        def make(app: FastAPI | None = None, **settings: Any) -> ConsoleClient:
            console = ConsoleClient(app or make_app(**settings))
            running.enter_context(console.http)
            return console

        yield make


@pytest.fixture
def console(make_console: MakeConsole) -> ConsoleClient:
    """A browser in which nobody is signed in."""
    return make_console()


@pytest.fixture
def api(console: ConsoleClient) -> Client:
    """The API of the same application. It shares the cookies, which it must not accept."""
    return Client(console.http)


@pytest.fixture
def ada(console: ConsoleClient, api: Client) -> ConsoleClient:
    """A browser in which Ada, who is no administrator, is signed in."""
    assert api.register().status_code == 201
    assert console.sign_in().status_code == 200
    return console


@pytest.fixture
def admin(console: ConsoleClient, api: Client, sql: Callable[..., Any]) -> ConsoleClient:
    """A browser in which an administrator is signed in."""
    assert api.register("root@example.org", name="Root").status_code == 201
    promote(sql, "root@example.org")
    assert console.sign_in("root@example.org").status_code == 200
    return console
