"""What keeps tables of millions of rows cheap to change and to prune."""

from uuid import UUID

import pytest

from tests.support.administrator import Sql
from tests.support.client import Client


def test_the_ids_of_sessions_are_in_the_order_of_their_logins(client: Client, sql: Sql) -> None:
    client.sign_up()
    for _ in range(3):
        client.log_in()
    ids = [UUID(str(id_)) for (id_,) in sql("SELECT id FROM sessions ORDER BY created_at")]
    assert len(ids) == 4
    assert ids == sorted(ids)
    assert {id_.version for id_ in ids} == {7}
    # All bits after the time are random, but for those that say the version and the variant.
    assert len({id_.int & ((1 << 62) - 1) for id_ in ids}) == 4


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_recording_the_last_use_of_a_session_changes_no_index(client: Client, sql: Sql) -> None:
    client.sign_up()
    hot = sql(
        """
        WITH touched AS (UPDATE sessions SET last_used_at = now() RETURNING id)
        SELECT count(*) FROM touched;
        SELECT pg_stat_get_xact_tuples_hot_updated('sessions'::regclass)
        """
    )
    assert hot == [(1,)]


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_pages_of_sessions_keep_room_and_large_tables_are_vacuumed_early(
    client: Client, sql: Sql
) -> None:
    tables = sql("SELECT relname, reloptions FROM pg_class WHERE relkind = 'r'")
    options: dict[str, list[str]] = dict(tables)
    assert "fillfactor=85" in options["sessions"]
    for table in ("sessions", "access_tokens", "refresh_tokens", "audit_events"):
        assert "autovacuum_vacuum_scale_factor=0.02" in options[table]
