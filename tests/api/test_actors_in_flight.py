"""Administrators with many requests in flight: none survives a demotion, and none deadlocks."""

import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import pytest

from tests.support.administrator import Sql, give_role, user_id
from tests.support.client import Client, MakeClient, Tokens
from tests.support.waiting import until

ROUNDS = 3
THREADS = 8
# Of one user who undoes a loss again and again: each more keeps all of them longer.
ATTACKERS = 4

PROMOTE_ALL = (
    "INSERT INTO user_roles SELECT users.id, roles.id FROM users, roles"
    " WHERE roles.name = 'admin' ON CONFLICT DO NOTHING"
)
Take = Callable[[Client, Tokens, Sql, int], None]


def by_endpoint(body: dict[str, Any]) -> Take:
    def take(client: Client, root: Tokens, sql: Sql, eve: int) -> None:
        def has_taken() -> bool:
            path = f"/admin/users/{eve}"
            answer = client.http.patch(path, json=body, headers=root.headers)
            assert answer.status_code in {200, 503}, answer.text
            return answer.status_code == 200

        # SQLite has no queue for writers: one may wait too long.
        until(has_taken)

    return take


def by_sql(statement: str) -> Take:
    def take(_client: Client, _root: Tokens, sql: Sql, eve: int) -> None:
        sql(statement.format(id=eve))

    return take


DEMOTIONS = {
    "endpoint": by_endpoint({"roles": ["user"]}),
    "sql": by_sql(
        "DELETE FROM user_roles WHERE user_id = {id}"
        " AND role_id = (SELECT id FROM roles WHERE name = 'admin')"
    ),
}
DISABLINGS = {
    "endpoint": by_endpoint({"is_active": False}),
    "sql": by_sql("UPDATE users SET is_active = false WHERE id = {id}"),
    "sessions by sql": by_sql(
        "UPDATE sessions SET revoked_at = CURRENT_TIMESTAMP WHERE user_id = {id}"
    ),
}


def act_until(client: Client, tokens: Tokens, body: dict[str, Any], eve: int, over: Event) -> int:
    """Undo one's own loss again and again. Returns how often it was answered by 200."""
    succeeded = 0
    while not over.is_set():
        answer = client.http.patch(f"/admin/users/{eve}", json=body, headers=tokens.headers)
        assert answer.status_code in {200, 401, 403, 503}, answer.text
        succeeded += answer.status_code == 200
    return succeeded


@pytest.mark.parametrize(
    ("take", "undo"),
    [
        *((take, {"roles": ["admin", "user"]}) for take in DEMOTIONS.values()),
        *((take, {"is_active": True, "roles": ["admin"]}) for take in DISABLINGS.values()),
    ],
    ids=[*(f"demoted by {name}" for name in DEMOTIONS), *(f"ended by {n}" for n in DISABLINGS)],
)
def test_nobody_undoes_their_own_loss(
    make_client: MakeClient, sql: Sql, take: Take, undo: dict[str, Any]
) -> None:
    # Without the limits on changes, all of them are about locks.
    client = make_client(login_throttle=False)
    client.register("root@example.org")
    client.register("eve@example.org")
    give_role(sql, "admin", "root@example.org")
    root, eve = client.log_in("root@example.org"), user_id(sql, "eve@example.org")
    for _ in range(ROUNDS):
        sql(f"UPDATE users SET is_active = true WHERE id = {eve}")
        sql(PROMOTE_ALL)
        tokens, over = client.log_in("eve@example.org"), Event()
        with ThreadPoolExecutor(ATTACKERS) as threads:
            acting = [
                threads.submit(act_until, client, tokens, undo, eve, over) for _ in range(ATTACKERS)
            ]
            try:
                take(client, root, sql, eve)
                [(last,)] = sql("SELECT max(id) FROM audit_events")
                left = state(sql, eve)
                # Each of them begins another request after the loss was acknowledged.
                for _ in range(ATTACKERS):
                    client.me(tokens)
            finally:
                over.set()
            for one in acting:
                one.result()
        assert state(sql, eve) == left
        by_eve = f"actor = 'user:{eve}' AND id > {last} AND event LIKE 'user.%'"
        assert sql(f"SELECT event FROM audit_events WHERE {by_eve}") == []


def state(sql: Sql, eve: int) -> list[tuple[Any, ...]]:
    """Whether Eve is active, and her roles."""
    return sql(
        "SELECT is_active, role_id FROM users LEFT JOIN user_roles ON user_id = id"
        f" WHERE users.id = {eve} ORDER BY role_id"
    )


def everything(other: int, session: str, key: str) -> list[tuple[str, str, Any]]:
    """Requests by which one administrator takes something from the other, or from all."""
    return [
        ("PATCH", f"/admin/users/{other}", {"roles": ["user", "admin"]}),
        ("DELETE", f"/admin/users/{other}/sessions", None),
        ("POST", "/admin/sessions/revoke", {"ids": ["*"]}),
        ("DELETE", f"/admin/sessions/{session}", None),
        ("DELETE", "/sessions", None),
        ("PATCH", f"/admin/users/{other}", {"is_active": False}),
        ("POST", "/api-keys", {"name": "Another"}),
        ("DELETE", f"/admin/api-keys/{key}", None),
        ("PATCH", f"/admin/users/{other}", {"is_active": True, "roles": ["admin"]}),
        ("DELETE", "/sessions?keep_current=true", None),
        ("PATCH", "/users/me", {"name": "Another"}),
        ("POST", "/sessions/confirm", {"password": "correct horse battery staple"}),
    ]


def test_administrators_who_revoke_each_other_never_deadlock(
    make_client: MakeClient, sql: Sql
) -> None:
    # With the shortest interval, uses are written all the while.
    client = make_client(last_used_seconds=1, login_throttle=False, database_deadline_seconds=30)
    names = ["first@example.org", "second@example.org"]
    for name in names:
        client.register(name)
    sql(PROMOTE_ALL)
    statuses: Counter[int] = Counter()
    for _ in range(ROUNDS):
        sql("UPDATE users SET is_active = true")
        sql(PROMOTE_ALL)
        both = [[client.log_in(name) for _ in range(THREADS)] for name in names]
        key = client.create_api_key(both[0][0])["id"]
        session = client.sessions(both[0][0])[0]["id"]

        def run(number: int, both: Any = both, session: str = session, key: str = key) -> None:
            mine, other = number % 2, 2 - number % 2
            tokens = both[mine][number // 2]
            requests = everything(other, session, key)
            for method, path, body in itertools.islice(
                itertools.cycle(requests), number, number + len(requests)
            ):
                answer = client.http.request(method, path, json=body, headers=tokens.headers)
                statuses[answer.status_code] += 1

        with ThreadPoolExecutor(2 * THREADS) as threads:
            list(threads.map(run, range(2 * THREADS)))
    # Neither 500 nor, for a deadlock that PostgreSQL has resolved, 503.
    assert max(statuses) < 500, statuses
    assert statuses[200]
    assert statuses[401]
