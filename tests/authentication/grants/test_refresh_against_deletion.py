"""What an administrator deletes while a refresh is under way takes the new pair along."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import psycopg2
import pytest

from tests.support.client import Client, read_tokens
from tests.support.waiting import until

# Each of these alone is to log the user out, completely and at once.
STATEMENTS = [
    "DELETE FROM access_tokens WHERE user_id = {user}",
    "DELETE FROM sessions WHERE user_id = {user}",
    "UPDATE sessions SET revoked_at = now() WHERE user_id = {user}",
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {user}",
    "UPDATE users SET is_active = false WHERE id = {user}",
    "DELETE FROM users WHERE id = {user}",
    "DELETE FROM sessions USING access_tokens t"
    " WHERE t.session_id = sessions.id AND t.token_digest = sha256('{token}')",
]

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.mark.parametrize(
    ("statement", "grace"), [*((one, 0) for one in STATEMENTS), (STATEMENTS[0], 60)]
)
def test_a_pair_that_is_being_issued_is_refused_once_the_statement_is_done(
    make_client: Callable[..., Client], database_url: str, statement: str, grace: int
) -> None:
    client = make_client(refresh_grace_seconds=grace, track_last_used=False)
    tokens = client.sign_up()
    if grace:
        # The refresh token comes back within its grace, which takes another way.
        client.refresh(tokens.refresh_token)
    user = client.me(client.log_in()).json()["id"]
    ending = statement.format(user=user, token=tokens.access_token)
    with ThreadPoolExecutor(2) as threads:
        with refresh_held_before_its_commit(database_url):
            refreshing = threads.submit(client.refresh, tokens.refresh_token)
            until(lambda: waiting_for_locks(database_url) == 1)
            deleting = threads.submit(run, database_url, ending)
            until(lambda: deleting.done() or waiting_for_locks(database_url) == 2)
        deleting.result()
        issued = read_tokens(refreshing.result())
    assert client.me(issued).status_code == 401
    assert client.refresh(issued.refresh_token).status_code == 400


@contextmanager
def refresh_held_before_its_commit(url: str) -> Iterator[None]:
    """The audit event is the last thing that a refresh writes."""
    with closing(psycopg2.connect(url)) as holder:
        holder.cursor().execute("LOCK TABLE audit_events IN EXCLUSIVE MODE")
        yield


def waiting_for_locks(url: str) -> int:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (row,) = cursor.fetchall()
        return int(row[0])


def run(url: str, statement: str) -> None:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
