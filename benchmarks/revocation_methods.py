"""The methods by which the revocation scenario revokes tokens: endpoint, SQL and command."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

from sqlalchemy import Engine, create_engine, make_url, text

from authentication.audit import COMMAND, Reason
from authentication.credentials import sessions
from benchmarks.client import Connection
from benchmarks.messages import post_form
from benchmarks.product import Product, run_command
from database.engine.session import Database
from database.settings import DatabaseSettings

Revoke = Callable[[int], Awaitable[str]]

# Each of these alone logs a user out (docs/how-to/revoke-by-sql.md). User n has token n only.
STATEMENTS = (
    "DELETE FROM access_tokens WHERE user_id = :user",
    "DELETE FROM sessions WHERE user_id = :user",
    "UPDATE sessions SET revoked_at = now() WHERE user_id = :user",
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = :user",
    "UPDATE users SET is_active = false WHERE id = :user",
)
CONNECTIONS = 8
REAL_COMMANDS = 12


@asynccontextmanager
async def open_methods(port: int, database: Product) -> AsyncIterator[list[Revoke]]:
    """Functions that revoke a token by its number. They return the name of the method when done."""
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(by_endpoint(port, database.tokens)),
            await stack.enter_async_context(by_sql(database.url, STATEMENTS)),
            await stack.enter_async_context(by_command(database)),
        ]


@asynccontextmanager
async def by_endpoint(port: int, tokens: list[str]) -> AsyncIterator[Revoke]:
    """Revokes by `POST /revoke` (RFC 7009) over a few connections."""
    free: asyncio.Queue[Connection] = asyncio.Queue()
    connections = [await Connection.open(port) for _ in range(CONNECTIONS)]
    for connection in connections:
        free.put_nowait(connection)

    async def revoke(token: int) -> str:
        connection = await free.get()
        status, body = await connection.exchange(post_form("/revoke", {"token": tokens[token]}))
        free.put_nowait(connection)
        if status != 200:
            raise RuntimeError(f"/revoke answered {status}: {body[:200]!r}")
        return "endpoint"

    try:
        yield revoke
    finally:
        for connection in connections:
            connection.close()


@asynccontextmanager
async def by_sql(url: str, statements: tuple[str, ...]) -> AsyncIterator[Revoke]:
    """Revokes by plain SQL, with the statements in rotation. Acknowledged by the commit."""
    address = make_url(url).set(drivername="postgresql+psycopg2")
    engine = create_engine(address, pool_size=CONNECTIONS, isolation_level="AUTOCOMMIT")
    threads, turn = ThreadPoolExecutor(CONNECTIONS), itertools.cycle(statements)

    async def revoke(token: int) -> str:
        work = partial(execute, engine, next(turn), {"user": token + 1})
        await asyncio.get_running_loop().run_in_executor(threads, work)
        return "sql"

    try:
        yield revoke
    finally:
        threads.shutdown()
        engine.dispose()


@asynccontextmanager
async def by_command(product: Product) -> AsyncIterator[Revoke]:
    """Revokes by the command `sessions revoke --user`, and after a few times by its function.

    A command takes a second to start, so thousands of them would measure Python's imports.
    """
    database, threads = Database(settings_of(product)), ThreadPoolExecutor(CONNECTIONS)
    turn = itertools.count()

    async def revoke(token: int) -> str:
        work = partial(run_command, product.url, ["sessions", "revoke", "--user", str(token + 1)])
        if next(turn) >= REAL_COMMANDS:
            work = partial(end_sessions, database, token + 1)
        ended = await asyncio.get_running_loop().run_in_executor(threads, work)
        if int(ended) != 1:
            raise RuntimeError(f"the command ended {ended} sessions")
        return "command"

    try:
        yield revoke
    finally:
        threads.shutdown()
        database.close()


def settings_of(product: Product) -> DatabaseSettings:
    return DatabaseSettings(database_url=product.url)


def end_sessions(database: Database, user_id: int) -> str:
    with database.transaction() as db:
        return str(sessions.revoke_all(db, user_id, origin=COMMAND, reason=Reason.COMMAND))


def execute(engine: Engine, statement: str, parameters: dict[str, Any]) -> None:
    with engine.connect() as connection:
        changed = connection.execute(text(statement), parameters).rowcount
    if changed != 1:
        raise RuntimeError(f"{statement} changed {changed} rows")
