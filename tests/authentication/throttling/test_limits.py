"""How often something may be tried, by whom, and who is never locked out."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from httpx2 import Response

from authentication.pruning import prune
from authentication.throttling import counting
from authentication.throttling.memory import RecentRejections
from tests.support.administrator import Sql
from tests.support.client import PASSWORD

pytestmark = pytest.mark.one_database

HOME = "203.0.113.9"
ELSEWHERE = "198.51.100.7"
ADA = "ada@example.org"
FEW: dict[str, Any] = {"login_attempts_per_account": 3, "login_attempts_per_address": 5}

END_WINDOWS = (
    "UPDATE throttle_counters SET ends_at = '2020-01-01 00:00:00+00:00' WHERE ends_at IS NOT NULL"
)


class World:
    """Requests from any address to one running service, which trusts its proxy."""

    def __init__(self, http: TestClient) -> None:
        self.http = http

    def register(self, email: str = ADA, *, ip: str = HOME, **fields: Any) -> Response:
        body = {"email": email, "password": PASSWORD, "name": "Ada", **fields}
        return self.http.post("/register", json=body, headers={"X-Forwarded-For": ip})

    def log_in(self, who: str = ADA, password: str = PASSWORD, *, ip: str = HOME) -> Response:
        body = {"username": who, "password": password}
        return self.http.post("/login", json=body, headers={"X-Forwarded-For": ip})

    def guess(self, who: str = ADA, *, ip: str, times: int = 1) -> list[int]:
        return [self.log_in(who, f"wrong {n}", ip=ip).status_code for n in range(times)]

    def let_a_moment_pass(self) -> None:
        """What a worker remembers by itself of refusals, it has forgotten after a second."""
        throttle = self.http.app.state.service.throttle  # type: ignore[attr-defined]
        throttle._rejections = RecentRejections()


@pytest.fixture
def make_world(make_app: Callable[..., FastAPI]) -> Iterator[Callable[..., World]]:
    running: list[TestClient] = []

    def make(**settings: Any) -> World:
        app = make_app(trusted_proxies="127.0.0.1", **settings)
        http = TestClient(app, client=("127.0.0.1", 50000), raise_server_exceptions=False)
        running.append(http.__enter__())
        return World(http)

    yield make
    for http in running:
        http.__exit__(None, None, None)


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    made = make_world(**FEW)
    assert made.register().status_code == 201
    return made


@pytest.mark.both_databases
def test_guesses_at_one_account_are_limited_from_wherever_they_come(world: World) -> None:
    addresses = [f"198.51.100.{n}" for n in range(5)]
    statuses = [world.guess(ip=ip)[0] for ip in addresses]
    assert statuses == [401, 401, 401, 429, 429]

    refused = world.log_in(ip=ELSEWHERE)
    assert refused.status_code == 429, "the right password does not help a stranger either"
    assert 1 <= int(refused.headers["Retry-After"]) <= 900
    assert refused.headers["content-type"] == "application/problem+json"
    assert refused.json()["code"] == "too_many_attempts"


def test_no_stranger_locks_out_an_owner_who_has_logged_in_from_there_before(world: World) -> None:
    assert world.log_in(ip="192.0.2.44").status_code == 200
    assert world.guess(ip=ELSEWHERE, times=5)[-1] == 429
    assert world.log_in(ip="192.0.2.44").status_code == 200
    assert world.log_in(ip=HOME).status_code == 200, "where the account was made is known too"


def test_an_owner_gets_in_from_an_address_whose_allowance_others_have_used_up(
    world: World,
) -> None:
    names = [f"user{n}@example.org" for n in range(8)]
    statuses = [world.guess(name, ip=HOME)[0] for name in names]
    assert statuses == [401] * 5 + [429] * 3
    assert world.log_in(ip=HOME).status_code == 200
    assert world.log_in("nobody\x00", ip=HOME).status_code in {422, 429}
    assert world.log_in("ADA@example.ORG", ip=HOME).status_code == 200


def test_a_flood_at_one_account_from_everywhere_reads_and_writes_nothing_for_each(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert world.guess(ip=ELSEWHERE, times=4)[-1] == 429
    monkeypatch.setattr(counting, "count", lambda *_, **__: pytest.fail("counted once more"))
    # One after the other, all of them come within the second for which a rejection is remembered.
    monkeypatch.setattr("authentication.throttling.admission._SPREAD_SECONDS", 0.01)
    monkeypatch.setattr("authentication.throttling.known_networks._PAUSE_SECONDS", 0.01)
    assert [world.guess("ADA@example.org", ip=f"192.0.2.{n}")[0] for n in range(5)] == [429] * 5
    monkeypatch.undo()
    assert world.log_in(ip=HOME).status_code == 200


def test_an_owner_gets_in_while_strangers_fill_the_queue_for_hashing(world: World) -> None:
    hashing = world.http.app.state.service.hashing  # type: ignore[attr-defined]
    with ExitStack() as taken:
        while not hashing.is_full():
            taken.enter_context(hashing.reserve())
        stranger = world.log_in(ip=ELSEWHERE)
        assert (stranger.status_code, stranger.json()["code"]) == (503, "busy")
        assert stranger.headers["Retry-After"] == "1"
        assert world.log_in(ip=HOME).status_code == 200
        assert world.guess("nobody@example.org", ip=HOME) == [503]


def test_a_known_address_has_an_allowance_and_no_more(world: World) -> None:
    assert world.log_in(ip=HOME).status_code == 200
    assert world.guess(ip=HOME, times=4) == [401, 401, 401, 429]
    assert world.log_in(ip=ELSEWHERE).status_code == 200, "which is not that of the others"


def test_an_address_known_to_one_account_is_a_stranger_to_another(world: World) -> None:
    assert world.register("bob@example.org", ip=ELSEWHERE).status_code == 201
    world.guess("bob@example.org", ip="192.0.2.1", times=4)
    assert world.log_in("bob@example.org", ip=HOME).status_code == 429


def test_guesses_at_many_accounts_from_one_address_are_limited(world: World) -> None:
    names = [f"user{n}@example.org" for n in range(7)]
    assert [world.guess(name, ip=ELSEWHERE)[0] for name in names] == [401] * 5 + [429] * 2
    assert world.log_in(ip="192.0.2.1").status_code == 200


def test_an_attempt_that_the_address_is_refused_does_not_count_against_the_account(
    world: World, sql: Sql
) -> None:
    for n in range(5):
        world.guess(f"user{n}@example.org", ip=ELSEWHERE)
    assert world.guess(ip=ELSEWHERE, times=3) == [429] * 3
    assert sql("SELECT count(*) FROM throttle_counters WHERE user_id IS NOT NULL") == [(0,)]


def test_addresses_of_one_ipv6_network_are_one(world: World) -> None:
    names = [f"user{n}@example.org" for n in range(7)]
    addresses = [f"2001:db8:0:1:{n}::1" for n in range(7)]
    statuses = [world.guess(name, ip=ip)[0] for name, ip in zip(names, addresses, strict=True)]
    assert statuses == [401] * 5 + [429] * 2
    assert world.guess("other@example.org", ip="2001:db8:0:2::1") == [401]


def test_a_success_gives_its_attempt_back(world: World) -> None:
    assert [world.log_in(ip=ELSEWHERE).status_code for _ in range(12)] == [200] * 12


def test_an_account_that_does_not_exist_is_throttled_the_same(world: World) -> None:
    def answers(who: str, ip: str) -> list[tuple[int, str, list[str]]]:
        found = [world.log_in(who, "wrong", ip=ip) for _ in range(5)]
        return [(one.status_code, one.text, sorted(one.headers)) for one in found]

    assert answers(ADA, "192.0.2.1") == answers("nobody@example.org", "192.0.2.2")


@pytest.mark.both_databases
@pytest.mark.parametrize("spelling", ["ADA@Example.ORG", "\uff41da@example.org", "Ada.L"])
def test_every_spelling_of_a_name_counts_as_one(
    make_world: Callable[..., World], spelling: str
) -> None:
    world = make_world(**FEW)
    world.register(username="ada.l")
    assert world.guess(ip=ELSEWHERE, times=3) == [401] * 3
    assert world.guess(spelling, ip=ELSEWHERE) == [429]


@pytest.mark.both_databases
def test_spellings_of_a_name_that_is_nobodys_count_as_one(world: World) -> None:
    spellings = ["No@Example.org", "no@example.org", "\uff4eo@example.org", "NO@EXAMPLE.ORG"]
    assert [world.guess(one, ip=ELSEWHERE)[0] for one in spellings] == [401] * 3 + [429]


@pytest.mark.both_databases
def test_a_hundred_failures_in_a_row_end_only_with_a_login(
    make_world: Callable[..., World], sql: Sql
) -> None:
    world = make_world(login_failures_per_account=4)
    world.register()
    for n in range(4):
        assert world.guess(ip=f"198.51.100.{n}") == [401]
        sql(END_WINDOWS)
    refused = world.log_in(ip=ELSEWHERE)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "86400")

    assert world.log_in(ip=HOME).status_code == 200
    world.let_a_moment_pass()
    assert world.log_in(ip="192.0.2.1").status_code == 200


def test_an_attempt_that_is_refused_does_not_end_the_failures_in_a_row(
    make_world: Callable[..., World], sql: Sql
) -> None:
    world = make_world(login_attempts_per_account=3, login_failures_per_account=5)
    world.register()
    assert world.guess(ip=ELSEWHERE, times=4) == [401, 401, 401, 429]
    sql(END_WINDOWS)
    world.let_a_moment_pass()
    refusals = [world.log_in(password="wrong", ip=f"192.0.2.{n}") for n in range(3)]
    assert [one.status_code for one in refusals] == [401, 401, 429]
    assert refusals[-1].headers["Retry-After"] == "86400"


def test_failures_in_a_row_are_told_no_differently_for_nobody(
    make_world: Callable[..., World],
) -> None:
    world = make_world(login_failures_per_account=2)
    world.guess("nobody@example.org", ip=ELSEWHERE, times=2)
    refused = world.log_in("nobody@example.org", ip=ELSEWHERE)
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "86400")


def test_a_new_password_forgives(world: World) -> None:
    tokens = world.log_in(ip=HOME).json()
    assert world.guess(ip=ELSEWHERE, times=4)[-1] == 429
    changed = world.http.put(
        "/users/me/password",
        json={"current_password": PASSWORD, "new_password": "an entirely different one"},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    assert changed.status_code == 200
    world.let_a_moment_pass()
    assert world.log_in(password="an entirely different one", ip="192.0.2.3").status_code == 200


@pytest.mark.both_databases
def test_parallel_guesses_do_not_slip_past(make_world: Callable[..., World], sql: Sql) -> None:
    world = make_world(**FEW)
    world.register()
    with ThreadPoolExecutor(8) as pool:
        addresses = [f"198.51.100.{n}" for n in range(16)]
        statuses = list(pool.map(lambda ip: world.guess(ip=ip)[0], addresses))
    assert sorted(statuses) == [401] * 3 + [429] * 13
    assert sql("SELECT count(*) FROM audit_events WHERE event = 'login.failed'") == [(3,)]


@pytest.mark.both_databases
def test_the_window_ends(world: World, sql: Sql) -> None:
    assert world.guess(ip=ELSEWHERE, times=4)[-1] == 429
    sql(END_WINDOWS)
    world.let_a_moment_pass()
    assert world.log_in(ip="192.0.2.9").status_code == 200


def test_a_refusal_costs_no_hash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.guess(ip=ELSEWHERE, times=3)
    hashed: list[object] = []
    hasher = world.http.app.state.service.hasher  # type: ignore[attr-defined]
    monkeypatch.setattr(hasher, "verify", lambda *given: hashed.append(given))
    assert world.log_in(ip="192.0.2.9").status_code == 429
    assert hashed == []


def test_the_token_endpoint_says_it_in_the_form_of_oauth(world: World) -> None:
    world.guess(ip=ELSEWHERE, times=3)
    form = {"grant_type": "password", "username": ADA, "password": PASSWORD}
    refused = world.http.post("/token", data=form, headers={"X-Forwarded-For": ELSEWHERE})
    assert refused.status_code == 429
    assert refused.json()["error"] == "temporarily_unavailable"
    assert int(refused.headers["Retry-After"]) >= 1


def test_a_flood_leaves_one_event_in_the_audit_log(world: World, sql: Sql) -> None:
    for n in range(12):
        world.guess(ip=f"198.51.100.{n}")
    events = sql(
        "SELECT event, subject, count(*) FROM audit_events"
        " WHERE event LIKE 'attempts.%' GROUP BY event, subject"
    )
    assert events == [("attempts.throttled", "user:1", 1)]


def test_the_current_password_cannot_be_guessed_from_a_stolen_session(world: World) -> None:
    bearer = {"Authorization": f"Bearer {world.log_in().json()['access_token']}"}

    def change(password: str) -> int:
        body = {"current_password": password, "new_password": "an entirely different one"}
        return world.http.put("/users/me/password", json=body, headers=bearer).status_code

    assert [change(f"wrong {n}") for n in range(3)] == [403] * 3
    assert change(PASSWORD) == 429
    moved = {"email": "eve@example.org", "current_password": PASSWORD}
    assert world.http.patch("/users/me", json=moved, headers=bearer).status_code == 429
    assert world.http.patch("/users/me", json={"name": "A"}, headers=bearer).status_code == 200
    assert world.log_in().status_code == 200, "which locks nobody out"


def guess_current(world: World, bearer: dict[str, str], times: int) -> list[int]:
    def change(password: str) -> int:
        body = {"current_password": password, "new_password": "an entirely different one"}
        return world.http.put("/users/me/password", json=body, headers=bearer).status_code

    return [change(f"wrong {n}") for n in range(times)]


def change_password(world: World, bearer: dict[str, str]) -> int:
    body = {"current_password": PASSWORD, "new_password": "an entirely different one"}
    return world.http.put("/users/me/password", json=body, headers=bearer).status_code


@pytest.mark.parametrize("ip", [HOME, ELSEWHERE])
@pytest.mark.parametrize("limit", ["login_attempts_per_account", "login_failures_per_account"])
def test_a_login_clears_the_guesses_at_the_current_password_by_a_stolen_session(
    make_world: Callable[..., World], sql: Sql, limit: str, ip: str
) -> None:
    world = make_world(**{limit: 3})
    world.register()
    bearer = {"Authorization": f"Bearer {world.log_in().json()['access_token']}"}
    assert guess_current(world, bearer, 4) == [403] * 3 + [429]
    if limit == "login_failures_per_account":
        sql(END_WINDOWS)
        assert change_password(world, bearer) == 429, "which only a login clears"
    assert world.log_in(ip=ip).status_code == 200
    assert change_password(world, bearer) == 200


@pytest.mark.both_databases
def test_a_login_from_anywhere_clears_the_failures_in_a_row_of_every_known_network(
    make_world: Callable[..., World], sql: Sql
) -> None:
    world = make_world(login_failures_per_account=3)
    world.register()
    assert world.guess(ip=HOME, times=3) == [401] * 3
    sql(END_WINDOWS)
    assert world.log_in(ip=HOME).status_code == 429
    assert world.log_in(ip=ELSEWHERE).status_code == 200
    world.let_a_moment_pass()
    assert world.log_in(ip=HOME).status_code == 200


def test_a_failed_login_clears_nothing(make_world: Callable[..., World], sql: Sql) -> None:
    world = make_world(login_attempts_per_account=4)
    world.register()
    bearer = {"Authorization": f"Bearer {world.log_in().json()['access_token']}"}
    assert guess_current(world, bearer, 5)[-1] == 429
    assert world.guess(ip=ELSEWHERE) == [401]
    assert change_password(world, bearer) == 429


def test_all_networks_of_one_site_have_a_wider_limit_together(
    make_world: Callable[..., World],
) -> None:
    world = make_world(login_attempts_per_address=2, registrations_per_address=1)
    statuses = [
        world.guess(f"user{n}@example.org", ip=f"2001:db8:7:{n:x}::1")[0] for n in range(21)
    ]
    assert statuses == [401] * 20 + [429]
    assert world.guess("other@example.org", ip="2001:db8:8:1::1") == [401]
    statuses = [
        world.register(f"user{n}@example.org", ip=f"2001:db8:7:{n:x}::1").status_code
        for n in range(11)
    ]
    assert statuses == [201] * 10 + [429]


def test_registrations_from_one_address_are_limited(make_world: Callable[..., World]) -> None:
    world = make_world(registrations_per_address=2)
    statuses = [world.register(f"user{n}@example.org").status_code for n in (1, 1, 2)]
    assert statuses == [201, 409, 429], "or addresses could be tried for being taken"
    assert world.register("other@example.org", ip=ELSEWHERE).status_code == 201


def rename(world: World, token: str, ip: str, **fields: Any) -> int:
    headers = {"Authorization": f"Bearer {token}", "X-Forwarded-For": ip}
    return world.http.patch("/users/me", json=fields, headers=headers).status_code


@pytest.mark.both_databases
def test_usernames_cannot_be_tried_by_changing_ones_own(
    make_world: Callable[..., World], sql: Sql
) -> None:
    world = make_world(registrations_per_address=4)
    world.register(username="ada")
    world.register("grace@example.org", username="grace")
    token = world.log_in().json()["access_token"]
    assert [rename(world, token, HOME, username="grace") for _ in range(3)] == [409, 409, 429]
    # Those from elsewhere count for the account, which has used three of its four.
    assert [rename(world, token, ELSEWHERE, username=f"a{n}") for n in range(3)] == [200, 200, 429]
    email = {"email": "grace@example.org", "current_password": PASSWORD}
    assert rename(world, token, "192.0.2.1", **email) == 429
    # What changes no name is not counted, and no other account is.
    assert rename(world, token, ELSEWHERE, name="Augusta", username="a1") == 200
    other = world.log_in("grace@example.org").json()["access_token"]
    assert rename(world, other, ELSEWHERE, username="hopper") == 200
    limits = sql("SELECT detail FROM audit_events WHERE event = 'attempts.throttled' ORDER BY id")
    assert ["address" in str(limits[0]), "account" in str(limits[1])] == [True, True]


def test_trying_names_is_limited_for_the_network_as_registering_is(
    make_world: Callable[..., World],
) -> None:
    world = make_world(registrations_per_address=3)
    world.register(username="ada")
    token = world.log_in().json()["access_token"]
    assert [rename(world, token, HOME, username=f"a{n}") for n in range(2)] == [200, 200]
    assert world.register("late@example.org").status_code == 429


def test_it_can_be_switched_off(make_world: Callable[..., World]) -> None:
    world = make_world(login_throttle="off", registrations_per_address=1, **FEW)
    world.register()
    assert world.register("bob@example.org").status_code == 201
    assert world.guess(ip=ELSEWHERE, times=7) == [401] * 7


@pytest.mark.both_databases
def test_workers_share_the_count(make_world: Callable[..., World]) -> None:
    one, other = make_world(**FEW), make_world(**FEW)
    one.register()
    assert one.guess(ip=ELSEWHERE, times=2) + other.guess(ip=ELSEWHERE, times=2) == [
        *[401] * 3,
        429,
    ]


def test_nothing_that_is_stored_names_a_stranger(world: World, sql: Sql) -> None:
    world.guess("someone.else@example.org", ip=ELSEWHERE, times=4)
    rows = str(sql("SELECT * FROM throttle_counters")) + str(sql("SELECT * FROM known_addresses"))
    assert "someone" not in rows
    assert ELSEWHERE not in rows


@pytest.mark.both_databases
def test_known_addresses_are_few_and_the_latest(world: World, sql: Sql) -> None:
    for n in range(25):
        assert world.log_in(ip=f"192.0.2.{n}").status_code == 200
    assert sql("SELECT count(*) FROM known_addresses") == [(20,)]
    world.guess(ip=ELSEWHERE, times=4)
    assert world.log_in(ip="192.0.2.24").status_code == 200
    assert world.log_in(ip="192.0.2.0").status_code == 429


@pytest.mark.both_databases
def test_successful_logins_leave_no_counters_behind(
    make_world: Callable[..., World], sql: Sql
) -> None:
    world = make_world(login_window_seconds=60)
    world.register()
    for number in range(5):
        for password in (PASSWORD, "wrong", PASSWORD):
            world.log_in(password=password, ip=f"192.0.2.{number}")
    remaining = "SELECT count(*) FROM throttle_counters WHERE ends_at IS NULL"
    assert sql(remaining) == [(0,)]
    assert world.guess(ip=HOME, times=2) == [401, 401]
    assert sql(remaining) == [(1,)], "failures in a row are kept until a login"
    assert world.log_in().status_code == 200
    sql(END_WINDOWS)
    service = world.http.app.state.service  # type: ignore[attr-defined]
    for _ in prune.prune_all(service.database, prune.Retention(keep_days=0)):
        pass
    assert sql("SELECT count(*) FROM throttle_counters") == [(0,)]


# PostgreSQL and Python lower some of them in different ways.
OTHER_SPELLINGS = {
    "dot above": "\u0130da@example.org",
    "capitals": "IDA@EXAMPLE.ORG",
    "kelvin": "\u212aim@example.org",
    "final sigma": "\u0391\u03a3@example.org",
    "username": "\u0130da",
}


@pytest.mark.both_databases
@pytest.mark.parametrize("other", OTHER_SPELLINGS.values(), ids=OTHER_SPELLINGS)
def test_another_spelling_counts_for_a_name_whether_or_not_there_is_an_account(
    make_world: Callable[..., World], sql: Sql, other: str
) -> None:
    world = make_world(**{**FEW, "login_attempts_per_address": 1000})
    answers = []
    names = ["ida@example.org", "kim@example.org", "\u03b1\u03c3@example.org", "ida"]
    for is_registered in (False, True):
        if is_registered:
            assert world.register("other@example.org", username="ida").status_code == 201
            for email in names[:3]:
                assert world.register(email).status_code == 201
        for name in names:
            sql("DELETE FROM throttle_counters")
            world.let_a_moment_pass()
            tries = [world.log_in(one, "wrong", ip=ELSEWHERE) for one in [name, other] * 4]
            answers.append([one.status_code for one in tries])
    assert answers[:4] == answers[4:]


@pytest.mark.both_databases
def test_an_account_is_found_by_its_name_in_any_letters(
    make_world: Callable[..., World], sql: Sql
) -> None:
    world = make_world()
    assert world.register("ida@example.org").status_code == 201
    for name in ("\u0130DA@example.org", "\u00c4da@example.org", "IdA@Example.org"):
        sql(f"UPDATE users SET email = '{name}'")
        assert world.log_in(name).status_code == 200
