"""Fixtures: each test runs on SQLite and on a real PostgreSQL, migrated as they ship."""

import gc
import os
import shutil
import sqlite3
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.engine import make_url

from api.application import create_app
from api.settings import ApiSettings, Settings
from authentication.mail.sending import worker
from authentication.mail.settings import MailSettings
from authentication.settings import AuthenticationSettings
from database import grants, migrations
from database.base import Base
from database.settings import DatabaseSettings, LayerSettings
from harness.postgresql import DatabaseServer
from tests.support import service_connections
from tests.support.administrator import KeptConnections, Sql, grant, run_sql
from tests.support.client import BACKEND, Client
from tests.support.mailbox import Mailbox

pytest_plugins = ["tests.support.plugin"]

Layer = TypeVar("Layer", bound=LayerSettings)

# Everything but the roles that the migrations make, as they made them. TRUNCATE takes much longer
# than DELETE where there are few rows, but leaves nothing behind that would slow down what follows.
_TABLES = [table.name for table in reversed(Base.metadata.sorted_tables) if table.name != "roles"]
_EMPTY = f"""
DO $$ BEGIN
  IF pg_relation_size('sessions') + pg_relation_size('audit_events') > 1000000 THEN
    TRUNCATE {", ".join(_TABLES)};
  END IF;
END $$;
{"".join(f"DELETE FROM {table};" for table in _TABLES)}
DELETE FROM roles WHERE id > 3;
UPDATE roles SET scopes = first.scopes, requires_second_factor = false
FROM (
  VALUES ('user', ''), ('moderator', 'moderate'), ('admin', 'admin introspect moderate')
) AS first (name, scopes)
WHERE roles.name = first.name
  AND (roles.scopes <> first.scopes OR roles.requires_second_factor);
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, 1, false)
FROM pg_sequences WHERE sequencename <> 'roles_id_seq';
"""
# Roles belong to the whole server.
_CREATE_ROLE = """
DO $$ BEGIN
  CREATE ROLE {role} LOGIN PASSWORD '{role}';
EXCEPTION WHEN duplicate_object THEN NULL;
END $$
"""


# As in a worker of `serve`. By those of Python, looking for garbage takes a twentieth of the time.
gc.set_threshold(50_000, 50, 1000)
_TESTS_BETWEEN_COLLECTIONS = 150
_tests_since_collection = 0


def pytest_runtest_logfinish() -> None:
    """Collect garbage between tests, and never look again at what has survived.

    A process that has run a thousand tests has millions of objects. Looking at all of them within a
    test takes seconds, which is longer than the deadlines of the requests meanwhile.
    """
    global _tests_since_collection
    _tests_since_collection += 1
    if _tests_since_collection >= _TESTS_BETWEEN_COLLECTIONS:
        _tests_since_collection = 0
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty file to copy from."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    migrations.upgrade(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path


@pytest.fixture(scope="session")
def postgresql_url(postgresql: DatabaseServer, worker_id: str) -> Iterator[str]:
    """A migrated database for this worker alone, with a role for services."""
    name = f"counterfoil_{worker_id}"
    postgresql.drop_database(name)
    url = postgresql.create_database(name)
    migrations.upgrade(url)
    role = f"service_{worker_id}"
    run_sql(url, _CREATE_ROLE.format(role=role))
    service_connections.keep(make_url(url), role)
    yield url
    service_connections.close()
    postgresql.drop_database(name)
    run_sql(postgresql.url("postgres"), f"DROP ROLE IF EXISTS {role}")


@pytest.fixture(scope="session")
def preparing(postgresql_url: str) -> Iterator[Sql]:
    """Prepares the worker's database."""
    with closing(KeptConnections(postgresql_url)) as connection:
        yield connection


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty, migrated database, first of the one kind and then of the other."""
    if request.param == "sqlite":
        path = tmp_path / "counterfoil.db"
        shutil.copy(request.getfixturevalue("sqlite_template"), path)
        return f"sqlite:///{path}"
    url: str = request.getfixturevalue("postgresql_url")
    request.getfixturevalue("preparing")(_EMPTY)
    return url


@pytest.fixture
def sql(request: pytest.FixtureRequest, database_url: str) -> Iterator[Sql]:
    """Runs a statement on the test's database from another connection."""
    if _is_usual(request, database_url):
        kept: KeptConnections = request.getfixturevalue("preparing")
        yield kept
        kept.reset()
        return
    with closing(KeptConnections(database_url)) as connection:
        yield connection


