"""Floods of logins, during which token checks are measured and the account's owner logs in."""

import statistics
import time
from collections import Counter
from contextlib import closing
from ipaddress import ip_address
from itertools import pairwise
from urllib.parse import urlencode

import psycopg2

from authentication.pruning import prune
from authentication.pruning.prune import Retention
from database.engine.session import Database
from database.settings import DatabaseSettings
from faults import observe
from faults.calls import Answer, Caller
from faults.context import EMAIL, ScenarioContext, sign_up
from faults.flood import PER_SECOND, Attack, login_flood, token_flood
from faults.registry import Outcome, scenario

ROUND_SECONDS = 3.0
ROUNDS = 5
CONNECTIONS = 900
# How often the owner tries to log in, each time after the Retry-After of the answer before.
_MAX_TRIES = 3
_MAILS_PER_RECIPIENT = 3
# Of one network in a minute at one worker, for the time that the scenario takes.
_CODES = 4 * 30
_AUTHORIZATION = urlencode(
    {
        "response_type": "code",
        "client_id": "flood",
        "redirect_uri": "https://example.org/callback",
        "code_challenge": "E9Melhoa2OwvFrEMTJHguCHaoeK1t8URWbuGJSstw-c",
        "code_challenge_method": "S256",
    }
)
_CLIENT = """
INSERT INTO oauth_clients (id, name, redirect_uris, scopes, grants)
VALUES ('flood', 'Flood', 'https://example.org/callback', 'account',
        'authorization_code urn:ietf:params:oauth:grant-type:device_code')
"""
_ROWS = """
SELECT (SELECT count(*) FROM authorization_requests) + (SELECT count(*) FROM authorization_codes)
     + (SELECT count(*) FROM device_codes)
"""


def one_account(_number: int) -> tuple[str, str]:
    return EMAIL, "198.51.100.7"


def many_accounts(number: int) -> tuple[str, str]:
    return f"user{number}@example.org", "198.51.100.7"


def many_sources(number: int) -> tuple[str, str]:
    return f"user{number}@example.org", _source(number)


def one_account_from_many_sources(number: int) -> tuple[str, str]:
    return EMAIL, _source(number)


def _source(number: int) -> str:
    # 198.18.0.0/15 is reserved for benchmarks (RFC 2544).
    return str(ip_address("198.18.0.0") + number % 131_072)


@scenario("F20", f"{PER_SECOND} logins/s at one account from one address")
def flood_at_one_account(context: ScenarioContext) -> Outcome:
    return _flood(context, one_account)


@scenario("F20", f"{PER_SECOND} logins/s at as many accounts, from one address")
def flood_at_many_accounts(context: ScenarioContext) -> Outcome:
    return _flood(context, many_accounts)


@scenario("F20", f"{PER_SECOND} logins/s at as many accounts, from as many addresses")
def flood_from_many_sources(context: ScenarioContext) -> Outcome:
    return _flood(context, many_sources)


@scenario("F20", f"{PER_SECOND} logins/s at one account, from as many addresses")
def flood_at_one_account_from_many_sources(context: ScenarioContext) -> Outcome:
    return _flood(context, one_account_from_many_sources)


@scenario("F20", f"{PER_SECOND} requests/s for mails to one user, from as many addresses")
def flood_of_mails_to_one_user(context: ScenarioContext) -> Outcome:
    return _mail_flood(context, one_account_from_many_sources)


@scenario("F20", f"{PER_SECOND} requests/s for mails to nobody, from as many addresses")
def flood_of_mails_to_nobody(context: ScenarioContext) -> Outcome:
    return _mail_flood(context, many_sources)


@scenario("F20", f"{PER_SECOND} requests/s for mails from one address")
def flood_of_mails_from_one_address(context: ScenarioContext) -> Outcome:
    return _mail_flood(context, many_accounts)


