"""Made-up tokens cause no writing transaction, and past a limit not even a query."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from counterfoil import tokens
from counterfoil.tokens import TokenKind
from tests.support.administrator import Sql, give_role, user_id
from tests.support.client import PASSWORD, Client, MakeApp, MakeClient, read_tokens
from tests.support.console import ConsoleClient
from tests.support.mailbox import Mailbox
from tests.support.waiting import flush_deferred_writes

pytestmark = pytest.mark.one_database

LIMITS = {"refresh_misses_per_minute": 2, "revocation_misses_per_minute": 3}


class World:
    """Requests from any address to a service that trusts its proxy."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def send(self, door: str, token: str, *, ip: str) -> int:
        form = {"token": token}
        if door == "/token":
            form = {"grant_type": "refresh_token", "refresh_token": token}
        answer = self.http.post(door, data=form, headers={"X-Forwarded-For": ip})
        if answer.status_code == 429:
            assert answer.json()["error"] == "temporarily_unavailable"
            assert 1 <= int(answer.headers["retry-after"]) <= 60
        return answer.status_code


@pytest.fixture
def world(make_app: MakeApp) -> Iterator[World]:
    app = make_app(trusted_proxies="127.0.0.1", **LIMITS)
    with TestClient(app, client=("127.0.0.1", 5000), raise_server_exceptions=False) as http:
        yield World(http)


def made_up(kind: TokenKind) -> str:
    return tokens.create(kind).text


@contextmanager
def transactions(http: TestClient, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bool]]:
    """Grows by whether it is read-only for each transaction that begins."""
    database = http.app.state.service.database  # type: ignore[attr-defined]
    begun: list[bool] = []
    run = database.run

    async def note(work: Any, *, read_only: bool = False, **options: Any) -> Any:
        begun.append(read_only)
        return await run(work, read_only=read_only, **options)

    monkeypatch.setattr(database, "run", note)
    yield begun
    monkeypatch.undo()


@pytest.mark.both_databases
@pytest.mark.parametrize("kind", [TokenKind.ACCESS, TokenKind.REFRESH, TokenKind.API_KEY])
def test_a_dead_token_is_revoked_again_within_the_limit_for_unknown_ones(
    make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, kind: TokenKind
) -> None:
    client = make_client(**LIMITS)
    issued = client.sign_up()
    key = client.create_api_key(issued)["key"]
    token = {
        TokenKind.ACCESS: issued.access_token,
        TokenKind.REFRESH: issued.refresh_token,
        TokenKind.API_KEY: key,
    }[kind]
    alive = client.log_in().access_token

    def revoke(token: str) -> int:
        return client.http.post("/revoke", data={"token": token}).status_code

    assert revoke(token) == 200
    with transactions(client.http, monkeypatch) as begun:
        # One that is repeated waits for the first in a transaction of its own.
        assert [revoke(token) for _ in range(14)] == [200] * 3 + [429] * 11
        assert begun == [True, False] * 14
        assert revoke(alive) == 200
        begun.clear()
        assert [revoke(token) for _ in range(3)] == [429] * 3
        assert begun == [True, False]


@pytest.mark.parametrize(
    ("door", "kind"),
    [("/token", TokenKind.REFRESH), *(("/revoke", kind) for kind in TokenKind)],
)
def test_what_was_never_issued_is_looked_up_without_a_writing_transaction(
    world: World, monkeypatch: pytest.MonkeyPatch, door: str, kind: TokenKind
) -> None:
    with transactions(world.http, monkeypatch) as begun:
        expected = 400 if door == "/token" else 200
        assert world.send(door, made_up(kind), ip="192.0.2.1") == expected
    assert begun == [True]


