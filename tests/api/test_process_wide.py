"""An application that embeds the service finds its process as it was: nothing global is changed."""

import json
import subprocess
import sys
from typing import Any

import pytest

from harness.server import REPOSITORY

# What an application that uses the same libraries has imported itself.
PROGRAM = """
import asyncio, decimal, gc, json, locale, logging, os, random, signal, socket, sys, threading
import time, uuid, warnings
import alembic.command, fastapi, fastapi.testclient, prometheus_client, psycopg2.extensions
import psycopg2.extras, sqlalchemy, sqlalchemy.orm, sqlalchemy.pool, sqlite3, uvicorn
import passlib.context
from sqlalchemy.orm import Session

def loggers():
    found = {"": logging.getLogger(), **logging.root.manager.loggerDict}
    states = {
        name: (one.level, one.disabled, one.propagate, list(map(repr, one.handlers + one.filters)))
        for name, one in found.items()
        if isinstance(one, logging.Logger)
    }
    # One that is new and has not been configured changes nothing.
    return {name: one for name, one in states.items() if one != (0, False, True, [])}

def listeners(target):
    return {
        name: len(list(getattr(target.dispatch, name)))
        for name in dir(target.dispatch)
        if not name.startswith("_") and hasattr(getattr(target.dispatch, name), "__iter__")
    }

def state():
    return {
        "logging": [loggers(), logging.root.manager.disable, logging.raiseExceptions,
                    repr(logging.getLoggerClass()), repr(logging.getLogRecordFactory())],
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_freeze_count(), len(gc.callbacks)],
        "switch interval": sys.getswitchinterval(),
        "recursion": sys.getrecursionlimit(),
        "signals": [repr(signal.getsignal(one)) for one in signal.valid_signals()],
        "warnings": list(map(repr, warnings.filters)),
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": dict(os.environ),
        "umask": (lambda mask: (os.umask(mask), mask))(os.umask(0)),
        "folder": os.getcwd(),
        "nice": os.nice(0),
        "sockets": socket.getdefaulttimeout(),
        "hooks": list(map(repr, (sys.excepthook, threading.excepthook, sys.unraisablehook))),
        "streams": list(map(repr, (sys.stdout, sys.stderr, sys.stdin))),
        "time zone": [time.tzname, time.timezone],
        "loop": type(asyncio.get_event_loop_policy()).__name__,
        "decimals": repr(decimal.getcontext()),
        "random": hash(random.getstate()),
        "psycopg2": [repr(psycopg2.extensions.get_wait_callback()),
                     len(psycopg2.extensions.string_types), len(psycopg2.extensions.adapters)],
        "sqlite3": [len(sqlite3.adapters), len(sqlite3.converters)],
        "sqlalchemy": [listeners(target) for target in
                       (Session, sqlalchemy.orm.sessionmaker().class_, sqlalchemy.engine.Engine,
                        sqlalchemy.pool.Pool, sqlalchemy.engine.Connection)],
        "fastapi": [repr(fastapi.FastAPI.__call__), repr(fastapi.routing.APIRoute.__init__)],
        "metrics": len(list(prometheus_client.REGISTRY.collect())),
        # That of database/engine/watchdog.py sleeps when there is nothing to watch.
        "threads": sorted({one.name for one in threading.enumerate()} - {"deadlines"}),
    }

# SQLAlchemy does so in any application that connects to PostgreSQL by psycopg2.
psycopg2.extensions.register_adapter(uuid.UUID, psycopg2.extras.UUID_adapter)

def look(moment):
    seen[moment] = state()

seen = {}
look("before")
import api, api.application, counterfoil.fastapi, authentication.service, database.migrations
look("imported")
app = fastapi.FastAPI()
api.attach(app)
look("attached")
password = "correct horse battery staple"
account = {"email": "ada@example.org", "password": password}
with fastapi.testclient.TestClient(app) as http:
    assert http.post("/auth/register", json={**account, "name": "Ada"}).status_code == 201
    token = http.post("/auth/login", json=account).json()["access_token"]
    headers = {"Authorization": "Bearer " + token}
    assert http.get("/auth/users/me", headers=headers).status_code == 200
    assert http.get("/auth/sign-in").status_code == 200
    look("running")
# A thread of a pool ends a moment after it was told to.
end = time.monotonic() + 10
while state()["threads"] != seen["before"]["threads"] and time.monotonic() < end:
    time.sleep(0.05)
look("stopped")
print(json.dumps(seen))
"""
OWN_THREADS = {"running": "threads"}


@pytest.fixture
def seen(database_url: str) -> dict[str, dict[str, Any]]:
    settings = {"DATABASE_URL": database_url, "COUNTERFOIL_BCRYPT_ROUNDS": "4"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "COUNTERFOIL_PRUNE_INTERVAL_SECONDS": "0", **settings},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    states: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return states


def test_nothing_of_the_process_is_changed(seen: dict[str, dict[str, Any]]) -> None:
    before = seen.pop("before")
    for moment, state in seen.items():
        changed = [name for name in before if state[name] != before[name]]
        assert [name for name in changed if name != OWN_THREADS.get(moment)] == [], moment
