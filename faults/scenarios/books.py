"""What one sender can make the service write: rows in a minute, measured for each table."""

import time
from collections import Counter
from collections.abc import Callable

from counterfoil import tokens
from counterfoil.tokens import TokenKind
from faults import observe
from faults.calls import Caller
from faults.context import EMAIL, ScenarioContext, sign_up
from faults.registry import Outcome, scenario

_SECONDS = 15.0
# The default of the setting.
_WRITES_PER_MINUTE = 300
_TABLES = ("audit_events", "throttle_counters", "sessions", "access_tokens", "refresh_tokens")
# Beyond what is written for a change: see docs/reference/administration.md.
_MOST_ROWS = 450

Send = Callable[[Caller, int], int]


@scenario("F29", f"one sender repeats what is recorded for {_SECONDS:.0f} s, one way after another")
def rows_of_one_sender(context: ScenarioContext) -> Outcome:
    figures, held = [], True
    for name, prepare in _WAYS.items():
        url = context.database()
        service = context.serve(
            url, trusted_proxies="127.0.0.1", writes_per_minute=_WRITES_PER_MINUTE
        )
        sign_up(service)
        sent, rows = _measure(url, service.url, prepare(service.url))
        service.stop()
        held = held and max(rows.values()) <= _MOST_ROWS
        grown = ", ".join(f"{number} {table}" for table, number in rows.items() if number)
        figures.append(f"{name}: {sent} requests, {grown or 'no rows'}")
    return Outcome(held, "; ".join(figures))


def _measure(url: str, service: str, send: Send) -> tuple[int, Counter[str]]:
    """How many requests were sent, and by how much each table grew."""
    before, sent = _count(url), 0
    end = time.monotonic() + _SECONDS
    with Caller(service) as caller:
        while time.monotonic() < end:
            send(caller, sent)
            sent += 1
    # What is recorded in the background is written a second later.
    time.sleep(2)
    after = _count(url)
    return sent, Counter({table: after[table] - before[table] for table in _TABLES})


def _count(url: str) -> dict[str, int]:
    # The names are constants of this module.
    counts = (observe.run_sql(url, f"SELECT count(*) FROM {table}") for table in _TABLES)
    return {table: int(rows[0][0]) for table, rows in zip(_TABLES, counts, strict=True)}


def _dead_refresh_token(url: str) -> Send:
    with Caller(url) as caller:
        answer = caller.log_in(EMAIL)
        caller.log_out(answer.body["access_token"])
    return lambda caller, _: caller.refresh(answer.body["refresh_token"]).status


def _dead_token_from_everywhere(url: str) -> Send:
    with Caller(url) as caller:
        token = caller.log_in(EMAIL).body["access_token"]
        caller.log_out(token)

    def send(caller: Caller, number: int) -> int:
        address = f"2001:db8:{number // 65536:x}:{number % 65536:x}::1"
        return caller.call("GET", "/users/me", token=token, source=address).status

    return send


def _made_up_tokens(_url: str) -> Send:
    return lambda caller, _: caller.refresh(tokens.create(TokenKind.REFRESH).text).status


def _changes_of_the_profile(url: str) -> Send:
    with Caller(url) as caller:
        token = caller.log_in(EMAIL).body["access_token"]
    body = {"name": "Ada"}
    return lambda caller, _: caller.call("PATCH", "/users/me", token=token, json_body=body).status


def _refreshes(url: str) -> Send:
    with Caller(url) as caller:
        newest = caller.log_in(EMAIL).body["refresh_token"]

    def send(caller: Caller, _: int) -> int:
        nonlocal newest
        answer = caller.refresh(newest)
        newest = answer.body.get("refresh_token", newest)
        return answer.status

    return send


def _failed_logins(_url: str) -> Send:
    return lambda caller, number: caller.log_in(f"user{number}@example.org", "wrong").status


def _denied_scopes(url: str) -> Send:
    with Caller(url) as caller:
        token = caller.log_in(EMAIL).body["access_token"]
    return lambda caller, number: caller.call("GET", f"/verify?scope=s{number}", token=token).status


_WAYS: dict[str, Callable[[str], Send]] = {
    "a dead refresh token": _dead_refresh_token,
    "a dead access token from changing IPv6 networks": _dead_token_from_everywhere,
    "made-up refresh tokens": _made_up_tokens,
    "PATCH /users/me": _changes_of_the_profile,
    "refreshes": _refreshes,
    "failed logins at made-up names": _failed_logins,
    "denied scopes": _denied_scopes,
}
