"""Many clients make the same or conflicting requests at the same moment."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier

from faults import observe
from faults.calls import PASSWORD, Answer, Caller, Tokens, read_tokens, register
from faults.context import EMAIL, ScenarioContext, sign_up
from faults.registry import Outcome, scenario
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
    """Returns the last answer with status 200, or else the last one."""

    def use(caller: Caller) -> Answer:
        answers = [caller.use(tokens.access_token) for _ in range(6)]
        return next((one for one in reversed(answers) if one.status == 200), answers[-1])

    return use


class ConcurrentClients:
    """Clients that send requests at the same moment."""

    def __init__(self, url: str, size: int) -> None:
        self._callers = [Caller(url) for _ in range(size)]
        self._threads = ThreadPoolExecutor(size)

    def run_at_once(self, calls: Sequence[Call]) -> list[Answer]:
        """Run each call by another client, all starting at the same moment."""
        barrier = Barrier(len(calls))

        def run(caller: Caller, call: Call) -> Answer:
            barrier.wait()
            return call(caller)

        return list(self._threads.map(run, self._callers, calls))

    def close(self) -> None:
        self._threads.shutdown()
        for caller in self._callers:
            caller.__exit__(None, None, None)


@contextmanager
def _clients(service: Server, size: int) -> Iterator[ConcurrentClients]:
    clients = ConcurrentClients(service.url, size)
    with Caller(service.url) as caller:
        assert caller.call("GET", "/health/live").status == 200
    try:
        yield clients
    finally:
        clients.close()


def _statuses(answers: Sequence[Answer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


@scenario("F15", "register, logout and refresh delivered twice at once, and once more")
def duplicate_requests(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database())
    with _clients(service, 2) as clients, Caller(service.url) as caller:
        made = clients.run_at_once([_register(EMAIL)] * 2)
        tokens = sign_up(service)
        left = clients.run_at_once([_log_out(tokens)] * 2)
        left.append(caller.log_out(tokens.access_token))
        tokens = sign_up(service)
        refreshed = clients.run_at_once([_refresh(tokens)] * 2)
        refreshed.append(caller.refresh(tokens.refresh_token))
    held = (
        _statuses(made) == {201: 1, 409: 1}
        # Both logouts may find the session live. It is revoked once, and later ones get an error.
        and _statuses(left) in ({204: 1, 401: 2}, {204: 1, 404: 1, 401: 1}, {204: 2, 401: 1})
        and _statuses(refreshed) == {200: 1, 400: 2}
    )
    return Outcome(
        held,
        f"register {observe.statuses(made)}; logout {observe.statuses(left)};"
        f" refresh {observe.statuses(refreshed)}",
    )


@scenario("F16", f"one refresh token exchanged 12 to 64 times at once, {ROUNDS} rounds, 2 workers")
def refreshed_at_once(context: ScenarioContext) -> Outcome:
    return _refresh_at_once(context.serve(context.database(), workers=2), ROUNDS)


@scenario("F16", "the same on SQLite, 20 rounds, 2 workers")
def refreshed_at_once_on_sqlite(context: ScenarioContext) -> Outcome:
    return _refresh_at_once(context.serve(context.sqlite(), workers=2), 20)


def _refresh_at_once(service: Server, rounds: int) -> Outcome:
    answers: list[Answer] = []
    exchanged_twice = survivors = 0
    sign_up(service)
    with _clients(service, 64) as clients, Caller(service.url) as caller:
        for number in range(rounds):
            size = (12, 32, 64)[number % 3]
            found = clients.run_at_once([_refresh(read_tokens(caller.log_in(EMAIL)))] * size)
            won = [answer for answer in found if answer.status == 200]
            exchanged_twice += len(won) > 1
            # The other exchanges are reuses, which revoke the session and the winner's new tokens.
            survivors += any(caller.use(read_tokens(one).access_token).status != 401 for one in won)
            answers += found
    errors = [answer for answer in answers if answer.status not in {200, 400}]
    return Outcome(
        not exchanged_twice and not survivors and not errors,
        f"{observe.statuses(answers)}; exchanged twice in {exchanged_twice} rounds, new"
        f" tokens accepted after the detected reuse in {survivors}",
    )


@scenario("F17", "32 registrations at once of one address in four spellings, 10 rounds")
def registered_at_once(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url, registrations_per_address=1_000)
    answers: list[Answer] = []
    with _clients(service, 32) as clients:
        for number in range(10):
            spellings = [f"{number}{SPELLINGS[i % len(SPELLINGS)]}" for i in range(32)]
            answers += clients.run_at_once([_register(email) for email in spellings])
    ((rows,),) = observe.run_sql(url, "SELECT count(*) FROM users")
    statuses = _statuses(answers)
    return Outcome(
        rows == 10 and statuses.get(201) == 10 and set(statuses) <= {201, 409, 422, 503},
        f"{observe.statuses(answers)}; {rows} accounts for 10 addresses",
    )


@scenario("F19", f"a logout against 7 uses at once, {ROUNDS} rounds, 2 workers")
def revoked_while_used(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), workers=2)
    accepted = wrong = 0
    sign_up(service)
    with _clients(service, 8) as clients, Caller(service.url) as caller:
        for _ in range(ROUNDS):
            tokens = read_tokens(caller.log_in(EMAIL))
            ended, *used = clients.run_at_once([_log_out(tokens), *[_use_repeatedly(tokens)] * 7])
            accepted += sum(a.status == 200 and a.began > ended.ended for a in used)
            accepted += caller.use(tokens.access_token).status != 401
            wrong += ended.status != 204
    return Outcome(
        not accepted and not wrong,
        f"{ROUNDS} revocations, {accepted} times a token accepted after the acknowledgement",
    )


@scenario("F19", f"ending all sessions against refreshes at once, {ROUNDS} rounds, 2 workers")
def all_ended_while_refreshed(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), workers=2)
    survivors, answers = 0, []
    sign_up(service)
    with _clients(service, 4) as clients, Caller(service.url) as caller:
        for _ in range(ROUNDS):
            pairs = [read_tokens(caller.log_in(EMAIL)) for _ in range(4)]
            found = clients.run_at_once([_end_all(pairs[0]), *map(_refresh, pairs[1:])])
            answers += found
            for won in [answer for answer in found[1:] if answer.status == 200]:
                pair = read_tokens(won)
                survivors += caller.use(pair.access_token).status != 401
                survivors += caller.refresh(pair.refresh_token).status != 400
    errors = [answer for answer in answers if answer.status >= 500]
    return Outcome(
        not survivors and not errors,
        f"{observe.statuses(answers)}; {survivors} tokens survived",
    )


@scenario("F19", "a password change against 5 logins with the old password at once, 20 rounds")
def password_changed_while_logging_in(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), workers=2)
    survivors, answers = 0, []
    old, new = PASSWORD, NEW_PASSWORD
    sign_up(service)
    with _clients(service, 6) as clients, Caller(service.url) as caller:
        for _ in range(20):
            tokens = read_tokens(caller.log_in(EMAIL, old))
            found = clients.run_at_once([_change_password(tokens, old, new), *[_log_in(old)] * 5])
            answers += found
            for won in [answer for answer in found[1:] if answer.status == 200]:
                survivors += caller.use(read_tokens(won).access_token).status != 401
            old, new = new, old
    changed = [answer.status for answer in answers if answer.call.startswith("PUT")]
    return Outcome(
        not survivors and set(changed) == {200},
        f"{observe.statuses(answers)}; {survivors} sessions of the old password survived",
    )


@scenario("F19", "16 logins at once with at most 3 sessions a user, 10 rounds")
def sessions_limited(context: ScenarioContext) -> Outcome:
    service = context.serve(context.database(), max_sessions_per_user=3)
    most, answers = 0, []
    sign_up(service)
    with _clients(service, 16) as clients, Caller(service.url) as caller:
        for _ in range(10):
            found = clients.run_at_once([_log_in()] * 16)
            answers += found
            live = [a for a in found if caller.use(read_tokens(a).access_token).status == 200]
            most = max(most, len(live))
    return Outcome(
        most == 3 and _statuses(answers) == {200: 160},
        f"{observe.statuses(answers)}; at most {most} sessions live",
    )


@scenario("F19", "two administrators demoting each other at once, 20 rounds, 2 workers")
def administrators_demoting_each_other(context: ScenarioContext) -> Outcome:
    url = context.database()
    service = context.serve(url, workers=2)
    both = [sign_up(service, f"admin{number}@example.org") for number in (1, 2)]
    left, answers = set(), []
    with _clients(service, 2) as clients:
        for _ in range(20):
            observe.run_sql(url, _PROMOTE)
            answers += clients.run_at_once([_demote(2, by=both[0]), _demote(1, by=both[1])])
            ((count,),) = observe.run_sql(url, _ADMINISTRATORS)
            left.add(count)
    return Outcome(
        left == {1} and set(_statuses(answers)) <= {200, 403, 409},
        f"{observe.statuses(answers)}; administrators left each time: {sorted(left)}",
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
