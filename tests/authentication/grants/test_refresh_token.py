"""Refresh tokens: used once, bound to their client and session, and a return betrays a theft."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from authentication import policies
from authentication.audit import Origin
from authentication.errors import InvalidRefreshToken
from authentication.grants import refresh_token as refresh_grant
from authentication.grants.refresh_token import RefreshRequest
from authentication.settings import AuthenticationSettings
from tests.support.administrator import Sql, count, events, give_role, run_in_bare_sqlite, take_role
from tests.support.client import Client, MakeClient, Tokens, read_tokens
from tests.support.clock import Clock

PAST = "'2020-01-01 00:00:00'"


def is_refused(client: Client, refresh_token: str, **fields: str) -> bool:
    answer = client.refresh(refresh_token, **fields)
    assert answer.headers["cache-control"] == "no-store"
    return answer.status_code == 400 and answer.json()["error"] == "invalid_grant"


def test_a_refresh_gives_a_new_pair_in_the_same_session_and_ends_the_old(client: Client) -> None:
    old = client.sign_up()
    new = read_tokens(client.refresh(old.refresh_token))
    assert {new.access_token, new.refresh_token}.isdisjoint({old.access_token, old.refresh_token})
    assert client.me(new).status_code == 200
    assert client.me(old).status_code == 401
    assert [session["current"] for session in client.sessions(new)] == [True]


def test_a_used_refresh_token_that_comes_back_ends_the_whole_session(
    client: Client, sql: Sql
) -> None:
    first = client.sign_up()
    bystander = client.log_in()
    second = read_tokens(client.refresh(first.refresh_token))
    third = read_tokens(client.refresh(second.refresh_token))
    assert is_refused(client, first.refresh_token)
    assert client.me(third).status_code == 401
    assert is_refused(client, third.refresh_token)
    assert client.me(bystander).status_code == 200
    assert "token.refresh_reused" in events(sql)


def test_an_old_refresh_token_is_recognised_after_pruning(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(refresh_grace_seconds=0)
    first = client.sign_up()
    second = read_tokens(client.refresh(first.refresh_token))
    sql(f"UPDATE access_tokens SET expires_at = {PAST} WHERE expires_at < CURRENT_TIMESTAMP")
    assert is_refused(client, first.refresh_token)
    assert client.me(second).status_code == 401


def test_in_the_last_second_of_a_session_no_token_is_issued(
    client: Client, sql: Sql, database_url: str
) -> None:
    tokens = client.sign_up()
    clock = Clock(database_url)
    sql(f"UPDATE sessions SET expires_at = {clock.in_milliseconds(900)}")
    assert is_refused(client, tokens.refresh_token)
    sql(f"UPDATE sessions SET expires_at = {clock.in_milliseconds(1900)}")
    assert read_tokens(client.refresh(tokens.refresh_token)).expires_in == 1


def test_a_session_of_one_second_has_tokens_of_one_second(make_client: MakeClient) -> None:
    client = make_client(session_seconds=1)
    assert client.sign_up().expires_in == 1


def test_within_the_grace_a_used_token_gets_another_pair(make_client: MakeClient) -> None:
    client = make_client(refresh_grace_seconds=60)
    first = client.sign_up()
    second = read_tokens(client.refresh(first.refresh_token))
    again = read_tokens(client.refresh(first.refresh_token))
    assert again.access_token != second.access_token
    assert client.me(second).status_code == client.me(again).status_code == 200


def test_a_replay_does_not_extend_the_grace(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(refresh_grace_seconds=60)
    first = client.sign_up()
    client.refresh(first.refresh_token)
    used = sql("SELECT first_used_at FROM refresh_tokens WHERE first_used_at IS NOT NULL")
    replay = read_tokens(client.refresh(first.refresh_token))
    assert used == sql("SELECT first_used_at FROM refresh_tokens WHERE first_used_at IS NOT NULL")
    sql(f"UPDATE refresh_tokens SET first_used_at = {PAST} WHERE first_used_at IS NOT NULL")
    assert is_refused(client, first.refresh_token)
    assert client.me(replay).status_code == 401


def test_by_default_there_is_a_grace_of_ten_seconds(client: Client, sql: Sql) -> None:
    first = client.sign_up()
    client.refresh(first.refresh_token)
    again = read_tokens(client.refresh(first.refresh_token))
    assert client.me(again).status_code == 200
    assert events(sql)[-2:] == ["token.refreshed", "token.refresh_repeated"]
    earlier = datetime.now(UTC) - timedelta(seconds=11)
    sql(f"UPDATE refresh_tokens SET first_used_at = '{earlier:%F %T}' WHERE id = 1")
    assert is_refused(client, first.refresh_token)
    assert client.me(again).status_code == 401


@pytest.mark.parametrize("used", [0, 1, 2])
def test_when_one_successor_is_used_its_siblings_end(make_client: MakeClient, used: int) -> None:
    client = make_client(refresh_grace_seconds=60)
    first = client.sign_up()
    bystander = client.log_in()
    pairs = [read_tokens(client.refresh(first.refresh_token)) for _ in range(3)]
    assert [client.me(pair).status_code for pair in pairs] == [200] * 3
    following = read_tokens(client.refresh(pairs[used].refresh_token))
    assert [client.me(pair).status_code for pair in pairs] == [401] * 3
    assert client.me(following).status_code == client.me(bystander).status_code == 200
    assert len(client.sessions(following)) == 2


@pytest.mark.parametrize("comes_back", ["a sibling", "the parent"])
def test_what_comes_back_after_a_successor_was_used_ends_the_session(
    make_client: MakeClient, sql: Sql, comes_back: str
) -> None:
    client = make_client(refresh_grace_seconds=60)
    first = client.sign_up()
    pairs = [read_tokens(client.refresh(first.refresh_token)) for _ in range(2)]
    following = read_tokens(client.refresh(pairs[0].refresh_token))
    late = pairs[1] if comes_back == "a sibling" else first
    assert is_refused(client, late.refresh_token)
    assert events(sql)[-1] == "token.refresh_reused"
    assert client.me(following).status_code == 401
    assert is_refused(client, following.refresh_token)


def test_a_thief_and_the_owner_cannot_both_go_on(make_client: MakeClient) -> None:
    client = make_client(refresh_grace_seconds=60)
    stolen = client.sign_up().refresh_token
    of_owner, of_thief = (read_tokens(client.refresh(stolen)) for _ in range(2))
    of_thief = read_tokens(client.refresh(of_thief.refresh_token))
    assert is_refused(client, of_owner.refresh_token)
    assert client.me(of_thief).status_code == 401
    assert is_refused(client, of_thief.refresh_token)


def test_of_two_siblings_used_at_once_one_ends_the_session(make_client: MakeClient) -> None:
    client = make_client(refresh_grace_seconds=60)
    first = client.sign_up()
    siblings = [read_tokens(client.refresh(first.refresh_token)).refresh_token for _ in range(2)]
    with ThreadPoolExecutor(2) as threads:
        answers = list(threads.map(client.refresh, siblings))
    assert sorted(answer.status_code for answer in answers) == [200, 400]
    winner = next(answer for answer in answers if answer.status_code == 200)
    assert client.me(read_tokens(winner)).status_code == 401


def test_the_grace_does_not_outlast_the_token(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(refresh_grace_seconds=60)
    first = client.sign_up()
    client.refresh(first.refresh_token)
    sql(f"UPDATE refresh_tokens SET expires_at = {PAST} WHERE first_used_at IS NOT NULL")
    assert is_refused(client, first.refresh_token)


def test_without_a_grace_even_a_use_that_seems_to_lie_ahead_is_a_reuse() -> None:
    """A transaction that waited for the winner's has begun before it, by the database's clock."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    strict = AuthenticationSettings(refresh_grace_seconds=0)
    lenient = AuthenticationSettings(refresh_grace_seconds=1)
    for elapsed in (-1, 0, 1):
        used = now - timedelta(milliseconds=elapsed)
        assert not policies.is_within_grace(strict, now, used)
        assert policies.is_within_grace(lenient, now, used)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_an_exchange_that_began_first_but_came_second_is_a_reuse(make_client: MakeClient) -> None:
    client = make_client(refresh_grace_seconds=0)
    tokens = client.sign_up()
    service = client.http.app.state.service  # type: ignore[attr-defined]
    with service.database.transaction() as late:
        late.connection()
        assert client.refresh(tokens.refresh_token).status_code == 200
        request = RefreshRequest(tokens.refresh_token)
        outcome = refresh_grant._Exchange(service.settings, request, Origin()).run(late)
    assert isinstance(outcome, InvalidRefreshToken)


