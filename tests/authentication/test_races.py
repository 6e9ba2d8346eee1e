"""Many do the same at the same moment, or opposite things: limits and endings hold all the same."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.support.administrator import Sql
from tests.support.client import Client, MakeClient, read_tokens


@pytest.mark.parametrize(
    ("policy", "statuses"),
    [
        ("refuse", [200] * 3 + [409] * 9),
        ("evict-oldest", [200] * 12),
        ("evict-idle", [200] * 12),
    ],
)
# The counters of the throttle make logins wait for each other as well.
@pytest.mark.parametrize("throttle", [True, False])
def test_logins_at_once_do_not_slip_past_the_limit_of_sessions(
    make_client: MakeClient, sql: Sql, policy: str, statuses: list[int], throttle: bool
) -> None:
    limits = {"max_sessions_per_user": 3, "session_limit_policy": policy}
    client = make_client(login_throttle=throttle, **limits)
    client.register()
    with ThreadPoolExecutor(12) as threads:
        answers = list(threads.map(lambda _: client.try_to_log_in(), range(12)))
    assert sorted(answer.status_code for answer in answers) == statuses
    begun = [read_tokens(answer) for answer in answers if answer.status_code == 200]
    assert [client.me(tokens).status_code for tokens in begun].count(200) == 3
    assert sql("SELECT count(*) FROM sessions WHERE revoked_at IS NULL") == [(3,)]


def test_no_refresh_survives_the_end_of_all_sessions_at_the_same_moment(client: Client) -> None:
    client.register()
    for _ in range(5):
        tokens = [client.log_in() for _ in range(4)]

        def act(number: int) -> Any:
            if number == 0:
                return client.http.delete("/sessions", headers=tokens[0].headers)  # noqa: B023
            return client.refresh(tokens[number].refresh_token)  # noqa: B023

        with ThreadPoolExecutor(4) as threads:
            ended, *refreshed = threads.map(act, range(4))
        assert ended.status_code == 200
        for pair in [read_tokens(one) for one in refreshed if one.status_code == 200]:
            assert client.me(pair).status_code == 401
            assert client.refresh(pair.refresh_token).status_code == 400


def test_a_token_revoked_and_refreshed_at_once_is_dead_afterwards(client: Client) -> None:
    client.register()
    for _ in range(5):
        tokens = client.log_in()

        def act(is_revocation: bool) -> Any:
            if is_revocation:
                form = {"token": tokens.refresh_token}  # noqa: B023
                return client.http.post("/revoke", data=form)
            return client.refresh(tokens.refresh_token)  # noqa: B023

        with ThreadPoolExecutor(2) as threads:
            revoked, refreshed = threads.map(act, [True, False])
        assert revoked.status_code == 200
        assert client.me(tokens).status_code == 401
        if refreshed.status_code == 200:
            pair = read_tokens(refreshed)
            assert client.me(pair).status_code == 401
            assert client.refresh(pair.refresh_token).status_code == 400
