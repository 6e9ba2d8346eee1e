"""Logins by the hundred, while others go on with the tokens they have, and the owner logs in."""

import statistics
import time
from collections import Counter
from ipaddress import ip_address
from itertools import pairwise

from faults.calls import Caller
from faults.flood import PER_SECOND, Attack, flooding
from faults.registry import Seen, scenario
from faults.stage import EMAIL, Stage, sign_up

ROUND_SECONDS = 3.0
ROUNDS = 5
# A client that is told to come back does so that often, after as long as it was told.
_TRIES = 3


def one_account(_number: int) -> tuple[str, str]:
    return EMAIL, "198.51.100.7"


def many_accounts(number: int) -> tuple[str, str]:
    return f"user{number}@example.org", "198.51.100.7"


def many_sources(number: int) -> tuple[str, str]:
    return f"user{number}@example.org", _source(number)


def one_account_from_many_sources(number: int) -> tuple[str, str]:
    return EMAIL, _source(number)


def _source(number: int) -> str:
    # The networks that are set aside for measuring, 198.18.0.0/15.
    return str(ip_address("198.18.0.0") + number % 131_072)


@scenario("F20", f"{PER_SECOND} logins/s at one account from one address")
def flood_at_one_account(stage: Stage) -> Seen:
    return _flood(stage, one_account)


@scenario("F20", f"{PER_SECOND} logins/s at as many accounts, from one address")
def flood_at_many_accounts(stage: Stage) -> Seen:
    return _flood(stage, many_accounts)


@scenario("F20", f"{PER_SECOND} logins/s at as many accounts, from as many addresses")
def flood_from_many_sources(stage: Stage) -> Seen:
    return _flood(stage, many_sources)


@scenario("F20", f"{PER_SECOND} logins/s at one account, from as many addresses")
def flood_at_one_account_from_many_sources(stage: Stage) -> Seen:
    return _flood(stage, one_account_from_many_sources)


def _flood(stage: Stage, attack: Attack) -> Seen:
    """Calm, flood and calm in turn, so that what else the machine does weighs on all alike."""
    service = stage.serve(stage.database(), bcrypt_rounds=12, trusted_proxies="127.0.0.1")
    token = sign_up(service).access_token
    calm, flood, answers = [_p99(service.url, token)], [], Counter[str]()
    tries: list[int] = []
    for number in range(ROUNDS):
        with flooding(service.url, attack, first=number * 100_000, answers=answers):
            time.sleep(0.5)
            flood.append(_p99(service.url, token))
            tries.append(_tries_of_owner(service.url))
        calm.append(_p99(service.url, token))
    ratio = statistics.median(flood) / statistics.median(calm)
    # What the machine does by itself: one calm round against the next.
    control = statistics.median(max(a, b) / min(a, b) for a, b in pairwise(calm))
    held = ratio < 2 and all(tries) and not {"500", "broken", "200"} & answers.keys()
    return Seen(
        held and answers["429"] + answers["503"] > 0,
        f"p99 of GET /users/me {1000 * statistics.median(flood):.1f} ms, {ratio:.2f} times that of"
        f" a calm service (calm rounds differ by {control:.2f});"
        f" {sum(answers.values())} logins: {dict(sorted(answers.items()))};"
        f" the owner, at a known address, entered {sum(map(bool, tries))} times of {ROUNDS},"
        f" at the latest at the {_ordinal(max(tries))} try",
    )


def _p99(url: str, token: str) -> float:
    """Seconds, of a client that asks some 100 times a second."""
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
    """How many logins it takes from where the account was made. 0 if they do not get in."""
    for number in range(1, _TRIES + 1):
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