def test_a_code_without_a_mail_is_looked_up_without_a_writing_transaction(
    make_client: MakeClient, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = make_client(**mailbox.settings)
    wrong = {"transaction": made_up(TokenKind.TRANSACTION), "code": "BBBB-BBBB"}
    with transactions(client.http, monkeypatch) as begun:
        for path, more in (("/email/verify", {}), ("/password/reset", {"new_password": PASSWORD})):
            assert client.http.post(path, json={**wrong, **more}).status_code == 400
    # The task that sends mails looks for some.
    assert all(begun)
    assert len(begun) >= 2


@pytest.mark.parametrize(("door", "limit", "before"), [("/token", 2, 400), ("/revoke", 3, 200)])
def test_past_five_times_the_limit_of_a_network_nothing_is_looked_up(
    world: World, monkeypatch: pytest.MonkeyPatch, door: str, limit: int, before: int
) -> None:
    answers = [
        world.send(door, made_up(TokenKind.REFRESH), ip=f"2001:db8:1:1:{n:x}::1")
        for n in range(5 * limit)
    ]
    assert answers == [before] * limit + [429] * 4 * limit
    with transactions(world.http, monkeypatch) as begun:
        assert world.send(door, made_up(TokenKind.REFRESH), ip="2001:db8:1:1::9") == 429
        assert begun == []
        assert world.send(door, made_up(TokenKind.REFRESH), ip="2001:db8:1:2::9") == before
        assert begun == [True]


@pytest.mark.parametrize(("door", "limit", "before"), [("/token", 2, 400), ("/revoke", 3, 200)])
def test_all_networks_of_one_site_share_a_limit_ten_times_as_wide(
    world: World, door: str, limit: int, before: int
) -> None:
    answers = [
        world.send(door, made_up(TokenKind.REFRESH), ip=f"2001:db8:1:{n:x}::1")
        for n in range(10 * limit + 1)
    ]
    assert answers == [before] * 10 * limit + [429]
    assert world.send(door, made_up(TokenKind.REFRESH), ip="2001:db8:2:1::1") == before


def test_a_real_refresh_token_is_exchanged_beside_made_up_ones(
    make_client: MakeClient,
) -> None:
    client = make_client(**LIMITS)
    real = client.sign_up().refresh_token
    assert [client.refresh(made_up(TokenKind.REFRESH)).status_code for _ in range(4)] == [
        400,
        400,
        429,
        429,
    ]
    assert client.refresh(real).status_code == 200


@pytest.mark.both_databases
def test_the_right_answer_reaches_each_of_those_who_share_a_query(client: Client) -> None:
    real = client.sign_up()
    service: Any = client.http.app.state.service  # type: ignore[attr-defined]
    batches: list[int] = []
    run = service.database.run

    async def note(work: Any, **options: Any) -> Any:
        batches.append(1)
        return await run(work, **options)

    service.database.run = note
    asked = [made_up(TokenKind.REFRESH) for _ in range(20)] + [real.refresh_token] * 2

    async def ask() -> list[bool]:
        found: list[bool] = await asyncio.gather(*map(service.issued_tokens.is_issued, asked))
        return found

    assert client.http.portal is not None
    assert client.http.portal.call(ask) == [False] * 20 + [True] * 2
    assert len(batches) == 1


@pytest.mark.both_databases
def test_what_anybody_can_cause_leaves_connections_for_those_who_are_logged_in(
    make_client: MakeClient,
) -> None:
    client = make_client(database_pool_size=3)
    service: Any = client.http.app.state.service  # type: ignore[attr-defined]
    release = threading.Event()

    def hold(_db: Session) -> None:
        assert release.wait(30)

    async def check() -> str:
        held = [
            asyncio.create_task(service.database.run(hold, read_only=True, is_untrusted=True))
            for _ in range(5)
        ]
        try:
            answer: str = await service.database.run(lambda _: "done", read_only=True)
        finally:
            release.set()
            await asyncio.gather(*held)
        return answer

    assert client.http.portal is not None
    assert client.http.portal.call(check) == "done"


@pytest.mark.both_databases
def test_a_dead_refresh_token_sent_again_and_again_is_one_event(
    client: Client, sql: Sql, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = client.sign_up()
    client.http.post("/logout", headers=dead.headers)
    with transactions(client.http, monkeypatch) as begun:
        for _ in range(20):
            assert client.refresh(dead.refresh_token).status_code == 400
    assert all(begun)
    flush_deferred_writes(client)
    query = "SELECT count(*) FROM audit_events WHERE event = 'token.refresh_failed'"
    assert sql(query) == [(1,)]


def test_changing_networks_make_few_events_of_a_credential(client: Client, sql: Sql) -> None:
    tokens = client.sign_up()
    client.http.post("/logout", headers=tokens.headers)
    auditor: Any = client.http.app.state.service.rejected_tokens  # type: ignore[attr-defined]
    portal = client.http.portal
    assert portal is not None
    for number in range(100):
        portal.call(auditor.record, tokens.access_token, f"2001:db8:{number:x}::1")
    flush_deferred_writes(client)
    found = sql("SELECT count(*) FROM audit_events WHERE event = 'token.refused'")
    # Five for the credential, and one for the number of all others.
    assert found == [(6,)]


def test_a_missing_scope_or_role_is_recorded_once_however_often_it_is_asked_for(
    client: Client, sql: Sql
) -> None:
    tokens = client.sign_up()
    for _ in range(3):
        assert client.http.get("/admin/users", headers=tokens.headers).status_code == 403
    for number in range(20):
        path = f"/verify?scope=made-up{number}"
        assert client.http.get(path, headers=tokens.headers).status_code == 403
    flush_deferred_writes(client)
    query = "SELECT subject, detail FROM audit_events WHERE event = 'access.denied'"
    [(subject, detail)] = sql(query)
    assert subject == "user:1"
    assert "needs the scope admin" in str(detail)


def test_an_api_key_that_is_sent_where_a_session_is_needed_is_recorded(
    client: Client, sql: Sql
) -> None:
    key = {"X-API-Key": client.create_api_key(client.sign_up())["key"]}
    for _ in range(2):
        answer = client.http.patch("/users/me", headers=key, json={"name": "Eve"})
        assert (answer.status_code, answer.json()["code"]) == (403, "session_required")
    flush_deferred_writes(client)
    query = "SELECT subject, detail FROM audit_events WHERE event = 'access.denied'"
    [(subject, detail)] = sql(query)
    assert subject == "user:1"
    assert "needs a session" in str(detail)


def test_a_user_who_asks_for_the_console_is_recorded(
    ada: ConsoleClient, api: Client, sql: Sql
) -> None:
    assert [ada.open("/users").status_code for _ in range(2)] == [403, 403]
    flush_deferred_writes(api)
    query = "SELECT subject, detail FROM audit_events WHERE event = 'access.denied'"
    [(subject, detail)] = sql(query)
    assert subject == "user:1"
    assert "needs the scope admin" in str(detail)


def test_an_account_makes_so_many_changes_in_a_minute(make_client: MakeClient) -> None:
    client = make_client(writes_per_minute=3)
    thief, owner = client.sign_up(), client.log_in()

    def rename(tokens: Any) -> int:
        body = {"name": "A"}
        return client.http.patch("/users/me", json=body, headers=tokens.headers).status_code

    assert [rename(thief) for _ in range(3)] == [200] * 3
    refused = client.http.patch("/users/me", json={"name": "A"}, headers=thief.headers)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert rename(owner) == 429
    # But nobody keeps the owner from revoking what was stolen.
    sessions = client.http.delete("/sessions?keep_current=true", headers=owner.headers)
    assert sessions.json() == {"ended": 1}
    assert client.http.post("/logout", headers=owner.headers).status_code == 204


def test_a_stolen_session_prevents_no_administrator_from_revoking(
    make_client: MakeClient, sql: Sql
) -> None:
    client = make_client(writes_per_minute=7)
    client.register("grace@example.org")
    client.register()
    give_role(sql, "admin")
    thief, owner = client.log_in(), client.log_in()
    stolen = next(one["id"] for one in client.sessions(thief) if one["current"])
    body = {"name": "A"}
    for _ in range(8):
        client.http.patch("/users/me", json=body, headers=thief.headers)
    assert client.http.patch("/users/me", json=body, headers=owner.headers).status_code == 429

    def ask(method: str, path: str, body: Any = None) -> int:
        headers = owner.headers
        return client.http.request(method, path, json=body, headers=headers).status_code

    grace = user_id(sql, "grace@example.org")
    assert ask("POST", "/sessions/confirm", {"password": PASSWORD}) == 204
    assert ask("PATCH", f"/admin/users/{grace}", {"is_active": False}) == 200
    assert ask("PATCH", f"/admin/users/{grace}", {"roles": []}) == 200
    assert ask("POST", "/admin/sessions/revoke", {"ids": [stolen]}) == 200
    assert client.me(thief).status_code == 401
    owner = read_tokens(client.refresh(owner.refresh_token))
    # Each session has a limit of its own.
    assert [ask("DELETE", f"/admin/users/{grace}/sessions") for _ in range(3)] == [200] * 2 + [429]


@pytest.mark.both_databases
@pytest.mark.parametrize("scope", [None, "unknown"])
def test_logins_with_the_right_password_are_limited_and_are_no_failures(
    make_client: MakeClient, sql: Sql, scope: str | None
) -> None:
    client = make_client(writes_per_minute=4, login_attempts_per_account=3)
    owner = client.sign_up()
    fields = {"scope": scope} if scope else {}
    # What a stolen session changes does not count.
    for _ in range(5):
        client.http.patch("/users/me", json={"name": "A"}, headers=owner.headers)
    answers = [client.try_to_log_in(**fields) for _ in range(8)]
    succeeded = 400 if scope else 200
    assert [one.status_code for one in answers] == [succeeded] * 3 + [429] * 5
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
    assert sql("SELECT count(*) FROM sessions") == [(1 if scope else 4,)]
    events = "SELECT count(*) FROM audit_events WHERE event LIKE 'login%'"
    assert sql(events) == [(4,)]
    assert sql("SELECT count(*) FROM throttle_counters WHERE attempts > 0") == [(0,)]
    assert client.try_to_log_in(password="wrong").status_code == 401
