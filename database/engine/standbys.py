"""Says of the primary and of each standby what it is, for a person to read."""

import re
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

import psycopg2
from sqlalchemy import URL

from counterfoil.errors import DatabaseUnavailable
from database.engine.postgresql import connection_options
from database.settings import DatabaseSettings, parse_url

_CONNECT_SECONDS = 5
_COUNTED = re.compile(r"\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\((.*)\)\s*", re.IGNORECASE)
# A standby judges by its own clock what has expired.
_CLOCK_SECONDS = 1.0

_STATE = """
SELECT pg_is_in_recovery(),
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
    ELSE pg_current_wal_insert_lsn() END - '0/0'::pg_lsn,
  system_identifier,
  (SELECT number FROM reign),
  (SELECT nonce::text FROM reign),
  clock_timestamp(),
  current_setting('synchronous_standby_names'),
  current_setting('hot_standby_feedback')::boolean
FROM pg_control_system()
"""


class _State(NamedTuple):
    is_standby: bool
    position: int
    system: int
    reign: int | None
    nonce: str | None
    clock: datetime
    synchronous_names: str
    has_feedback: bool


def describe(settings: DatabaseSettings) -> Iterator[str]:
    """A line for the primary and for each standby. Nothing where neither is asked for its reign.

    Raises DatabaseUnavailable.
    """
    if not settings.has_reigns:
        return
    primary, began = _read(settings.url), datetime.now().astimezone()
    yield f"{_name_of(settings.url)}: primary, reign {primary.reign or 'not yet begun'}"
    weakness = find_weakness(primary.synchronous_names)
    if settings.fencing_seconds and weakness:
        yield f"warning: {_name_of(settings.url)}: {weakness}"
    for url in map(parse_url, settings.lookup_database_urls):
        try:
            state = _read(url)
        except DatabaseUnavailable as failure:
            yield f"warning: {_name_of(url)}: cannot be used: {failure}"
            continue
        offset = (state.clock - primary.clock) - (datetime.now().astimezone() - began)
        yield from _compare(_name_of(url), state, primary, offset.total_seconds())


def find_weakness(synchronous_names: str) -> str | None:
    """Why COUNTERFOIL_FENCING_SECONDS does not hold with this `synchronous_standby_names`."""
    if not synchronous_names.strip():
        return "commits wait for no standby, so fencing proves nothing: synchronous_standby_names"
    counted = _COUNTED.fullmatch(synchronous_names)
    count, listed = counted.groups() if counted else ("1", synchronous_names)
    names = listed.split(",")
    if "*" in listed or int(count) < len(names):
        return (
            f"synchronous_standby_names is {synchronous_names}, and must name each server that may"
            " be promoted and wait for all of them, or fencing proves nothing"
        )
    return None


def _compare(name: str, state: _State, primary: _State, offset: float) -> Iterator[str]:
    if not state.is_standby:
        yield f"warning: {name}: is not a standby, and answers no lookups"
    elif state.system != primary.system:
        yield f"warning: {name}: belongs to another cluster, and answers no lookups"
    elif state.nonce != primary.nonce:
        yield f"warning: {name}: does not follow the primary, and answers no lookups"
    else:
        behind = max(0, primary.position - state.position)
        yield f"{name}: standby, reign {state.reign or 'not yet begun'}, {behind} bytes behind"
        if not state.has_feedback:
            yield f"warning: {name}: hot_standby_feedback is off, so lookups hold up its replay"
    if abs(offset) > _CLOCK_SECONDS:
        yield f"warning: {name}: its clock differs from the primary's by {offset:.0f} s"


def _read(url: URL) -> _State:
    options: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, **connection_options(url)}
    try:
        with closing(psycopg2.connect(**options)) as connection, connection.cursor() as cursor:
            cursor.execute(_STATE)
            return _State(*cursor.fetchall()[0])
    except psycopg2.Error as error:
        raise DatabaseUnavailable(str(error).strip()) from error


def _name_of(url: URL) -> str:
    return f"{url.host or 'localhost'}:{url.port or 5432}"