@scenario("F35", f"{PER_SECOND} requests/s at /authorize, from as many addresses")
def flood_of_authorizations(context: ScenarioContext) -> Outcome:
    return _authorization_flood(context, f"/authorize?{_AUTHORIZATION}", many_sources, most=0)


@scenario("F35", f"{PER_SECOND} device codes/s, from one address")
def flood_of_device_codes_from_one_address(context: ScenarioContext) -> Outcome:
    return _authorization_flood(context, "/device_authorization", many_accounts, most=_CODES)


@scenario("F35", f"{PER_SECOND} device codes/s, from as many addresses")
def flood_of_device_codes(context: ScenarioContext) -> Outcome:
    return _authorization_flood(context, "/device_authorization", many_sources, most=10_000)


def _authorization_flood(
    context: ScenarioContext, path: str, attack: Attack, *, most: int
) -> Outcome:
    """As below. No more rows are left than the limits say, and pruning deletes all of them."""
    url = context.database()
    service = context.serve(url, trusted_proxies="127.0.0.1")
    token = sign_up(service).access_token
    _execute(url, _CLIENT)
    calm, flood, answers = [_p99(service.url, token)], [], Counter[str]()
    for number in range(ROUNDS):
        first = number * 100_000
        with login_flood(service.url, attack, first=first, answers=answers, path=path):
            time.sleep(0.5)
            flood.append(_p99(service.url, token))
        calm.append(_p99(service.url, token))
    ratio = statistics.median(flood) / statistics.median(calm)
    control = statistics.median(max(a, b) / min(a, b) for a, b in pairwise(calm))
    ((rows,),) = _execute(url, _ROWS)
    _execute(url, "UPDATE device_codes SET expires_at = now() - interval '1 day'")
    with closing(Database(DatabaseSettings(database_url=url))) as database:
        for _ in prune.prune_all(database, Retention(keep_days=7)):
            pass
    ((left,),) = _execute(url, _ROWS)
    held = ratio < 2 and rows <= most and not left
    return Outcome(
        held and not {"500", "broken"} & answers.keys(),
        f"p99 of GET /users/me {1000 * statistics.median(flood):.1f} ms, {ratio:.2f} times that of"
        f" a calm service (calm rounds differ by {control:.2f});"
        f" {sum(answers.values())} requests: {dict(sorted(answers.items()))};"
        f" {rows} rows, and {left} after pruning",
    )


def _execute(url: str, statement: str) -> list[tuple[int]]:
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def _mail_flood(context: ScenarioContext, attack: Attack) -> Outcome:
    """As below. Nobody gets more mails than the limits say, and the outbox does not grow."""
    url, mails = context.database(), context.folder()
    service = context.serve(
        url,
        trusted_proxies="127.0.0.1",
        mail_url=f"file:{mails}",
        mail_from="no-reply@example.org",
        mail_notices="",
    )
    token = sign_up(service).access_token
    calm, flood, answers = [_p99(service.url, token)], [], Counter[str]()
    for number in range(ROUNDS):
        first, path = number * 100_000, "/password/forgot"
        with login_flood(service.url, attack, first=first, answers=answers, path=path):
            time.sleep(0.5)
            flood.append(_p99(service.url, token))
        calm.append(_p99(service.url, token))
    ratio = statistics.median(flood) / statistics.median(calm)
    control = statistics.median(max(a, b) / min(a, b) for a, b in pairwise(calm))
    sent = len(list(mails.glob("*.eml")))
    with psycopg2.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox")
        ((rows,),) = cursor.fetchall()
    connection.close()
    held = ratio < 2 and sent <= _MAILS_PER_RECIPIENT and rows <= _MAILS_PER_RECIPIENT
    return Outcome(
        held and not {"500", "broken"} & answers.keys(),
        f"p99 of GET /users/me {1000 * statistics.median(flood):.1f} ms, {ratio:.2f} times that of"
        f" a calm service (calm rounds differ by {control:.2f});"
        f" {sum(answers.values())} requests: {dict(sorted(answers.items()))};"
        f" {sent} mails were sent, and {rows} rows are left",
    )


