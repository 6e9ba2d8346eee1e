"""Many clients do the same thing, or opposite things, at the same moment."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

from faults import looks
from faults.calls import PASSWORD, Answer, Caller, Tokens, read_tokens, register
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, sign_up
from harness.server import Server

ROUNDS = 100
SPELLINGS = ("ada@example.org", "Ada@Example.ORG", "ADA@example.org", "\uff41da@example.org")
NEW_PASSWORD = "an entirely different secret"

Call = Callable[[Caller], Answer]


def _register(email: str) -> Call:
    return lambda caller: register(caller, email)


def _log_in(password: str = PASSWORD) -> Call:
    return lambda caller: caller.log_in(EMAIL, password)


def _log_out(tokens: Tokens) -> Call:
    return lambda caller: caller.log_out(tokens.access_token)


def _refresh(tokens: Tokens) -> Call:
    return lambda caller: caller.refresh(tokens.refresh_token)


def _end_all(tokens: Tokens) -> Call:
    return lambda caller: caller.call("DELETE", "/sessions", token=tokens.access_token)


def _change_password(tokens: Tokens, old: str, new: str) -> Call:
    body = {"current_password": old, "new_password": new}
    return lambda caller: caller.call(
        "PUT", "/users/me/password", token=tokens.access_token, json_body=body
    )


def _use_repeatedly(tokens: Tokens) -> Call:
    """Returns the last use that was honoured, or else the last one."""

    def use(caller: Caller) -> Answer:
        answers = [caller.use(tokens.access_token) for _ in range(6)]
        return next((one for one in reversed(answers) if one.status == 200), answers[-1])

    return use


class Crowd:
    """As many clients, each with a connection that is open already."""

    def __init__(self, url: str, size: int) -> None:
        self._callers = [Caller(url) for _ in range(size)]
        self._threads = ThreadPoolExecutor(size)

    def at_once(self, calls: Sequence[Call]) -> list[Answer]:
        """Each call by a client of its own, begun at the same moment."""
        gate = Barrier(len(calls))

        def run(caller: Caller, call: Call) -> Answer:
            gate.wait()
            return call(caller)

        return list(self._threads.map(run, self._callers, calls))

    def close(self) -> None:
        self._threads.shutdown()
        for caller in self._callers:
            caller.__exit__(None, None, None)


@contextmanager
def _crowd(service: Server, size: int) -> Iterator[Crowd]:
    crowd = Crowd(service.url, size)
    with Caller(service.url) as caller:
        # Opens the connections, and brings every client's thread into being.
        assert caller.call("GET", "/health/live").status == 200
    try:
        yield crowd
    finally:
        crowd.close()


def _statuses(answers: Sequence[Answer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


@scenario("F15", "register, logout and refresh delivered twice at once, and once more")
def delivered_twice(stage: Stage) -> Seen:
    service = stage.serve(stage.database())
    with _crowd(service, 2) as crowd, Caller(service.url) as caller:
        made = crowd.at_once([_register(EMAIL)] * 2)
        tokens = sign_up(service)
        left = crowd.at_once([_log_out(tokens)] * 2)
        left.append(caller.log_out(tokens.access_token))
        tokens = sign_up(service)
        refreshed = crowd.at_once([_refresh(tokens)] * 2)
        refreshed.append(caller.refresh(tokens.refresh_token))
    held = (
        _statuses(made) == {201: 1, 409: 1}
        # Both may find the session live; it ends once, and whoever comes after that finds it ended.
        and _statuses(left) in ({204: 1, 401: 2}, {204: 1, 404: 1, 401: 1}, {204: 2, 401: 1})
        and _statuses(refreshed) == {200: 1, 400: 2}
    )
    return Seen(
        held,
        f"register {looks.count(made)}; logout {looks.count(left)};"
        f" refresh {looks.count(refreshed)}",
    )


@scenario("F16", f"one refresh token exchanged 12 to 64 times at once, {ROUNDS} rounds, 2 workers")
def refreshed_at_once(stage: Stage) -> Seen:
    return _refresh_at_once(stage.serve(stage.database(), workers=2), ROUNDS)


@scenario("F16", "the same on SQLite, 20 rounds, 2 workers")
def refreshed_at_once_on_sqlite(stage: Stage) -> Seen:
    return _refresh_at_once(stage.serve(stage.sqlite(), workers=2), 20)


def _refresh_at_once(service: Server, rounds: int) -> Seen:
    answers: list[Answer] = []
    twice = survivors = 0
    sign_up(service)
    with _crowd(service, 64) as crowd, Caller(service.url) as caller:
        for number in range(rounds):
            size = (12, 32, 64)[number % 3]
            found = crowd.at_once([_refresh(read_tokens(caller.log_in(EMAIL)))] * size)
            won = [answer for answer in found if answer.status == 200]
            twice += len(won) > 1
            # The losers look like thieves, so the winner's pair has died with the session.
            survivors += any(caller.use(read_tokens(one).access_token).status != 401 for one in won)
            answers += found
    errors = [answer for answer in answers if answer.status not in {200, 400}]
    return Seen(
        not twice and not survivors and not errors,
        f"{looks.count(answers)}; two winners in {twice} rounds, a pair that outlived"
        f" the detected reuse in {survivors}",
    )


@scenario("F17", "32 registrations at once of one address in four spellings, 10 rounds")
def registered_at_once(stage: Stage) -> Seen:
    url = stage.database()
    service = stage.serve(url, registrations_per_address=1_000)
    answers: list[Answer] = []
    with _crowd(service, 32) as crowd:
        for number in range(10):
            spellings = [f"{number}{SPELLINGS[i % len(SPELLINGS)]}" for i in range(32)]
            answers += crowd.at_once([_register(email) for email in spellings])
    ((rows,),) = looks.run_sql(url, "SELECT count(*) FROM users")
    statuses = _statuses(answers)
    return Seen(
        rows == 10 and statuses.get(201) == 10 and set(statuses) <= {201, 409, 422, 503},
        f"{looks.count(answers)}; {rows} accounts for 10 addresses",
    )


@scenario("F19", f"a logout against 7 uses at once, {ROUNDS} rounds, 2 workers")
def revoked_while_used(stage: Stage) -> Seen:
    service = stage.serve(stage.database(), workers=2)
    honoured = wrong = 0
    sign_up(service)
    with _crowd(service, 8) as crowd, Caller(service.url) as caller:
        for _ in range(ROUNDS):
            tokens = read_tokens(caller.log_in(EMAIL))
            ended, *used = crowd.at_once([_log_out(tokens), *[_use_repeatedly(tokens)] * 7])
            honoured += sum(a.status == 200 and a.began > ended.ended for a in used)
            honoured += caller.use(tokens.access_token).status != 401
            wrong += ended.status != 204
    return Seen(
        not honoured and not wrong,
        f"{ROUNDS} revocations, {honoured} times a token honoured after the acknowledgement",
    )


@scenario("F19", f"ending all sessions against refreshes at once, {ROUNDS} rounds, 2 workers")
def all_ended_while_refreshed(stage: Stage) -> Seen:
    service = stage.serve(stage.database(), workers=2)
    survivors, answers = 0, []
    sign_up(service)
    with _crowd(service, 4) as crowd, Caller(service.url) as caller:
        for _ in range(ROUNDS):
            pairs = [read_tokens(caller.log_in(EMAIL)) for _ in range(4)]
            found = crowd.at_once([_end_all(pairs[0]), *map(_refresh, pairs[1:])])
            answers += found
            for won in [answer for answer in found[1:] if answer.status == 200]:
                pair = read_tokens(won)
                survivors += caller.use(pair.access_token).status != 401
                survivors += caller.refresh(pair.refresh_token).status != 400
    errors = [answer for answer in answers if answer.status >= 500]
    return Seen(
        not survivors and not errors,
        f"{looks.count(answers)}; {survivors} tokens survived",
    )


@scenario("F19", "a password change against 5 logins with the old password at once, 20 rounds")
def password_changed_while_logging_in(stage: Stage) -> Seen:
    service = stage.serve(stage.database(), workers=2)
    survivors, answers = 0, []
    old, new = PASSWORD, NEW_PASSWORD
    sign_up(service)
    with _crowd(service, 6) as crowd, Caller(service.url) as caller:
        for _ in range(20):
            tokens = read_tokens(caller.log_in(EMAIL, old))
            found = crowd.at_once([_change_password(tokens, old, new), *[_log_in(old)] * 5])
            answers += found
            for won in [answer for answer in found[1:] if answer.status == 200]:
                survivors += caller.use(read_tokens(won).access_token).status != 401
            old, new = new, old
    changed = [answer.status for answer in answers if answer.call.startswith("PUT")]
    return Seen(
        not survivors and set(changed) == {204},
        f"{looks.count(answers)}; {survivors} sessions of the old password survived",
    )


@scenario("F19", "16 logins at once with at most 3 sessions a user, 10 rounds")
def sessions_limited(stage: Stage) -> Seen:
    service = stage.serve(stage.database(), max_sessions_per_user=3)
    most, answers = 0, []
    sign_up(service)
    with _crowd(service, 16) as crowd, Caller(service.url) as caller:
        for _ in range(10):
            found = crowd.at_once([_log_in()] * 16)
            answers += found
            live = [a for a in found if caller.use(read_tokens(a).access_token).status == 200]
            most = max(most, len(live))
    return Seen(
        most == 3 and _statuses(answers) == {200: 160},
        f"{looks.count(answers)}; at most {most} sessions live",
    )


@scenario("F19", "two administrators demoting each other at once, 20 rounds, 2 workers")
def administrators_demoting_each_other(stage: Stage) -> Seen:
    url = stage.database()
    service = stage.serve(url, workers=2)
    both = [sign_up(service, f"admin{number}@example.org") for number in (1, 2)]
    left, answers = set(), []
    with _crowd(service, 2) as crowd:
        for _ in range(20):
            looks.run_sql(url, _PROMOTE)
            answers += crowd.at_once([_demote(2, by=both[0]), _demote(1, by=both[1])])
            ((count,),) = looks.run_sql(url, _ADMINISTRATORS)
            left.add(count)
    return Seen(
        left == {1} and set(_statuses(answers)) <= {200, 403, 409},
        f"{looks.count(answers)}; administrators left each time: {sorted(left)}",
    )


_PROMOTE = (
    "INSERT INTO user_roles (user_id, role_id)"
    " SELECT users.id, roles.id FROM users, roles WHERE roles.name = 'admin'"
    " ON CONFLICT DO NOTHING"
)
_ADMINISTRATORS = (
    "SELECT count(*) FROM user_roles JOIN roles ON roles.id = role_id WHERE roles.name = 'admin'"
)


def _demote(user_id: int, *, by: Tokens) -> Call:
    return lambda caller: caller.call(
        "PATCH", f"/admin/users/{user_id}", token=by.access_token, json_body={"roles": ["user"]}
    )