def test_a_refresh_token_is_bound_to_the_client_it_was_issued_to(client: Client) -> None:
    client.register()
    tokens = client.log_in(client_id="phone")
    assert is_refused(client, tokens.refresh_token)
    assert is_refused(client, tokens.refresh_token, client_id="laptop")
    new = read_tokens(client.refresh(tokens.refresh_token, client_id="phone"))
    assert is_refused(client, new.refresh_token, client_id="laptop")
    assert client.refresh(new.refresh_token, client_id="phone").status_code == 200


def test_a_refresh_may_narrow_and_the_next_one_has_the_whole_grant_again(
    client: Client, sql: Sql
) -> None:
    client.register()
    give_role(sql, "moderator")
    tokens = client.log_in()
    assert tokens.scope == "account moderate"
    narrow = read_tokens(client.refresh(tokens.refresh_token, scope="moderate"))
    assert narrow.scope == "moderate"
    assert client.http.get("/sessions", headers=narrow.headers).status_code == 403
    wide = read_tokens(client.refresh(narrow.refresh_token))
    assert wide.scope == "account moderate"


def test_a_refresh_never_widens_what_the_login_was_granted(client: Client, sql: Sql) -> None:
    client.register()
    give_role(sql, "moderator")
    tokens = client.log_in(scope="moderate")
    refused = client.refresh(tokens.refresh_token, scope="account moderate")
    assert refused.json()["error"] == "invalid_scope"
    # Nothing was used up.
    new = read_tokens(client.refresh(tokens.refresh_token))
    assert new.scope == "moderate"


