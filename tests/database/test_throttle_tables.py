"""The tables of the throttle stay small, and their migration goes both ways."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from authentication.pruning import prune
from database import migrations
from database.engine.session import Database
from database.settings import DatabaseSettings
from tests.support.administrator import Sql
from tests.support.client import Client

DIGEST = "ab" * 32


def blob(database_url: str, text: str) -> str:
    return f"x'{text}'" if database_url.startswith("sqlite") else f"'\\x{text}'"


def ago(days: float, database_url: str) -> str:
    """A time as a literal of SQL."""
    moment = datetime.now(UTC) - timedelta(days=days)
    return f"'{moment:%Y-%m-%d %H:%M:%S}{'' if database_url.startswith('sqlite') else '+00'}'"


def test_pruning_leaves_only_what_still_counts(client: Client, sql: Sql, database_url: str) -> None:
    client.register()
    # Counters go as soon as they have ended, whatever else is kept, and addresses after 90 days.
    ended, still_known, forgotten = (ago(days, database_url) for days in (0.01, 80, 98))
    for n, (user, end) in enumerate(
        [("1", "NULL"), ("1", ended), ("NULL", ended), ("NULL", "'2999-01-01'")]
    ):
        key = blob(database_url, f"{n:064x}")
        sql(
            f"INSERT INTO throttle_counters (key_digest, user_id, attempts, ends_at)"
            f" VALUES ({key}, {user}, {n}, {end})"
        )
    for n, moment in enumerate([forgotten, still_known]):
        key = blob(database_url, f"{n:064x}")
        sql(
            f"INSERT INTO known_addresses (user_id, address_digest, last_used_at)"
            f" VALUES (1, {key}, {moment})"
        )
    database = Database(DatabaseSettings(database_url=database_url))
    removed: Counter[str] = Counter()
    for rows in prune.prune_ended(database.transaction, prune.Retention(keep_days=7)):
        removed.update(rows)
    database.close()
    assert (removed["throttle_counters"], removed["known_addresses"]) == (2, 1)
    assert sql("SELECT attempts FROM throttle_counters ORDER BY attempts") == [(0,), (3,)]


def test_a_round_goes_on_until_nothing_is_left(sql: Sql, database_url: str) -> None:
    ended = ago(0.01, database_url)
    for n in range(5):
        key = blob(database_url, f"{n:064x}")
        columns = "key_digest, attempts, ends_at"
        sql(f"INSERT INTO throttle_counters ({columns}) VALUES ({key}, 1, {ended})")
    database = Database(DatabaseSettings(database_url=database_url))
    keep = prune.Retention(keep_days=7)
    removed = [
        rows["throttle_counters"]
        for rows in prune.prune_ended(database.transaction, keep, batch_rows=2)
        if rows.get("throttle_counters")
    ]
    database.close()
    assert removed == [2, 2, 1]


def test_counters_and_addresses_go_with_their_user(
    client: Client, sql: Sql, database_url: str
) -> None:
    tokens = client.sign_up()
    key = blob(database_url, DIGEST)
    sql(f"INSERT INTO known_addresses (user_id, address_digest) VALUES (1, {key})")
    assert sql("SELECT count(*) > 0 FROM throttle_counters")[0][0]
    assert client.http.delete("/users/me", headers=tokens.headers).status_code == 204
    assert sql("SELECT count(*) FROM throttle_counters") == [(0,)]
    assert sql("SELECT count(*) FROM known_addresses") == [(0,)]


def test_the_migration_goes_down_and_up_with_rows_in_place(
    client: Client, sql: Sql, database_url: str, upgrade: Callable[[], None]
) -> None:
    client.sign_up()
    migrations.downgrade(database_url, "0006_administration")
    assert sql("SELECT count(*) FROM users") == [(1,)]
    upgrade()
    assert client.try_to_log_in().status_code == 200