@pytest.fixture
def service_url(request: pytest.FixtureRequest, database_url: str, worker_id: str) -> str:
    """The test's database as the service opens it: on PostgreSQL by a role that owns nothing."""
    if database_url.startswith("sqlite"):
        return database_url
    role = f"service_{worker_id}"
    execute: Sql = partial(run_sql, database_url)
    if _is_usual(request, database_url):
        execute = request.getfixturevalue("preparing")
    else:
        execute(_CREATE_ROLE.format(role=role))
    execute("; ".join(grants.statements(role)))
    url = make_url(database_url).set(username=role, password=role)
    return url.render_as_string(hide_password=False)


def _is_usual(request: pytest.FixtureRequest, url: str) -> bool:
    """Whether this is the worker's PostgreSQL. Some tests have a server of their own."""
    return not url.startswith("sqlite") and url == request.getfixturevalue("postgresql_url")


@pytest.fixture
def upgrade(database_url: str, worker_id: str) -> Callable[[], None]:
    """Migrates the test's database as an operator does: by its owner, with grants to the role."""

    def upgrade_and_grant() -> None:
        migrations.upgrade(database_url)
        if not database_url.startswith("sqlite"):
            grant(database_url, f"service_{worker_id}")

    return upgrade_and_grant


@pytest.fixture
def make_settings(service_url: str) -> Callable[..., Settings]:
    """Settings for the test's database, with changes by their names."""

    def make(**changes: Any) -> Settings:
        # Nothing but the test itself changes rows, unless it asks for that.
        quiet = {"bcrypt_rounds": 4, "prune_interval_seconds": 0}
        # A slow machine is not what the tests are about.
        quiet |= {"database_deadline_seconds": 20, "hashing_deadline_seconds": 20}
        # Each is a process of PostgreSQL, of which the tests would start thousands.
        quiet |= {"lookup_connections": 1}
        values = {"database_url": service_url, **quiet, **changes}
        layers = (DatabaseSettings, AuthenticationSettings, ApiSettings, MailSettings)
        unknown = set(values) - {name for layer in layers for name in layer.model_fields}
        assert not unknown, f"no such settings: {unknown}"
        return Settings(
            _choose(DatabaseSettings, values),
            _choose(AuthenticationSettings, values),
            _choose(ApiSettings, values),
            _choose(MailSettings, values),
        )

    return make


@pytest.fixture
def make_app(make_settings: Callable[..., Settings]) -> Callable[..., FastAPI]:
    """An application on the test's database. Takes settings by their names."""
    return lambda **changes: create_app(make_settings(**changes))


# Most tests have the same settings, and reading the environment for them takes milliseconds.
_known_layers: dict[Hashable, LayerSettings] = {}


def _choose(layer: type[Layer], values: dict[str, Any]) -> Layer:
    chosen = {name: values[name] for name in values if name in layer.model_fields}
    key = (layer, tuple(chosen.items()), tuple(_environment()), Path.cwd())
    try:
        known = _known_layers.get(key)
    except TypeError:
        return layer(**chosen)
    if known is None or Path(".env").exists():
        known = _known_layers[key] = layer(**chosen)
    return cast(Layer, known)


def _environment() -> Iterator[tuple[str, str]]:
    """Without the name of the test, which pytest puts there."""
    return (item for item in os.environ.items() if item[0] != "PYTEST_CURRENT_TEST")


@pytest.fixture
def make_client(make_app: Callable[..., FastAPI]) -> Iterator[Callable[..., Client]]:
    """A client of a running application. Takes settings by their names, or an application."""
    with ExitStack() as running:

        def make(app: FastAPI | None = None, **settings: Any) -> Client:
            app = app or make_app(**settings)
            http = TestClient(app, raise_server_exceptions=False, backend_options=BACKEND)
            return Client(running.enter_context(http))

        yield make


@pytest.fixture
def mailbox(tmp_path: Path, sql: Sql, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    """Where the mails of a service go that has its settings."""
    # There are few mails, and each is waited for.
    monkeypatch.setattr(worker, "_GATHER_SECONDS", 0.005)
    return Mailbox(tmp_path / "mail", sql)


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    """A client of an application with the settings that a new installation has."""
    return make_client()