def test_a_refresh_after_a_demotion_gives_what_is_left(client: Client, sql: Sql) -> None:
    client.register()
    give_role(sql, "admin")
    tokens = client.log_in()
    take_role(sql, "admin")
    assert client.refresh(tokens.refresh_token, scope="admin").json()["error"] == "invalid_scope"
    assert read_tokens(client.refresh(tokens.refresh_token)).scope == "account"


@pytest.mark.parametrize("grace", [0, 60])
def test_of_sixteen_exchanges_at_once_exactly_one_wins(
    make_client: MakeClient, sql: Sql, grace: int
) -> None:
    client = make_client(refresh_grace_seconds=grace)
    tokens = client.sign_up()
    with ThreadPoolExecutor(16) as threads:
        answers = list(threads.map(client.refresh, [tokens.refresh_token] * 16))
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == ([200] + [400] * 15 if grace == 0 else [200] * 16)
    winner = next(answer for answer in answers if answer.status_code == 200)
    # Without a grace the others were reuses, which end the session.
    assert client.me(read_tokens(winner)).status_code == (401 if grace == 0 else 200)


def test_the_kinds_of_tokens_are_never_taken_for_each_other(client: Client) -> None:
    tokens = client.sign_up()
    assert client.me(tokens.refresh_token).status_code == 401
    assert is_refused(client, tokens.access_token)
    disguised = "cfr_" + tokens.access_token[4:]
    assert is_refused(client, disguised)
    assert client.me("cfa_" + tokens.refresh_token[4:]).status_code == 401
    assert client.me(tokens).status_code == 200
    assert client.refresh(tokens.refresh_token).status_code == 200


def test_no_refresh_outlives_the_absolute_end_of_the_session(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(
        session_seconds=100, access_token_seconds=3600, refresh_token_seconds=86_400
    )
    tokens = client.sign_up()
    assert tokens.expires_in <= 100
    new = read_tokens(client.refresh(tokens.refresh_token))
    assert new.expires_in <= 100
    late = "SELECT count(*) FROM {0} t JOIN sessions s ON s.id = t.session_id"
    for table in ("access_tokens", "refresh_tokens"):
        query = late.format(table) + " WHERE t.expires_at > s.expires_at"
        assert sql(query) == [(0,)]
    sql(f"UPDATE sessions SET expires_at = {PAST}")
    assert client.me(new).status_code == 401
    assert is_refused(client, new.refresh_token)


def test_a_refresh_token_that_was_idle_too_long_is_refused(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    sql(f"UPDATE refresh_tokens SET expires_at = {PAST}")
    assert is_refused(client, tokens.refresh_token)
    # Nobody stole anything: the access token lives out its time.
    assert client.me(tokens).status_code == 200


def test_a_refresh_is_recorded_and_so_is_a_refusal(make_client: MakeClient, sql: Sql) -> None:
    client = make_client(refresh_grace_seconds=0)
    tokens: Tokens = client.sign_up()
    client.refresh(tokens.refresh_token, client_id="")
    client.refresh(tokens.refresh_token)
    assert events(sql)[2:] == ["token.refreshed", "token.refresh_reused"]
    assert tokens.refresh_token not in str(sql("SELECT * FROM audit_events"))
    assert count(sql, "refresh_tokens") == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_refresh_token_left_behind_by_a_bare_sqlite_shell_stays_dead(
    client: Client, database_url: str
) -> None:
    """Without foreign keys it outlives its access token, whose number is then given to another."""
    tokens = client.sign_up()
    run_in_bare_sqlite(database_url, "DELETE FROM access_tokens")
    other = client.sign_up("other@example.org")
    assert is_refused(client, tokens.refresh_token)
    assert client.me(other).status_code == 200