@scenario("F28", f"{CONNECTIONS} connections send made-up tokens to /token and /revoke")
def flood_of_made_up_tokens(context: ScenarioContext) -> Outcome:
    """Logins, changes and readiness, with the flood."""
    # Of the owner's many logins here, none may end the session that makes the changes.
    service = context.serve(
        context.database(), trusted_proxies="127.0.0.1", max_sessions_per_user="none"
    )
    token = sign_up(service).access_token
    answers, others = Counter[str](), list[Answer]()
    end = time.monotonic() + ROUNDS * ROUND_SECONDS
    with token_flood(service.url, CONNECTIONS, answers), Caller(service.url) as caller:
        while time.monotonic() < end:
            body = {"name": "Ada"}
            others += [
                caller.log_in(EMAIL),
                caller.call("PATCH", "/users/me", token=token, json_body=body),
                caller.call("GET", "/health/ready"),
            ]
    wrong = [answer for answer in others if answer.status != 200]
    return Outcome(
        not wrong and set(answers) <= {"200", "400", "429"},
        f"{sum(answers.values())} made-up tokens: {dict(sorted(answers.items()))}; beside them"
        f" logins, changes and /health/ready: {observe.statuses(others)},"
        f" slowest {observe.slowest(others):.2f} s",
    )


def _flood(context: ScenarioContext, attack: Attack) -> Outcome:
    """Alternates rounds without and with a flood, so that other load affects both alike."""
    service = context.serve(context.database(), bcrypt_rounds=12, trusted_proxies="127.0.0.1")
    token = sign_up(service).access_token
    calm, flood, answers = [_p99(service.url, token)], [], Counter[str]()
    tries: list[int] = []
    for number in range(ROUNDS):
        with login_flood(service.url, attack, first=number * 100_000, answers=answers):
            time.sleep(0.5)
            flood.append(_p99(service.url, token))
            tries.append(_tries_of_owner(service.url))
        calm.append(_p99(service.url, token))
    ratio = statistics.median(flood) / statistics.median(calm)
    # The noise of the machine: each round without a flood against the next.
    control = statistics.median(max(a, b) / min(a, b) for a, b in pairwise(calm))
    held = ratio < 2 and all(tries) and not {"500", "broken", "200"} & answers.keys()
    return Outcome(
        held and answers["429"] + answers["503"] > 0,
        f"p99 of GET /users/me {1000 * statistics.median(flood):.1f} ms, {ratio:.2f} times that of"
        f" a calm service (calm rounds differ by {control:.2f});"
        f" {sum(answers.values())} logins: {dict(sorted(answers.items()))};"
        f" the owner, at a known address, logged in {sum(map(bool, tries))} times of {ROUNDS},"
        f" at the latest at the {_ordinal(max(tries))} try",
    )


def _p99(url: str, token: str) -> float:
    """The 99th percentile, in seconds, of about 100 token checks per second."""
    taken, end = [], time.monotonic() + ROUND_SECONDS
    with Caller(url) as caller:
        while time.monotonic() < end:
            answer = caller.use(token)
            if answer.status != 200:
                raise RuntimeError(f"a token check was answered by {answer.status}")
            taken.append(answer.seconds)
            time.sleep(0.005)
    return statistics.quantiles(taken, n=100)[98]


def _tries_of_owner(url: str) -> int:
    """How many logins the owner needs from the address of registration. 0 if all of them fail."""
    for number in range(1, _MAX_TRIES + 1):
        with Caller(url) as caller:
            answer = caller.log_in(EMAIL)
        if answer.status == 200:
            return number
        if answer.status != 503:
            break
        time.sleep(float(answer.retry_after or 0))
    return 0


def _ordinal(number: int) -> str:
    return {0: "no", 1: "first", 2: "second", 3: "third"}[number]
