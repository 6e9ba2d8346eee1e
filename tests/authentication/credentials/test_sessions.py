"""Ending sessions while something else is under way: nothing comes back to life, nobody waits."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from httpx2 import Response

from authentication.audit import COMMAND, Origin, Reason
from authentication.credentials import sessions
from authentication.passwords.hasher import PasswordHasher
from authentication.settings import AuthenticationSettings
from tests.support.administrator import Sql, insert_user, user_id
from tests.support.client import PASSWORD, Client, MakeClient, read_tokens

NEW = "another correct horse"


class WaitingHasher(PasswordHasher):
    """Computes a hash, and then waits to be told to go on."""

    def __init__(self) -> None:
        super().__init__(AuthenticationSettings(bcrypt_rounds=4))
        self.has_checked = threading.Event()
        self.may_go_on = threading.Event()

    def verify(self, *args: Any, **options: Any) -> tuple[bool, str | None]:
        outcome = super().verify(*args, **options)
        self.has_checked.set()
        assert self.may_go_on.wait(30)
        return outcome


class Interruption:
    """Holds up the next password check of a client until `finish`."""

    def __init__(self, client: Client) -> None:
        self.service = client.http.app.state.service  # type: ignore[attr-defined]
        self.hasher = WaitingHasher()

    def begin(self, threads: ThreadPoolExecutor, call: Any) -> Any:
        usual, self.service.hasher = self.service.hasher, self.hasher
        answer = threads.submit(call)
        assert self.hasher.has_checked.wait(30)
        self.service.hasher = usual
        return answer

    def finish(self, answer: Any) -> Response:
        self.hasher.may_go_on.set()
        response: Response = answer.result(30)
        return response


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    """With threads for two passwords at once, besides the one that leaves room for token checks."""
    return make_client(hashing_threads=3)


@pytest.fixture
def threads() -> Any:
    with ThreadPoolExecutor(2) as pool:
        yield pool


def change_password(client: Client, headers: dict[str, str]) -> Response:
    body = {"current_password": PASSWORD, "new_password": NEW}
    return client.http.put("/users/me/password", json=body, headers=headers)


def test_a_login_under_way_does_not_survive_a_password_change(
    client: Client, threads: ThreadPoolExecutor, sql: Sql
) -> None:
    tokens = client.sign_up()
    interruption = Interruption(client)
    login = interruption.begin(threads, client.try_to_log_in)
    renewed = read_tokens(change_password(client, tokens.headers))
    assert interruption.finish(login).status_code == 401
    assert len(client.sessions(renewed)) == 1


ENDS = [
    "UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {user}",
    "UPDATE users SET is_active = false WHERE id = {user}",
    "DELETE FROM users WHERE id = {user}",
]


@pytest.mark.parametrize("statement", ENDS)
def test_a_login_under_way_does_not_survive_what_ends_its_user_by_sql(
    client: Client, threads: ThreadPoolExecutor, sql: Sql, statement: str
) -> None:
    client.register()
    interruption = Interruption(client)
    login = interruption.begin(threads, client.try_to_log_in)
    sql(statement.format(user=user_id(sql)))
    assert interruption.finish(login).status_code == 401
    assert sql("SELECT count(*) FROM sessions") == [(0,)]


def test_an_upgrade_of_a_hash_does_not_bring_the_old_password_back(
    client: Client, threads: ThreadPoolExecutor, sql: Sql
) -> None:
    """A hash from elsewhere is due for an upgrade at the next login, which takes a while."""
    insert_user(sql, "ada@example.org")
    insert_user(sql, "new@example.org", NEW)
    interruption = Interruption(client)
    login = interruption.begin(threads, client.try_to_log_in)
    sql(
        "UPDATE users SET hashed_password = (SELECT hashed_password FROM users"
        " WHERE email = 'new@example.org') WHERE email = 'ada@example.org'"
    )
    assert interruption.finish(login).status_code == 200
    assert client.try_to_log_in().status_code == 401
    client.log_in(password=NEW)


def test_a_login_under_way_does_not_survive_the_end_of_all_sessions(
    client: Client, threads: ThreadPoolExecutor
) -> None:
    tokens = client.sign_up()
    interruption = Interruption(client)
    login = interruption.begin(threads, client.try_to_log_in)
    answer = client.http.delete("/sessions?keep_current=true", headers=tokens.headers)
    assert answer.json() == {"ended": 0}
    assert interruption.finish(login).status_code == 401
    assert len(client.sessions(tokens)) == 1


@pytest.mark.parametrize(
    "statement",
    [
        *ENDS,
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {user}",
        "DELETE FROM sessions WHERE user_id = {user}",
    ],
)
def test_a_password_change_under_way_brings_no_ended_session_back(
    client: Client, threads: ThreadPoolExecutor, sql: Sql, statement: str
) -> None:
    tokens = client.sign_up()
    interruption = Interruption(client)
    change = interruption.begin(threads, lambda: change_password(client, tokens.headers))
    sql(statement.format(user=user_id(sql)))
    answer = interruption.finish(change)
    assert answer.status_code in {401, 404}
    assert client.me(tokens).status_code == 401
    assert client.refresh(tokens.refresh_token).status_code == 400
    assert client.try_to_log_in(password=NEW).status_code == 401


def test_of_two_password_changes_at_once_the_second_needs_the_new_password(
    client: Client, threads: ThreadPoolExecutor
) -> None:
    tokens = client.sign_up()
    interruption = Interruption(client)
    second = interruption.begin(threads, lambda: change_password(client, tokens.headers))
    body = {"current_password": PASSWORD, "new_password": "a third correct horse"}
    first = client.http.put("/users/me/password", json=body, headers=tokens.headers)
    assert first.status_code == 200
    assert interruption.finish(second).json()["code"] == "wrong_password"
    client.log_in(password="a third correct horse")


def test_a_change_of_address_under_way_does_not_survive_a_password_change(
    client: Client, threads: ThreadPoolExecutor
) -> None:
    tokens = client.sign_up()
    interruption = Interruption(client)
    body = {"email": "eve@example.org", "current_password": PASSWORD}
    change = interruption.begin(
        threads, lambda: client.http.patch("/users/me", json=body, headers=tokens.headers)
    )
    renewed = read_tokens(change_password(client, tokens.headers))
    assert interruption.finish(change).status_code == 403
    assert client.me(renewed).json()["email"] == "ada@example.org"


def test_ending_everything_from_all_sides_at_once_locks_nobody_out(
    client: Client, make_client: MakeClient
) -> None:
    """Password changes lock the user first; whoever locks the sessions first waits for ever."""
    client.register()
    logins = [client.log_in() for _ in range(6)]

    def end(number: int) -> int:
        headers = logins[number % 6].headers
        if number % 3 == 0:
            return change_password(client, headers).status_code
        if number % 3 == 1:
            return client.try_to_log_in().status_code
        answer = client.http.delete("/sessions?keep_current=true", headers=headers)
        return answer.status_code

    with ThreadPoolExecutor(12) as threads:
        statuses = set(threads.map(end, range(24)))
    assert max(statuses) < 500, statuses


def test_two_logouts_of_one_session_at_once_both_succeed(client: Client) -> None:
    """The second was let in before the first had ended the session."""
    tokens = client.sign_up()
    service = client.http.app.state.service  # type: ignore[attr-defined]
    portal = client.http.portal
    assert portal is not None
    identity = portal.call(service.resolver.resolve, tokens.access_token)
    for _ in range(2):
        with service.database.transaction() as db:
            sessions.log_out(db, identity, origin=Origin())
    assert client.me(tokens).status_code == 401


def test_the_current_session_is_kept_only_if_it_is_still_live(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    [current] = client.sessions(tokens)
    user = user_id(sql)
    sql(f"UPDATE users SET session_epoch = session_epoch + 1 WHERE id = {user}")
    service = client.http.app.state.service  # type: ignore[attr-defined]
    with service.database.transaction() as db:
        keep = UUID(current["id"])
        sessions.revoke_all(db, user, origin=Origin(), reason=Reason.COMMAND, keep=keep)
    assert client.me(tokens).status_code == 401


@pytest.mark.parametrize("epoch", [2**31 - 1, -1, -(2**31)])
def test_epochs_start_over_and_no_old_session_is_valid_again(
    client: Client, sql: Sql, epoch: int
) -> None:
    client.register()
    old = []
    for number in (0, 1, 2, epoch):
        sql(f"UPDATE users SET session_epoch = {number}")
        old.append(client.log_in())
    kept = client.log_in()
    ending = "/sessions?keep_current=true"
    for number in (1, 2, 3):
        assert client.http.delete(ending, headers=kept.headers).status_code == 200
        assert sql("SELECT session_epoch FROM users") == [(number,)]
        assert {client.me(tokens).status_code for tokens in old} == {401}
        assert client.me(kept).status_code == 200


def test_the_last_epoch_of_one_user_keeps_no_other_session_alive(client: Client, sql: Sql) -> None:
    tokens = [client.sign_up("ada@example.org"), client.sign_up("grace@example.org")]
    of_grace = f"WHERE id = {user_id(sql, 'grace@example.org')}"
    for number in (1, 2147483647):
        sql(f"UPDATE users SET session_epoch = {number} {of_grace}")
        tokens.append(client.log_in("grace@example.org"))
    service = client.http.app.state.service  # type: ignore[attr-defined]
    with service.database.transaction() as db:
        assert sessions.revoke_everywhere(db, origin=COMMAND, reason=Reason.COMMAND) == 2
    assert {client.me(each).status_code for each in tokens} == {401}
    assert sql("SELECT session_epoch FROM users ORDER BY id") == [(1,), (1,)]
