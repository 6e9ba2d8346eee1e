"""The views by which credentials are looked up: read by index, and of one mind with the lists."""

import re
from collections.abc import Callable

import pytest

from counterfoil.identity import CredentialKind
from counterfoil.lookup import statements
from counterfoil.lookup.connection import PLANNING
from tests.support.administrator import Sql
from tests.support.client import Client

KINDS = list(CredentialKind)


@pytest.fixture
def plan_of(sql: Sql, database_url: str) -> Callable[[CredentialKind], str]:
    """How the database runs the lookup of two digests, as the service sends it."""

    def explain(kind: CredentialKind) -> str:
        if database_url.startswith("sqlite"):
            query = statements.sqlite(kind, 2)
            rows = sql(f"EXPLAIN QUERY PLAN {query}", (b"a", b"b"))
            return "\n".join(str(row[-1]) for row in rows)
        query = statements.postgresql(kind).replace("$1", "ARRAY[sha256('a'), sha256('b')]")
        return "\n".join(str(row[0]) for row in sql("; ".join([*PLANNING, f"EXPLAIN {query}"])))

    return explain


@pytest.mark.parametrize("kind", KINDS)
def test_a_lookup_reads_no_table_from_end_to_end(
    plan_of: Callable[[CredentialKind], str], kind: CredentialKind
) -> None:
    plan = plan_of(kind)
    assert re.search(r"(Index Scan|Bitmap Index Scan|SEARCH)", plan)
    # SQLite says SCAN, and CO-ROUTINE or MATERIALIZE where it would make the view a table first.
    assert not re.search(r"Seq Scan|\bSCAN\b|CO-ROUTINE|MATERIALIZE", plan), plan


@pytest.mark.parametrize("kind", KINDS)
def test_a_lookup_is_one_select_that_names_its_columns(kind: CredentialKind) -> None:
    for text in (statements.postgresql(kind), statements.sqlite(kind, 1)):
        assert text.startswith("SELECT digest, ")
        assert ";" not in text
        assert "*" not in text


def test_each_view_shows_what_is_live_and_whose_it_is(client: Client, sql: Sql) -> None:
    client.sign_up()
    rows = sql("SELECT email, grants, session_id FROM live_access_tokens")
    assert [(email, grants) for email, grants, _ in rows] == [("ada@example.org", "user=")]
    assert sql("SELECT digest FROM live_api_keys") == []
